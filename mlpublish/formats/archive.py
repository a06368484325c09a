"""The bundle's zip: one way to write it, and a reader that takes only what that way writes.

Every byte outside the files' contents follows from their names, lengths and CRCs: STORED, names sorted with
``manifest.json`` last, one fixed time and mode, no folder entries, no extra fields but zip64 from 2 GiB, no comment, no data
descriptors. So the reader rebuilds the headers with the writer's own functions and compares: nothing can hide in a header,
between entries, before or behind them, and two readers cannot see two different archives. Source of the field layout:
PKWARE APPNOTE 6.3.10, §4.3.7, §4.3.12, §4.3.14–16.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mlpublish.errors import BundleError
from mlpublish.formats.manifest import MANIFEST_PATH
from mlpublish.formats.wire import is_relative_path

MAX_ENTRIES = 10_000
MAX_DIRECTORY = 8 * 1024 * 1024  # bytes
_CHUNK = 1 << 20
_ZIP64_FROM = 1 << 31
_FULL = 0xFFFFFFFF
_TIME, _DATE = 0, (1980 - 1980) << 9 | 1 << 5 | 1
_UNIX_FILE = 0o100644 << 16
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive: its length in bytes, its CRC-32, and where its header begins."""

    name: str
    length: int
    crc: int
    offset: int

    @property
    def start(self) -> int:
        """Where its content begins."""
        return self.offset + len(_local(self))

    @property
    def end(self) -> int:
        return self.start + self.length


def write(place: Path, files: Sequence[tuple[str, Path | bytes]]) -> str:
    """Write an archive to a new file.

    Args:
        place: the file to make; it must not exist.
        files: name and content of each file, in any order.

    Returns:
        The sha256 of the archive.

    Raises:
        BundleError: a name is none that every system takes, or stands twice.
    """
    ordered = sorted(files, key=lambda file: order(file[0]))
    _check_names([name for name, _ in ordered])
    with place.open("x+b") as stream:
        entries = [_write_entry(stream, name, content) for name, content in ordered]
        stream.write(_tail(entries, stream.tell()))
        stream.flush()
        os.fsync(stream.fileno())
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def order(name: str) -> tuple[bool, str]:
    """The sort key of a file's name: bytewise, the manifest last, so that a reader knows all before it trusts it."""
    return (name == MANIFEST_PATH, name)


class Archive:
    """An archive that was read strictly; open it with ``read``."""

    def __init__(self, stream: BinaryIO, entries: tuple[Entry, ...], length: int) -> None:
        self._stream = stream
        self.entries = entries
        self.length = length

    @classmethod
    def read(cls, stream: BinaryIO) -> Archive:
        """Check an archive's whole structure; its contents are checked as they are read.

        Raises:
            BundleError: it is not byte for byte what ``write`` makes.
        """
        length = stream.seek(0, os.SEEK_END)
        entries, directory = _directory(stream, length)
        _check_names([entry.name for entry in entries])
        tail = _tail(entries, directory)
        stream.seek(directory)
        if length - directory != len(tail) or stream.read(len(tail)) != tail:
            raise _broken("its directory is not the one that its files give")
        for entry in entries:
            header = _local(entry)
            stream.seek(entry.offset)
            if stream.read(len(header)) != header:
                raise _broken(f"the header of {entry.name} differs from the directory")
        return cls(stream, entries, length)

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """A file's content in pieces of at most 1 MiB, its CRC checked at the end.

        Raises:
            BundleError: the CRC does not hold, or the file ends early.
        """
        crc, position = 0, entry.start
        while position < entry.end:
            self._stream.seek(position)
            chunk = self._stream.read(min(_CHUNK, entry.end - position))
            if not chunk:
                raise _broken(f"{entry.name} ends early")
            crc = zlib.crc32(chunk, crc)
            position += len(chunk)
            yield chunk
        if crc != entry.crc:
            raise _broken(f"the CRC of {entry.name} does not hold")

    def content(self, name: str, *, at_most: int) -> bytes:
        """A small file's whole content.

        Raises:
            BundleError: there is no such file, or it has more bytes than allowed.
        """
        entry = next((entry for entry in self.entries if entry.name == name), None)
        if entry is None:
            raise _broken(f"there is no {name}")
        if entry.length > at_most:
            raise _broken(f"{name} has {entry.length} bytes, more than {at_most}")
        return b"".join(self.chunks(entry))

    def unpack(self, folder: Path, on_bytes: Callable[[int], None] = lambda _: None) -> dict[str, tuple[int, str]]:
        """Write every file into a new folder, durably.

        Args:
            folder: made here; it must not exist.
            on_bytes: called after every piece with its length; what it raises stops the work.

        Returns:
            name -> (length, sha256) of what was written.
        """
        folder.mkdir(parents=True)
        written: dict[str, tuple[int, str]] = {}
        for entry in self.entries:
            place = folder / entry.name
            place.parent.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256()
            with place.open("xb") as stream:
                for chunk in self.chunks(entry):
                    digest.update(chunk)
                    stream.write(chunk)
                    on_bytes(len(chunk))
                stream.flush()
                os.fsync(stream.fileno())
            written[entry.name] = (entry.length, digest.hexdigest())
        return written

    def digests(self, on_bytes: Callable[[int], None] = lambda _: None) -> dict[str, tuple[int, str]]:
        """name -> (length, sha256) of every file, without writing any."""
        found: dict[str, tuple[int, str]] = {}
        for entry in self.entries:
            digest = hashlib.sha256()
            for chunk in self.chunks(entry):
                digest.update(chunk)
                on_bytes(len(chunk))
            found[entry.name] = (entry.length, digest.hexdigest())
        return found


