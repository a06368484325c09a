"""Means of many like members: forests, and bags of any estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlpublish.converting.graph.answer import Classified, Labels
from mlpublish.converting.graph.machines import LEAF, Trees
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn import labelling, reading, trees
from mlpublish.converting.of_sklearn.adding import Subspace, added, spread
from mlpublish.converting.of_sklearn.reading import Reader, finite

_SMALL = 10_000
"""So many nodes at most are written twice, so that classes whose shares differ in the last bit only rank as in the library."""


def _forest(step: Any, x: Node, results: Callable[[Any], Doubles]) -> list[Node]:
    """Every tree, as an ensemble of its own."""
    missing = trees.takes_missing(step)
    return [trees.of_one(tree, x, finite(results(tree), step, "estimators_"), missing=missing) for tree in step.estimators_]


def _predict_forest(step: Any, x: Node) -> Node:
    members = _forest(step, x, lambda tree: tree.tree_.value[:, :, 0])
    return added(members, [1 / len(members)] * len(members))


def _classify_forest(step: Any, x: Node) -> Classified:
    classes = trees.classes_of(step)
    members = _forest(step, x, lambda tree: tree.tree_.value[:, 0, : len(classes)])
    return _ranked(classes, members, len(members))


def _ranked(classes: Labels, members: Sequence[Node], count: int) -> Classified:
    """The class of the largest share.

    The library adds up and then divides; a classic file adds up what is divided already. With leaves of one class that ranks
    the same; else sums that are equal before may differ in a last bit after, which few distinct leaves make likely.
    """
    shares = added(members, [1 / count] * len(members))
    if isinstance(shares, Trees) and _may_draw(members):
        return Classified(classes=classes, scores=added(members, [1.0] * len(members)), probabilities=shares)
    return Classified(classes=classes, scores=shares, probabilities=shares)


def _may_draw(members: Sequence[Node]) -> bool:
    held = [tree for member in members if isinstance(member, Trees) for tree in member.trees]
    if sum(len(tree.feature) for tree in held) > _SMALL:
        return False
    return any(np.isin(tree.values[tree.feature == LEAF], (0.0, 1.0), invert=True).any() for tree in held)


def _predict_bag(step: Any, x: Node) -> Node:
    members = _bag(step, x, reading.predicted)
    return added(members, [1 / step.n_estimators] * len(members))


def _classify_bag(step: Any, x: Node) -> Classified:
    classes = trees.classes_of(step)

    def shares(member: Any, seen: Node) -> Node:
        said = reading.classified(member, seen)
        node = labelling.probabilities(member, said) if hasattr(member, "predict_proba") else labelling.votes(said)
        known = tuple(int(label) for label in member.classes_)  # members are fitted on the labels' places
        return spread(node, known, len(classes))

    return _ranked(classes, _bag(step, x, shares), step.n_estimators)


def _bag(step: Any, x: Node, read: Callable[[Any, Node], Node]) -> list[Node]:
    """What every member says, each to its own features."""
    members = []
    for member, features in zip(step.estimators_, step.estimators_features_, strict=True):
        subspace = Subspace(x, features)
        members.append(subspace.whole(read(member, subspace.seen)))
    return members


READERS: Mapping[str, Reader] = {
    "sklearn.ensemble.RandomForestClassifier": Reader(classify=_classify_forest),
    "sklearn.ensemble.RandomForestRegressor": Reader(predict=_predict_forest),
    "sklearn.ensemble.ExtraTreesClassifier": Reader(classify=_classify_forest),
    "sklearn.ensemble.ExtraTreesRegressor": Reader(predict=_predict_forest),
    "sklearn.ensemble.BaggingClassifier": Reader(classify=_classify_bag),
    "sklearn.ensemble.BaggingRegressor": Reader(predict=_predict_bag),
}
