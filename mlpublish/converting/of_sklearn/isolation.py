"""Isolation forests: how deep a row falls, and whether that is deep enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Linear
from mlpublish.converting.graph.answer import Number, Predicted
from mlpublish.converting.graph.columnwise import Function, Name, Scaled
from mlpublish.converting.graph.machines import Mode, Trees
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn import trees
from mlpublish.converting.of_sklearn.adding import Subspace, added
from mlpublish.converting.of_sklearn.reading import Reader, finite
from mlpublish.converting.of_sklearn.stumps import stump
from mlpublish.converting.source import PREDICTION, SCORE


def _answer(step: Any, x: Node) -> Predicted:
    depths = _depths(step, x)
    return Predicted(
        numbers=(
            Number(name=PREDICTION, node=_side(step, depths), whole=True),
            Number(name=SCORE, node=_score(step, depths)),
        )
    )


def _predict(step: Any, x: Node) -> Node:
    return _side(step, _depths(step, x))


def _decide(step: Any, x: Node) -> Node:
    return _score(step, _depths(step, x))


def _depths(step: Any, x: Node) -> Node:
    """How deep a row falls, over all trees."""
    for tree, features in zip(step.estimators_, step.estimators_features_, strict=True):
        trees.check(tree, min(len(features), x.width))
    missing, parts = trees.takes_missing(step), []
    for tree, features in zip(step.estimators_, step.estimators_features_, strict=True):
        subspace = Subspace(x, features)
        held = tree.tree_
        falls = held.compute_node_depths() + _mean_fall(held.n_node_samples) - 1.0
        parts.append(subspace.whole(trees.of_one(tree, subspace.seen, falls[:, np.newaxis], missing=missing)))
    return added(parts, [1.0] * len(parts))


def _mean_fall(rows: Any) -> Doubles:
    """How deep a row falls on average in a tree of so many rows that splits until all are alone."""
    count = np.asarray(rows, dtype=np.float64)
    many = np.maximum(count, 3.0)
    fall = 2.0 * (np.log(many - 1.0) + np.euler_gamma) - 2.0 * (many - 1.0) / many
    return np.where(count > 2, fall, np.where(count == 2, 1.0, 0.0))


def _whole_fall(step: Any) -> float:
    """The depth that counts as 1."""
    return float(len(step.estimators_) * _mean_fall([step.max_samples_])[0])


def _score(step: Any, depths: Node) -> Node:
    """``decision_function``."""
    whole = _whole_fall(step)
    weights, offset = (np.array([[-1 / whole]]), np.zeros(1)) if whole else (np.zeros((1, 1)), -np.ones(1))
    anomaly = Function(of=Linear(of=depths, weights=weights, offset=offset), name=Name.EXP2)
    return Scaled(of=anomaly, shift=finite([step.offset_], step, "offset_"), scale=np.array([-1.0]))


def _side(step: Any, depths: Node) -> Node:
    """1 from a depth on, -1 before it: a comparison of depths, since scores in float32 would not tell rows at the offset."""
    inside = stump(0, Mode.GREATER_OR_EQUAL, _least_depth(step), {0: 2.0})
    return Trees(of=depths, trees=(inside,), base=(-1.0,), rounds=False, takes_missing=False)


def _least_depth(step: Any) -> float:
    """The least depth whose score is not below 0, by bisection with the library's own arithmetic.

    A little less than that, as much as sums of the trees in another order may differ: the offset is mostly the score of a
    training row, and stands for exactly its depth.
    """
    whole, offset = _whole_fall(step), float(finite([step.offset_], step, "offset_")[0])

    def inside(depth: float) -> bool:
        share = np.array([depth / whole if whole else 1.0])
        return bool((-(2**-share) - offset >= 0)[0])

    low, high = 0.0, float(2**20) * len(step.estimators_)
    if inside(low) or not inside(high):
        return -1.0 if inside(low) else float(np.finfo(np.float64).max)
    while np.nextafter(low, high) < high:
        middle = (low + high) / 2
        low, high = (low, middle) if inside(middle) else (middle, high)
    return high * (1 - len(step.estimators_) * float(np.finfo(np.float64).eps))


READERS: Mapping[str, Reader] = {
    "sklearn.ensemble.IsolationForest": Reader(answer=_answer, predict=_predict, decide=_decide),
}
