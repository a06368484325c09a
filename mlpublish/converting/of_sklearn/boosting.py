"""Gradient boosting: trees on top of what an initial estimator says."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from functools import lru_cache
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Combined, Linear, Reduced, Reduction, Sign, Softmax, of_two
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Clipped, Function, Name
from mlpublish.converting.graph.machines import Trees
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn import labelling, reading, trees
from mlpublish.converting.of_sklearn.adding import added
from mlpublish.converting.of_sklearn.reading import Reader, finite
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_LINEAR = ("squared_error", "absolute_error", "huber", "quantile")
_LOSSES = {"log_loss": 1.0, "exponential": 2.0}
"""How often the decision is taken for the logarithm of the odds."""

_OVER_ZERO = 2.0**-50
"""Added to what two classes share: of a decision of exactly 0 the library takes the second class, Core ML the first."""


def _predict(step: Any, x: Node) -> Node:
    if step.loss not in _LINEAR:
        raise unknown_loss(step)
    return _raw(step, x)


def _classify(step: Any, x: Node) -> Classified:
    classes = trees.classes_of(step)
    if step.loss not in _LOSSES:
        raise unknown_loss(step)
    if len(classes) > 2:
        likely: Node = Softmax(of=_raw(step, x))
    else:
        likely = of_two(Function(of=_raw(step, x, times=_LOSSES[step.loss], over_zero=_OVER_ZERO), name=Name.EXPIT))
    return Classified(classes=classes, scores=likely, probabilities=likely)


def _decide(step: Any, x: Node) -> Node:
    return _raw(step, x)


def unknown_loss(step: Any) -> ConversionError:
    """The error for a loss whose link to the prediction is not known here."""
    return ConversionError(
        f"{class_name(type(step))} with loss={step.loss!r} is not converted.",
        remedy="Fit it with one of the losses that scikit-learn documents.",
        field="loss",
    )


def _raw(step: Any, x: Node, *, times: float = 1.0, over_zero: float = 0.0) -> Node:
    """What the trees add to the beginning.

    Args:
        times: times this.
        over_zero: and this, last of all.
    """
    rate = step.learning_rate * times
    begin = _Beginning(step)
    width = step.estimators_.shape[1]
    members = [
        trees.tree_of(tree, finite(rate * tree.tree_.value[:, 0], step, "estimators_"), (result,), width=x.width)
        for stage in step.estimators_
        for result, tree in enumerate(stage)
    ]
    if over_zero:
        members.append(trees.constant(np.full(width, over_zero)))
    start = begin.constant
    base = np.zeros(width) if start is None else times * start
    node = Trees(of=x, trees=tuple(members), base=tuple(base.tolist()), rounds=True, takes_missing=False)
    return node if start is not None else added([begin.read(x), node], [times, 1.0])


class _Beginning:
    """What stands before the first tree, in the decision's terms."""

    def __init__(self, step: Any) -> None:
        self._step = step
        self._classes = step.estimators_.shape[1] if hasattr(step, "classes_") else 0
        self._half = 0.5 if step.loss == "exponential" else 1.0  # the exponential loss's decision is half of the log-odds

    @property
    def constant(self) -> Doubles | None:
        """The same numbers for every row; None if an estimator says them row by row."""
        step = self._step
        if isinstance(step.init_, str):  # "zero"
            return np.zeros(step.estimators_.shape[1])
        if class_name(type(step.init_)) not in ("sklearn.dummy.DummyClassifier", "sklearn.dummy.DummyRegressor"):
            return None
        if getattr(step.init_, "strategy", "") == "stratified":
            raise reading.not_read(step.init_)  # it is random
        row = np.zeros((1, step.n_features_in_))
        if not self._classes:
            return finite(step.init_.predict(row), step, "init_").reshape(1)
        return self._decision(step.init_.predict_proba(row)[0])

    def _decision(self, shares: Doubles) -> Doubles:
        lowest = _lowest()
        held = np.clip(shares.astype(np.float64), lowest, 1 - lowest)
        logs: Doubles = np.log(held)
        decision: Doubles = logs - logs.mean() if self._classes > 1 else self._half * np.log(held[1:] / (1 - held[1:]))
        return decision

    def read(self, x: Node) -> Node:
        """What the initial estimator says to a row."""
        step = self._step
        if not self._classes:
            return reading.predicted(step.init_, x)
        initial = _by_places(step.init_)
        shares = labelling.probabilities(initial, reading.classified(initial, x))
        lowest = _lowest()
        # as a difference of logarithms: 1 - lowest is 1 in float32, and its log-odds were infinite
        logs = Function(of=Clipped(of=shares, low=lowest, high=1 - lowest), name=Name.LOG)
        if self._classes == 1:
            return Linear(of=logs, weights=self._half * np.array([[-1.0, 1.0]]), offset=np.zeros(1))
        return Combined(left=logs, sign=Sign.MINUS, right=Reduced(of=logs, by=Reduction.MEAN))


def _by_places(initial: Any) -> Any:
    """An initial classifier that calls the classes 0, 1, …: it was fitted on those numbers as floats, which Core ML has not."""
    named = copy(initial)
    with suppress(AttributeError):  # of a pipeline they are its last step's
        named.classes_ = np.arange(len(initial.classes_))
    return named


@lru_cache
def _lowest() -> float:
    """The probability that stands for 0 before a logarithm: it differs between releases, so a model of no trees is asked."""
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import GradientBoostingClassifier

    never = DummyClassifier(strategy="constant", constant=0)
    model = GradientBoostingClassifier(init=never, learning_rate=0.0, n_estimators=1).fit([[0.0], [1.0]], [0, 1])
    return float(1 / (1 + np.exp(-model.decision_function([[0.0]])[0])))


READERS: Mapping[str, Reader] = {
    "sklearn.ensemble.GradientBoostingClassifier": Reader(classify=_classify, decide=_decide),
    "sklearn.ensemble.GradientBoostingRegressor": Reader(predict=_predict),
}
