"""convert from scikit-learn: estimators and what they are composed of, read from their public fitted attributes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting import frames, tables
from mlpublish.converting.frames import Columns
from mlpublish.converting.graph.answer import Answer, Classified, Number, nodes_of
from mlpublish.converting.graph.columnwise import Filled
from mlpublish.converting.graph.node import Array, Column, Node, joined
from mlpublish.converting.graph_source import GraphSource
from mlpublish.converting.of_sklearn.composing import steps_of
from mlpublish.converting.of_sklearn.kinds import know_all
from mlpublish.converting.of_sklearn.reading import answered, can
from mlpublish.converting.quiet import silence
from mlpublish.converting.source import LABEL, PREDICTION, PROBABILITIES, class_name
from mlpublish.coreml.compare import Answers
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import Provenance, feature_name
from mlpublish.shown import cut

if TYPE_CHECKING:
    from pandas import DataFrame


class SklearnSource(GraphSource):
    """A fitted estimator, or a pipeline or another composition of them."""

    def __init__(self, model: object) -> None:
        import sklearn

        know_all()
        self._model: Any = model
        steps = _steps(model)
        self._names = column_names(steps[0])
        with _reading(model):
            answer = answered(model, beginning(steps[0], self._names))
        _check_texts(answer)
        self._columns = None if self._names is None else frames.columns_of(answer, self._names)
        self._width = int(steps[0].n_features_in_)
        super().__init__(
            answer,
            Provenance(
                framework="scikit-learn",
                framework_version=sklearn.__version__,
                source=" + ".join(class_name(type(step)) for step in steps),
            ),
            order=self._names or (),
        )

    def rows(self, samples: object) -> Columns | NDArray[np.float64]:
        table = self._table(samples)
        return table if isinstance(table, np.ndarray) else frames.border(table, self._columns or ())

    def answers(self, samples: object) -> Answers:
        table = self._table(samples)
        with silence(), frames.refusing(table):
            if isinstance(self._answer, Classified):
                return self._classes(table, self._answer)
            return Answers(outputs={each.name: self._numbers(table, each) for each in self._answer.numbers})

    def _table(self, samples: object) -> DataFrame | NDArray[np.float64]:
        """Samples as the model was fitted: a frame with its columns, or an array.

        In doubles, whatever they are given in: many a transformer computes in the type that it gets, and float32 rows would
        be answered less precisely than the file does.
        """
        if self._columns is not None:
            return frames.fitted(samples, self._columns)
        return tables.numbers(tables.table(samples, names=None, features=self._width), missing=True)

    def _classes(self, table: object, answer: Classified) -> Answers:
        labels = np.asarray(self._model.predict(table))
        outputs = {LABEL: labels.astype(str if isinstance(answer.classes[0], str) else np.int64)}
        if answer.probabilities is None:
            return Answers(outputs=outputs, classes=answer.classes)
        outputs[PROBABILITIES] = np.asarray(self._model.predict_proba(table), dtype=np.float64)
        # where the label is chosen by other numbers, the largest probabilities may be equal but for their last digits
        chosen_by = (PROBABILITIES,) if answer.scores is answer.probabilities else ()
        return Answers(outputs=outputs, classes=answer.classes, scores=chosen_by)

    def _numbers(self, table: object, number: Number) -> NDArray[np.generic]:
        if number.name != PREDICTION:
            made = self._model.decision_function(table)
        else:
            made = self._model.predict(table) if hasattr(self._model, "predict") else self._model.transform(table)
        dense = np.asarray(made.toarray() if hasattr(made, "toarray") else made)
        return dense.astype(np.int64 if number.whole else np.float64)


def _steps(model: object) -> list[Any]:
    steps = list(steps_of(model))
    if not steps:
        raise ConversionError(
            f"{class_name(type(model))} has no step that does anything.", remedy="Give a fitted model.", field="model"
        )
    return steps


@contextmanager
def _reading(model: object) -> Iterator[None]:
    """A model whose attributes are not what the installed scikit-learn makes leaves the block as our error."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as exc:
        import sklearn

        raise ConversionError(
            f"{class_name(type(model))} cannot be read: {cut(' '.join(str(exc).split()).rstrip('.'), 300)}.",
            remedy=f"Fit and save it again with the installed scikit-learn ({sklearn.__version__}).",
            field="model",
        ) from exc


def column_names(first: Any) -> tuple[str, ...] | None:
    """The columns that a model's first step was fitted on; None for an array."""
    names = getattr(first, "feature_names_in_", None)
    return None if names is None else tuple(str(name) for name in names)


def beginning(first: Any, names: tuple[str, ...] | None) -> Node:
    """What a model's first step reads: columns, or one array.

    Raises:
        ConversionError: it is not fitted, or does not tell its size.
    """
    if names is not None:
        return joined(tuple(Column(name=name, feature=feature_name(name)) for name in names))
    size = getattr(first, "n_features_in_", None)
    if size is None:
        can(first, "transform")  # unless it is of no known kind, or not fitted
        raise ConversionError(
            f"{class_name(type(first))} does not tell how many features it takes.",
            remedy="Put a fitted step before it that does, or use one of the estimators of mlpublish/docs/sources.md.",
            field="n_features_in_",
        )
    return Array(size=int(size))


def _check_texts(answer: Answer) -> None:
    """Texts that are filled in belong to an encoder."""
    if any(isinstance(each, Filled) for each in nodes_of(answer)):
        raise ConversionError(
            "The model fills in missing texts that no encoder reads.",
            remedy="Put a OneHotEncoder or an OrdinalEncoder right after the SimpleImputer.",
            field="model",
        )
