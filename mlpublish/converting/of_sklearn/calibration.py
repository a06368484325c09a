"""Classifiers behind a calibration of their scores, and fitted estimators that are kept from being fitted again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Linear, Softmax, of_two, shares
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Function, Name, Scaled, times
from mlpublish.converting.graph.node import Node, joined, picked
from mlpublish.converting.of_sklearn import labelling, reading
from mlpublish.converting.of_sklearn.averaging import averaged
from mlpublish.converting.of_sklearn.isotonic import line, line_of_probability
from mlpublish.converting.of_sklearn.reading import Reader, finite, labels_of
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_ABOVE_ZERO = 1e-12
"""What scikit-learn adds to a probability before it takes the logarithm."""


def _classify(step: Any, x: Node) -> Classified:
    """The mean of what each fitted pair of a classifier and its calibrators says."""
    parts = [_calibrated(step, each, x) for each in step.calibrated_classifiers_]
    mean = parts[0] if len(parts) == 1 else averaged(parts, np.ones(len(parts)))
    return Classified(classes=labels_of(step.classes_), scores=mean, probabilities=mean)


def _calibrated(step: Any, pair: Any, x: Node) -> Node:
    if len(pair.estimator.classes_) != len(step.classes_):
        raise ConversionError(
            f"{class_name(type(step))} has a member that was fitted on {len(pair.estimator.classes_)} of its "
            f"{len(step.classes_)} classes.",
            remedy="Calibrate on rows of every class in every fold.",
            field="calibrated_classifiers_",
        )
    if pair.method == "temperature":
        return _cooled(step, pair, x)
    columns = _columns(step, pair, x)
    if len(step.classes_) == 2:
        return of_two(columns)
    return shares(columns, zero_over_zero=1 / len(step.classes_))


def _columns(step: Any, pair: Any, x: Node) -> Node:
    """Each column of the scores through its calibrator; as many as there are calibrators."""
    if pair.method == "isotonic":
        return _isotonic(step, pair, x)
    if pair.method != "sigmoid":
        raise _unknown(step, pair)
    chosen = picked(_scores(step, pair, x), tuple(range(len(pair.calibrators))))
    slopes, offsets = np.array([(each.a_, each.b_) for each in pair.calibrators], dtype=np.float64).T
    weights = np.diag(-finite(slopes, step, "a_"))
    return Function(of=Linear(of=chosen, weights=weights, offset=-finite(offsets, step, "b_")), name=Name.EXPIT)


def _isotonic(step: Any, pair: Any, x: Node) -> Node:
    """Lines through points; of a probability near 1 what is left of it is looked at, which has more digits."""
    if _has_decisions(pair):
        scores = _scores(step, pair, x)
        return joined(tuple(line(each, picked(scores, (place,))) for place, each in enumerate(pair.calibrators)))
    said = _probabilities(step, pair, x)
    rest = Linear(of=said, weights=1 - np.eye(said.width), offset=np.zeros(said.width))
    places = (1,) if len(step.classes_) == 2 else tuple(range(len(pair.calibrators)))
    sides = [(picked(said, (place,)), picked(rest, (place,))) for place in places]
    return joined(tuple(line_of_probability(each, *side) for each, side in zip(pair.calibrators, sides, strict=True)))


def _scores(step: Any, pair: Any, x: Node) -> Node:
    """The decisions of the classifier or, where it has none, its probabilities; of two classes the second's alone."""
    if _has_decisions(pair):
        return reading.decided(pair.estimator, x)
    said = _probabilities(step, pair, x)
    return picked(said, (1,)) if len(step.classes_) == 2 else said


def _has_decisions(pair: Any) -> bool:
    return hasattr(pair.estimator, "decision_function")


def _probabilities(step: Any, pair: Any, x: Node) -> Node:
    answer = labelling.checked(step, reading.classified(pair.estimator, x))
    return labelling.probabilities(pair.estimator, answer)


def _cooled(step: Any, pair: Any, x: Node) -> Node:
    """A softmax of scores times an inverse temperature: decisions, or logarithms of probabilities."""
    beta = float(pair.calibrators[0].beta_)
    if not _has_decisions(pair):
        said = _probabilities(step, pair, x)
        logits: Node = Function(
            of=Scaled(of=said, shift=np.full(said.width, _ABOVE_ZERO), scale=np.ones(said.width)), name=Name.LOG
        )
        return Softmax(of=times(logits, beta))
    scores = _scores(step, pair, x)
    if scores.width == 1:
        return Softmax(of=Linear(of=scores, weights=np.array([[-beta], [beta]]), offset=np.zeros(2)))
    return Softmax(of=times(scores, beta))


def _unknown(step: Any, pair: Any) -> ConversionError:
    return ConversionError(
        f"{class_name(type(step))} with method={pair.method!r} is not converted.",
        remedy="Use method='sigmoid' or method='isotonic'.",
        field="method",
    )


READERS: Mapping[str, Reader] = {
    "sklearn.calibration.CalibratedClassifierCV": Reader(classify=_classify),
    "sklearn.frozen.FrozenEstimator": Reader(last=lambda step: step.estimator),
}
