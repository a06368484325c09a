"""What MLflow hands a model, as its rows; what the model answers, as a DataFrame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.graph.columnwise import MISSING_TEXT
from mlpublish.coreml.package import Description
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import Feature, feature_name

if TYPE_CHECKING:
    import pandas as pd

Rows = Mapping[str, NDArray[np.generic]]


class Runner(Protocol):
    """What runs a saved model: our evaluator, or Apple's runtime."""

    description: Description
    classes: tuple[int | str, ...]

    def predict_rows(self, inputs: Rows) -> dict[str, NDArray[np.generic]]:
        """Feature -> (rows, …) becomes output -> (rows, …); probabilities are (rows, classes)."""


def predict_frame(model: Runner, inputs: Any) -> pd.DataFrame:
    """Run a model on rows, however they come.

    Args:
        model: the opened model.
        inputs: a DataFrame: a column per input, under the input's name or the name that the source model's column had (others
            are left out; a missing text is an empty one); for a model of one array input also all columns as that array. Or a
            dict of arrays, input -> (rows, …); or one array, (rows, …), for the only input or with a column per input.

    Returns:
        A DataFrame with a column per output; probabilities get a column per label (``classProbability.7``).

    Raises:
        ConversionError: the inputs do not fit the model; the error names the numbers.
    """
    import pandas as pd

    answers = model.predict_rows(rows_of(model.description.interface.inputs, inputs))
    columns: dict[str, NDArray[np.generic]] = {}
    for name, values in answers.items():
        columns |= _columns(name, values, model.classes)
    return pd.DataFrame(columns, index=inputs.index if isinstance(inputs, pd.DataFrame) else None)


def rows_of(features: tuple[Feature, ...], inputs: Any) -> Rows:
    """The rows, feature by feature."""
    import pandas as pd

    if isinstance(inputs, pd.DataFrame):
        return _of_frame(features, inputs)
    if isinstance(inputs, Mapping):
        return {name: _array(inputs[given]) for name, given in _named(features, inputs).items()}
    array = _array(inputs)
    if len(features) == 1:
        return {features[0].name: _shaped(array, features[0])}
    if array.ndim != 2 or array.shape[1] != len(features):
        raise ConversionError(
            f"An array of shape {array.shape} does not fit {len(features)} inputs.",
            remedy=f"Give (rows, {len(features)}), a DataFrame or a dict with {', '.join(each.name for each in features)}.",
            field="inputs",
        )
    return {each.name: array[:, place] for place, each in enumerate(features)}


def is_column(feature: Feature) -> bool:
    """Whether a row has one value of it, so that a frame's column holds it."""
    return math.prod(feature.shape) == 1


def _of_frame(features: tuple[Feature, ...], frame: pd.DataFrame) -> Rows:
    names = _named(features, frame.columns)
    if len(features) == 1 and features[0].name not in names:
        return {features[0].name: _shaped(frame.to_numpy(), features[0])}
    known = {each.name: each for each in features}
    if known.keys() <= names.keys():  # beside all of its inputs the frame has what the source model drops too
        names = {name: column for name, column in names.items() if name in known}
    return {name: _column(frame[column], known.get(name)) for name, column in names.items()}


def _column(series: pd.Series[Any], feature: Feature | None) -> NDArray[np.generic]:
    """A column's values; where the feature is an array each cell holds one, as a list or flat."""
    if feature is not None and feature.kind == "string":  # as convert asks: Core ML knows no missing text
        return np.where(series.isna().to_numpy(), MISSING_TEXT, series.to_numpy(dtype=object))
    if feature is None or is_column(feature):
        return series.to_numpy()
    try:
        return _shaped(np.asarray(series.tolist()), feature)
    except ValueError as exc:
        raise ConversionError(
            f"The cells of the column {feature.name!r} hold arrays of unlike shapes.",
            remedy=f"Give each row an array of the shape {feature.shape}.",
            field="inputs",
        ) from exc


def _array(values: Any) -> NDArray[np.generic]:
    try:
        return np.asarray(values)
    except ValueError as exc:
        raise ConversionError(
            "The rows are of unlike lengths.", remedy="Give each row as many values.", field="inputs"
        ) from exc


def _shaped(array: NDArray[np.generic], feature: Feature) -> NDArray[np.generic]:
    """Rows that come flat, such as an image as a frame's columns, in the feature's shape; others as they are."""
    if array.ndim == 2 and array.shape[1] == math.prod(feature.shape):
        return array.reshape(len(array), *feature.shape)
    return array


def _named(features: tuple[Feature, ...], given: Iterable[Any]) -> dict[str, Any]:
    """Input -> the column that is for it: of the input's own name, or of the name that conversion made of the column's."""
    names = {each.name for each in features}
    found: dict[str, Any] = {}
    for column in given:
        name = str(column) if str(column) in names else feature_name(str(column))
        if name in names and name in found:
            raise ConversionError(
                f"{str(found[name])!r} and {str(column)!r} are both the input {name!r}.",
                remedy="Leave out the one that the model does not use.",
                field="inputs",
            )
        found[name] = column
    return found


def _columns(name: str, values: NDArray[np.generic], classes: tuple[int | str, ...]) -> dict[str, NDArray[np.generic]]:
    if values.ndim == 1:
        return {name: values}
    flat = values.reshape(len(values), -1)
    labels = classes if len(classes) == flat.shape[1] else range(flat.shape[1])
    return {f"{name}.{label}": flat[:, place] for place, label in enumerate(labels)}
