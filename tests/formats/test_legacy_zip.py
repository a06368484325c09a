"""Plain zips of other tools are read, file by file, and refused where two readers could see two archives."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpublish.errors import BundleError
from mlpublish.formats import archive
from mlpublish.formats.legacy_zip import MAX_RATIO, LegacyArchive
from mlpublish.formats.wire import digest_of
from tests.hostile_zips import CORPUS, FULL, A, B, File, deflated, end, zipped

ZIPS = Path(__file__).with_name("zips")
LABELS = "".join(f"{number}\n" for number in range(1, 401)).encode()
FILES = {"models/m.txt": b"weights\n", "sub/some labels.txt": LABELS, "empty": b""}
# What a plain zip may have and a bundle may not; everything else of the corpus is refused here too.
ALLOWED = {
    "not-ascii",
    "out-of-order",
    "dos-attributes",
    "extra-field",
    "extra-field-in-directory",
    "another-date",
    "deflate",
    "python-writer",
}


def contents(data: bytes) -> dict[str, bytes]:
    read = LegacyArchive.read(io.BytesIO(data))
    return {entry.name: b"".join(read.chunks(entry)) for entry in read.entries}


def refused(data: bytes, why: str | None = None) -> None:
    with pytest.raises(BundleError, match=why) as caught:
        contents(data)
    assert caught.value.remedy


# What other tools write


@pytest.mark.parametrize("file", sorted(ZIPS.glob("*.zip")), ids=lambda file: file.stem)
def test_what_other_tools_wrote_is_read(file: Path, tmp_path: Path) -> None:
    assert contents(file.read_bytes()) == FILES
    with file.open("rb") as stream:
        read = LegacyArchive.read(stream)
        assert set(read.folders) == {"models", "sub", "sub/empty"}
        assert read.unpacked_length == sum(map(len, FILES.values()))
        told: list[int] = []
        found = read.unpack(tmp_path / "new", told.append)
        assert found == read.digests() == {name: (len(data), digest_of(data)) for name, data in FILES.items()}
        assert sum(told) == read.unpacked_length
        assert read.content("empty", at_most=0) == b""
    assert {name: (tmp_path / "new" / name).read_bytes() for name in FILES} == FILES


names = st.text("ab1_äößéбвγ漢字한ก&'!", min_size=1, max_size=6)  # in NFC, no two of one meaning
file_sets = st.dictionaries(names, st.binary(max_size=60), min_size=1, max_size=5)


class Pipe(io.BytesIO):
    """Something that Python's writer cannot seek in: it then writes descriptors."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation


def packed(files: dict[str, bytes], method: int, stream: io.BytesIO) -> bytes:
    with zipfile.ZipFile(stream, "w", method) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return stream.getvalue()


@settings(max_examples=60, deadline=None)
@given(file_sets, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_what_pythons_zipfile_writes_is_read_whatever_the_script_of_its_names(files: dict[str, bytes], method: int) -> None:
    assert contents(packed(files, method, io.BytesIO())) == files


def test_files_with_descriptors_of_a_writer_that_cannot_seek_are_read() -> None:
    assert contents(packed(FILES, zipfile.ZIP_DEFLATED, Pipe())) == FILES


def test_a_bundles_archive_is_a_plain_zip_too(tmp_path: Path) -> None:
    archive.write(tmp_path / "a.zip", list(FILES.items()))
    assert contents((tmp_path / "a.zip").read_bytes()) == FILES


def test_a_large_deflated_file_comes_in_small_pieces() -> None:
    content = random.Random(1).randbytes(200 << 10) + bytes(8 << 20)
    read = LegacyArchive.read(io.BytesIO(packed({"a": content}, zipfile.ZIP_DEFLATED, io.BytesIO())))
    pieces = list(read.chunks(read.entries[0]))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 1 << 20


# The hostile corpus, and what only a plain zip can do


@pytest.mark.parametrize("defect", sorted(CORPUS.keys() - ALLOWED))
def test_is_refused(defect: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError) as caught:
        LegacyArchive.read(io.BytesIO(CORPUS[defect]())).unpack(tmp_path / "new")
    assert caught.value.remedy
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("harmless", sorted(CORPUS.keys() & ALLOWED))
def test_what_plain_zips_may_have_is_taken(harmless: str) -> None:
    assert contents(CORPUS[harmless]()) in ({"a": b"data"}, {"é": b"data"}, {"a": b"data", "b": b"more"})


SQUEEZED = deflated(b"data")
D = File(data=SQUEEZED, method=8, size=len(SQUEEZED), full=4, crc=zlib.crc32(b"data"))


def described(**changes: object) -> File:
    """A deflated file with a data descriptor, as Java writes it."""
    crc, size, full = zlib.crc32(b"data"), len(SQUEEZED), 4
    after = struct.pack("<4s3I", b"PK\7\x08", crc, size, full)
    fields = {"flags": 8, "crc": 0, "size": 0, "full": 0, "c_crc": crc, "c_size": size, "c_full": full, "after": after}
    return replace(D, **(fields | changes))  # type: ignore[arg-type]


def folder(name: bytes = b"a/", **changes: object) -> File:
    return replace(File(name=name, data=b"", mode=0o040755 << 16), **changes)  # type: ignore[arg-type]


LARGE_DESCRIPTOR = struct.pack("<4sI2Q", b"PK\7\x08", zlib.crc32(b"data"), len(SQUEEZED), 4)
ZIP64_LOCAL = struct.pack("<2H2Q", 1, 16, 4, 4)
TAKEN: dict[str, Callable[[], bytes]] = {
    "deflated": lambda: zipped(D),
    "descriptor": lambda: zipped(described()),
    "descriptor in the large form": lambda: zipped(described(after=LARGE_DESCRIPTOR)),
    "zip64 lengths before the file alone": lambda: zipped(
        replace(A, extra=ZIP64_LOCAL, c_extra=b"", size=FULL, full=FULL, c_size=4, c_full=4, needed=45)
    ),
}
REFUSED: dict[str, tuple[str, Callable[[], bytes]]] = {
    # what is said twice must be said alike
    "descriptor of another crc": ("descriptor", lambda: zipped(described(after=struct.pack("<4s3I", b"PK\7\x08", 1, 6, 4)))),
    "descriptor of another length": (
        "descriptor",
        lambda: zipped(described(after=struct.pack("<4s3I", b"PK\7\x08", zlib.crc32(b"data"), 6, 5))),
    ),
    "descriptor without its signature": (
        "descriptor",
        lambda: zipped(described(after=struct.pack("<3I", zlib.crc32(b"data"), 6, 4))),
    ),
    "descriptor that is missing": ("descriptor", lambda: zipped(described(after=b""))),
    "descriptor that nobody announced": (
        "does not begin|stands between",
        lambda: zipped(replace(D, after=LARGE_DESCRIPTOR), B),
    ),
    "lengths that differ before a described file": ("differs", lambda: zipped(described(size=5))),
    "zero lengths without a descriptor": ("differs", lambda: zipped(replace(D, size=0, c_size=len(SQUEEZED)))),
    "flags that differ": ("differs", lambda: zipped(replace(A, c_flags=2))),
    "methods that differ": ("differs", lambda: zipped(replace(D, method=0, c_method=8))),
    "no signature before a file": ("differs", lambda: b"PX" + zipped(A)[2:]),
    "zip64 lengths that differ": (
        "differs",
        lambda: zipped(
            replace(A, extra=struct.pack("<2H2Q", 1, 16, 4, 5), c_extra=b"", size=FULL, full=FULL, c_size=4, c_full=4)
        ),
    ),
    "empty zip64 field": ("differs", lambda: zipped(replace(A, extra=struct.pack("<2H", 1, 0), c_extra=b""))),
    "empty zip64 field in the directory": ("zip64", lambda: zipped(replace(A, c_extra=struct.pack("<2H", 1, 0)))),
    "zip64 field that is not asked for": ("differs", lambda: zipped(replace(A, extra=ZIP64_LOCAL, c_extra=b""))),
    # contents
    "something behind a deflated content": (
        "behind the content",
        lambda: zipped(replace(D, data=SQUEEZED + b"hidden", size=len(SQUEEZED) + 6)),
    ),
    "a deflated content that is cut": ("ends early", lambda: zipped(replace(D, data=SQUEEZED[:-1], size=len(SQUEEZED) - 1))),
    "no deflated content": ("not deflated", lambda: zipped(replace(D, data=b"\xff" * 6, size=6))),
    "longer than it says": ("longer", lambda: zipped(replace(D, full=3))),
    "shorter than it says": ("shorter", lambda: zipped(replace(D, full=5))),
    "another crc": ("CRC", lambda: zipped(replace(D, crc=7))),
    "stored with two lengths": ("stored", lambda: zipped(replace(A, full=5))),
    # kinds
    "fifo": ("plain file", lambda: zipped(replace(A, mode=0o010644 << 16))),
    "socket": ("plain file", lambda: zipped(replace(A, mode=0o140644 << 16))),
    "setgid": ("rights", lambda: zipped(replace(A, mode=0o102755 << 16))),
    "volume label": ("plain file", lambda: zipped(replace(A, made_by=20, mode=0x08))),
    "folder by its attribute alone": ("folder", lambda: zipped(replace(A, made_by=20, mode=0x10))),
    "file by its mode, folder by its name": ("plain file", lambda: zipped(folder(mode=0o100644 << 16))),
    "link by its mode, folder by its name": ("plain file", lambda: zipped(folder(mode=0o120777 << 16))),
    "folder with a content": ("content", lambda: zipped(folder(data=b"data"))),
    "folder with a deflated content": (
        "content|longer",
        lambda: zipped(folder(data=SQUEEZED, method=8, size=6, full=0, crc=0)),
    ),
    "folder that is packed as nothing at all": ("ends early", lambda: zipped(folder(method=8))),
    # names
    "not marked as UTF-8": ("marked as UTF-8", lambda: zipped(replace(A, name="é".encode()))),
    "marked as UTF-8, and is not": ("UTF-8", lambda: zipped(replace(A, name=b"\xe9", flags=0x800))),
    "decomposed": ("composed", lambda: zipped(replace(A, name="e\u0301".encode(), flags=0x800))),
    "right to left": ("name", lambda: zipped(replace(A, name="a\u202etxt.exe".encode(), flags=0x800))),
    "zero width": ("name", lambda: zipped(replace(A, name="a\u200bb".encode(), flags=0x800))),
    "line feed": ("name", lambda: zipped(replace(A, name=b"a\nb"))),
    "a filler that shows nothing": ("name", lambda: zipped(replace(A, name="a\u3164".encode(), flags=0x800))),
    "a variation that shows nothing": ("name", lambda: zipped(replace(A, name="a\ufe0f".encode(), flags=0x800))),
    "a device of Windows": ("name", lambda: zipped(replace(A, name=b"a/Con.txt"))),
    "a console of Windows": ("name", lambda: zipped(replace(A, name=b"a/ConOut$"))),
    "a version of VMS": ("name", lambda: zipped(replace(A, name=b"a;1"))),
    "hidden": ("name", lambda: zipped(replace(A, name=b".a"))),
    "a colon": ("name", lambda: zipped(replace(A, name=b"a:b"))),
    "dots in compatible form": ("name", lambda: zipped(replace(A, name="．．/a".encode(), flags=0x800))),
    "a slash in compatible form": ("name", lambda: zipped(replace(A, name="a／b".encode(), flags=0x800))),
    "two slashes": ("name", lambda: zipped(replace(A, name=b"a//b"))),
    "only a slash": ("name", lambda: zipped(folder(b"/"))),
    "a space before": ("name", lambda: zipped(replace(A, name=b"a/ b"))),
    "a space behind": ("name", lambda: zipped(replace(A, name=b"a /b"))),
    "a dot behind": ("name", lambda: zipped(replace(A, name=b"a."))),
    "1,029 bytes": ("name", lambda: zipped(replace(A, name=b"/".join([b"a" * 205] * 5)))),
    "a part of 256 bytes": ("name", lambda: zipped(replace(A, name=b"a" * 256))),
    "33 deep": ("name", lambda: zipped(replace(A, name=b"a/" * 32 + b"a"))),
    # one thing twice
    "compatible forms": (
        "stands twice",
        lambda: zipped(replace(A, name="ﬁ".encode(), flags=0x800), replace(A, name=b"fi")),
    ),
    "letters of mathematics": ("stands twice", lambda: zipped(A, replace(B, name="\U0001d400".encode(), flags=0x800))),
    "sharp s": ("stands twice", lambda: zipped(replace(A, name="ß".encode(), flags=0x800), replace(A, name=b"SS"))),
    "folder twice": ("a folder stands twice", lambda: zipped(folder(), folder(b"A/"))),
    "one folder in two spellings": ("one folder", lambda: zipped(replace(A, name=b"a/x"), replace(A, name=b"A/y"))),
    "folder and file": ("a file and a folder", lambda: zipped(A, folder())),
    "file below a file": ("a file and a folder", lambda: zipped(A, replace(B, name=b"A/b"))),
    # extra fields
    "another name in a field": ("0x7075", lambda: zipped(replace(A, extra=struct.pack("<2HI", 0x7075, 4, 0)))),
    "a cipher in a field": ("0x9901", lambda: zipped(replace(A, c_extra=struct.pack("<2HI", 0x9901, 4, 0)))),
    "a field twice": ("extra field", lambda: zipped(replace(A, extra=struct.pack("<2H", 0x5455, 0) * 2))),
    "a field that is cut": ("extra field", lambda: zipped(replace(A, extra=b"UT"))),
    "a field longer than the rest": ("extra field", lambda: zipped(replace(A, extra=struct.pack("<2H", 0x5455, 9)))),
    "a folder's length in a field": ("zip64", lambda: zipped(folder(extra=ZIP64_LOCAL))),
    # the directory and its end
    "a comment that is claimed and not there": ("end record", lambda: zipped(A)[:-2] + b"\5\0"),
    "an entry's comment that is claimed and not there": ("has a comment", lambda: zipped(A)[:-37] + b"\1" + zipped(A)[-36:]),
    "junk in the directory": ("longer than its entries", lambda: A.local() + A.central(0) + b"junk" + end(1, 51, 35)),
    "other counts": ("several", lambda: zipped(A)[:-14] + b"\2" + zipped(A)[-13:]),
    "a large directory": ("claims 1 files", lambda: zipped(A)[:-22] + bytes(9 << 20) + end(1, (9 << 20) + 47, 35)),
    # claims
    "total": ("more than", lambda: end_of_claims(9 << 30, 9 << 30)),
    "in another part": ("another part", lambda: zipped(replace(A, c_disk=1))),
    "needs a newer reader": ("method", lambda: zipped(replace(A, needed=63))),
}


def end_of_claims(*lengths: int) -> bytes:
    """Deflated files that claim so much, with a byte for each hundredth, were the file not a claim too."""
    squeezed = deflated(b"")
    zip64 = [struct.pack("<2H2Q", 1, 16, length, len(squeezed)) for length in lengths]
    return zipped(
        *(
            File(name=b"%d" % number, data=squeezed, method=8, extra=field, size=FULL, crc=0, needed=45)
            for number, field in enumerate(zip64)
        )
    )


@pytest.mark.parametrize("what", TAKEN)
def test_is_taken(what: str) -> None:
    assert contents(TAKEN[what]()) == {"a": b"data"}


@pytest.mark.parametrize("what", REFUSED)
def test_is_refused_and_told(what: str) -> None:
    why, make = REFUSED[what]
    refused(make(), why)


def test_a_bomb_is_refused_before_a_byte_of_it_is_unpacked(tmp_path: Path) -> None:
    data = packed({"zeros": bytes(64 << 20)}, zipfile.ZIP_DEFLATED, io.BytesIO())
    assert (64 << 20) / len(data) > MAX_RATIO
    refused(data, "claim to hold")
    assert contents(packed({"zeros": bytes(200 << 10)}, zipfile.ZIP_DEFLATED, io.BytesIO())) == {"zeros": bytes(200 << 10)}


def test_zip64_end_records_must_be_needed_and_agree() -> None:
    body, directory = A.local(), A.central(0)
    records = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(directory), len(body))
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(body + directory), 1)
    refused(body + directory + records + locator + end(1, len(directory), len(body)), "without need")
    refused(body + directory + records + locator + end(2, len(directory), len(body)), "two end records differ")
    refused(body + directory + bytes(len(records + locator)) + end(1, len(directory), len(body)), "zip64 end records")


