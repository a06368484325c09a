"""What a caller gives, as the model's interface wants it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.classic.stage import Rows
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import Feature


def as_rows(features: tuple[Feature, ...], inputs: Mapping[str, NDArray[np.generic]]) -> Rows:
    """The inputs as the interface wants them: every feature, in its type, (rows, *shape).

    Raises:
        ConversionError: as ``Model.predict_rows``.
    """
    names = [each.name for each in features]
    if set(names) != set(inputs):
        raise ConversionError(
            f"The model's inputs are {', '.join(names)}; given are {', '.join(sorted(inputs)) or 'none'}.",
            remedy="Give exactly the model's inputs.",
            field="samples",
        )
    rows = {each.name: _feature_rows(each, np.asarray(inputs[each.name])) for each in features}
    counts = {len(value) for value in rows.values()}
    if len(counts) != 1 or 0 in counts:
        raise ConversionError(f"The inputs have {sorted(counts)} rows.", remedy="Give each one or more.", field="samples")
    return rows


def _feature_rows(feature: Feature, values: NDArray[np.generic]) -> NDArray[np.generic]:
    without_batch = feature.shape[1:] if feature.shape[:1] == (1,) else feature.shape
    single = () if math.prod(feature.shape) == 1 else feature.shape
    if values.ndim == 0 or values.shape[1:] not in (feature.shape, without_batch, single):
        raise ConversionError(
            f"A row of the input {feature.name!r} has the shape {values.shape[1:]}, the model takes {feature.shape}.",
            remedy="Give one row per sample on the first axis, each in the model's shape.",
            field="samples",
        )
    if feature.kind == "string":
        return values
    dtype = np.int64 if feature.kind == "int64" else np.dtype(feature.dtype)
    try:
        return values.astype(dtype).reshape(len(values), *feature.shape)
    except (ValueError, TypeError) as exc:
        raise ConversionError(
            f"The input {feature.name!r} is not numeric: {exc}.", remedy="Give numbers.", field="samples"
        ) from exc
