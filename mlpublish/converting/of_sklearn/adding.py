"""Members of an ensemble added up: as one ensemble of trees where all of them are trees that look at the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeGuard

import numpy as np

from mlpublish.converting.graph.algebra import Linear, Sum
from mlpublish.converting.graph.machines import LEAF, Tree, Trees
from mlpublish.converting.graph.node import Node, picked


def added(parts: Sequence[Node], weights: Sequence[float]) -> Node:
    """Nodes of one width, each times its weight, added up in order."""
    if _are_trees(parts) and len({(id(part.of), part.rounds) for part in parts}) == 1:
        return _merged(parts, weights)
    return Sum(parts=tuple(parts), weights=tuple(weights))


def spread(node: Node, places: tuple[int, ...], width: int) -> Node:
    """A node's numbers at places of a wider one, 0 elsewhere."""
    if places == tuple(range(width)):
        return node
    if not isinstance(node, Trees):
        return Linear(of=node, weights=np.eye(width)[:, list(places)], offset=np.zeros(width))
    base = np.zeros(width)
    base[list(places)] = node.base
    trees = tuple(replace(tree, adds_to=tuple(places[result] for result in tree.adds_to)) for tree in node.trees)
    return replace(node, trees=trees, base=tuple(base.tolist()))


class Subspace:
    """Some features of x, as a member of an ensemble sees them."""

    def __init__(self, x: Node, features: Sequence[int]) -> None:
        self._x = x
        self._features = np.asarray(features, dtype=np.int64)
        self.seen = picked(x, tuple(self._features.tolist()))

    def whole(self, node: Node) -> Node:
        """What was read of ``seen``; trees look at x itself, so that those of all members become one ensemble."""
        if not isinstance(node, Trees) or node.of is not self.seen or self.seen is self._x:
            return node
        return replace(node, of=self._x, trees=tuple(self._looking_at_x(tree) for tree in node.trees))

    def _looking_at_x(self, tree: Tree) -> Tree:
        return replace(tree, feature=np.where(tree.feature == LEAF, LEAF, self._features[tree.feature]))


def _are_trees(parts: Sequence[Node]) -> TypeGuard[Sequence[Trees]]:
    return all(isinstance(part, Trees) for part in parts)


def _merged(parts: Sequence[Trees], weights: Sequence[float]) -> Trees:
    base = np.sum([weight * np.asarray(part.base) for part, weight in zip(parts, weights, strict=True)], axis=0)
    scaled = tuple(
        replace(tree, values=tree.values * weight) for part, weight in zip(parts, weights, strict=True) for tree in part.trees
    )
    takes_missing = all(part.takes_missing for part in parts)
    return replace(parts[0], trees=scaled, base=tuple(base.tolist()), takes_missing=takes_missing)
