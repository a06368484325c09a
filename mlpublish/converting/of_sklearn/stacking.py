"""Ensembles whose members' answers are the features of a final estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.node import Node, joined, picked
from mlpublish.converting.of_sklearn import labelling, reading
from mlpublish.converting.of_sklearn.reading import Reader
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError


def _features(step: Any, x: Node) -> Node:
    """What the final estimator sees: an answer per member, and the features themselves if they are passed through."""
    members = zip(step.estimators_, step.stack_method_, strict=True)
    parts = [_said(step, member, method, x) for member, method in members]
    return joined((*parts, x) if step.passthrough else tuple(parts))


def _said(step: Any, member: Any, method: str, x: Node) -> Node:
    from sklearn.base import is_classifier

    if method == "decision_function":
        return reading.decided(member, x)
    if method == "predict" and not is_classifier(member):
        return reading.predicted(member, x)
    answer = reading.classified(member, x)
    if method == "predict":
        return labelling.label_number(answer)
    shares = labelling.probabilities(member, answer)
    return picked(shares, (1,)) if len(step.classes_) == 2 else shares


def _predict(step: Any, x: Node) -> Node:
    return reading.predicted(step.final_estimator_, _features(step, x))


def _classify(step: Any, x: Node) -> Classified:
    if isinstance(step.classes_, list):
        raise ConversionError(
            f"{class_name(type(step))} fitted on several labels per row is not converted.",
            remedy="Fit one classifier per label.",
            field="classes_",
        )
    return labelling.named(step, reading.classified(step.final_estimator_, _features(step, x)))


def _decide(step: Any, x: Node) -> Node:
    return reading.decided(step.final_estimator_, _features(step, x))


READERS: Mapping[str, Reader] = {
    "sklearn.ensemble.StackingClassifier": Reader(classify=_classify, decide=_decide),
    "sklearn.ensemble.StackingRegressor": Reader(predict=_predict),
}
