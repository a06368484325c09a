"""Trees of one split, which compare doubles: what a step or a bound in a feature adds to the results."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.graph.node import Node


def stump(feature: int, mode: Mode, edge: float, adds: Mapping[int, float]) -> Tree:
    """Where ``feature MODE edge`` holds, something is added.

    Args:
        adds: result -> what is added to it.
    """
    nothing = [0.0] * len(adds)
    return Tree(
        feature=np.array([feature, LEAF, LEAF]),
        threshold=np.array([edge, 0.0, 0.0]),
        mode=(mode,) * 3,
        yes=np.array([1, LEAF, LEAF]),
        no=np.array([2, LEAF, LEAF]),
        missing_goes_yes=np.zeros(3, dtype=np.bool_),
        values=np.array([nothing, list(adds.values()), nothing]),
        adds_to=tuple(adds),
    )


def above(x: Node, bound: float) -> Trees:
    """1 where a number is above a bound, else 0."""
    trees = tuple(stump(place, Mode.GREATER, bound, {place: 1.0}) for place in range(x.width))
    return Trees(of=x, trees=trees, base=(0.0,) * x.width, rounds=False, takes_missing=False)
