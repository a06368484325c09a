"""Distances to the classes' centres where only their differences count: for a softmax, or for the nearest one."""

from __future__ import annotations

import numpy as np

from mlpublish.converting.graph.algebra import Distances, Linear
from mlpublish.converting.graph.node import Doubles, Node, picked

_ROUNDING = 1e-12


def apart(x: Node, centres: Doubles, *, weights: Doubles | None = None, power: float = 2.0) -> Node:
    """Distances without the features that are the same for all classes.

    A feature that was constant in training adds as much to every distance. In a row where it is something else that may be so
    much that float32 keeps nothing of what the classes differ by. Means of one number over unlike many rows round apart; so
    little is far below what float32 has of the feature at all.

    Args:
        centres: (classes, features).
        weights: (classes, features); None for 1.
        power: as that of Distances.
    """
    same = np.isclose(centres, centres[:1], rtol=_ROUNDING, atol=0).all(axis=0)
    if weights is not None:
        same &= (weights == weights[:1]).all(axis=0)
    kept = np.flatnonzero(~same)
    if not len(kept):
        return Linear(of=x, weights=np.zeros((len(centres), x.width)), offset=np.zeros(len(centres)))
    if len(kept) == x.width:
        return Distances(of=x, points=centres, weights=weights, power=power)
    return Distances(
        of=picked(x, tuple(kept.tolist())),
        points=centres[:, kept],
        weights=None if weights is None else weights[:, kept],
        power=power,
    )
