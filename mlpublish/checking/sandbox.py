"""What lies in a device's folder, taken for no more than it is.

A disk, a backup or another program may leave a link, a pipe or a folder where a file of ours belongs. A link is never followed
(what it leads to is not ours), a pipe never waited for, and nothing of that kind is in the way for ever: it is removed.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

from mlpublish.formats.wire import MAX_DOCUMENT
from mlpublish.storage.in_folder import read_regular, replace_file


def remove(place: Path) -> None:
    """Remove whatever is there: a file, a pipe, a link (not what it leads to), a folder with all that it holds."""
    found = _found(place)
    if found is not None and stat.S_ISDIR(found.st_mode):
        shutil.rmtree(place)  # of nothing else: before Python 3.12 it opens what it is given, and waits for a pipe
    elif found is not None:
        place.unlink(missing_ok=True)


def keep_folder(place: Path) -> None:
    """Let a folder be there or nothing."""
    found = _found(place)
    if found is not None and not stat.S_ISDIR(found.st_mode):
        remove(place)


def read(file: Path) -> bytes | None:
    """The bytes of a document of ours; None if there is no regular file, or one that is longer than any document.

    Raises:
        OSError: it is there and cannot be read.
    """
    found = _found(file)
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_size > MAX_DOCUMENT:
        return None
    return read_regular(file, MAX_DOCUMENT, links=False)


def write(file: Path, content: bytes) -> None:
    """Write a document durably in one step, whatever is in its place."""
    found = _found(file)
    if found is not None and stat.S_ISDIR(found.st_mode):
        remove(file)  # all else is replaced in the same step
    replace_file(file, content)


def is_own(file: Path) -> bool:
    """Whether a regular file is there that has no other name, so that what is written to it is written nowhere else."""
    found = _found(file)
    return found is not None and stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def open_own(file: Path) -> BinaryIO:
    """A regular file to read and write, made if absent; what else is in its place is removed."""
    if not is_own(file):
        remove(file)
    more = os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    return open(file, "r+b", opener=lambda name, flags: os.open(name, flags | more, 0o666))


def open_lock(file: Path) -> BinaryIO:
    """A regular file that processes lock, made if absent.

    Raises:
        OSError: something else is there.
    """
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileExistsError(errno.EEXIST, "it is no regular file", str(file))
    return os.fdopen(handle, "ab")


def _found(place: Path) -> os.stat_result | None:
    try:
        return place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
