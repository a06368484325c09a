"""Blobs in a folder of the local disk, durable and safe among processes.

Written to a temporary sibling first, flushed, then linked (create-only) or renamed (replace) into place, and the folder
flushed: after a crash a name holds the whole content or nothing. ``link`` refuses an existing name, which is what makes
create-only hold among processes; ``replace_if`` holds one lock per folder for the time of the comparison.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mlpublish.errors import NotFound, StorageError
from mlpublish.formats.wire import digest_of, is_relative_path

_LOCK = ".lock"
_PARTIAL = ".partial-"


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
        return self._place(path).is_file()

    def length(self, path: str) -> int:
        with self.open(path) as stream:
            return os.fstat(stream.fileno()).st_size

    def create(self, path: str, content: bytes | Path) -> bool:
        place = self._place(path)
        if place.exists():
            return False
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
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

    def replace_if(self, path: str, content: bytes, *, tag: str | None) -> bool:
        place = self._place(path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with locked(place.parent / _LOCK):
                standing = digest_of(place.read_bytes()) if place.exists() else None
                if standing != tag:
                    return False
                with _partial(place.parent, content) as written:
                    written.replace(place)
                flush_folder(place.parent)
        except OSError as exc:
            raise _refused(exc) from exc
        return True

    def list(self, folder: str) -> Iterator[str]:
        place = self._place(folder) if folder else self.folder
        if place.is_dir():
            yield from sorted(each.name for each in place.iterdir() if not each.name.startswith("."))

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


def replace_file(place: Path, content: bytes) -> None:
    """Write a file durably in one step: readers see the old content or the new one."""
    with _partial(place.parent, content) as written:
        written.replace(place)
    flush_folder(place.parent)


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
        if isinstance(content, Path):
            _copy(content, written)
        else:
            with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        yield written
    finally:
        written.unlink(missing_ok=True)


def _linked(written: Path, place: Path) -> bool:
    """Give the file its name, unless the name is taken."""
    try:
        os.link(written, place)
    except FileExistsError:
        return False
    return True


def _copy(source: Path, place: Path) -> None:
    """Copied, never linked: a blob must share no inode with a file that somebody may still edit."""
    with source.open("rb") as reading, place.open("xb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
        writing.flush()
        os.fsync(writing.fileno())


def _refused(exc: OSError) -> StorageError:
    return StorageError(
        f"The disk refused: {exc.strerror or exc} ({exc.filename}).",
        remedy="Check the folder's permissions and the space left, then run the command again.",
    )
