"""convert from XGBoost: boosted trees and random forests, read from the library's own public model format.

XGBoost rounds every value to float32 before it compares, takes NaN as missing and sends it down a split's own way, and
answers with the rounds up to the best one if its scikit-learn interface stopped early (a ``Booster`` answers with all).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting import tables, trees, trees_of_xgboost
from mlpublish.converting.source import INPUT, LABEL, PREDICTION, PROBABILITIES, Precision, class_name
from mlpublish.coreml.compare import Answers
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import Provenance

if TYPE_CHECKING:
    from xgboost import Booster, DMatrix

_ANSWERING = ("predict", "predict_proba")


class XgboostSource:
    """A trained Booster, or a fitted estimator of XGBoost's scikit-learn interface."""

    precision: Precision = "float32"

    def __init__(self, model: object) -> None:
        import xgboost

        self._model: Any = model
        self._booster = _booster(model)
        document = _document(self._booster)
        self._objective = trees_of_xgboost.objective_of(document)
        self._names = None if self._booster.feature_names is None else tuple(self._booster.feature_names)
        columns = None if self._names is None else tables.feature_names(self._names, field="feature_names")
        self._ensemble = trees_of_xgboost.read(
            document, columns=columns, classes=_has_classes(model, self._objective), rounds=_rounds(model)
        )
        self.provenance = Provenance(
            framework="xgboost",
            framework_version=xgboost.__version__,
            source=f"{class_name(type(model))} ({self._objective})",
            converters={library: version(library) for library in ("mlpublish", "protobuf")},
        )

    def inputs(self, samples: object) -> Mapping[str, NDArray[np.generic]]:
        rows = self._rows(samples)
        if self._ensemble.columns is None:
            return {INPUT: rows.astype(np.float32)}
        return {column: rows[:, place] for place, column in enumerate(self._ensemble.columns)}

    def answers(self, samples: object) -> Answers:
        rows = self._rows(samples)
        if not self._ensemble.classes:
            return Answers(outputs={PREDICTION: self._numbers(rows)})
        labels, probabilities = self._classes(rows)
        return Answers(
            outputs={LABEL: labels.astype(np.int64), PROBABILITIES: probabilities.astype(np.float64)},
            classes=self._ensemble.classes,
            scores=(PROBABILITIES,),
        )

    def write(self, folder: Path, name: str, *, samples: object, precision: Precision, target: str) -> Path:  # noqa: ARG002
        if precision != "float32":
            raise ConversionError(
                f"A tree ensemble is not written in {precision}.", remedy="Use precision='auto'.", field="precision"
            )
        return trees.write(self._ensemble, folder / f"{name}.mlmodel")

    def _rows(self, samples: object) -> NDArray[np.float64]:
        table = tables.table(samples, names=self._names, features=self._ensemble.features)
        rows = tables.numbers(table, missing=True)
        with np.errstate(over="ignore"):
            tables.numbers(rows.astype(np.float32), missing=True)  # XGBoost takes no value beyond float32
        return rows

    def _numbers(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._model is self._booster:
            return np.asarray(self._booster.predict(self._matrix(rows)), dtype=np.float64)
        return np.asarray(self._model.predict(self._as_fitted(rows)), dtype=np.float64)

    def _classes(self, rows: NDArray[np.float64]) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """Labels, and probabilities of (rows, classes)."""
        if self._model is not self._booster:
            table = self._as_fitted(rows)
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

        return DMatrix(rows, feature_names=None if self._names is None else list(self._names))

    def _as_fitted(self, rows: NDArray[np.float64]) -> object:
        """A frame for an estimator that was fitted on one, which then checks the columns."""
        if self._names is None:
            return rows
        import pandas as pd

        return pd.DataFrame(rows, columns=list(self._names))


def _booster(model: object) -> Booster:
    """The trained trees of a model that can be read from them alone."""
    from sklearn.exceptions import NotFittedError
    from xgboost import Booster, XGBModel

    if isinstance(model, Booster):
        return model
    if not isinstance(model, XGBModel):
        raise ConversionError(
            f"A {class_name(type(model))} is not a trained model.",
            remedy="Give a Booster or a fitted estimator.",
            field="model",
        )
    _check_untouched(model)
    if model.missing is None or not np.isnan(model.missing):
        raise ConversionError(
            f"The model takes {model.missing} for a missing value; Core ML takes NaN.",
            remedy="Write NaN where a value is missing, and fit again with missing=numpy.nan.",
            field="missing",
        )
    try:
        return model.get_booster()
    except NotFittedError as exc:
        raise ConversionError(
            f"{class_name(type(model))} is not fitted.", remedy="Fit the model before it is converted.", field="model"
        ) from exc


def _document(booster: Booster) -> trees_of_xgboost.Document:
    from xgboost.core import XGBoostError

    try:
        document: dict[str, Any] = json.loads(booster.save_raw("json"))
    except XGBoostError as exc:
        raise ConversionError(
            f"The Booster cannot be read: {_fact(exc)}", remedy="Train the model before it is converted.", field="model"
        ) from exc
    return document


def _fact(exc: Exception) -> str:
    """The library's message without the time, the source line and the stack."""
    return str(exc).splitlines()[0].rpartition("Check failed: ")[2]


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


def _check_untouched(model: object) -> None:
    """A subclass or an instance that answers in its own way cannot be read from its trees."""
    own = [vars(model), *(vars(kind) for kind in type(model).__mro__ if kind.__module__.partition(".")[0] != "xgboost")]
    for method in _ANSWERING:
        guests = [names for names in own if method in names]
        if guests:
            raise ConversionError(
                f"{class_name(type(model))} has its own {method}; its trees do not tell what it does.",
                remedy="Convert a plain estimator of XGBoost.",
                field="model",
            )


def _softmax(scores: NDArray[np.generic]) -> NDArray[np.float64]:
    raised = np.exp(scores.astype(np.float64) - scores.astype(np.float64).max(axis=1, keepdims=True))
    summed: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return summed
