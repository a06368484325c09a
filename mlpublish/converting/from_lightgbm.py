"""convert from LightGBM: boosted trees and random forests, read from the library's own model text.

LightGBM compares doubles, has three ways of what is missing, and answers with the rounds up to the best one if the training
stopped early: so do its estimators and a ``Booster``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.files.lightgbm_text import TextModel, parsed
from mlpublish.converting.fitted_table import FittedTable
from mlpublish.converting.graph.answer import Answer, Classified, Labels, Predicted
from mlpublish.converting.graph.node import Node
from mlpublish.converting.graph_source import GraphSource
from mlpublish.converting.of_boosters import trees_of_lightgbm
from mlpublish.converting.of_boosters.boosters import check_untouched, no_model, not_fitted
from mlpublish.converting.of_sklearn.reading import Reader, labels_of
from mlpublish.converting.source import LABEL, PREDICTION, PROBABILITIES, class_name
from mlpublish.coreml.compare import Answers
from mlpublish.formats.evidence import Provenance

if TYPE_CHECKING:
    from lightgbm import Booster

_TWO_CLASSES = ("binary", "cross_entropy")


class LightgbmSource(GraphSource):
    """A trained Booster, or a fitted estimator of LightGBM's scikit-learn interface."""

    def __init__(self, model: object) -> None:
        import lightgbm

        self._model: Any = model
        self._booster = _booster(model)
        text = parsed(self._booster.model_to_string())
        self._table = FittedTable(names=_columns(text.names), features=len(text.names))
        objective = trees_of_lightgbm.objective_of(text) or "an objective of its own"
        super().__init__(
            _answer(model, text, self._table.node(field="feature_name")),
            Provenance(
                framework="lightgbm",
                framework_version=lightgbm.__version__,
                source=f"{class_name(type(model))} ({objective})",
            ),
        )

    def rows(self, samples: object) -> Mapping[str, NDArray[np.generic]] | NDArray[np.float64]:
        return self._table.by_column(self._table.numbers(_renamed(samples)))

    def answers(self, samples: object) -> Answers:
        rows = self._table.numbers(_renamed(samples))
        if isinstance(self._answer, Predicted):
            return Answers(outputs={PREDICTION: np.asarray(self._model.predict(self._asked(rows)), dtype=np.float64)})
        labels, probabilities = self._classes(rows)
        texts = isinstance(self._answer.classes[0], str)
        return Answers(
            outputs={LABEL: labels.astype(str if texts else np.int64), PROBABILITIES: probabilities},
            classes=self._answer.classes,
            scores=(PROBABILITIES,),
        )

    def _classes(self, rows: NDArray[np.float64]) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
        """Labels, and probabilities of (rows, classes)."""
        asked = self._asked(rows)
        if self._model is not self._booster:
            return np.asarray(self._model.predict(asked)), np.asarray(self._model.predict_proba(asked), dtype=np.float64)
        answers = np.asarray(self._booster.predict(asked), dtype=np.float64)
        shares = answers if answers.ndim == 2 else np.column_stack([1 - answers, answers])
        return np.argmax(shares, axis=1), shares

    def _asked(self, rows: NDArray[np.float64]) -> Any:
        return rows if self._model is self._booster else self._table.as_fitted(rows)


def _columns(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """The columns of a frame; an array's are called ``Column_0``, ``Column_1``, …"""
    return None if names == tuple(f"Column_{place}" for place in range(len(names))) else names


def _renamed(samples: object) -> object:
    """A frame with its columns as LightGBM calls them, which knows no blanks in names."""
    import pandas as pd

    if isinstance(samples, Mapping):
        return {_called(name): column for name, column in samples.items()}
    return samples.rename(columns=_called) if isinstance(samples, pd.DataFrame) else samples


def _called(column: object) -> str:
    return str(column).replace(" ", "_")


def _booster(model: object) -> Booster:
    """The trained trees of a model that can be read from them alone."""
    from lightgbm import Booster, LGBMModel
    from sklearn.exceptions import NotFittedError

    if isinstance(model, Booster):
        return model
    if not isinstance(model, LGBMModel):
        raise no_model(model)
    check_untouched(model, package="lightgbm", library="LightGBM")
    try:
        return model.booster_
    except NotFittedError as exc:
        raise not_fitted(model) from exc


def _answer(model: object, text: TextModel, x: Node) -> Answer:
    return trees_of_lightgbm.read(text, x, labels=_labels(model, text))


def _labels(model: Any, text: TextModel) -> Labels | None:
    """The classes of a classifier, or of a Booster whose objective has some."""
    from lightgbm import LGBMClassifier, LGBMModel

    objective = trees_of_lightgbm.objective_of(text)
    if isinstance(model, LGBMClassifier):
        if not trees_of_lightgbm.has_classes(text) and objective not in _TWO_CLASSES:
            held = f"the objective {objective}" if objective else "an objective of its own"
            raise trees_of_lightgbm.refused(f"{held} in a classifier", "Fit with objective='binary' or 'multiclass'.")
        labels = labels_of(model.classes_)
        if len(labels) != max(2, text.results):
            raise trees_of_lightgbm.refused(f"{len(labels)} classes", "Fit it on rows of two classes or more.")
        return labels
    if isinstance(model, LGBMModel) or not trees_of_lightgbm.has_classes(text):
        return None
    return tuple(range(max(2, text.results)))


def _read(model: Any, x: Node) -> Answer:
    """An estimator inside of another."""
    return _answer(model, parsed(_booster(model).model_to_string()), x)


def _classify(model: Any, x: Node) -> Classified:
    return cast(Classified, _read(model, x))


def _predict(model: Any, x: Node) -> Node:
    return cast(Predicted, _read(model, x)).numbers[0].node


def _decide(model: Any, x: Node) -> Node:
    return trees_of_lightgbm.decision(parsed(_booster(model).model_to_string()), x)


READERS: Mapping[str, Reader] = {
    "lightgbm.sklearn.LGBMClassifier": Reader(classify=_classify, decide=_decide),
    "lightgbm.sklearn.LGBMRegressor": Reader(predict=_predict),
    "lightgbm.sklearn.LGBMRanker": Reader(predict=_predict),
}
"""For scikit-learn's pipelines and ensembles."""
