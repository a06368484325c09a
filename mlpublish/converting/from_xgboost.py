"""convert from XGBoost: boosted trees and random forests, read from the library's own public model format.

XGBoost rounds every value to float32 before it compares, takes NaN as missing and sends it down a split's own way, and
answers with the rounds up to the best one if its scikit-learn interface stopped early (a ``Booster`` answers with all).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting import tables
from mlpublish.converting.files.xgboost_file import fact_of
from mlpublish.converting.fitted_table import FittedTable
from mlpublish.converting.graph.answer import Answer, Classified, Predicted
from mlpublish.converting.graph.node import Node
from mlpublish.converting.graph_source import GraphSource
from mlpublish.converting.of_boosters import trees_of_xgboost
from mlpublish.converting.of_boosters.boosters import check_untouched, no_model, not_fitted
from mlpublish.converting.of_sklearn.reading import Reader
from mlpublish.converting.source import LABEL, PREDICTION, PROBABILITIES, class_name
from mlpublish.coreml.compare import Answers
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import Provenance

if TYPE_CHECKING:
    from xgboost import Booster, DMatrix


class XgboostSource(GraphSource):
    """A trained Booster, or a fitted estimator of XGBoost's scikit-learn interface."""

    def __init__(self, model: object) -> None:
        import xgboost

        self._model: Any = model
        self._booster = _booster(model)
        document = _document(self._booster)
        self._objective = trees_of_xgboost.objective_of(document)
        names = self._booster.feature_names
        self._table = FittedTable(
            names=None if names is None else tuple(names), features=trees_of_xgboost.features_of(document)
        )
        super().__init__(
            _answer(model, document, self._table.node(field="feature_names")),
            Provenance(
                framework="xgboost",
                framework_version=xgboost.__version__,
                source=f"{class_name(type(model))} ({self._objective})",
            ),
        )

    def rows(self, samples: object) -> Mapping[str, NDArray[np.generic]] | NDArray[np.float64]:
        return self._table.by_column(self._numbers(samples))

    def answers(self, samples: object) -> Answers:
        rows = self._numbers(samples)
        if isinstance(self._answer, Predicted):
            return Answers(outputs={PREDICTION: self._predictions(rows)})
        labels, probabilities = self._classes(rows)
        return Answers(
            outputs={LABEL: labels.astype(np.int64), PROBABILITIES: probabilities.astype(np.float64)},
            classes=self._answer.classes,
            scores=(PROBABILITIES,),
        )

    def _numbers(self, samples: object) -> NDArray[np.float64]:
        rows = self._table.numbers(samples)
        with np.errstate(over="ignore"):
            tables.numbers(rows.astype(np.float32), missing=True)  # XGBoost takes no value beyond float32
        return rows

    def _predictions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._model is self._booster:
            return np.asarray(self._booster.predict(self._matrix(rows)), dtype=np.float64)
        return np.asarray(self._model.predict(self._table.as_fitted(rows)), dtype=np.float64)

    def _classes(self, rows: NDArray[np.float64]) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """Labels, and probabilities of (rows, classes)."""
        if self._model is not self._booster:
            table = self._table.as_fitted(rows)
            return np.asarray(self._model.predict(table)), np.asarray(self._model.predict_proba(table))
        matrix = self._matrix(rows)
        answers = self._booster.predict(matrix)
        if self._objective == "multi:softmax":  # the answers are the labels
            return answers, _softmax(self._booster.predict(matrix, output_margin=True))
        if answers.ndim == 1:
            return answers > 0.5, np.column_stack([1 - answers, answers])
        return np.argmax(answers, axis=1), answers

    def _matrix(self, rows: NDArray[np.float64]) -> DMatrix:
        from xgboost import DMatrix

        return DMatrix(rows, feature_names=None if self._table.names is None else list(self._table.names))


def _answer(model: object, document: trees_of_xgboost.Document, x: Node) -> Answer:
    classes = _has_classes(model, trees_of_xgboost.objective_of(document))
    return trees_of_xgboost.read(document, x, classes=classes, rounds=_rounds(model))


def _read(model: Any, x: Node) -> Answer:
    """An estimator inside of another."""
    return _answer(model, _document(_booster(model)), x)


def _classify(model: Any, x: Node) -> Classified:
    return cast(Classified, _read(model, x))


def _predict(model: Any, x: Node) -> Node:
    return cast(Predicted, _read(model, x)).numbers[0].node


READERS: Mapping[str, Reader] = {
    "xgboost.sklearn.XGBClassifier": Reader(classify=_classify),
    "xgboost.sklearn.XGBRFClassifier": Reader(classify=_classify),
    "xgboost.sklearn.XGBRegressor": Reader(predict=_predict),
    "xgboost.sklearn.XGBRFRegressor": Reader(predict=_predict),
    "xgboost.sklearn.XGBRanker": Reader(predict=_predict),
}
"""For scikit-learn's pipelines and ensembles."""


def _booster(model: object) -> Booster:
    """The trained trees of a model that can be read from them alone."""
    from sklearn.exceptions import NotFittedError
    from xgboost import Booster, XGBModel

    if isinstance(model, Booster):
        return model
    if not isinstance(model, XGBModel):
        raise no_model(model)
    check_untouched(model, package="xgboost", library="XGBoost")
    if model.missing is None or not np.isnan(model.missing):
        raise ConversionError(
            f"The model takes {model.missing} for a missing value; Core ML takes NaN.",
            remedy="Write NaN where a value is missing, and fit again with missing=numpy.nan.",
            field="missing",
        )
    try:
        return model.get_booster()
    except NotFittedError as exc:
        raise not_fitted(model) from exc


def _document(booster: Booster) -> trees_of_xgboost.Document:
    from xgboost.core import XGBoostError

    try:
        document: dict[str, Any] = json.loads(booster.save_raw("json"))
    except XGBoostError as exc:
        raise ConversionError(
            f"The Booster cannot be read: {fact_of(exc)}.", remedy="Train the model before it is converted.", field="model"
        ) from exc
    return document


def _has_classes(model: object, objective: str) -> bool:
    """Whether a model answers with classes: a Booster if its objective does, an estimator if it is a classifier."""
    from xgboost import Booster, XGBClassifier

    known = trees_of_xgboost.OBJECTIVES.get(objective)
    if known is None or isinstance(model, Booster):
        return known is not None and known.has_classes
    classifier = isinstance(model, XGBClassifier)
    if (classifier and not known.has_classes) or (not classifier and objective.startswith("multi:")):
        raise ConversionError(
            f"{class_name(type(model))} with the objective {objective} is not converted.",
            remedy="Use XGBClassifier with binary:logistic or multi:softprob, XGBRegressor with reg:squarederror.",
            field="model",
        )
    return classifier


def _rounds(model: object) -> int | None:
    """How many rounds an estimator answers with after early stopping; None for all."""
    from xgboost import XGBModel

    best = getattr(model, "best_iteration", None) if isinstance(model, XGBModel) else None
    return None if best is None or best < 0 else int(best) + 1


def _softmax(scores: NDArray[np.generic]) -> NDArray[np.float64]:
    raised = np.exp(scores.astype(np.float64) - scores.astype(np.float64).max(axis=1, keepdims=True))
    summed: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return summed
