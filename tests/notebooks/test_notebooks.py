"""The notebooks as they are committed: clean, with promises that are checked, and with links that lead somewhere.

That they run, and keep what they promise, is pytest's own work: it collects ``notebooks/`` with nbval.
"""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PROMISE = "# NBVAL_CHECK_OUTPUT"
MACHINE = re.compile(r"/(?:home|root|tmp|Users|work|usr|var|opt)/|[A-Z]:\\\\")
LINK = re.compile(r"\]\(([^)\s]+)\)")

each = pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)


@cache
def cells(file: Path, kind: str = "") -> list[dict[str, Any]]:
    found = json.loads(file.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == (kind or cell["cell_type"])]


def text(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def promised(cell: dict[str, Any]) -> bool:
    return text(cell).startswith(PROMISE)


def test_they_are_numbered_from_zero_without_a_gap() -> None:
    names = [file.stem for file in NOTEBOOKS]
    assert all(re.fullmatch(r"\d\d(_[a-z0-9]+)+", name) for name in names), names
    assert [int(name[:2]) for name in names] == list(range(len(names)))


@each
def test_it_begins_with_its_title_and_why(file: Path) -> None:
    first = cells(file)[0]
    assert first["cell_type"] == "markdown"
    assert re.match(r"# \S.*\n\n\S", text(first))


@each
def test_it_promises_at_least_three_outputs_and_each_has_one(file: Path) -> None:
    promises = [cell for cell in cells(file, "code") if promised(cell)]
    assert len(promises) >= 3
    for cell in promises:
        assert [output["output_type"] for output in cell["outputs"]] == ["stream"], text(cell)
        assert cell["outputs"][0]["name"] == "stdout", text(cell)


@each
def test_nothing_else_is_committed(file: Path) -> None:
    """The counts are those of one run from top to bottom, as nbval wants them; so another run changes none."""
    assert [cell["execution_count"] for cell in cells(file, "code")] == list(range(1, len(cells(file, "code")) + 1))
    for cell in cells(file, "code"):
        assert promised(cell) or not cell["outputs"], text(cell)
    assert all(cell["metadata"] == {} for cell in cells(file))
    whole = json.loads(file.read_text(encoding="utf-8"))
    assert whole["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


@each
def test_it_knows_no_machine(file: Path) -> None:
    assert MACHINE.findall(file.read_text(encoding="utf-8")) == []


@each
def test_its_code_is_python_and_its_last_cell_cleans_up(file: Path) -> None:
    """No ``!`` and no ``%``: what a reader copies runs anywhere."""
    for cell in cells(file, "code"):
        ast.parse(text(cell))
    assert "scratch.cleanup()" in text(cells(file, "code")[-1])


@each
def test_its_links_lead_to_files(file: Path) -> None:
    targets = [target for cell in cells(file, "markdown") for target in LINK.findall(text(cell))]
    for target in targets:
        assert target.startswith("https://") or (FOLDER / target.partition("#")[0]).is_file(), target


@pytest.mark.parametrize("file", NOTEBOOKS[1:], ids=lambda file: file.stem)
def test_it_ends_with_what_to_read_next(file: Path) -> None:
    last = cells(file)[-1]
    assert last["cell_type"] == "markdown"
    assert "**Read next:**" in text(last)
    assert "../mlpublish/docs/" in text(last)
