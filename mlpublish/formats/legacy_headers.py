"""What a plain zip's headers say: the directory's entries, held against what stands before and behind each file."""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from mlpublish.errors import BundleError
from mlpublish.formats.archive_layout import CENTRAL, END, END64, FULL, LOCAL, LOCATOR, MAX_DIRECTORY, MAX_ENTRIES
from mlpublish.formats.unpacking import broken
from mlpublish.formats.zip_names import check_name, decoded

STORED, DEFLATED = 0, 8
_FULL16 = 0xFFFF
_ZIP64_FROM = (1 << 31) - 1  # from where Python's zipfile writes zip64 fields; others begin at 4 GiB
_DESCRIPTOR, _UTF8 = 0x8, 0x800
_FLAGS = 0x6 | _DESCRIPTOR | _UTF8  # and how hard it was deflated; not encrypted, patched or masked
_MAX_NEEDED = 45  # zip64
_ZIP64 = 1
# Time stamps, owners and jar's mark. Every other field is refused: some give another name, a link or a cipher.
_EXTRAS = frozenset({0x000A, 0x5455, 0x5855, 0x7855, 0x7875, 0xCAFE})
_DOS_FOLDER, _DOS_VOLUME = 0x10, 0x08


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One file or folder of a plain zip, as the directory tells it.

    Args:
        raw: its name as it stands.
        name: without a folder's last slash.
        length: unpacked, in bytes.
        packed: bytes that it takes in the archive.
        offset: where its header begins.
    """

    raw: bytes
    name: str
    is_folder: bool
    length: int
    packed: int
    crc: int
    flags: int
    method: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyEntry:
    """One file or folder whose two headers agree.

    Args:
        name: without a folder's last slash.
        length: unpacked, in bytes.
        start: where its content begins in the archive.
        end: where its content ends there.
    """

    name: str
    is_folder: bool
    length: int
    crc: int
    method: int
    start: int
    end: int


class _Central(NamedTuple):
    """Fields of a directory entry that decide something (APPNOTE §4.3.12)."""

    signature: bytes
    made_by: int
    needed: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    length: int
    name_length: int
    extra_length: int
    comment_length: int
    disk: int
    internal: int
    external: int
    offset: int


def directory_of(stream: BinaryIO, length: int) -> tuple[list[Listed], int]:
    """What the directory lists, and where it begins.

    Raises:
        BundleError: it is not exactly one directory, whose end is the archive's.
    """
    count, size, start, end = _end(stream, length)
    if count > MAX_ENTRIES or size > MAX_DIRECTORY:
        raise broken(f"its directory claims {count} files in {size} bytes", "Zip fewer files.")
    if start + size != end:
        raise broken("its directory is not where it says")
    return list(_listed(_read(stream, start, size), count)), start


def held(stream: BinaryIO, listed: Listed) -> tuple[LegacyEntry, int]:
    """Hold an entry of the directory against its own header, and its descriptor if it has one.

    Returns:
        The entry, and where the next one must begin.

    Raises:
        BundleError: they differ.
    """
    head = LOCAL.unpack(_read(stream, listed.offset, LOCAL.size))
    signature, needed, flags, method, _, _, crc, packed, length, name_length, extra_length = head
    start = listed.offset + LOCAL.size + name_length + extra_length
    extras = _extras(_read(stream, start - extra_length, extra_length), listed.name)
    zip64 = extras.get(_ZIP64)
    if zip64 is not None:
        if len(zip64) != 16 or (packed, length) != (FULL, FULL):
            raise _differs(listed)
        length, packed = struct.unpack("<2Q", zip64)
    raw = _read(stream, listed.offset + LOCAL.size, name_length)
    if (signature, flags, method, raw) != (b"PK\3\4", listed.flags, listed.method, listed.raw) or needed > _MAX_NEEDED:
        raise _differs(listed)
    described = bool(flags & _DESCRIPTOR)
    for value, wanted in ((crc, listed.crc), (packed, listed.packed), (length, listed.length)):
        if value != wanted and not (described and value == 0):
            raise _differs(listed)
    end = start + listed.packed
    entry = LegacyEntry(
        name=listed.name, is_folder=listed.is_folder, length=listed.length, crc=listed.crc, method=method, start=start, end=end
    )
    return entry, end + (_descriptor(stream, listed, end) if described else 0)


def _descriptor(stream: BinaryIO, listed: Listed, end: int) -> int:
    """The length of what stands behind a content, which must be the directory's own figures (APPNOTE §4.3.9)."""
    figures = (listed.crc, listed.packed, listed.length)
    forms = [struct.pack("<4sI2Q", b"PK\7\x08", *figures)]
    if max(figures) <= FULL:
        forms.append(struct.pack("<4s3I", b"PK\7\x08", *figures))
    for form in forms:
        stream.seek(end)
        if stream.read(len(form)) == form:
            return len(form)
    raise broken(f"the descriptor of {listed.name} differs from the directory")


