"""Numbers of a graph as float32 constants of a program."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlpublish.errors import ConversionError

Float32s: TypeAlias = NDArray[np.float32]


def float32(values: ArrayLike) -> Float32s:
    """The nearest float32 of each number.

    Raises:
        ConversionError: a finite number lies beyond float32's range.
    """
    doubles = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore", under="ignore"):
        rounded = doubles.astype(np.float32)
    beyond = np.isfinite(doubles) & ~np.isfinite(rounded)
    if beyond.any():
        raise ConversionError(
            f"The model holds the number {float(doubles[beyond][0]):g}, which float32 does not reach.",
            remedy="Scale the features before the model is fitted.",
            field="model",
        )
    return rounded


def row(values: ArrayLike) -> Float32s:
    """Numbers as (1, …)."""
    return float32(values).reshape(1, -1)


def in_two(values: ArrayLike) -> tuple[Float32s, Float32s]:
    """Each number as a float32 and what that leaves of it: ``(x - first) - rest`` keeps what ``x - number`` loses."""
    first = float32(values)
    return first, float32(np.asarray(values, dtype=np.float64) - first)
