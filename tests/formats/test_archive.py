"""The zip is written in one way, read by everybody, and refused by our reader as soon as one bit of it differs."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpublish.errors import BundleError
from mlpublish.formats import archive
from mlpublish.formats.archive import Archive
from mlpublish.formats.manifest import FileEntry
from mlpublish.formats.wire import digest_of
from tests.keystores import lacking, needs

LimitFiles = Callable[[int], AbstractContextManager[None]]
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


def test_buffers_are_used_again_only_when_they_were_digested(tmp_path: Path) -> None:
    """Many files of more than a piece: were a buffer filled too early, a digest would be of other bytes than the archive's."""
    sources = []
    for number in range(12):
        sources.append((f"files/{number}", tmp_path / str(number)))
        sources[-1][1].write_bytes(bytes([number]) * ((1 << 20) * (number % 3) + number))
    digests = "".join(hashlib.sha256(place.read_bytes()).hexdigest() for _, place in sorted(sources))
    sha256 = archive.write(
        tmp_path / "a.zip", sources, manifest=lambda entries: "".join(entry.sha256 for entry in entries).encode()
    )
    made = (tmp_path / "a.zip").read_bytes()
    assert sha256 == hashlib.sha256(made).hexdigest()
    assert contents(made)["manifest.json"].decode() == digests


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
    [
        ("../a",),
        ("/a",),
        ("a\\b",),
        ("é",),
        (".a",),
        ("a", "A"),
        ("a", "a/b"),
        ("a/B", "A/b"),
        ("A/b/c", "a/b"),
        ("a", "a"),
        ("a/aux.txt",),
    ],
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


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleError, match="no regular file"):
        archive.write(tmp_path / "a.zip", [("a", tmp_path / "pipe")])
    assert not (tmp_path / "a.zip").exists()


def test_a_file_that_is_longer_than_it_said_is_refused(tmp_path: Path) -> None:
    says_nothing = Path("/proc/self/status")  # its length is told as 0, and it holds more
    if not says_nothing.exists():
        lacking("/proc")
    with pytest.raises(BundleError, match="changed while it was read"):
        archive.write(tmp_path / "a.zip", [("a", says_nothing)])
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("way", ["in place", "renamed over it"])
def test_a_file_that_somebody_writes_to_meanwhile_is_refused(tmp_path: Path, way: str) -> None:
    (tmp_path / "busy").write_bytes(bytes(32 << 20))
    with unresting(tmp_path / "busy", way), pytest.raises(BundleError, match="changed while it was read"):
        archive.write(tmp_path / "a.zip", [("busy", tmp_path / "busy")], manifest=lambda _: b"{}")
    assert not (tmp_path / "a.zip").exists()


@contextmanager
def unresting(file: Path, way: str) -> Iterator[None]:
    """Somebody who goes on writing to a file, or puts the same one there anew, for the length of a block."""
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            if way == "in place":
                with file.open("r+b") as stream:
                    stream.write(b"new")
            else:
                os.link(file, file.with_name("same"))
                file.with_name("same").rename(file.with_name("other"))
                shutil.copyfile(file.with_name("other"), file.with_name("copy"))
                file.with_name("copy").rename(file)
                file.with_name("other").unlink()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        yield
    finally:
        ended.set()
        writing.join()


def measured(tmp_path: Path, content: bytes = b"weights") -> FileEntry:
    (tmp_path / "file").write_bytes(content)
    return FileEntry.of(PurePosixPath("a"), tmp_path / "file")


def test_the_manifest_is_made_of_all_files_as_they_were_written(tmp_path: Path) -> None:
    entries: list[FileEntry] = []
    known = measured(tmp_path)
    files: list[tuple[str, Path | bytes]] = [("c", b"bytes"), ("b", tmp_path / "file"), ("a", tmp_path / "file")]
    archive.write(tmp_path / "a.zip", files, known=[known], manifest=lambda each: bytes(entries.extend(each) or b"{}"))
    assert [str(entry.path) for entry in entries] == ["a", "b", "c"]
    digests = {"a": digest_of(b"weights"), "b": digest_of(b"weights"), "c": digest_of(b"bytes")}
    assert {str(entry.path): entry.sha256 for entry in entries} == digests
    assert contents((tmp_path / "a.zip").read_bytes()) == {
        "a": b"weights",
        "b": b"weights",
        "c": b"bytes",
        "manifest.json": b"{}",
    }