def _write_entry(stream: BinaryIO, name: str, content: Path | bytes) -> Entry:
    """The header goes in twice: once to hold the place, once when the CRC is known."""
    offset = stream.tell()
    length = content.stat().st_size if isinstance(content, Path) else len(content)
    stream.write(_local(Entry(name, length, 0, offset)))
    crc = written = 0
    for chunk in _pieces(content):
        crc = zlib.crc32(chunk, crc)
        written += stream.write(chunk)
    if written != length:
        raise BundleError(f"{name} changed while it was read.", remedy="Bundle again when nothing writes to it.", field=name)
    entry = Entry(name, length, crc, offset)
    end = stream.tell()
    stream.seek(offset)
    stream.write(_local(entry))
    stream.seek(end)
    return entry


def _pieces(content: Path | bytes) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as reading:
        while chunk := reading.read(_CHUNK):
            yield chunk


def _local(entry: Entry) -> bytes:
    name = entry.name.encode("ascii")
    large = entry.length >= _ZIP64_FROM
    size = _FULL if large else entry.length
    extra = struct.pack("<2H2Q", 1, 16, entry.length, entry.length) if large else b""
    fields = (b"PK\3\4", 45 if large else 20, 0, 0, _TIME, _DATE, entry.crc, size, size, len(name), len(extra))
    return _LOCAL.pack(*fields) + name + extra


def _central(entry: Entry) -> bytes:
    name = entry.name.encode("ascii")
    large, far = entry.length >= _ZIP64_FROM, entry.offset >= _ZIP64_FROM
    size = _FULL if large else entry.length
    values = ((entry.length, entry.length) if large else ()) + ((entry.offset,) if far else ())
    extra = struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values) if values else b""
    needed = 45 if values else 20
    made_by = 3 << 8 | needed
    head = (b"PK\1\2", made_by, needed, 0, 0, _TIME, _DATE, entry.crc, size, size, len(name), len(extra))
    return _CENTRAL.pack(*head, 0, 0, 0, _UNIX_FILE, _FULL if far else entry.offset) + name + extra


