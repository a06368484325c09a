"""The hostile corpus: archives that some readers take, or that would take a reader apart.

Each is made here, byte for byte, from the parts of a good one, and is named by its defect (PKWARE APPNOTE 6.3.10, §4.3).
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from mlpublish.formats.archive import MAX_ENTRIES

FULL16, FULL = 0xFFFF, 0xFFFFFFFF


@dataclass(frozen=True)
class File:
    """One entry; every field of its two headers can be bent. ``c_…`` stands in the directory where it differs."""

    name: bytes = b"a"
    data: bytes = b"data"
    flags: int = 0
    method: int = 0
    needed: int = 20
    made_by: int = 3 << 8 | 20
    date: int = 33
    mode: int = 0o100644 << 16
    extra: bytes = b""
    c_extra: bytes | None = None
    comment: bytes = b""
    crc: int | None = None
    size: int | None = None
    full: int | None = None
    c_name: bytes | None = None
    c_crc: int | None = None
    c_size: int | None = None
    c_full: int | None = None
    c_flags: int | None = None
    c_method: int | None = None
    c_disk: int = 0
    c_offset: int | None = None
    after: bytes = b""

    def local(self) -> bytes:
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        size = len(self.data) if self.size is None else self.size
        full = size if self.full is None else self.full
        fixed = (b"PK\3\4", self.needed, self.flags, self.method, 0, self.date, crc, size, full)
        head = struct.pack("<4s5H3I2H", *fixed, len(self.name), len(self.extra))
        return head + self.name + self.extra + self.data + self.after

    def central(self, offset: int) -> bytes:
        name = self.name if self.c_name is None else self.c_name
        crc = self.c_crc if self.c_crc is not None else zlib.crc32(self.data) if self.crc is None else self.crc
        size = self.c_size if self.c_size is not None else len(self.data) if self.size is None else self.size
        full = self.c_full if self.c_full is not None else size if self.full is None else self.full
        flags = self.flags if self.c_flags is None else self.c_flags
        method = self.method if self.c_method is None else self.c_method
        extra = self.extra if self.c_extra is None else self.c_extra
        at = offset if self.c_offset is None else self.c_offset
        fixed = (b"PK\1\2", self.made_by, self.needed, flags, method, 0, self.date, crc, size, full)
        lengths = (len(name), len(extra), len(self.comment))
        head = struct.pack("<4s6H3I5H2I", *fixed, *lengths, self.c_disk, 0, self.mode, at)
        return head + name + extra + self.comment


def end(count: int, size: int, start: int, comment: bytes = b"") -> bytes:
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, start, len(comment)) + comment


def zipped(*files: File, before: bytes = b"", gap: bytes = b"", comment: bytes = b"", after: bytes = b"") -> bytes:
    body, directory = before, b""
    for file in files:
        directory += file.central(len(body))
        body += file.local()
    body += gap
    return body + directory + end(len(files), len(directory), len(body), comment) + after


def zip64(*, start: int = 0, locator_at: int | None = None, count: int = 0, size: int = 0, entries: bytes = b"") -> bytes:
    """An archive whose end records are zip64's, with these claims."""
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 3 << 8 | 45, 45, 0, 0, count, count, size, start)
    at = len(entries) if locator_at is None else locator_at
    return entries + end64 + struct.pack("<4sIQI", b"PK\6\7", 0, at, 1) + end(count, size, FULL)


def claims(*lengths: int) -> bytes:
    """A directory whose entries claim these lengths in zip64 fields, and have nothing behind them."""
    files, offset, directory = [], 0, b""
    for number, length in enumerate(lengths):
        extra = struct.pack("<2H2Q", 1, 16, length, length)
        file = File(name=b"%c" % (97 + number), data=b"", extra=extra, needed=45, made_by=3 << 8 | 45, size=FULL, c_offset=0)
        files.append(file)
        directory += file.central(offset)
    return directory + end(len(files), len(directory), 0)


def deflated(data: bytes) -> bytes:
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeezed.compress(data) + squeezed.flush()


