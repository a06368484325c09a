"""The zip is written in one way, read by everybody, and refused by our reader as soon as one bit of it differs."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpublish.errors import BundleError
from mlpublish.formats import archive
from mlpublish.formats.archive import Archive
from mlpublish.formats.wire import digest_of

FILES = {"models/a.mlmodel": b"weights" * 9, "files/labels.txt": b"cat\ndog\n", "files/empty": b"", "manifest.json": b"{}\n"}


def written(folder: Path, files: Mapping[str, bytes | Path] = FILES, name: str = "a.zip") -> bytes:
    place = folder / name
    place.unlink(missing_ok=True)
    digest = archive.write(place, list(files.items()))
    data = place.read_bytes()
    assert digest == digest_of(data)
    return data


def contents(data: bytes) -> dict[str, bytes]:
    read = Archive.read(io.BytesIO(data))
    return {entry.name: b"".join(read.chunks(entry)) for entry in read.entries}


parts = st.text("abcXYZ019_-+=@,()[]", min_size=1, max_size=6)
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)


def no_two_for_one(files: dict[str, bytes]) -> bool:
    names = [name.casefold() for name in files]
    folders = {name[:cut] for name in names for cut in range(len(name)) if name[cut] == "/"}
    return len(set(names)) == len(names) and not folders & set(names)


file_sets = st.dictionaries(paths, st.binary(max_size=60), min_size=1, max_size=6).filter(no_two_for_one)
with_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@with_folder
@given(file_sets)
def test_what_is_written_is_read_in_order_and_so_by_pythons_zipfile(tmp_path: Path, files: dict[str, bytes]) -> None:
    data = written(tmp_path, files)
    assert contents(data) == files
    assert list(contents(data)) == sorted(files, key=archive.order)
    with zipfile.ZipFile(io.BytesIO(data)) as other:
        assert other.testzip() is None
        assert {name: other.read(name) for name in other.namelist()} == files


@with_folder
@given(file_sets, st.data())
def test_a_mutated_archive_is_refused_or_is_the_same(tmp_path: Path, files: dict[str, bytes], draw: st.DataObject) -> None:
    data = written(tmp_path, files)
    start = draw.draw(st.integers(0, len(data)))
    cut = draw.draw(st.integers(0, 8))
    mutated = data[:start] + draw.draw(st.binary(max_size=8)) + data[start + cut :]
    try:
        contents(mutated)
    except BundleError:
        return
    assert mutated == data


def test_every_single_bit_flip_is_refused(tmp_path: Path) -> None:
    data = bytearray(written(tmp_path))
    for position in range(len(data) * 8):
        data[position // 8] ^= 1 << position % 8
        with pytest.raises(BundleError):
            contents(bytes(data))
        data[position // 8] ^= 1 << position % 8
    assert contents(bytes(data)) == FILES


def test_every_cut_and_every_added_byte_is_refused(tmp_path: Path) -> None:
    data = written(tmp_path)
    for length in range(len(data)):
        with pytest.raises(BundleError):
            contents(data[:length])
        with pytest.raises(BundleError):
            contents(data[:length] + b"\0" + data[length:])


def test_order_times_and_modes_of_the_sources_leave_no_trace(tmp_path: Path) -> None:
    expected = written(tmp_path)
    sources = {}
    for number, (name, content) in enumerate(reversed(FILES.items())):
        sources[name] = tmp_path / f"source-{number}"
        sources[name].write_bytes(content)
        sources[name].chmod(0o600 | number)
        os.utime(sources[name], (number, number * 10**8))
    assert written(tmp_path, sources, "b.zip") == expected


def test_the_manifest_stands_last_and_everything_is_stored_without_extras(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(written(tmp_path))) as other:
        assert other.namelist() == ["files/empty", "files/labels.txt", "models/a.mlmodel", "manifest.json"]
        for info in other.infolist():
            assert (info.compress_type, info.extra, info.comment, info.flag_bits) == (zipfile.ZIP_STORED, b"", b"", 0)
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.external_attr >> 16 == 0o100644


def test_an_empty_archive_is_one() -> None:
    assert contents(b"PK\5\6" + bytes(18)) == {}


@pytest.mark.parametrize(
    "names",
    [("../a",), ("/a",), ("a\\b",), ("é",), (".a",), ("a", "A"), ("a", "a/b"), ("a/B", "A/b"), ("A/b/c", "a/b"), ("a", "a")],
)
def test_names_that_two_systems_read_differently_are_not_written(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(BundleError):
        archive.write(tmp_path / "a.zip", [(name, b"") for name in names])
    assert not (tmp_path / "a.zip").exists()


def test_a_file_that_stands_there_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        archive.write(tmp_path / "a.zip", [("a", b"")])
    assert (tmp_path / "a.zip").read_bytes() == b"mine"


def test_a_file_that_is_longer_than_it_said_is_refused(tmp_path: Path) -> None:
    says_nothing = Path("/proc/self/status")  # its length is told as 0, and it holds more
    if not says_nothing.exists():
        pytest.skip("needs /proc")
    with pytest.raises(BundleError, match="changed while it was read"):
        archive.write(tmp_path / "a.zip", [("a", says_nothing)])


def test_unpacking_writes_every_file_into_a_new_folder_and_tells_the_bytes(tmp_path: Path) -> None:
    data, told = written(tmp_path), list[int]()
    found = Archive.read(io.BytesIO(data)).unpack(tmp_path / "new", told.append)
    assert found == {name: (len(content), digest_of(content)) for name, content in FILES.items()}
    assert {name: (tmp_path / "new" / name).read_bytes() for name in FILES} == FILES
    assert sum(told) == sum(map(len, FILES.values()))
    with pytest.raises(FileExistsError):
        Archive.read(io.BytesIO(data)).unpack(tmp_path / "new")


def test_a_small_file_is_read_within_its_bound(tmp_path: Path) -> None:
    read = Archive.read(io.BytesIO(written(tmp_path)))
    assert read.content("files/labels.txt", at_most=8) == b"cat\ndog\n"
    with pytest.raises(BundleError, match="more than 7"):
        read.content("files/labels.txt", at_most=7)
    with pytest.raises(BundleError, match="there is no"):
        read.content("files/nothing", at_most=7)


@pytest.mark.parametrize(
    ("program", "package", "arguments"),
    [("unzip", "unzip", ("-q", "a.zip", "-d", "out")), ("bsdtar", "libarchive-tools", ("-x", "-f", "a.zip", "-C", "out"))],
)
def test_other_readers_unpack_the_same_files(tmp_path: Path, program: str, package: str, arguments: tuple[str, ...]) -> None:
    if shutil.which(program) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"needs {program} (Debian: apt install {package})")
        pytest.skip(f"needs {program} (Debian: apt install {package})")
    written(tmp_path)
    (tmp_path / "out").mkdir()
    subprocess.run([program, *arguments], cwd=tmp_path, check=True, capture_output=True)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES
