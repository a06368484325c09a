"""The headers of a bundle's zip: every byte of it outside the files' contents, made from their names, lengths and CRCs.

STORED, names sorted with ``manifest.json`` last, one fixed time and mode, no folder entries, no extra fields but zip64 from
2 GiB, no comment, no data descriptors. Source of the field layout: PKWARE APPNOTE 6.3.10, §4.3.7, §4.3.12, §4.3.14–16.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from mlpublish.errors import BundleError
from mlpublish.formats.manifest import MANIFEST_PATH
from mlpublish.formats.unpacking import broken, names_a_device, refuse_shared_places
from mlpublish.formats.wire import is_relative_path

MAX_ENTRIES = 10_000
MAX_DIRECTORY = 8 * 1024 * 1024  # bytes
ZIP64_FROM = 1 << 31
FULL = 0xFFFFFFFF
LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR = struct.Struct("<4sIQI")
_TIME, _DATE = 0, (1980 - 1980) << 9 | 1 << 5 | 1
_UNIX_FILE = 0o100644 << 16


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
        return self.offset + len(local_header(self))

    @property
    def end(self) -> int:
        return self.start + self.length


def order(name: str) -> tuple[bool, str]:
    """The sort key of a file's name: bytewise, the manifest last, so that a reader knows all before it trusts it."""
    return (name == MANIFEST_PATH, name)


def check_names(names: Sequence[str]) -> None:
    """Sorted, plain, and no two that some file system takes for one (or one that is also another's folder).

    Raises:
        BundleError: they are not.
    """
    if len(names) > MAX_ENTRIES:
        raise broken(f"it has {len(names)} files, more than {MAX_ENTRIES}", "Bundle fewer files.")
    if list(names) != sorted(names, key=order):
        raise broken("its files are not in order")
    for name in names:
        if not is_relative_path(name) or names_a_device(name):
            raise BundleError(
                f"The file name {name!r} is not taken.",
                remedy="Use letters, digits, spaces and _@+=,()[].- in names, joined by slashes, none hidden, none a device.",
                field=name,
            )
    refuse_shared_places(names, str.casefold)


def local_header(entry: Entry) -> bytes:
    """What stands before a file's content."""
    name = entry.name.encode("ascii")
    large = entry.length >= ZIP64_FROM
    size = FULL if large else entry.length
    extra = struct.pack("<2H2Q", 1, 16, entry.length, entry.length) if large else b""
    fields = (b"PK\3\4", 45 if large else 20, 0, 0, _TIME, _DATE, entry.crc, size, size, len(name), len(extra))
    return LOCAL.pack(*fields) + name + extra


def tail(entries: Sequence[Entry]) -> bytes:
    """The directory and the end records, which stand behind the last file."""
    start = entries[-1].end if entries else 0
    directory = b"".join(_central(entry) for entry in entries)
    size, count = len(directory), len(entries)
    end64 = b""
    if start >= ZIP64_FROM:
        end64 = END64.pack(b"PK\6\6", END64.size - 12, 3 << 8 | 45, 45, 0, 0, count, count, size, start)
        end64 += LOCATOR.pack(b"PK\6\7", 0, start + size, 1)
    end = END.pack(b"PK\5\6", 0, 0, count, count, size, FULL if start >= ZIP64_FROM else start, 0)
    return directory + end64 + end


def _central(entry: Entry) -> bytes:
    name = entry.name.encode("ascii")
    large, far = entry.length >= ZIP64_FROM, entry.offset >= ZIP64_FROM
    size = FULL if large else entry.length
    values = ((entry.length, entry.length) if large else ()) + ((entry.offset,) if far else ())
    extra = struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values) if values else b""
    needed = 45 if values else 20
    made_by = 3 << 8 | needed
    head = (b"PK\1\2", made_by, needed, 0, 0, _TIME, _DATE, entry.crc, size, size, len(name), len(extra))
    return CENTRAL.pack(*head, 0, 0, 0, _UNIX_FILE, FULL if far else entry.offset) + name + extra