def by_python(**fields: object) -> bytes:
    """What Python's own writer makes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **fields) as made:  # type: ignore[call-overload]
        made.writestr("a", b"data")
    return stream.getvalue()


A, B = File(), File(name=b"b", data=b"more")
HUGE = deflated(bytes(1 << 20))
CORPUS: dict[str, Callable[[], bytes]] = {
    # names that leave the folder, or are another name elsewhere
    "zip-slip": lambda: zipped(replace(A, name=b"../a")),
    "zip-slip-inside": lambda: zipped(replace(A, name=b"a/../../b")),
    "absolute": lambda: zipped(replace(A, name=b"/etc/passwd")),
    "drive": lambda: zipped(replace(A, name=b"C:\\a")),
    "backslash": lambda: zipped(replace(A, name=b"a\\b")),
    "nul-in-name": lambda: zipped(replace(A, name=b"a\0.txt")),
    "not-ascii": lambda: zipped(replace(A, name="é".encode(), flags=0x800)),
    "empty-name": lambda: zipped(replace(A, name=b"")),
    "long-name": lambda: zipped(replace(A, name=b"a" * 65_000)),
    "deep": lambda: zipped(replace(A, name=b"a/" * 5_000 + b"a")),
    "dot-folder": lambda: zipped(replace(A, name=b"./a")),
    "folder-entry": lambda: zipped(replace(A, name=b"a/", data=b"")),
    # one thing twice
    "duplicate": lambda: zipped(A, A),
    "case-collision": lambda: zipped(replace(A, name=b"A"), A),
    "file-and-folder": lambda: zipped(A, replace(A, name=b"a/b")),
    "out-of-order": lambda: zipped(B, A),
    # things that are no plain file
    "symlink": lambda: zipped(replace(A, mode=0o120777 << 16)),
    "device": lambda: zipped(replace(A, mode=0o060644 << 16)),
    "setuid": lambda: zipped(replace(A, mode=0o104755 << 16)),
    "dos-attributes": lambda: zipped(replace(A, made_by=20, mode=0x20)),
    # bytes that somebody may read as something else
    "prepended": lambda: zipped(A, before=b"#!/bin/sh\n"),
    "prepended-not-counted": lambda: b"#!/bin/sh\n" + zipped(A),
    "trailing": lambda: zipped(A, after=b"\0"),
    "two-archives": lambda: zipped(A) + zipped(B),
    "archive-comment": lambda: zipped(A, comment=b"hello"),
    "end-record-in-comment": lambda: zipped(A, comment=end(0, 0, 0)),
    "entry-comment": lambda: zipped(replace(A, comment=b"hello")),
    "extra-field": lambda: zipped(replace(A, extra=b"\x55\x54\x05\0\x03abcd")),
    "extra-field-in-directory": lambda: zipped(replace(A, c_extra=b"\x55\x54\x05\0\x03abcd")),
    "unicode-path-field": lambda: zipped(replace(A, extra=b"\x75\x70\x06\0\x01" + struct.pack("<I", zlib.crc32(b"a")) + b"z")),
    "gap-between-files": lambda: zipped(replace(A, after=b"hidden"), B),
    "gap-before-directory": lambda: zipped(A, gap=b"hidden"),
    "only-a-gap": lambda: zipped(gap=b"hidden"),
    "hidden-entry": lambda: zipped(replace(A, after=B.local())),
    "directory-inside-the-last-file": lambda: zipped(replace(A, size=300)),
    # ways of writing that are not ours
    "data-descriptor": lambda: zipped(
        replace(
            A,
            flags=8,
            crc=0,
            size=0,
            c_crc=zlib.crc32(b"data"),
            c_size=4,
            after=b"PK\7\x08" + struct.pack("<3I", zlib.crc32(b"data"), 4, 4),
        )
    ),
    "deflate": lambda: by_python(compression=zipfile.ZIP_DEFLATED),
    "python-writer": by_python,
    "encrypted": lambda: zipped(replace(A, flags=1)),
    "strong-encryption": lambda: zipped(replace(A, flags=0x41)),
    "masked-headers": lambda: zipped(replace(A, flags=0x2000)),
    "unknown-method": lambda: zipped(replace(A, method=99)),
    "another-date": lambda: zipped(replace(A, date=34)),
    # two truths
    "other-name-in-directory": lambda: zipped(replace(A, c_name=b"z")),
    "other-crc-in-directory": lambda: zipped(replace(A, c_crc=1)),
    "wrong-crc": lambda: zipped(replace(A, crc=1)),
    "other-size-in-directory": lambda: zipped(replace(A, c_size=3)),
    "two-sizes": lambda: zipped(replace(A, full=5)),
    "other-offset": lambda: zipped(A, replace(B, c_offset=0)),
    "overlap": lambda: zipped(A, replace(A, name=b"b", c_offset=0)),
    "quoted-overlap": lambda: zipped(replace(A, data=B.local()), replace(B, c_offset=31)),
    "more-entries-than-claimed": lambda: zipped(A, B)[:-22] + end(1, 94, 70),
    "fewer-entries-than-claimed": lambda: zipped(A)[:-22] + end(2, 47, 35),
    "second-disk": lambda: zipped(A)[:-18] + b"\1\0" + zipped(A)[-16:],
    # claims
    "bomb": lambda: zipped(replace(A, data=HUGE, method=8, size=len(HUGE), full=1 << 20)),
    "size-claim": lambda: zipped(replace(A, size=FULL - 1)),
    "many-entries": lambda: zipped(*(File(name=b"%05d" % number, data=b"") for number in range(MAX_ENTRIES + 1))),
    "count-claim": lambda: end(FULL16, 0, 0),
    "directory-size-claim": lambda: end(1, FULL - 1, 0),
    "directory-outside": lambda: end(0, 0, 1 << 30),
    # zip64
    "zip64-without-need": lambda: zip64(),
    "zip64-locator-missing": lambda: end(0, 0, FULL),
    "zip64-locator-far-away": lambda: zip64(locator_at=2**64 - 1),
    "zip64-locator-beyond": lambda: zip64(locator_at=2**62),
    "zip64-start-far-away": lambda: zip64(start=2**64 - 1),
    "zip64-field-without-need": lambda: zipped(replace(A, extra=struct.pack("<2H2Q", 1, 16, 4, 4), size=FULL, needed=45)),
    "zip64-field-missing": lambda: zipped(replace(A, size=FULL)),
    "zip64-lengths-overflow": lambda: claims(2**64 - 1, 2**64 - 1),
    "zip64-offset-beyond-a-file": lambda: claims(2**63 - 40, 2**63 - 40, 4),
    # no archive at all
    "nothing": lambda: b"",
    "text": lambda: b"<html>not here</html>",
    "cut": lambda: zipped(A, B)[:-1],
    "local-header-only": lambda: A.local(),
}
