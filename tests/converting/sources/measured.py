"""What runs of the catalogue found, kept beside it: one with the newest libraries, one with the oldest that are supported."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RUNS = Path(__file__).parent / "runs"
NEWEST, OLDEST = "newest", "oldest"
LIBRARIES = {"scikit-learn": ("scikit-learn",), "XGBoost": ("xgboost-cpu", "xgboost"), "LightGBM": ("lightgbm",)}
LEAST = 1e-12
"""Differences below are of doubles that were added in another order; how large they are, the machine says."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the page says of an entry.

    Args:
        bound: a power of ten that the relative difference keeps under on any machine.
        rows: how many were asked.
    """

    bound: float
    rows: int

    @classmethod
    def of(cls, worst: float, rows: int) -> Told:
        """With room of three times what was found: another processor rounds in other places."""
        return cls(bound=max(LEAST, 10.0 ** math.ceil(math.log10(max(worst * 3, LEAST)))), rows=rows)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the whole catalogue.

    Args:
        versions: of the libraries that it asked.
        right: by the entry's id.
        refused: problem and remedy by the refusal's id.
    """

    versions: Mapping[str, str]
    right: Mapping[str, Told]
    refused: Mapping[str, tuple[str, str]]

    def write(self, name: str) -> None:
        record = {
            "versions": self.versions,
            "right": {key: {"bound": told.bound, "rows": told.rows} for key, told in self.right.items()},
            "refused": self.refused,
        }
        RUNS.mkdir(exist_ok=True)
        (RUNS / f"{name}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, name: str) -> Run:
        record: dict[str, Any] = json.loads((RUNS / f"{name}.json").read_text(encoding="utf-8"))
        return cls(
            versions=record["versions"],
            right={key: Told(**told) for key, told in record["right"].items()},
            refused={key: (problem, remedy) for key, (problem, remedy) in record["refused"].items()},
        )


def here() -> str:
    """The name of the run that the installed libraries belong to."""
    return OLDEST if version("scikit-learn").startswith("1.5.") else NEWEST


def versions() -> dict[str, str]:
    """Of the installed libraries, by the names that the page calls them."""
    return {name: next(filter(None, map(_installed, packages))) for name, packages in LIBRARIES.items()}


def told(entry: str) -> Told:
    """What the page says of an entry.

    Raises:
        KeyError: no run has met it: python -m tests.converting.sources.page --write
    """
    return _run().right[entry]


def refused(refusal: str) -> tuple[str, str]:
    """The problem and the remedy that the page tells."""
    return _run().refused[refusal]


@cache
def _run() -> Run:
    return Run.read(here())


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