@pytest.mark.parametrize("content", [b"Weights", b"weight", b"weights+"])
def test_a_file_that_changed_since_it_was_measured_is_refused(tmp_path: Path, content: bytes) -> None:
    known = measured(tmp_path)
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(BundleError, match="since it was measured"):
        archive.write(tmp_path / "a.zip", [("a", tmp_path / "file")], known=[known], manifest=lambda _: b"{}")
    assert not (tmp_path / "a.zip").exists()


def test_a_digest_without_a_crc_is_not_believed(tmp_path: Path) -> None:
    known, entries = replace(measured(tmp_path), crc=None, sha256="0" * 64), list[FileEntry]()
    files: list[tuple[str, Path | bytes]] = [("a", tmp_path / "file")]
    archive.write(tmp_path / "a.zip", files, known=[known], manifest=lambda each: bytes(entries.extend(each) or b"{}"))
    assert entries[0].sha256 == digest_of(b"weights")


@pytest.mark.parametrize("large", ["first", "last"])
def test_a_write_that_fails_leaves_no_file_and_no_thread(tmp_path: Path, large: str) -> None:
    (tmp_path / "large").write_bytes(bytes(8 << 20))
    files: list[tuple[str, Path | bytes]] = [("a" if large == "first" else "z", tmp_path / "large"), ("m", tmp_path / "gone")]
    with pytest.raises(FileNotFoundError):
        archive.write(tmp_path / "a.zip", files, manifest=lambda _: b"{}")
    assert not (tmp_path / "a.zip").exists()


def test_a_full_disk_leaves_neither_an_archive_nor_an_unpacked_folder(tmp_path: Path, files_of_at_most: LimitFiles) -> None:
    files: list[tuple[str, Path | bytes]] = [("a", b"small"), ("b", bytes(3 << 20))]
    with files_of_at_most(2 << 20), pytest.raises(OSError, match="File too large"):
        archive.write(tmp_path / "a.zip", files)
    assert not (tmp_path / "a.zip").exists()
    data = written(tmp_path, dict(files))
    with files_of_at_most(2 << 20), pytest.raises(OSError, match="File too large"):
        Archive.read(io.BytesIO(data)).unpack(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_one_reading_gives_every_digest_and_the_archives_own(tmp_path: Path) -> None:
    data, told = written(tmp_path), list[int]()
    digests, whole = Archive.read(io.BytesIO(data)).all_digests(told.append)
    assert digests == {name: (len(content), digest_of(content)) for name, content in FILES.items()}
    assert whole == digest_of(data)
    assert sum(told) == sum(map(len, FILES.values()))


@pytest.mark.parametrize("work", ["all_digests", "digests", "unpack"])
def test_who_listens_can_stop_the_reading(tmp_path: Path, work: str) -> None:
    read = Archive.read(io.BytesIO(written(tmp_path, {"a": bytes(9 << 20), "b": b"more"})))
    told: list[int] = []

    def stop(length: int) -> None:
        told.append(length)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        getattr(read, work)(*([tmp_path / "new"] if work == "unpack" else []), stop)
    assert told == [1 << 20] * 3
    assert not (tmp_path / "new").exists()


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


def run(program: str, package: str, *arguments: str, cwd: Path) -> str:
    return subprocess.run([needs(program, package), *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("program", "package", "listing", "unpacking"),
    [
        ("unzip", "unzip", ("-Z1", "a.zip"), ("-q", "a.zip", "-d", "out")),
        ("bsdtar", "libarchive-tools", ("-tf", "a.zip"), ("-xpf", "a.zip", "-C", "out")),
    ],
)
def test_other_readers_see_the_same_names_contents_and_modes(
    tmp_path: Path, program: str, package: str, listing: tuple[str, ...], unpacking: tuple[str, ...]
) -> None:
    written(tmp_path)
    (tmp_path / "out").mkdir()
    assert run(program, package, *listing, cwd=tmp_path).splitlines() == sorted(FILES, key=archive.order)
    run(program, package, *unpacking, cwd=tmp_path)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES
    assert {stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) for name in FILES} == {0o644}


def test_unzip_finds_no_fault(tmp_path: Path) -> None:
    written(tmp_path)
    assert "No errors detected" in run("unzip", "unzip", "-t", "a.zip", cwd=tmp_path)
