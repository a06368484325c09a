"""Beyond 2 GiB the archive is zip64, and neither writing nor reading it takes more memory than a small one does."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mlpublish.errors import BundleError
from mlpublish.formats.archive import Archive
from mlpublish.formats.legacy_zip import LegacyArchive
from tests.keystores import lacking

LENGTH = 2**31 + 5
SCRIPT = """
import sys
from pathlib import Path
from mlpublish.formats import archive
folder = Path(sys.argv[1])
archive.write(folder / "large.zip", [("a", folder / "sparse"), ("b", b"behind")], manifest=lambda _: b"{}")
with (folder / "large.zip").open("rb") as stream:
    read = archive.Archive.read(stream)
    total = sum(length for length, _ in read.all_digests()[0].values())
# not ru_maxrss, which a forked child inherits from the process that runs the tests
print(total, next(line.split()[1] for line in Path("/proc/self/status").open() if line.startswith("VmHWM")))
"""


def test_slow_a_file_over_two_gib_is_written_and_read_in_constant_memory(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 3 * LENGTH:
        lacking("6 GiB of free disk")
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(LENGTH)
    ran = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True, capture_output=True, text=True)
    total, peak = map(int, ran.stdout.split())
    assert total == LENGTH + 8
    assert peak < 200 * 1024  # KiB
    with zipfile.ZipFile(tmp_path / "large.zip") as other:
        assert [(info.filename, info.file_size) for info in other.infolist()] == [("a", LENGTH), ("b", 6), ("manifest.json", 2)]
        assert other.read("b") == b"behind"
    with (tmp_path / "large.zip").open("rb") as stream:  # to the reader of plain zips it is one of them
        plain = LegacyArchive.read(stream)
        assert [(entry.name, entry.length) for entry in plain.entries] == [("a", LENGTH), ("b", 6), ("manifest.json", 2)]
        assert plain.content("b", at_most=6) == b"behind"
    for lister in (("unzip", "-Z1"), ("bsdtar", "-tf")):
        if shutil.which(lister[0]) is not None:  # whether it must be there, test_archive.py says
            listed = subprocess.run([*lister, "large.zip"], cwd=tmp_path, check=True, capture_output=True, text=True)
            assert listed.stdout.split() == ["a", "b", "manifest.json"]
    (tmp_path / "large.zip").unlink()


@dataclass(frozen=True)
class Hole:
    """A zip of one stored file that is a hole, so nobody asks for its CRC; the claims of its end records can be bent."""

    length: int = 2**31
    disk: int = 0
    first: int = 0
    count: int = 1
    listed: int = 1
    size: int = 0
    record: int = 44
    locator: int = 0
    disks: int = 1

    def write(self, place: Path) -> None:
        small = self.length < 2**31
        needed, size = (20, self.length) if small else (45, 0xFFFFFFFF)
        extra = b"" if small else struct.pack("<2H2Q", 1, 16, self.length, self.length)
        local = struct.pack("<4s5H3I2H", b"PK\3\4", needed, 0, 0, 0, 33, 0, size, size, 1, len(extra)) + b"a" + extra
        fixed = (b"PK\1\2", 3 << 8 | needed, needed, 0, 0, 0, 33, 0, size, size, 1, len(extra))
        central = struct.pack("<4s6H3I5H2I", *fixed, 0, 0, 0, 0o100644 << 16, 0) + b"a" + extra
        with place.open("wb") as stream:
            stream.write(local)
            stream.truncate(len(local) + self.length)
            start = stream.seek(0, os.SEEK_END)
            stream.write(central)
            claimed = (self.disk, self.first, self.count, self.listed, len(central) + self.size, start)
            stream.write(struct.pack("<4sQ2H2I4Q", b"PK\6\6", self.record, 3 << 8 | 45, 45, *claimed))
            stream.write(struct.pack("<4sIQI", b"PK\6\7", 0, start + len(central) + self.locator, self.disks))
            stream.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(central), 0xFFFFFFFF, 0))


@pytest.mark.parametrize("length", [2**31 - 1, 2**31])
@pytest.mark.parametrize("reader", [Archive, LegacyArchive])
def test_zip64_fields_begin_at_two_gib_and_not_before(
    tmp_path: Path, length: int, reader: type[Archive | LegacyArchive]
) -> None:
    Hole(length=length).write(tmp_path / "hole.zip")
    with (tmp_path / "hole.zip").open("rb") as stream:
        assert [entry.length for entry in reader.read(stream).entries] == [length]


@pytest.mark.parametrize("claim", ["disk", "first", "count", "listed", "size", "record", "locator", "disks"])
@pytest.mark.parametrize("reader", [Archive, LegacyArchive])
def test_zip64_end_records_are_held_to_every_claim(tmp_path: Path, claim: str, reader: type[Archive | LegacyArchive]) -> None:
    bent = replace(Hole(), **{claim: getattr(Hole(), claim) + 1})
    bent.write(tmp_path / "hole.zip")
    with (tmp_path / "hole.zip").open("rb") as stream, pytest.raises(BundleError):
        reader.read(stream)
