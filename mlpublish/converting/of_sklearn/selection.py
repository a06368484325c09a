"""Selectors: the features that ``get_support()`` names, in their order."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.answer import Answer, Classified
from mlpublish.converting.graph.node import Node, picked
from mlpublish.converting.of_sklearn.reading import Reader, answered, classified, decided, predicted
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError


def selected(step: Any, x: Node) -> Node:
    """The features that a selector keeps.

    Raises:
        ConversionError: it keeps none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that none is left is said below
        places = np.flatnonzero(step.get_support())
    if not len(places):
        raise ConversionError(
            f"{class_name(type(step))} keeps no feature.", remedy="Fit it so that some are left.", field="model"
        )
    return picked(x, tuple(int(place) for place in places))


# An elimination asks an estimator that was fitted on what is left; as the last step it answers as that estimator does.


def _answer(step: Any, x: Node) -> Answer:
    return answered(step.estimator_, selected(step, x))


def _classify(step: Any, x: Node) -> Classified:
    return classified(step.estimator_, selected(step, x))


def _predict(step: Any, x: Node) -> Node:
    return predicted(step.estimator_, selected(step, x))


def _decide(step: Any, x: Node) -> Node:
    return decided(step.estimator_, selected(step, x))


_SELECTORS = (
    "GenericUnivariateSelect",
    "SelectFdr",
    "SelectFpr",
    "SelectFromModel",
    "SelectFwe",
    "SelectKBest",
    "SelectPercentile",
    "SequentialFeatureSelector",
    "VarianceThreshold",
)
_ELIMINATION = Reader(transform=selected, predict=_predict, classify=_classify, decide=_decide, answer=_answer)

READERS: Mapping[str, Reader] = {
    **{f"sklearn.feature_selection.{name}": Reader(transform=selected) for name in _SELECTORS},
    "sklearn.feature_selection.RFE": _ELIMINATION,
    "sklearn.feature_selection.RFECV": _ELIMINATION,
}
