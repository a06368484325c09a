"""The predecessor's plain zips: read on request only, under the safety rules of the bundle's own archive.

They come without a manifest, from whatever tool somebody had (Info-ZIP, bsdtar, java.util.zip, Python's zipfile): DEFLATE or
STORED, folders as entries, time stamps and owners in extra fields. So the headers cannot be rebuilt byte for byte; instead
everything that decides what a reader sees must be said twice and alike, in the directory and before the file, and the files
must lie end to end from the first byte to the directory. Source of the layout: PKWARE APPNOTE 6.3.10, §4.3–4.5.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from zlib_ng.zlib_ng import crc32

from mlpublish.formats.lanes import CHUNK
from mlpublish.formats.legacy_headers import DEFLATED, LegacyEntry, Listed, directory_of, held
from mlpublish.formats.unpacking import ReadArchive, broken
from mlpublish.formats.zip_names import check_together

MAX_UNPACKED = 16 << 30  # bytes
MAX_RATIO = 100  # weights deflate by a tenth; a hundredth is left for labels and zeros
_FREE = 256 << 10  # bytes; so little may be as compressible as it likes


class LegacyArchive(ReadArchive[LegacyEntry]):
    """A plain zip whose structure was checked; open it with ``read``.

    Args:
        stream: it is read from there, and must stay open.
        entries: its files.
        folders: those that stand as entries, perhaps empty; they are told, not made.
        length: the zip's length in bytes.
    """

    def __init__(self, stream: BinaryIO, entries: Sequence[LegacyEntry], folders: Sequence[LegacyEntry], length: int) -> None:
        super().__init__(entries, length)
        self.folders = tuple(folder.name for folder in folders)
        self._stream = stream

    @classmethod
    def read(cls, stream: BinaryIO) -> LegacyArchive:
        """Check a zip's whole structure; its contents are checked as they are read.

        A data descriptor is taken, because java.util.zip and bsdtar write every deflated file with one: it must repeat the
        directory exactly, and only a deflated file may have one (or an empty one), since a reader from the front finds the end
        of that by itself; of a stored file it could see another end than the directory says.

        Raises:
            BundleError: two readers could see two archives, a name or a kind of file is not taken, or it claims too much.
        """
        length = stream.seek(0, os.SEEK_END)
        listed, start = directory_of(stream, length)
        entries = list(_tiled(stream, listed, start))
        files, folders = [e for e in entries if not e.is_folder], [e for e in entries if e.is_folder]
        check_together([entry.name for entry in files], [entry.name for entry in folders])
        _refuse_bomb(sum(entry.length for entry in files), length)
        read = cls(stream, files, folders, length)
        for folder in folders:
            for _ in read.chunks(folder):  # jar deflates folders too: the two bytes must hold nothing
                pass
        return read

    def chunks(self, entry: LegacyEntry) -> Iterator[bytes]:
        crc = done = 0
        for chunk in _inflated(self._packed(entry), entry) if entry.method == DEFLATED else self._packed(entry):
            crc = crc32(chunk, crc)
            done += len(chunk)
            if done > entry.length:
                raise broken(f"{entry.name} is longer than it says")
            yield chunk
        if done != entry.length:
            raise broken(f"{entry.name} is shorter than it says")
        if crc != entry.crc:
            raise broken(f"the CRC of {entry.name} does not hold")

    def _packed(self, entry: LegacyEntry) -> Iterator[bytes]:
        position = entry.start
        while position < entry.end:
            self._stream.seek(position)
            chunk = self._stream.read(min(CHUNK, entry.end - position))
            if not chunk:
                raise broken(f"{entry.name} ends early")
            position += len(chunk)
            yield chunk


def _tiled(stream: BinaryIO, listed: list[Listed], directory: int) -> Iterator[LegacyEntry]:
    """The entries as they lie, which must be end to end from the first byte to the directory."""
    position = 0
    for each in sorted(listed, key=lambda each: each.offset):
        if each.offset != position:
            raise broken(f"{each.name} does not begin where the file before it ends")
        entry, position = held(stream, each)
        yield entry
    if position != directory:
        raise broken("something stands between its files and its directory")


def _inflated(packed: Iterator[bytes], entry: LegacyEntry) -> Iterator[bytes]:
    """A deflated file in pieces of at most 1 MiB; the stream must end with the file's last byte."""
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for piece in packed:
            left = piece
            while left and not inflating.eof:
                yield inflating.decompress(left, CHUNK)
                left = inflating.unconsumed_tail
            if left or inflating.unused_data:
                raise broken(f"something stands behind the content of {entry.name}")
        while not inflating.eof:
            more = inflating.decompress(b"", CHUNK)
            if not more:
                raise broken(f"the content of {entry.name} ends early")
            yield more
    except zlib.error as exc:
        raise broken(f"the content of {entry.name} is not deflated") from exc


def _refuse_bomb(unpacked: int, length: int) -> None:
    if unpacked > MAX_UNPACKED:
        raise broken(f"it claims {unpacked} bytes, more than {MAX_UNPACKED}", "Zip fewer files.")
    if unpacked > _FREE + MAX_RATIO * length:
        raise broken(f"its {length} bytes claim to hold {unpacked}", "Zip it again without compression: zip -0.")
