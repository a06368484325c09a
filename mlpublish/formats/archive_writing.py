"""Write a bundle's zip in one walk: the files' digests, the archive's own and the disk's flush run beside the copying.

A file's header stands before its content and holds its CRC. Where the CRC came along with the file's digest (``known``) the
file is read once and its CRC and length are held against what was read. Any other file is read for its CRC first, while a
second reader makes its sha256; its length, inode and times tell that all readings saw the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from itertools import cycle
from pathlib import Path, PurePosixPath

from zlib_ng.zlib_ng import crc32

from mlpublish.errors import BundleError
from mlpublish.formats.archive_layout import Entry, check_names, local_header, order, tail
from mlpublish.formats.lanes import CHUNK, DEPTH, Lane, NewFile
from mlpublish.formats.manifest import MANIFEST_PATH, FileEntry


def write(
    place: Path,
    files: Sequence[tuple[str, Path | bytes]],
    *,
    known: Iterable[FileEntry] = (),
    manifest: Callable[[tuple[FileEntry, ...]], bytes] | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> str:
    """Write an archive to a new file; if that fails, there is none.

    Args:
        place: the file to make; it must not exist.
        files: name and content of each file, in any order.
        known: files that were measured before. The sha256 of one with a CRC is believed, and its length and CRC are held
            against its content: that finds what changed by itself. Who forges a CRC gets an archive that every reader
            refuses, because the digest in the manifest is then not its content's.
        manifest: makes the manifest's content from all the files; it is then written last.
        on_bytes: is told how many bytes are written, again and again.

    Returns:
        The sha256 of the archive.

    Raises:
        BundleError: a name is none that every system takes, or stands twice; or a file changed.
    """
    ordered = sorted(files, key=lambda file: order(file[0]))
    check_names([name for name, _ in ordered] + [MANIFEST_PATH] * (manifest is not None))
    measured = {str(entry.path): entry for entry in known if entry.crc is not None}
    with _gone_if_it_fails(NewFile(place), place) as file, Lane() as hashing:
        writing = _Writing(file, hashing, on_bytes)
        with Lane() as measuring:
            for name, content in ordered:
                if isinstance(content, bytes):
                    writing.add(name, content)
                else:
                    writing.add_file(name, content, measured.get(name), measuring if manifest is not None else None)
        if manifest is not None:
            writing.add(MANIFEST_PATH, manifest(tuple(writing.described())))
        writing.put(tail(writing.entries))
    return writing.whole.hexdigest()


class _Writing:
    """What was written so far; every byte of it goes through the archive's digest, in a thread of its own."""

    def __init__(self, file: NewFile, hashing: Lane, on_bytes: Callable[[int], None]) -> None:
        self._file = file
        self._hashing = hashing
        self._on_bytes = on_bytes
        self._digests: dict[str, Callable[[], str]] = {}
        self._ring = _ring(DEPTH + 1)  # a lane that was given the last of them has done the first
        self.whole = hashlib.sha256()
        self.entries: list[Entry] = []

    def put(self, data: bytes | memoryview) -> None:
        self._hashing.do(self.whole.update, data)
        self._file.write(data)
        self._on_bytes(self._file.length)

    def add(self, name: str, content: bytes) -> None:
        self._begin(name, len(content), crc32(content))
        self._digests[name] = lambda: hashlib.sha256(content).hexdigest()
        self.put(content)

    def add_file(self, name: str, place: Path, known: FileEntry | None, measuring: Lane | None) -> None:
        """Add a file of the disk; without a lane to measure it in, nobody asks for its sha256."""
        with _opened(name, place) as source:
            if known is not None and known.length != source.length:
                raise _changed(name)
            if measuring is not None:
                self._digests[name] = _sha256_of(source, known, measuring)
            crc = source.crc() if known is None or known.crc is None else known.crc
            self._begin(name, source.length, crc)
            self._copy(source, crc, check=known is not None)

    def _copy(self, source: _Source, crc: int, *, check: bool) -> None:
        found = 0
        for piece in source.pieces(self._ring):
            found = crc32(piece, found) if check else found
            self.put(piece)
        if check and found != crc:
            raise _changed(source.name)

    def _begin(self, name: str, length: int, crc: int) -> None:
        entry = Entry(name, length, crc, self._file.length)
        self.entries.append(entry)
        self.put(local_header(entry))

    def described(self) -> Iterator[FileEntry]:
        """Every file as the manifest lists it; all must be measured."""
        for entry in self.entries:
            sha256 = self._digests[entry.name]()
            yield FileEntry(path=PurePosixPath(entry.name), length=entry.length, sha256=sha256, crc=entry.crc)


class _Source:
    """A file that is read from its start as often as needed, and must be the same one every time."""

    def __init__(self, name: str, place: Path, stream: FileIO) -> None:
        self.name = name
        self.place = place
        self._stream = stream
        self.stamp = self._stamp()

    @property
    def length(self) -> int:
        return self.stamp[0]

    def pieces(self, ring: Iterator[memoryview]) -> Iterator[memoryview]:
        """The content from the start, and no more of it than there was; a buffer is filled again when its turn comes.

        New memory for every piece would cost as much as its CRC.
        """
        self._stream.seek(0)
        left = self.length
        while left > 0:
            buffer = next(ring)
            count = self._stream.readinto(buffer)
            left -= count
            if not count or left < 0:
                break
            yield buffer[:count]
        if left != 0 or self._stream.read(1) or self._stamp() != self.stamp:
            raise _changed(self.name)

    def crc(self) -> int:
        crc = 0
        for piece in self.pieces(_ring(1)):
            crc = crc32(piece, crc)
        return crc

    def _stamp(self) -> tuple[int, ...]:
        told = os.fstat(self._stream.fileno())
        return (told.st_size, told.st_dev, told.st_ino, told.st_mtime_ns, told.st_ctime_ns)


def _sha256_of(source: _Source, known: FileEntry | None, measuring: Lane) -> Callable[[], str]:
    """How to tell a file's sha256 once the lane has ended."""
    if known is not None:
        return lambda: known.sha256
    digest = hashlib.sha256()

    def measure() -> None:
        with _opened(source.name, source.place) as again:
            if again.stamp != source.stamp:
                raise _changed(source.name)
            for piece in again.pieces(_ring(1)):
                if measuring.dropped.is_set():
                    return
                digest.update(piece)

    measuring.do(measure)
    return digest.hexdigest


def _ring(count: int) -> Iterator[memoryview]:
    return cycle([memoryview(bytearray(CHUNK)) for _ in range(count)])


@contextmanager
def _opened(name: str, place: Path) -> Iterator[_Source]:
    # without O_NONBLOCK a pipe that nobody writes to is waited for
    with open(place, "rb", buffering=0, opener=lambda file, flags: os.open(file, flags | os.O_NONBLOCK)) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise BundleError(f"{place} is no regular file.", remedy="Put the file itself there.", field=name)
        yield _Source(name, place, stream)


@contextmanager
def _gone_if_it_fails(file: NewFile, place: Path) -> Iterator[NewFile]:
    try:
        with file:
            yield file
    except BaseException:
        place.unlink()
        raise


def _changed(name: str) -> BundleError:
    return BundleError(
        f"{name} changed while it was read, or since it was measured.",
        remedy="Bundle again when nothing writes to it; if it is a converted model's, convert that again.",
        field=name,
    )
