"""Blobs in a folder of the local disk, durable and safe among processes.

Written to a temporary sibling first, flushed, then linked (create-only) or renamed (replace) into place, and the folder
flushed: after a crash a name holds the whole content or nothing. ``link`` refuses an existing name, which is what makes
create-only hold among processes; ``replace_if`` holds one lock per folder for the time of the comparison. A sibling is locked
while its writer lives, so ``sweep`` knows what crashes left.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from mlpublish.errors import NotFound, StorageError
from mlpublish.formats.wire import digest_of, is_relative_path

_LOCK = ".lock"
_PARTIAL = ".partial-"
KEPT = 24 * 3600.0  # seconds that a partial file is left alone


class FolderStore:
    """Keeps blobs under one folder, which is made when the first is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, path: str) -> bytes:
        with self.open(path) as stream:
            return stream.read()

    def open(self, path: str) -> BinaryIO:
        try:
            return self._place(path).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as exc:
            raise NotFound(f"There is no {path} in {self.folder}.", remedy="Check the name, or publish it first.") from exc
        except OSError as exc:
            raise _refused(exc) from exc

    def exists(self, path: str) -> bool:
        try:
            return self._place(path).is_file()
        except OSError as exc:
            raise _refused(exc) from exc

    def length(self, path: str) -> int:
        with self.open(path) as stream:
            return os.fstat(stream.fileno()).st_size

    def create(self, path: str, content: bytes | Path) -> bool:
        place = self._place(path)
        if place.exists():
            return False
        try:
            make_folder(place.parent)
            with _partial(place.parent, content) as written:
                if not _linked(written, place):
                    return False
            flush_folder(place.parent)
        except OSError as exc:
            raise _refused(exc) from exc
        return True

    def read_tagged(self, path: str) -> tuple[bytes, str]:
        content = self.read(path)
        return content, digest_of(content)

    def create_if(self, path: str, content: bytes, *, guard: str, tag: str | None) -> bool:
        return self._write_if(path, content, tags={guard: tag, path: None})

    def replace_if(self, path: str, content: bytes, *, tag: str | None, unless: str | None = None) -> bool:
        return self._write_if(path, content, tags={path: tag} if unless is None else {path: tag, unless: None})

    def _write_if(self, path: str, content: bytes, *, tags: Mapping[str, str | None]) -> bool:
        """Write while every file has its tag (None: is not there); one lock per folder makes it one step."""
        place = self._place(path)
        try:
            make_folder(place.parent)
            with locked(place.parent / _LOCK):
                if any(_tag_of(self._place(each)) != tag for each, tag in tags.items()):
                    return False
                with _partial(place.parent, content) as written:
                    written.replace(place)
                flush_folder(place.parent)
        except OSError as exc:
            raise _refused(exc) from exc
        return True

    def list(self, folder: str) -> Iterator[str]:
        place = self._place(folder) if folder else self.folder
        try:
            names = [each.name for each in place.iterdir()] if place.is_dir() else []
        except OSError as exc:
            raise _refused(exc) from exc
        yield from sorted(name for name in names if not name.startswith("."))

    def _place(self, path: str) -> Path:
        """A path inside the folder; names come from the wire, so one that could lead outside is refused here."""
        if not is_relative_path(path):
            raise NotFound(f"{path!r} is no path of a blob.", remedy="Use plain names joined by slashes.")
        return self.folder / path


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold an exclusive lock among processes; it goes with the process that held it."""
    with file.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def flush_folder(folder: Path) -> None:
    """Make a folder's names durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Make a folder and what is missing above it, each name durable in the folder that holds it."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode, parents=True, exist_ok=True)
    for made in missing:
        flush_folder(made.parent)


def read_regular(file: Path, most: int, *, links: bool = True) -> bytes:
    """A regular file's bytes, for a path that somebody else chose: a pipe or a device may never end.

    Args:
        most: bytes that it may have.
        links: whether a symbolic link is followed; one in a folder that was handed over may point to a private file.

    Raises:
        OSError: it cannot be read, is something else, or is longer.
    """
    if not links and file.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link", str(file))
    refused = os.O_NONBLOCK | (0 if links else os.O_NOFOLLOW)  # without O_NONBLOCK a pipe that nobody writes to is waited for
    with open(file, "rb", opener=lambda name, flags: os.open(name, flags | refused)) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(file))
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most} bytes", str(file))
    return content


def replace_file(place: Path, content: bytes) -> None:
    """Write a file durably in one step: readers see the old content or the new one."""
    with _partial(place.parent, content) as written:
        written.replace(place)
    flush_folder(place.parent)


def sweep(folder: Path) -> int:
    """Remove the partial files that crashed runs left anywhere below a folder: a day old, and held by no process.

    Returns:
        How many there were.
    """
    partials = (Path(place, name) for place, _, names in os.walk(folder) for name in names if name.startswith(_PARTIAL))
    orphans = [each for each in partials if _is_orphan(each)]
    for each in orphans:
        each.unlink(missing_ok=True)
    return len(orphans)


def create_private(place: Path, content: bytes) -> bool:
    """Write a file that only its owner can read, whole or not at all; what stands there is left as it is.

    Returns:
        Whether this call wrote it.
    """
    with _partial(place.parent, content, mode=0o600) as written:
        made = _linked(written, place)
    flush_folder(place.parent)
    return made


@contextlib.contextmanager
def _partial(folder: Path, content: bytes | Path, *, mode: int = 0o644) -> Iterator[Path]:
    """A flushed file beside its future place; gone afterwards unless it was renamed."""
    written = folder / f"{_PARTIAL}{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # held until it has its name: what nobody holds, a crash left
            _fill(stream, content)
            stream.flush()
            os.fsync(stream.fileno())
            yield written
    finally:
        written.unlink(missing_ok=True)


def _tag_of(place: Path) -> str | None:
    return digest_of(place.read_bytes()) if place.exists() else None


def _linked(written: Path, place: Path) -> bool:
    """Give the file its name, unless the name is taken."""
    try:
        os.link(written, place)
    except FileExistsError:
        return False
    return True


def _fill(stream: BinaryIO, content: bytes | Path) -> None:
    """Copied, never linked: a blob must share no inode with a file that somebody may still edit."""
    if isinstance(content, bytes):
        stream.write(content)
        return
    with content.open("rb") as reading:
        shutil.copyfileobj(reading, stream, 1 << 20)


def _is_orphan(partial: Path) -> bool:
    """Whether it is old and the process that wrote it is gone: its lock went with it."""
    try:
        status = partial.lstat()
        if not stat.S_ISREG(status.st_mode) or time.time() - status.st_mtime < KEPT:
            return False
        with partial.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # locked, or gone in the meantime
        return False
    return True


def _refused(exc: OSError) -> StorageError:
    return StorageError(
        f"The disk refused: {exc.strerror or exc} ({exc.filename}).",
        remedy="Check the folder's permissions and the space left, then run the command again.",
    )
