"""Where uploads wait for the commit that names them: ``<blobs>/sha256/<hex>``, outside the served tree.

A blob arrives in a partial file and gets its name only once its digest is right and it is flushed, by a link that refuses an
existing name. A partial file is locked for as long as it is written: what a crashed server left is found by its missing
lock. A blob is dropped a day after it was last asked for; its commit has copied it into the repository long before.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from tuf.api.metadata import TargetFile

from mlpublish.errors import DigestMismatch, StorageError
from mlpublish.storage.in_folder import flush_folder

KEPT = 24 * 3600.0  # seconds
_PARTIAL = ".partial-"


class Staging:
    """The folder of uploads.

    Raises:
        StorageError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "sha256"
        if self._folder.is_symlink() or folder.is_symlink():  # what is old in it is swept
            raise StorageError(f"{self._folder} is a link.", remedy="Give a folder as blobs in server.toml.", field="blobs")
        with _disk():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has(self, digest: str) -> bool:
        """Whether the blob is here; from now on it stays for another day, because somebody counts on it."""
        try:
            os.utime(self._folder / digest)
        except FileNotFoundError:
            return False
        return True

    def begin(self) -> Partial:
        """A partial file for a blob that arrives now."""
        return Partial(self._folder)

    def find(self, target: TargetFile) -> Path | None:
        """The file of a target's bytes, if they were uploaded.

        Raises:
            DigestMismatch: they are here, but the target says another length.
        """
        place = self._folder / target.hashes["sha256"]
        try:
            length = place.stat().st_size
        except FileNotFoundError:
            return None
        if length != target.length:
            raise DigestMismatch(
                f"{target.path} has {length} bytes; the signed role says {target.length}.",
                remedy="Sign the bundle again.",
                field=target.path,
            )
        return place

    def sweep(self) -> None:
        """Remove what crashed uploads left, and blobs that nobody asked for in a day."""
        with _disk():
            for file in self._folder.iterdir():
                if _is_orphan(file) if file.name.startswith(_PARTIAL) else time.time() - file.stat().st_mtime > KEPT:
                    file.unlink(missing_ok=True)


class Partial:
    """A blob that is arriving; gone on exit unless it was kept.

    Its methods block on the disk and are called from worker threads; the lock keeps an exit from closing the file under a
    write that still runs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place = folder / f"{_PARTIAL}{secrets.token_hex(8)}"
        self._sha256 = hashlib.sha256()
        self._busy = threading.Lock()
        with _disk():
            self._stream = self._place.open("xb", buffering=0)
            fcntl.flock(self._stream, fcntl.LOCK_EX)

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        with self._busy:
            self._place.unlink(missing_ok=True)
            self._stream.close()

    def write(self, data: bytes) -> None:
        """Append."""
        with self._busy, _disk():
            view = memoryview(data)
            while view:
                view = view[self._stream.write(view) :]
            self._sha256.update(data)

    def keep(self, digest: str) -> bool:
        """Give the blob its name, durably.

        Returns:
            False if it stood there already.

        Raises:
            DigestMismatch: other bytes arrived.
        """
        if self._sha256.hexdigest() != digest:
            raise DigestMismatch(
                f"The bytes that arrived have the sha256 {self._sha256.hexdigest()}, not {digest}.",
                remedy="Send them again; if it stays, the file changed since it was signed.",
                field="sha256",
            )
        with self._busy, _disk():
            os.fsync(self._stream.fileno())
            try:
                os.link(self._place, self._folder / digest)
            except FileExistsError:
                return False
            flush_folder(self._folder)
        return True


def _is_orphan(partial: Path) -> bool:
    """Whether the process that wrote it is gone: its lock went with it."""
    try:
        with partial.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # locked, or gone in the meantime
        return False
    return True


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageError(
            f"The server's disk refused: {exc.strerror or exc}.", remedy="Tell its operator: space left, permissions."
        ) from exc
