"""A column of dictionaries: an object array of one per row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mlpublish.coreml.classic.stage import Array
from mlpublish.coreml.mil_ops.tensor import room


def column(rows: Iterable[dict[Any, Any]]) -> Array:
    """Dictionaries as a column."""
    held = list(rows)
    found = np.empty(len(held), dtype=object)
    found[:] = held
    return found


def read(values: Array) -> list[dict[Any, Any]]:
    """The dictionaries of a column.

    Raises:
        ValueError: a row is none.
    """
    rows = list(values.reshape(len(values), -1)[:, 0].tolist())
    if not all(isinstance(each, dict) for each in rows):
        raise ValueError("its input is no dictionary")
    return rows


def spread(placed: list[dict[Any, Any]], size: int) -> Array:
    """Sparse rows, place -> value, as (rows, size).

    Raises:
        ValueError: a place is out of range, or that is more room than there is.
    """
    found = np.zeros(room(len(placed), size))
    rows = [row for row, each in enumerate(placed) for _ in each]
    columns = [int(place) for each in placed for place in each]
    if columns and not 0 <= min(columns) <= max(columns) < size:
        raise ValueError(f"a place from {min(columns)} to {max(columns)} of {size}")
    found[rows, columns] = [float(value) for each in placed for value in each.values()]
    return found
