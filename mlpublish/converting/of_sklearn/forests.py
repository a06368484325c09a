"""Means of many like members: forests, and bags of any estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlpublish.converting.graph.answer import Classified, Labels
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn import labelling, reading, trees
from mlpublish.converting.of_sklearn.adding import Subspace, added, spread
from mlpublish.converting.of_sklearn.reading import Reader, finite


def _forest(step: Any, x: Node, results: Callable[[Any], Doubles]) -> list[Node]:
    """Every tree, as an ensemble of its own."""
    for tree in step.estimators_:
        trees.check(tree, x.width)
    missing = trees.takes_missing(step)
    return [trees.of_one(tree, x, finite(results(tree), step, "estimators_"), missing=missing) for tree in step.estimators_]


def _predict_forest(step: Any, x: Node) -> Node:
    members = _forest(step, x, lambda tree: tree.tree_.value[:, :, 0])
    return added(members, [1 / len(members)] * len(members))


def _classify_forest(step: Any, x: Node) -> Classified:
    classes = trees.classes_of(step)
    members = _forest(step, x, lambda tree: tree.tree_.value[:, 0, : len(classes)])
    return _shared(classes, added(members, [1 / len(members)] * len(members)))


def _shared(classes: Labels, shares: Node) -> Classified:
    """The class of the largest share; where two shares are equal but for the order of a sum, either may be it."""
    return Classified(classes=classes, scores=shares, probabilities=shares)


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

    return _shared(classes, added(_bag(step, x, shares), [1 / step.n_estimators] * step.n_estimators))


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
