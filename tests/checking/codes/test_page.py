"""docs/statuses.md and the tests say the same: every row names tests that exist, and every test of this folder has a row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import mlpublish
from mlpublish.formats.status import UpdateStatus

TESTS, HERE = Path(__file__).parents[2], Path(__file__).parent
PAGE = (Path(mlpublish.__file__).parent / "docs" / "statuses.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(?:([\w/]+\.py)::)?(test_\w+)`")


def rows() -> list[list[str]]:
    lines = [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in cells] for cells in lines if len(cells) == 3 and cells[-1].strip() != "test"]


def defined_in(file: Path) -> set[str]:
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


OURS: set[str] = set().union(*(defined_in(file) for file in HERE.glob("test_*.py") if file.name != Path(__file__).name))


def test_every_test_that_the_page_names_exists() -> None:
    named = NAMED.findall(PAGE)
    assert len(named) > 60
    for file, name in named:
        assert name in (defined_in(TESTS / file) if file else OURS), f"{file}::{name}"


def test_every_row_names_a_test_and_every_test_of_this_folder_stands_in_the_page() -> None:
    assert all(NAMED.search(row[-1]) for row in rows())
    assert {name for file, name in NAMED.findall(PAGE) if not file} == OURS


def test_every_status_is_reached() -> None:
    assert {row[1] for row in rows()} == {status.value for status in UpdateStatus}
