"""Results built element by element, as the documentation writes them down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Place = tuple[int, ...]


def by_element(shape: Place, dtype: Any, value_at: Callable[[Place], Any]) -> np.ndarray:
    """An array whose element at each place is ``value_at(place)``."""
    found = np.empty(shape, dtype=dtype)
    for place in np.ndindex(*shape):
        found[place] = value_at(place)
    return found


def counted(axis: Any, rank: int) -> int:
    """An axis from the front."""
    return int(axis) + rank if int(axis) < 0 else int(axis)


def replaced(place: Place, axis: int, index: Any) -> Place:
    """A place with another coordinate at an axis."""
    return (*place[:axis], int(index), *place[axis + 1 :])
