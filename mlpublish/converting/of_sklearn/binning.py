"""Numbers put into bins: steps at the bins' edges, which trees of one split say exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.machines import Mode, Tree, Trees
from mlpublish.converting.graph.node import Node
from mlpublish.converting.of_sklearn.reading import Reader, finite
from mlpublish.converting.of_sklearn.stumps import stump


def _binned(step: Any, x: Node) -> Node:
    """A KBinsDiscretizer: the number of the bin, or 1 at its place."""
    edges = [finite(each[1:-1], step, "bin_edges_") for each in step.bin_edges_]
    starts = np.cumsum([0, *(len(inner) + 1 for inner in edges)])
    if step.encode == "ordinal":
        trees = [
            stump(place, Mode.GREATER_OR_EQUAL, edge, {place: 1.0})
            for place, inner in enumerate(edges)
            for edge in inner.tolist()
        ]
        return Trees(of=x, trees=tuple(trees), base=(0.0,) * len(edges), rounds=False, takes_missing=False)
    base = np.zeros(starts[-1])
    base[starts[:-1]] = 1.0
    trees = list(_moves(edges, starts.tolist()))
    return Trees(of=x, trees=tuple(trees), base=tuple(base.tolist()), rounds=False, takes_missing=False)


def _moves(edges: list[Any], starts: list[int]) -> Iterator[Tree]:
    """At each edge the 1 moves on by one place."""
    for place, inner in enumerate(edges):
        for number, edge in enumerate(inner.tolist()):
            here = starts[place] + number
            yield stump(place, Mode.GREATER_OR_EQUAL, edge, {here: -1.0, here + 1: 1.0})


READERS: Mapping[str, Reader] = {"sklearn.preprocessing.KBinsDiscretizer": Reader(transform=_binned)}
