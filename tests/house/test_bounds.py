"""What pyproject promises as lower bounds is what ``.ci/lowest.txt`` installs for a test run."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
OWN = {"mypy", "ruff", "types-requests", "torch", "mlpublish"}  # tools and extras that a lowest run does not need


def test_the_lowest_run_installs_exactly_the_lower_bounds() -> None:
    project = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {}
    for line in (*project["dependencies"], *project["optional-dependencies"]["test"]):
        name, bound = re.fullmatch(r"([A-Za-z0-9-]+)(?:\[.*\])?(?:[>=]=([0-9.]+))?.*", line).groups()  # type: ignore[union-attr]
        if name not in OWN:
            wanted[name] = bound
    pinned = dict(
        re.findall(r"^([a-z0-9-]+)==([0-9.]+)$", (TREE / ".ci" / "lowest.txt").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert {name: _padded(bound) for name, bound in wanted.items()} == {name: _padded(bound) for name, bound in pinned.items()}


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the test extra brings torch on Python 3.11 only")
def test_the_torch_tests_cannot_be_skipped_in_ci() -> None:
    assert os.environ.get("CI") != "true" or find_spec("torch") is not None, "pip install 'mlpublish[test]' brings torch here"


@pytest.mark.parametrize("module", ["xgboost", "lightgbm", "skops", "keyring"])
def test_the_tests_of_an_extra_cannot_be_skipped_in_ci(module: str) -> None:
    assert os.environ.get("CI") != "true" or find_spec(module) is not None, "pip install 'mlpublish[test]' brings it"


def _padded(bound: str) -> list[int]:
    numbers = [int(part) for part in bound.split(".")]
    return numbers + [0] * (3 - len(numbers))
