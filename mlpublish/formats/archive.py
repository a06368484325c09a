"""The bundle's zip: one way to write it, and a reader that takes only what that way writes.

The reader rebuilds the headers with the writer's own functions (archive_layout.py) and compares: nothing can hide in a header,
between entries, before or behind them, and two readers cannot see two different archives.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO

from zlib_ng.zlib_ng import crc32

from mlpublish.formats import archive_layout as layout
from mlpublish.formats.archive_layout import MAX_DIRECTORY, MAX_ENTRIES, Entry, order
from mlpublish.formats.archive_writing import write
from mlpublish.formats.lanes import CHUNK, Lane
from mlpublish.formats.unpacking import Digests, ReadArchive, Taker, broken
from mlpublish.formats.wire import is_relative_path

__all__ = ["MAX_DIRECTORY", "MAX_ENTRIES", "Archive", "Entry", "order", "write"]


class Archive(ReadArchive[Entry]):
    """An archive that was read strictly; open it with ``read``."""

    def __init__(self, stream: BinaryIO, entries: tuple[Entry, ...], length: int) -> None:
        super().__init__(entries, length)
        self._stream = stream

    @classmethod
    def read(cls, stream: BinaryIO) -> Archive:
        """Check an archive's whole structure; its contents are checked as they are read.

        Raises:
            BundleError: it is not byte for byte what ``write`` makes.
        """
        length = stream.seek(0, os.SEEK_END)
        entries, directory = _directory(stream, length)
        layout.check_names([entry.name for entry in entries])
        tail = layout.tail(entries)
        stream.seek(directory)
        if length - directory != len(tail) or stream.read(len(tail)) != tail:
            raise broken("its directory is not the one that its files give")
        for entry in entries:
            header = layout.local_header(entry)
            stream.seek(entry.offset)
            if stream.read(len(header)) != header:
                raise broken(f"the header of {entry.name} differs from the directory")
        return cls(stream, entries, length)

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        crc, position = 0, entry.start
        while position < entry.end:
            self._stream.seek(position)
            chunk = self._stream.read(min(CHUNK, entry.end - position))
            if not chunk:
                raise broken(f"{entry.name} ends early")
            crc = crc32(chunk, crc)
            position += len(chunk)
            yield chunk
        if crc != entry.crc:
            raise broken(f"the CRC of {entry.name} does not hold")

    def piece(self, entry: Entry, offset: int, length: int) -> bytes:
        """A part of a file's content, whose CRC is not checked by that; shorter where the file ends."""
        self._stream.seek(entry.start + offset)
        return self._stream.read(max(0, min(length, entry.length - offset)))

    def all_digests(self, on_bytes: Callable[[int], None] = lambda _: None) -> tuple[Digests, str]:
        """``digests``, and the archive's own sha256, from one reading.

        The archive's own is made of the headers that were found to stand there and of the contents as they are read now, so
        it is the digest of what was checked, even if somebody writes to the file meanwhile.
        """
        whole = hashlib.sha256()
        with Lane() as hashing:

            def taken_by(entry: Entry) -> AbstractContextManager[Taker]:
                hashing.do(whole.update, layout.local_header(entry))
                return nullcontext(lambda chunk: hashing.do(whole.update, chunk))

            digests = self._each(taken_by, on_bytes)
            hashing.do(whole.update, layout.tail(self.entries))
        return digests, whole.hexdigest()


def _directory(stream: BinaryIO, length: int) -> tuple[tuple[Entry, ...], int]:
    """What the directory claims, and where it begins; ``Archive.read`` holds the claims against the bytes."""
    end = _at(stream, length - layout.END.size, layout.END, b"PK\5\6", "it does not end with an end record")
    count, size, start = end[4], end[5], end[6]
    if start == layout.FULL:
        place = length - layout.END.size - layout.LOCATOR.size
        locator = _at(stream, place, layout.LOCATOR, b"PK\6\7", "its zip64 locator is missing")
        if locator[2] > length:
            raise broken("its zip64 end record lies outside the file")
        start = _at(stream, locator[2], layout.END64, b"PK\6\6", "its zip64 end record is missing")[9]
    if count > MAX_ENTRIES or size > MAX_DIRECTORY:
        raise broken(f"its directory claims {count} files in {size} bytes")
    if start + size > length:
        raise broken("its directory lies outside the file")
    stream.seek(start)
    entries = tuple(_entries(stream.read(size), count))
    if (entries[-1].end if entries else 0) != start:
        raise broken("something stands between its files and its directory")
    return entries, start


def _entries(directory: bytes, count: int) -> Iterator[Entry]:
    position = offset = 0
    for _ in range(count):
        if len(directory) - position < layout.CENTRAL.size:
            raise broken("its directory ends early")
        fields = layout.CENTRAL.unpack_from(directory, position)
        name_length, extra_length = fields[10], fields[11]
        name = directory[position + layout.CENTRAL.size :][:name_length]
        extra = directory[position + layout.CENTRAL.size + name_length :][:extra_length]
        length = fields[9]
        if length == layout.FULL:
            if len(extra) < 12:
                raise broken("a zip64 field is missing")
            length = struct.unpack_from("<Q", extra, 4)[0]
        entry = Entry(name.decode("ascii", "replace"), length, fields[7], offset)
        if not is_relative_path(entry.name):
            raise broken(f"the name {entry.name!r} is not taken")
        offset = entry.end  # files lie end to end from the first byte on
        position += layout.CENTRAL.size + name_length + extra_length
        yield entry


def _at(stream: BinaryIO, position: int, record: struct.Struct, signature: bytes, problem: str) -> tuple[int, ...]:
    if position < 0:
        raise broken("it is too short")
    stream.seek(position)
    data = stream.read(record.size)
    if len(data) != record.size or not data.startswith(signature):
        raise broken(problem)
    return record.unpack(data)
