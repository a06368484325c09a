"""What MLflow writes down of a Core ML model's inputs and outputs: an example, and the signature that it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpublish.artifacts import ConvertedModel
from mlpublish.converting.quiet import silence
from mlpublish.coreml import golden
from mlpublish.coreml.images import CHANNELS, HALF
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import Feature
from mlpublish.mlflow_plugin.frames import Rows, is_column
from mlpublish.mlflow_plugin.predicting import OUTPUTS, answer, runner_for

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

EXAMPLE_ROWS = 5

_UNTOLD = ("dictionary", "sequence")
_DTYPES: dict[str, type[np.generic] | type[str]] = {"int64": np.int64, "string": str, "double": np.float64}


def described_by(
    model: ConvertedModel, signature: ModelSignature | None, example: object
) -> tuple[ModelSignature | None, object]:
    """The signature and the example of a model; what was not given is found.

    Args:
        signature, example: None where the caller gave none.

    Returns:
        Both; an example that was found, and is not what a given signature says, is left out: golden rows have the names and
        types of the Core ML inputs.

    Raises:
        ConversionError: the example does not fit the model, or the signature.
    """
    found = example_of(model) if example is None else example
    if signature is None:
        return signature_of(model, found), found
    problem = None if found is None else _unlike(found, signature)
    if problem is not None and example is not None:
        raise ConversionError(
            f"The input example is not what the signature says: {problem}.",
            remedy="Leave out signature= (it is found by running the model on the example), or give rows of that signature.",
            field="input_example",
        )
    return signature, None if problem else found


def _unlike(example: Any, signature: ModelSignature) -> str | None:
    """What MLflow has against an example, in its last line: before that it prints the data."""
    from mlflow.exceptions import MlflowException
    from mlflow.models import validate_schema

    if signature.inputs is None:
        return None
    try:
        with silence():
            validate_schema(example, signature.inputs)
    except MlflowException as exc:
        return str(exc).strip().splitlines()[-1].rpartition("Error: ")[2].rstrip(".")
    return None


def example_of(model: ConvertedModel) -> pd.DataFrame | NDArray[np.generic] | dict[str, NDArray[np.generic]] | None:
    """The first golden inputs as a caller would give them, or None for a model without golden data.

    Returns:
        A frame for a model of single values, an array for one of a single array, else a dict of arrays.
    """
    if model.golden is None:
        return None
    rows = golden.read(model.golden).inputs
    return _as_given(model, {name: values[:EXAMPLE_ROWS] for name, values in rows.items()})


def signature_of(model: ConvertedModel, example: object) -> ModelSignature | None:
    """The signature of a model, found by running it on an example, or on zeros of its interface if there is none.

    Args:
        example: rows as a caller would give them, or None.

    Returns:
        None for a model that cannot be run here, keeps a state, or takes dictionaries: rows of arrays cannot say so.

    Raises:
        ConversionError: the example does not fit the model.
    """
    from mlflow.models import infer_signature

    try:
        runner = runner_for(model.path)
    except ConversionError:  # what the evaluator does not know travels without a signature
        return None
    if runner.description.states or any(each.kind in _UNTOLD for each in model.interface.inputs):
        return None
    rows = _as_given(model, {each.name: _zeros(each) for each in model.interface.inputs}) if example is None else example
    with silence():  # whole numbers among the rows make MLflow warn of missing values, which no Core ML input takes
        return infer_signature(rows, answer(runner, rows), params={"outputs": OUTPUTS[0]})


def _as_given(model: ConvertedModel, rows: Rows) -> pd.DataFrame | NDArray[np.generic] | dict[str, NDArray[np.generic]]:
    import pandas as pd

    features = model.interface.inputs
    if all(is_column(each) for each in features):
        return pd.DataFrame({each.name: _wide(model, rows[each.name]).reshape(-1) for each in features})
    if len(features) == 1:
        return _wide(model, rows[features[0].name])
    return {each.name: _wide(model, rows[each.name]) for each in features}


def _wide(model: ConvertedModel, values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Numbers as who trained the model holds them: MLflow takes no other type than the signature's.

    Networks are asked in float32, and of a bare file only its own types are known. Everything else comes out of numpy and
    pandas, as float64.
    """
    as_they_are = values.dtype.kind != "f" or model.provenance.framework in ("torch", "coreml")
    return values if as_they_are else values.astype(np.float64)


def _zeros(feature: Feature) -> NDArray[np.generic]:
    if feature.kind == "image":
        channels = CHANNELS[feature.color_space]
        kind = np.float32 if feature.color_space == HALF else np.uint8
        return np.zeros((1, *feature.shape, channels), dtype=kind)
    shape = feature.shape[1:] if len(feature.shape) > 1 and feature.shape[0] == 1 else feature.shape
    return np.zeros((1, *shape), dtype=_DTYPES.get(feature.kind) or np.dtype(feature.dtype))