def _tail(entries: Sequence[Entry], start: int) -> bytes:
    """The directory and the end records, as they stand at ``start``."""
    directory = b"".join(_central(entry) for entry in entries)
    size, count = len(directory), len(entries)
    end64 = b""
    if start >= _ZIP64_FROM:
        end64 = _END64.pack(b"PK\6\6", _END64.size - 12, 3 << 8 | 45, 45, 0, 0, count, count, size, start)
        end64 += _LOCATOR.pack(b"PK\6\7", 0, start + size, 1)
    end = _END.pack(b"PK\5\6", 0, 0, count, count, size, _FULL if start >= _ZIP64_FROM else start, 0)
    return directory + end64 + end


def _directory(stream: BinaryIO, length: int) -> tuple[tuple[Entry, ...], int]:
    """What the directory claims, and where it begins; ``Archive.read`` holds the claims against the bytes."""
    end = _at(stream, length - _END.size, _END, b"PK\5\6", "it does not end with an end record")
    count, size, start = end[4], end[5], end[6]
    if start == _FULL:
        locator = _at(stream, length - _END.size - _LOCATOR.size, _LOCATOR, b"PK\6\7", "its zip64 locator is missing")
        if locator[2] > length:
            raise _broken("its zip64 end record lies outside the file")
        start = _at(stream, locator[2], _END64, b"PK\6\6", "its zip64 end record is missing")[9]
    if count > MAX_ENTRIES or size > MAX_DIRECTORY:
        raise _broken(f"its directory claims {count} files in {size} bytes")
    if start + size > length:
        raise _broken("its directory lies outside the file")
    stream.seek(start)
    entries = tuple(_entries(stream.read(size), count))
    if (entries[-1].end if entries else 0) != start:
        raise _broken("something stands between its files and its directory")
    return entries, start


def _entries(directory: bytes, count: int) -> Iterator[Entry]:
    position = offset = 0
    for _ in range(count):
        if len(directory) - position < _CENTRAL.size:
            raise _broken("its directory ends early")
        fields = _CENTRAL.unpack_from(directory, position)
        name_length, extra_length = fields[10], fields[11]
        name = directory[position + _CENTRAL.size :][:name_length]
        extra = directory[position + _CENTRAL.size + name_length :][:extra_length]
        length = fields[9]
        if length == _FULL:
            if len(extra) < 12:
                raise _broken("a zip64 field is missing")
            length = struct.unpack_from("<Q", extra, 4)[0]
        entry = Entry(name.decode("ascii", "replace"), length, fields[7], offset)
        if not is_relative_path(entry.name):
            raise _broken(f"the name {entry.name!r} is not taken")
        offset = entry.end  # files lie end to end from the first byte on
        position += _CENTRAL.size + name_length + extra_length
        yield entry


def _at(stream: BinaryIO, position: int, record: struct.Struct, signature: bytes, problem: str) -> tuple[int, ...]:
    if position < 0:
        raise _broken("it is too short")
    stream.seek(position)
    data = stream.read(record.size)
    if len(data) != record.size or not data.startswith(signature):
        raise _broken(problem)
    return record.unpack(data)


def _check_names(names: Sequence[str]) -> None:
    """Sorted, plain, and no two that some file system takes for one (or one that is also another's folder)."""
    if len(names) > MAX_ENTRIES:
        raise _broken(f"it has {len(names)} files, more than {MAX_ENTRIES}", "Bundle fewer files.")
    if list(names) != sorted(names, key=order):
        raise _broken("its files are not in order")
    taken: set[str] = set()
    for name in names:
        if not is_relative_path(name):
            raise BundleError(
                f"The file name {name!r} is not taken.",
                remedy="Use letters, digits, spaces and _@+=,()[].- in names, joined by slashes, none hidden.",
                field=name,
            )
        if name.casefold() in taken:
            raise _broken(f"{name} stands twice for some file systems", _RENAME)
        taken.add(name.casefold())
    folders = {parent for name in taken for parent in _parents(name)}
    if folders & taken:
        raise _broken(f"{min(folders & taken)} is a file and a folder", _RENAME)


def _parents(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


_RENAME = "Rename one and bundle again; if the archive was given to you, get it again from where it was made."


def _broken(how: str, remedy: str = "Get the bundle again from where it was made.") -> BundleError:
    return BundleError(f"The archive is refused: {how}.", remedy=remedy)
