"""Ensembles of unlike members that vote, or whose answers are averaged."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Sum
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn import labelling, reading
from mlpublish.converting.of_sklearn.averaging import averaged
from mlpublish.converting.of_sklearn.reading import Reader
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_TRIED = 12
"""So many members' votes are added up in every combination."""


def _weights(step: Any) -> Doubles:
    """One for each fitted member; dropped ones have none."""
    if step.weights is None:
        return np.ones(len(step.estimators_))
    kept = [weight for (_, member), weight in zip(step.estimators, step.weights, strict=True) if not isinstance(member, str)]
    if len(kept) != len(step.estimators_):
        raise ConversionError(
            f"{class_name(type(step))} has {len(kept)} weights for {len(step.estimators_)} fitted members.",
            remedy="Fit the ensemble again.",
            field="weights",
        )
    return reading.finite(kept, step, "weights")


def _mean(step: Any, parts: list[Node]) -> Node:
    return averaged(parts, _weights(step))


def _predict(step: Any, x: Node) -> Node:
    return _mean(step, [reading.predicted(member, x) for member in step.estimators_])


def _classify(step: Any, x: Node) -> Classified:
    members = [(member, labelling.named(step, reading.classified(member, x))) for member in step.estimators_]
    classes = members[0][1].classes
    if step.voting == "soft":
        shares = _mean(step, [labelling.probabilities(*member) for member in members])
        return Classified(classes=classes, scores=shares, probabilities=shares)
    weights = _weights(step)
    _check_order(step, weights)
    parts = tuple(labelling.votes(answer) for _, answer in members)
    return Classified(classes=classes, scores=Sum(parts=parts, weights=tuple(weights.tolist())))


def _check_order(step: Any, weights: Doubles) -> None:
    """Sums of votes that are equal, or differ in a last bit, must do so in float32 as they do in doubles."""
    if len(weights) > _TRIED or (weights == np.rint(weights)).all():
        return
    chosen = np.array(list(product([0.0, 1.0], repeat=len(weights))))
    exact, rounded = np.zeros(len(chosen)), np.zeros(len(chosen), dtype=np.float32)
    for column, weight in zip(chosen.T, weights, strict=True):
        exact, rounded = exact + column * weight, rounded + (column * weight).astype(np.float32)
    places = np.argsort(exact, kind="stable")
    if not np.array_equal(np.diff(exact[places]) > 0, np.diff(rounded[places]) > 0):
        raise ConversionError(
            f"{class_name(type(step))} has weights whose sums differ by less than float32 can tell.",
            remedy="Use whole numbers for weights, or voting='soft'.",
            field="weights",
        )


READERS: Mapping[str, Reader] = {
    "sklearn.ensemble.VotingClassifier": Reader(classify=_classify),
    "sklearn.ensemble.VotingRegressor": Reader(predict=_predict),
}
