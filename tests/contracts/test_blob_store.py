"""What every blob store promises."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.errors import NotFound, StorageError
from mlpublish.formats.wire import digest_of
from mlpublish.storage.blobs import BlobStore
from mlpublish.storage.in_folder import FolderStore


@pytest.fixture(params=[FolderStore])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    opened: BlobStore = request.param(tmp_path / "store")
    return opened


def test_what_was_created_is_read(store: BlobStore) -> None:
    assert store.create("a/b/c.json", b"content")
    assert store.read("a/b/c.json") == b"content"
    assert (store.exists("a/b/c.json"), store.length("a/b/c.json")) == (True, 7)
    with store.open("a/b/c.json") as stream:
        assert (stream.read(3), stream.read()) == (b"con", b"tent")


def test_a_file_is_copied_and_shares_nothing_with_its_source(store: BlobStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"as it was")
    assert store.create("copy", source)
    source.write_bytes(b"edited   ")
    assert store.read("copy") == b"as it was"


def test_what_stands_is_never_created_again(store: BlobStore) -> None:
    store.create("a", b"first")
    assert store.create("a", b"second") is False
    assert store.read("a") == b"first"


def test_what_is_not_there_is_not_found(store: BlobStore) -> None:
    store.create("folder/file", b"")
    for path in ("a", "folder", "folder/file/x", "folder/other"):
        assert store.exists(path) is False
        for read in (store.read, store.open, store.length, store.read_tagged):
            with pytest.raises(NotFound):
                read(path)


@pytest.mark.parametrize("path", ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/.hidden", "a\\b", "a\0b", "~"])
def test_no_path_leads_outside(store: BlobStore, path: str, tmp_path: Path) -> None:
    for use in (store.read, store.open, store.exists, store.length, lambda path: store.create(path, b"x")):
        with pytest.raises(NotFound):
            use(path)
    with pytest.raises(NotFound):
        store.replace_if(path, b"x", tag=None)
    assert list(tmp_path.rglob("x")) == []


def test_a_list_has_the_names_directly_inside_in_order(store: BlobStore) -> None:
    for path in ("f/b", "f/a", "f/c/d", "e"):
        store.create(path, b"")
    assert list(store.list("f")) == ["a", "b", "c"]
    assert list(store.list("")) == ["e", "f"]
    assert list(store.list("nowhere")) == []


def test_a_swap_needs_the_present_tag(store: BlobStore) -> None:
    assert store.replace_if("a", b"1", tag="x" * 64) is False
    assert store.replace_if("a", b"1", tag=None) is True
    assert store.replace_if("a", b"2", tag=None) is False
    content, tag = store.read_tagged("a")
    assert content == b"1"
    assert store.replace_if("a", b"2", tag=tag) is True
    assert store.replace_if("a", b"3", tag=tag) is False
    assert store.read("a") == b"2"


def test_a_tag_changes_with_the_content(store: BlobStore) -> None:
    store.replace_if("a", b"1", tag=None)
    first = store.read_tagged("a")[1]
    store.replace_if("a", b"2", tag=first)
    assert store.read_tagged("a")[1] != first


def _all_at_once(jobs: list[Callable[[], bool]]) -> list[bool]:
    outcomes: list[bool] = []
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], bool]) -> None:
        start.wait()
        outcomes.append(job())

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_of_many_who_create_one_does(store: BlobStore) -> None:
    outcomes = _all_at_once([lambda each=each: store.create("a", bytes([each]) * 1000) for each in range(8)])
    assert sorted(outcomes) == [False] * 7 + [True]
    assert len(set(store.read("a"))) == 1


COUNT_UP = """
import sys
from pathlib import Path
from mlpublish.storage.in_folder import FolderStore

store = FolderStore(Path(sys.argv[1]))
for _ in range(25):
    while True:
        content, tag = store.read_tagged("counter")
        if store.replace_if("counter", str(int(content) + 1).encode(), tag=tag):
            break
"""


def test_no_process_loses_what_another_swapped_in(tmp_path: Path) -> None:
    FolderStore(tmp_path).create("counter", b"0")
    processes = [subprocess.Popen([sys.executable, "-c", COUNT_UP, str(tmp_path)]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert FolderStore(tmp_path).read("counter") == b"75"


def test_what_fails_leaves_nothing_half_written(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with pytest.raises(StorageError):
        store.create("a", tmp_path / "no such source")
    store.create("file", b"")
    with pytest.raises(StorageError):
        store.create("file/below", b"x")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@settings(max_examples=25, deadline=None)  # each one waits for the disk
@given(st.binary(max_size=3000))
def test_any_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    store = FolderStore(tmp_path_factory.mktemp("any"))
    assert store.create("a", content)
    assert store.read_tagged("a") == (content, digest_of(content))
