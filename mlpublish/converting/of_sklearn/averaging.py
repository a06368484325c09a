"""Means of what members say, in the library's order: weighted, added up, divided. So what ties there ties in float32 too."""

from __future__ import annotations

from collections.abc import Sequence

from mlpublish.converting.graph.columnwise import times
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn.adding import added


def averaged(parts: Sequence[Node], weights: Doubles) -> Node:
    """The mean of nodes of one width."""
    total = added(parts, weights.tolist())
    return times(total, 1 / weights.sum())