# Whatever is bent


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(ZIPS.glob("*.zip"))), st.data())
def test_a_mutated_zip_is_refused_or_has_the_same_files(file: Path, draw: st.DataObject) -> None:
    data = file.read_bytes()
    start = draw.draw(st.integers(0, len(data)))
    cut = draw.draw(st.integers(0, 8))
    mutated = data[:start] + draw.draw(st.binary(max_size=8)) + data[start + cut :]
    try:
        found = contents(mutated)
    except BundleError:
        return
    assert found == FILES


@pytest.mark.parametrize("file", sorted(ZIPS.glob("*.zip")), ids=lambda file: file.stem)
def test_a_flipped_bit_is_refused_or_changes_no_file(file: Path) -> None:
    """Times, owners and the version of the writer may change; no content does, and no name: it stands twice."""
    data = bytearray(file.read_bytes())
    for position in range(len(data) * 8):
        data[position // 8] ^= 1 << position % 8
        with contextlib.suppress(BundleError):
            assert contents(bytes(data)) == FILES, f"bit {position}"
        data[position // 8] ^= 1 << position % 8


@pytest.mark.parametrize("file", sorted(ZIPS.glob("*.zip")), ids=lambda file: file.stem)
def test_every_cut_is_refused(file: Path) -> None:
    data = file.read_bytes()
    for length in range(len(data)):
        refused(data[:length])
