"""The vectors for other clients, byte for byte; and what ``case.json`` may not be."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from mlpublish.conformance.case import CASE, Case
from mlpublish.conformance.catalogue import scenarios
from mlpublish.conformance.vectors import read, save
from mlpublish.errors import FormatError, NewerFormat, NotFound, RecipeError
from mlpublish.formats.wire import MAX_DOCUMENT

FOLDER = Path(__file__).with_name("vectors")
GOLDENS_ARE_WRITTEN = os.environ.get("MLPUBLISH_UPDATE_GOLDENS") == "1"  # read before the environment is made quiet
MOST = 2_000_000  # bytes, of all vectors together


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [scenario.made() for scenario in scenarios()]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_cases_are_made_with_the_same_bytes_everywhere(cases: list[Case], tmp_path: Path) -> None:
    save(tmp_path / "vectors", cases)
    made = contents(tmp_path / "vectors")
    if GOLDENS_ARE_WRITTEN:
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(tmp_path / "vectors", FOLDER)
    kept = contents(FOLDER)
    assert sorted(made) == sorted(kept)
    assert [name for name in made if made[name] != kept[name]] == []
    assert sum(map(len, made.values())) < MOST


def test_what_was_saved_is_read_back(cases: list[Case]) -> None:
    assert read(FOLDER) == sorted(cases, key=lambda case: case.name)


def test_every_case_has_its_name_and_says_what_it_shows(cases: list[Case]) -> None:
    assert len({case.name for case in cases}) == len(cases) > 100
    assert all(case.shows.endswith(".") and case.steps for case in cases)


def test_no_private_key_is_kept() -> None:
    assert [name for name, content in contents(FOLDER).items() if b"PRIVATE" in content] == []


def test_vectors_are_saved_in_a_new_folder_whole_or_not_at_all(cases: list[Case], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(RecipeError, match="is there already"):
        save(tmp_path / "mine", cases[:1])
    with pytest.raises(RecipeError, match="cannot be written"):
        save(tmp_path / "mine" / "notes.txt" / "below", cases[:1])
    assert contents(tmp_path) == {"mine/notes.txt": b"mine"}
    (tmp_path / "empty").mkdir()
    save(tmp_path / "empty", cases[:1])
    assert read(tmp_path / "empty") == cases[:1]


def test_a_folder_without_cases_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="--save"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"format": 2}, NewerFormat, "Upgrade"),
        ({"steps": [{}]}, FormatError, r"steps\[0\]"),
        ({"name": "../evil"}, FormatError, "name"),
        ({"name": "update"}, FormatError, "has the name 'update'"),
        ({"steps": []}, FormatError, "at least one step"),
    ],
)
def test_a_case_that_is_none_is_refused(tmp_path: Path, change: dict[str, object], error: type[FormatError], told: str) -> None:
    file = copied(tmp_path) / CASE
    file.write_text(json.dumps(json.loads(file.read_bytes()) | change))
    with pytest.raises(error, match=rf"^first-install/case\.json.*{told}"):
        read(tmp_path)


def copied(folder: Path) -> Path:
    """The folder of a case."""
    return shutil.copytree(FOLDER / "first-install", folder / "first-install")


@pytest.mark.parametrize(
    "change",
    [
        {"os_version": "16\x00"},
        {"device_id": "a\nb"},
        {"os_version": "1" * 201},
        {"app": "../.."},
        {"app_version": "2."},
        {"platform": "x"},
    ],
)
def test_a_step_that_nobody_could_be_asked_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    file = copied(tmp_path) / CASE
    case = json.loads(file.read_bytes())
    case["steps"][0] |= change
    file.write_text(json.dumps(case))
    with pytest.raises(FormatError, match=rf"^first-install/case\.json: steps\[0\]\.{next(iter(change))}"):
        read(tmp_path)


def test_what_is_no_plain_file_of_a_case_is_refused(tmp_path: Path) -> None:
    case = copied(tmp_path / "vectors")
    (case / CASE).rename(tmp_path / CASE)

    def refused(told: str) -> None:
        with pytest.raises(FormatError, match=f"^first-install/{told}"):
            read(tmp_path / "vectors")

    (case / CASE).symlink_to(tmp_path / CASE)
    refused(r"case\.json cannot be read: it is a symbolic link")
    (case / CASE).unlink()
    os.mkfifo(case / CASE)
    refused(r"case\.json cannot be read: it is no regular file")
    (case / CASE).unlink()
    (case / CASE).mkdir()
    refused(r"case\.json is no file")
    (case / CASE).rmdir()
    shutil.copy(tmp_path / CASE, case / CASE)
    os.truncate(shutil.copy(tmp_path / CASE, case / "large"), MAX_DOCUMENT + 1)
    refused("large cannot be read: it has more than")


def test_a_case_whose_root_is_missing_is_refused(tmp_path: Path) -> None:
    shutil.rmtree(copied(tmp_path) / "1")
    with pytest.raises(FormatError, match=r"1\.root\.json'? ?, which is not there"):
        read(tmp_path)
