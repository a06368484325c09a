"""Means of many like members: forests, and bags of any estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.machines import Trees
from mlpublish.converting.graph.node import Node
from mlpublish.converting.of_sklearn import labelling, reading, trees
from mlpublish.converting.of_sklearn.adding import Subspace, added, spread
from mlpublish.converting.of_sklearn.reading import Reader, finite


def _forest(step: Any, x: Node, results: Callable[[Any], Any]) -> Trees:
    """The mean of trees: each leaf's share of it stands in the leaf."""
    members = [trees.tree_of(tree, *_shared(step, results(tree))) for tree in step.estimators_]
    width = len(members[0].adds_to)
    return Trees(of=x, trees=tuple(members), base=(0.0,) * width, rounds=True, takes_missing=trees.takes_missing(step))


def _shared(step: Any, results: Any) -> tuple[Any, tuple[int, ...]]:
    return finite(results, step, "estimators_") / len(step.estimators_), tuple(range(results.shape[1]))


def _predict_forest(step: Any, x: Node) -> Node:
    return _forest(step, x, lambda tree: tree.tree_.value[:, :, 0])


def _classify_forest(step: Any, x: Node) -> Classified:
    classes = trees.classes_of(step)
    shares = _forest(step, x, lambda tree: tree.tree_.value[:, 0, : len(classes)])
    return Classified(classes=classes, scores=shares, probabilities=shares)


def _predict_bag(step: Any, x: Node) -> Node:
    return _mean_of_bag(step, x, reading.predicted)


def _classify_bag(step: Any, x: Node) -> Classified:
    classes = trees.classes_of(step)

    def shares(member: Any, seen: Node) -> Node:
        said = reading.classified(member, seen)
        known = tuple(int(label) for label in member.classes_)  # members are fitted on the labels' places
        node = labelling.probabilities(member, said) if hasattr(member, "predict_proba") else labelling.votes(said)
        return spread(node, known, len(classes))

    node = _mean_of_bag(step, x, shares)
    return Classified(classes=classes, scores=node, probabilities=node)


def _mean_of_bag(step: Any, x: Node, read: Callable[[Any, Node], Node]) -> Node:
    parts = []
    for member, features in zip(step.estimators_, step.estimators_features_, strict=True):
        subspace = Subspace(x, features)
        parts.append(subspace.whole(read(member, subspace.seen)))
    node = added(parts, [1 / step.n_estimators] * len(parts))
    if isinstance(node, Trees) and node.takes_missing:
        return replace(node, takes_missing=trees.takes_missing(step))
    return node


READERS: Mapping[str, Reader] = {
    "sklearn.ensemble.RandomForestClassifier": Reader(classify=_classify_forest),
    "sklearn.ensemble.RandomForestRegressor": Reader(predict=_predict_forest),
    "sklearn.ensemble.ExtraTreesClassifier": Reader(classify=_classify_forest),
    "sklearn.ensemble.ExtraTreesRegressor": Reader(predict=_predict_forest),
    "sklearn.ensemble.BaggingClassifier": Reader(classify=_classify_bag),
    "sklearn.ensemble.BaggingRegressor": Reader(predict=_predict_bag),
}
