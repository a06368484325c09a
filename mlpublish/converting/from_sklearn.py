"""convert from scikit-learn: linear models behind scalers, read from their public fitted attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting import linear_classic, linear_program, tables
from mlpublish.converting.linear import Doubles, LinearModel, Scaling
from mlpublish.converting.source import INPUT, LABEL, PREDICTION, PROBABILITIES, Precision, class_name
from mlpublish.coreml.compare import Answers
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import Provenance

if TYPE_CHECKING:
    from pandas import DataFrame

SUPPORTED = ("LogisticRegression", "LinearRegression", "StandardScaler before one of them in a Pipeline")
_ANSWERING = ("predict", "predict_proba", "decision_function", "transform")


class SklearnSource:
    """A fitted estimator, or a pipeline of scalers and one."""

    precision: Precision = "float32"

    def __init__(self, model: object) -> None:
        import sklearn

        self._model: Any = model
        steps = list(_steps(model))
        self._names = _column_names(steps[0])
        self._linear = _read(steps, self._names)
        self.provenance = Provenance(
            framework="scikit-learn",
            framework_version=sklearn.__version__,
            source=" + ".join(class_name(type(step)) for step in steps),
            converters=_writers(self._linear),
        )

    def inputs(self, samples: object) -> Mapping[str, NDArray[np.generic]]:
        table = tables.numbers(self._table(samples))
        if self._linear.columns is None:
            return {INPUT: table.astype(np.float32)}
        border = np.float64 if self._linear.is_classic else np.float32  # classic columns are Core ML doubles
        return {column: table[:, place].astype(border) for place, column in enumerate(self._linear.columns)}

    def answers(self, samples: object) -> Answers:
        table = self._table(samples)
        if not self._linear.classes:
            return Answers(outputs={PREDICTION: np.asarray(self._model.predict(table), dtype=np.float64)})
        labels = np.asarray(self._model.predict(table))
        return Answers(
            outputs={
                LABEL: labels.astype(str if isinstance(self._linear.classes[0], str) else np.int64),
                PROBABILITIES: np.asarray(self._model.predict_proba(table), dtype=np.float64),
            },
            classes=self._linear.classes,
            scores=(PROBABILITIES,),
        )

    def write(self, folder: Path, name: str, *, samples: object, precision: Precision, target: str) -> Path:  # noqa: ARG002
        if precision != "float32":
            raise ConversionError(
                f"A linear model is not written in {precision}.", remedy="Use precision='auto'.", field="precision"
            )
        if self._linear.is_classic:
            return linear_classic.write(self._linear, folder / f"{name}.mlmodel")
        return linear_program.write(self._linear, folder / f"{name}.mlpackage", target=target)

    def _table(self, samples: object) -> DataFrame | NDArray[np.generic]:
        """Samples as the model was fitted: a frame with its columns, or an array."""
        return tables.table(samples, names=self._names, features=self._linear.features)


def _steps(model: Any) -> Iterator[Any]:
    """The fitted estimators, in order, with pipelines inside of pipelines unrolled."""
    from sklearn.exceptions import NotFittedError
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    if isinstance(model, Pipeline):
        for _, step in model.steps:
            if step is not None and step != "passthrough":
                yield from _steps(step)
        return
    try:
        check_is_fitted(model)
    except (NotFittedError, TypeError) as exc:
        raise ConversionError(
            f"{class_name(type(model))} is not fitted.", remedy="Fit the model before it is converted.", field="model"
        ) from exc
    yield model


def _read(steps: list[Any], names: tuple[str, ...] | None) -> LinearModel:
    from sklearn.linear_model import LinearRegression, LogisticRegression

    *before, last = steps
    scalings = tuple(_scaling(step) for step in before)
    base = next((kind for kind in (LogisticRegression, LinearRegression) if isinstance(last, kind)), None)
    if base is None:
        raise _not_supported(last)
    _check_untouched(last, base)
    weights = np.atleast_2d(_finite(last.coef_, last, "coef_"))
    return LinearModel(
        columns=None if names is None else tables.feature_names(names, field="feature_names_in_"),
        scalings=scalings,
        weights=weights,
        offset=np.broadcast_to(_finite(last.intercept_, last, "intercept_"), len(weights)),
        classes=_labels(last.classes_) if base is LogisticRegression else (),
    )


def _scaling(step: Any) -> Scaling:
    from sklearn.preprocessing import StandardScaler

    if not isinstance(step, StandardScaler):
        raise _not_supported(step)
    _check_untouched(step, StandardScaler)
    size = step.n_features_in_
    mean = _finite(step.mean_, step, "mean_") if step.with_mean else np.zeros(size)
    scale = _finite(step.scale_, step, "scale_") if step.with_std else np.ones(size)
    return Scaling(shift=-mean, scale=1 / scale)


def _check_untouched(step: Any, base: type) -> None:
    """A subclass or an instance that answers in its own way cannot be read from its attributes."""
    for method in _ANSWERING:
        if method in vars(step) or getattr(type(step), method, None) is not getattr(base, method, None):
            raise ConversionError(
                f"{class_name(type(step))} has its own {method}; its attributes do not tell what it does.",
                remedy=f"Convert a plain {base.__name__}.",
                field="model",
            )


def _finite(values: Any, step: Any, attribute: str) -> Doubles:
    dense = values.toarray() if hasattr(values, "toarray") else values  # sparsify() makes scipy's
    numbers = np.asarray(dense, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ConversionError(
            f"{class_name(type(step))}.{attribute} holds NaN or infinity.",
            remedy="Fit the model again on clean data.",
            field=attribute,
        )
    return numbers


def _labels(classes: NDArray[np.generic]) -> tuple[int, ...] | tuple[str, ...]:
    """The labels as Core ML has them: whole numbers or texts; booleans become 0 and 1."""
    values = classes.tolist()
    if classes.dtype.kind in "iub":
        return tuple(int(value) for value in values)
    if all(isinstance(value, str) for value in values):
        return tuple(values)
    raise ConversionError(
        f"The class labels {values[:3]} are of type {classes.dtype}; Core ML has whole numbers and texts.",
        remedy="Fit the model on labels that are integers or strings.",
        field="classes_",
    )


def _column_names(first: Any) -> tuple[str, ...] | None:
    names = getattr(first, "feature_names_in_", None)
    return None if names is None else tuple(str(name) for name in names)


def _writers(model: LinearModel) -> dict[str, str]:
    from importlib.metadata import version

    libraries = ("mlpublish", "protobuf") if model.is_classic else ("mlpublish", "coremltools")
    return {library: version(library) for library in libraries}


def _not_supported(step: object) -> ConversionError:
    return ConversionError(
        f"{class_name(type(step))} is not converted.", remedy=f"Supported are: {'; '.join(SUPPORTED)}.", field="model"
    )
