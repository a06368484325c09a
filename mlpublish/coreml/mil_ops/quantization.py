"""Whole numbers for real ones and back. Source: coremltools' MIL operation reference, ``quantize`` and ``dequantize``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Handler, Tensor

_RANGES: Mapping[str, type[np.int8 | np.uint8]] = {"int8": np.int8, "uint8": np.uint8}


def _quantize(
    input: Tensor,
    scale: Tensor,
    output_dtype: str,
    zero_point: Tensor | None = None,
    axis: Tensor | None = None,
) -> Tensor:
    """``clip(round(input / scale) + zero_point)``; a half is rounded to the even number."""
    if output_dtype not in _RANGES:
        raise ValueError(f"output_dtype {output_dtype!r} is none of {', '.join(_RANGES)}")
    levels = np.rint(input / along(scale, input, axis))
    if zero_point is not None:
        levels = levels + along(zero_point, input, axis).astype(np.float32)
    held = np.iinfo(_RANGES[output_dtype])
    return np.asarray(np.clip(np.nan_to_num(levels), held.min, held.max), held.dtype)


def _dequantize(
    input: Tensor,
    scale: Tensor,
    zero_point: Tensor | None = None,
    axis: Tensor | None = None,
) -> Tensor:
    """``scale * (input - zero_point)``."""
    centred = input.astype(np.float32)
    if zero_point is not None:
        centred = centred - along(zero_point, input, axis).astype(np.float32)
    return np.asarray(centred * along(scale, input, axis), np.float32)


def along(numbers: Tensor, x: Tensor, axis: Tensor | None) -> Tensor:
    """One number for all of ``x``, or one for each place along ``axis``, in a shape that spreads over ``x``.

    Raises:
        ValueError: it is neither.
    """
    if numbers.ndim == 0:
        return numbers
    where = None if axis is None else int(axis)
    if where is None or not -x.ndim <= where < x.ndim or numbers.shape != (x.shape[where],):
        raise ValueError(f"numbers of the shape {numbers.shape} do not go along the axis {where} of the shape {x.shape}")
    return numbers.reshape([-1 if place == where % x.ndim else 1 for place in range(x.ndim)])


OPS: Mapping[str, Handler] = {"quantize": _quantize, "dequantize": _dequantize}
