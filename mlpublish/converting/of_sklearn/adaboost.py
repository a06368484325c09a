"""AdaBoost: members that vote by weight, and the weighted median of members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeGuard

import numpy as np

from mlpublish.converting.graph.algebra import Combined, Reduced, Reduction, Sign, Softmax, WeightedMedian, of_two
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Clipped, Function, Name, Scaled, times
from mlpublish.converting.graph.machines import Trees
from mlpublish.converting.graph.node import Doubles, Node, joined, picked
from mlpublish.converting.of_sklearn import labelling, reading, trees
from mlpublish.converting.of_sklearn.adding import added, spread
from mlpublish.converting.of_sklearn.reading import Reader, finite

_LOWEST = float(np.finfo(np.float64).eps)
"""What stands for a probability of 0 before a logarithm is taken."""


def _classify(step: Any, x: Node) -> Classified:
    classes = trees.classes_of(step)
    if len(classes) == 2:
        likely: Node = of_two(Function(of=_decide(step, x), name=Name.EXPIT))
    else:
        likely = Softmax(of=_decided(step, x, times=1 / (len(classes) - 1)))
    return Classified(classes=classes, scores=likely, probabilities=likely)


def _decide(step: Any, x: Node) -> Node:
    """One number per class; for two classes the second's minus the first's."""
    return _decided(step, x, times=1.0)


def _decided(step: Any, x: Node, *, times: float) -> Node:
    weights = finite(step.estimator_weights_, step, "estimator_weights_")
    by_label = getattr(step, "algorithm", "SAMME") != "SAMME.R"  # which releases before 1.6 have
    read = _by_label if by_label else _by_probability
    parts = [read(step, member, x) for member in step.estimators_]
    each = weights[: len(parts)] if by_label else np.ones(len(parts))
    return _refusing(added(parts, (each * (times / weights.sum())).tolist()))


def _by_label(step: Any, member: Any, x: Node) -> Node:
    """1 for the class that a member takes, for the others what brings the sum to 0."""
    count = len(step.classes_)
    said = reading.classified(member, x)
    if _is_one_tree(said.scores):
        return trees.mapped(said.scores, lambda shares: _contrast(step, _chosen(step, member, shares)))
    chosen = spread(labelling.votes(said), _places(step, member), count)
    if count == 2:
        return Scaled(of=picked(chosen, (1,)), shift=np.array([-0.5]), scale=np.array([4.0]))
    return Scaled(of=chosen, shift=np.full(count, -1 / count), scale=np.full(count, count / (count - 1)))


def _chosen(step: Any, member: Any, shares: Doubles) -> Doubles:
    """1 at a member's label."""
    places = np.array(_places(step, member))
    label = (shares[:, 0] > 0).astype(int) if shares.shape[1] < len(places) else np.argmax(shares, axis=1)
    chosen: Doubles = np.eye(len(step.classes_))[places[label]]
    return chosen


def _contrast(step: Any, chosen: Doubles) -> Doubles:
    others = -1 / (len(step.classes_) - 1)
    spoken: Doubles = np.where(chosen > 0, 1.0, others)
    return _between(spoken)


def _between(spoken: Doubles) -> Doubles:
    """Two classes' numbers become one: the second's minus the first's."""
    return spoken if spoken.shape[1] > 2 else spoken[:, 1:] - spoken[:, :1]


def _places(step: Any, member: Any) -> tuple[int, ...]:
    """Where a member's classes stand among all."""
    known = step.classes_.tolist()
    return tuple(known.index(label) for label in member.classes_.tolist())


def _by_probability(step: Any, member: Any, x: Node) -> Node:
    """Each class's logarithm against the mean of all."""
    count = len(step.classes_)
    shares = labelling.probabilities(member, reading.classified(member, x))
    if _is_one_tree(shares):
        return trees.mapped(shares, partial(_logarithms, count))
    logs = Function(of=Clipped(of=shares, low=_LOWEST, high=float("inf")), name=Name.LOG)
    centred = Combined(left=logs, sign=Sign.MINUS, right=Reduced(of=logs, by=Reduction.MEAN))
    if count == 2:
        return Combined(left=picked(centred, (1,)), sign=Sign.MINUS, right=picked(centred, (0,)))
    return times(centred, count - 1)


def _logarithms(count: int, shares: Doubles) -> Doubles:
    logs: Doubles = np.log(np.maximum(shares, _LOWEST))
    return _between((count - 1) * (logs - logs.mean(axis=1, keepdims=True)))


def _is_one_tree(node: Node) -> TypeGuard[Trees]:
    return isinstance(node, Trees) and len(node.trees) == 1


def _predict(step: Any, x: Node) -> Node:
    members = [reading.predicted(member, x) for member in step.estimators_]
    weights = finite(step.estimator_weights_[: len(members)], step, "estimator_weights_")
    return WeightedMedian(of=_beside(members), weights=weights)


def _beside(parts: Sequence[Node]) -> Node:
    """One result per member."""
    count = len(parts)
    if all(isinstance(part, Trees) for part in parts):
        return _refusing(added([spread(part, (place,), count) for place, part in enumerate(parts)], [1.0] * count))
    return joined(tuple(parts))


def _refusing(node: Node) -> Node:
    """AdaBoost refuses missing values whatever its members do."""
    return replace(node, takes_missing=False) if isinstance(node, Trees) else node


READERS: Mapping[str, Reader] = {
    "sklearn.ensemble.AdaBoostClassifier": Reader(classify=_classify, decide=_decide),
    "sklearn.ensemble.AdaBoostRegressor": Reader(predict=_predict),
}