def _end(stream: BinaryIO, length: int) -> tuple[int, int, int, int]:
    """Count, size and start of the directory, and where it must end."""
    place = length - END.size
    signature, disk, first, here, count, size, start, comment = END.unpack(_read(stream, place, END.size))
    if signature != b"PK\5\6" or comment:
        raise broken("it does not end with an end record (a comment or something else stands behind it)")
    if (disk, first) != (0, 0) or here != count:
        raise broken("it is one part of several")
    end64 = place - LOCATOR.size - END64.size
    if end64 < 0 or (start + size != end64 and count != _FULL16 and FULL not in (size, start)):
        return count, size, start, place
    locator = LOCATOR.unpack(_read(stream, end64 + END64.size, LOCATOR.size))
    record = END64.unpack(_read(stream, end64, END64.size))
    if locator != (b"PK\6\7", 0, end64, 1) or record[:2] != (b"PK\6\6", END64.size - 12) or record[4:6] != (0, 0):
        raise broken("its zip64 end records are missing, or not where they must stand")
    for small, large, full in (
        (count, record[6], _FULL16),
        (count, record[7], _FULL16),
        (size, record[8], FULL),
        (start, record[9], FULL),
    ):
        if small not in (large, full):
            raise broken("its two end records differ")
    if max(record[8], record[9]) < _ZIP64_FROM:
        raise broken("it has zip64 end records without need")
    return record[7], record[8], record[9], end64


def _listed(directory: bytes, count: int) -> Iterator[Listed]:
    position = 0
    for _ in range(count):
        if len(directory) - position < CENTRAL.size:
            raise broken("its directory ends early")
        central = _Central(*CENTRAL.unpack_from(directory, position))
        position += CENTRAL.size
        raw = directory[position : position + central.name_length]
        position += central.name_length
        extra = directory[position : position + central.extra_length]
        position += central.extra_length
        if central.signature != b"PK\1\2" or central.comment_length or central.disk:
            raise broken("an entry of its directory is none, has a comment or lies in another part")
        yield _entry(central, raw, extra)
    if position != len(directory):
        raise broken("its directory is longer than its entries")


def _entry(central: _Central, raw: bytes, extra: bytes) -> Listed:
    name = decoded(raw, utf8=bool(central.flags & _UTF8))
    is_folder = name.endswith("/")
    name = name.removesuffix("/")
    check_name(name)
    _check_kind(central, name, is_folder=is_folder)
    length, packed, offset = _sizes(central, _extras(extra, name), name)
    listed = Listed(
        raw=raw,
        name=name,
        is_folder=is_folder,
        length=length,
        packed=packed,
        crc=central.crc,
        flags=central.flags,
        method=central.method,
        offset=offset,
    )
    _check_method(listed, central.needed)
    return listed


def _check_method(listed: Listed, needed: int) -> None:
    if listed.flags & ~_FLAGS or listed.method not in (STORED, DEFLATED) or needed > _MAX_NEEDED:
        raise broken(f"{listed.name} is encrypted, or packed by a method that is not taken", "Zip it again: zip -r -X.")
    if listed.method == STORED and (listed.packed != listed.length or (listed.flags & _DESCRIPTOR and listed.length)):
        raise broken(f"{listed.name} is stored, and where it ends is said in two ways")
    if listed.is_folder and (listed.length or listed.crc):
        raise broken(f"the folder {listed.name} has a content")


def _check_kind(central: _Central, name: str, *, is_folder: bool) -> None:
    """A plain file or folder, whatever system wrote it; modes are never applied, yet one that asks for rights is refused."""
    mode = central.external >> 16
    kind = stat.S_IFMT(mode)
    if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG) or central.external & _DOS_VOLUME:
        raise broken(f"{name} is a link, a device or something else that is no plain file", "Zip the file itself.")
    if not is_folder and (mode & 0o7000 or central.external & _DOS_FOLDER):
        raise broken(f"{name} asks for the rights of its owner, or says that it is a folder", "Zip it with plain modes.")


def _sizes(central: _Central, extras: dict[int, bytes], name: str) -> tuple[int, int, int]:
    """Length, packed length and offset; the zip64 field holds exactly those that do not fit (APPNOTE §4.5.3)."""
    told = [central.length, central.packed, central.offset]
    large = [index for index, value in enumerate(told) if value == FULL]
    field = extras.get(_ZIP64, b"")
    if len(field) != 8 * len(large) or (not large and _ZIP64 in extras):
        raise broken(f"the zip64 field of {name} does not fit its sizes")
    for index, value in zip(large, struct.unpack(f"<{len(large)}Q", field), strict=True):
        told[index] = value
    length, packed, offset = told
    if (large and large[0] < 2 and max(length, packed) < _ZIP64_FROM) or (2 in large and offset < _ZIP64_FROM):
        raise broken(f"{name} has a zip64 field without need")
    return length, packed, offset


def _extras(data: bytes, name: str) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        if len(data) - position < 4:
            raise broken(f"an extra field of {name} is cut")
        kind, size = struct.unpack_from("<2H", data, position)
        if (kind != _ZIP64 and kind not in _EXTRAS) or kind in found or position + 4 + size > len(data):
            raise broken(f"{name} has an extra field {kind:#06x} that is not taken", "Zip it again without them: zip -r -X.")
        found[kind] = data[position + 4 : position + 4 + size]
        position += 4 + size
    return found


def _read(stream: BinaryIO, position: int, size: int) -> bytes:
    if position < 0:
        raise broken("it is too short")
    stream.seek(position)
    data = stream.read(size)
    if len(data) != size:
        raise broken("it ends early")
    return data


def _differs(listed: Listed) -> BundleError:
    return broken(f"the header of {listed.name} differs from the directory")
