"""How far rows stand from the points of a model (support vectors, neighbours)."""

from __future__ import annotations

import numpy as np

from mlpublish.coreml.classic.stage import Doubles
from mlpublish.coreml.mil_ops.tensor import room

_AT_ONCE = 1 << 15  # distances; what is added up stays in the cache


def squared(rows: Doubles, points: Doubles) -> Doubles:
    """Squared Euclidean distances, (rows, features) and (points, features) -> (rows, points).

    Summed up feature by feature: ``|x|² - 2xy + |y|²`` would be quicker, but loses the small distances of large numbers, and
    two equal points would not be equally far.
    """
    found = np.zeros(room(len(rows), len(points)))
    places = np.ascontiguousarray(points.T)
    size = max(1, _AT_ONCE // max(1, len(points)))
    for start in range(0, len(rows), size):
        part, sums = rows[start : start + size], found[start : start + size]
        apart = np.empty_like(sums)
        for column, place in zip(part.T, places, strict=True):
            np.subtract(column[:, np.newaxis], place, out=apart)
            np.multiply(apart, apart, out=apart)
            np.add(sums, apart, out=sums)
    return found
