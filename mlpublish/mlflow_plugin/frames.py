"""DataFrames in, DataFrames out, around a Core ML model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.evaluate import Model
from mlpublish.formats.evidence import feature_name

if TYPE_CHECKING:
    import pandas as pd


def predict_frame(model: Model, inputs: Any) -> pd.DataFrame:
    """Run a model on the rows of a DataFrame.

    Args:
        model: the opened model.
        inputs: a DataFrame (or what pandas makes one of): a column per input, under the input's name or the name that the
            source model's column had; for a model of one array input all columns as that array.

    Returns:
        A DataFrame with a column per output; probabilities get a column per label (``classProbability.7``).
    """
    import pandas as pd

    frame = inputs if isinstance(inputs, pd.DataFrame) else pd.DataFrame(inputs)
    names = [feature.name for feature in model.description.interface.inputs]
    rows: dict[str, NDArray[np.generic]]
    if names != list(frame.columns) and len(names) == 1:
        rows = {names[0]: frame.to_numpy()}
    else:
        known = {name: name if name in names else feature_name(str(name)) for name in frame.columns}
        rows = {known[name]: frame[name].to_numpy() for name in frame.columns}
    columns: dict[str, Any] = {}
    for name, values in model.predict_rows(rows).items():
        columns |= _columns(name, values, model.classes)
    return pd.DataFrame(columns, index=frame.index)


def _columns(name: str, values: Any, classes: tuple[int | str, ...]) -> dict[str, Any]:
    if values.ndim == 1:
        return {name: values}
    flat = values.reshape(len(values), -1)
    labels = classes if len(classes) == flat.shape[1] else range(flat.shape[1])
    return {f"{name}.{label}": flat[:, place] for place, label in enumerate(labels)}
