"""Every estimator that is said to be right, and every one that is refused by name: what the page tells and the tests ask."""

from __future__ import annotations

from collections.abc import Iterator

from tests.converting.sources import of_lightgbm, of_linear, of_machines, of_rarer, of_steps, of_trees, of_xgboost, refused
from tests.converting.sources.entry import Entry, Refusal

_FAMILIES = (of_linear, of_rarer, of_steps, of_trees, of_machines, of_xgboost, of_lightgbm)


def entries() -> Iterator[Entry]:
    """Those that the installed libraries have."""
    yield from (entry for family in _FAMILIES for entry in family.entries() if entry.here)


def refusals() -> Iterator[Refusal]:
    yield from (each for family in (refused, of_xgboost, of_lightgbm) for each in family.refusals() if each.here)
