"""docs/attacks.md and the tests say the same: every row names tests that exist, and every attack stands in the page."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import mlpublish
from mlpublish.formats.status import UpdateStatus

TESTS = Path(__file__).parents[1]
PAGE = Path(mlpublish.__file__).parent / "docs" / "attacks.md"
STATUSES = {status.value.removeprefix("FAILURE_") for status in UpdateStatus}
REFUSALS = {"ThresholdNotMet", "VerificationError"}  # where no device is asked


def rows() -> list[list[str]]:
    found = [line.strip("|").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in cells] for cells in found if cells[-1].strip() != "test"]


def named(cell: str) -> list[tuple[str, str]]:
    """(file, test); a name alone is one of this folder."""
    return re.findall(r"`(?:([\w/]+\.py)::)?(test_\w+)`", cell)


def defined_in(file: Path) -> set[str]:
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


OURS = {file: defined_in(file) for file in Path(__file__).parent.glob("test_*.py") if file.name != Path(__file__).name}


def test_every_row_names_tests_that_exist() -> None:
    assert len(rows()) > 60
    for row in rows():
        assert named(row[-1]), row
        for file, name in named(row[-1]):
            assert name in (defined_in(TESTS / file) if file else set().union(*OURS.values())), name


def test_every_attack_stands_in_the_page() -> None:
    told = {name for row in rows() for file, name in named(row[-1]) if not file}
    assert set().union(*OURS.values()) == told


def test_every_row_begins_with_a_status_for_each_device() -> None:
    for row in rows():
        assert len(row) == 4, row
        for cell in row[1:3]:
            assert cell == "–" or re.match(r"\w+", cell)[0] in STATUSES | REFUSALS, row  # type: ignore[index]


def test_no_two_tests_of_this_folder_share_a_name() -> None:
    assert len(set().union(*OURS.values())) == sum(len(names) for names in OURS.values())
