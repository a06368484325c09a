from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mlpublish.errors import StorageError
from mlpublish.storage.in_folder import FolderStore, locked, make_folder, replace_file


def test_a_swap_compares_while_nobody_else_may_swap(tmp_path: Path) -> None:
    store, outcome = FolderStore(tmp_path), []
    store.create("a", b"1")
    tag = store.read_tagged("a")[1]
    waiting = threading.Thread(target=lambda: outcome.append(store.replace_if("a", b"mine", tag=tag)))
    with locked(tmp_path / ".lock"):
        waiting.start()
        waiting.join(0.5)  # time enough to go wrong in
        (tmp_path / "a").write_bytes(b"theirs")
    waiting.join()
    assert (outcome, store.read("a")) == ([False], b"theirs")


def test_what_has_no_name_yet_is_never_listed(tmp_path: Path) -> None:
    (tmp_path / ".partial-0123").touch()
    (tmp_path / ".lock").touch()
    assert list(FolderStore(tmp_path).list("")) == []


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.write_bytes(b"old")
    with place.open("rb") as reading:
        replace_file(place, b"new")
        assert (reading.read(), place.read_bytes()) == (b"old", b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_what_the_disk_refuses_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"The disk refused: (Not a directory|File exists)") as raised:
        FolderStore(tmp_path / "file").create("a", b"x")
    assert "permissions" in raised.value.remedy


def test_a_folder_is_made_with_what_is_missing_above_it_and_only_itself_is_private(tmp_path: Path) -> None:
    made = tmp_path / "a" / "b" / "private"
    make_folder(made, mode=0o700)
    make_folder(made)
    assert [each.stat().st_mode & 0o077 == 0 for each in (made, made.parent)] == [True, False]
