"""Operations that make or search tensors. Source: coremltools' MIL operation reference, ``tensor_operation``."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.indexing import axis_of, positions, whole
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, ints, room

_ZERO = np.float32(0)
_ON, _OFF = np.int32(1), np.int32(0)


def _fill(shape: Tensor, value: Tensor | np.float32 = _ZERO) -> Tensor:
    return np.full(room(*ints(shape)), _one(value))


def _fill_like(ref_tensor: Tensor, value: Tensor | np.float32 = _ZERO) -> Tensor:
    return np.full(room(*ref_tensor.shape), _one(value))


def _one(value: Tensor | np.float32 | np.int32) -> Tensor:
    """One number, with its type."""
    return np.asarray(value).reshape(())


def _range_1d(end: Tensor, start: Tensor, step: Tensor) -> Tensor:
    """From ``start`` by ``step``, without ``end``: as many as fit, counted in the numbers' own type as coremltools does."""
    kind = np.result_type(start, end, step)
    first, last, by = (_one(each)[()] if kind.kind == "f" else whole(each) for each in (start, end, step))
    count = (last - first) / by if by else math.nan
    if not math.isfinite(count):
        raise ValueError(f"a range from {first} to {last} by {by} has no length")
    length = max(0, math.ceil(count))
    room(4 * length)  # counted on the way in numbers of eight bytes, twice
    return np.asarray(first + np.arange(length) * by).astype(kind)


def _one_hot(
    indices: Tensor,
    one_hot_vector_size: Tensor,
    axis: Tensor | int = -1,
    on_value: Tensor | np.int32 = _ON,
    off_value: Tensor | np.int32 = _OFF,
) -> Tensor:
    """An index that names no place of the vector is refused: the reference gives it no meaning."""
    size, where = whole(one_hot_vector_size), axis_of(axis, indices.ndim + 1)
    room(*indices.shape, size)
    room(size)
    found = positions(indices, size, from_end=False)
    places = np.arange(size).reshape(size, *(1,) * (indices.ndim - where))
    return np.where(np.expand_dims(found, where) == places, _one(on_value), _one(off_value))


def _band_part(x: Tensor, lower: Tensor | int = -1, upper: Tensor | int = -1) -> Tensor:
    """Zero outside of a band of the innermost matrix; a negative width keeps the whole triangle."""
    if x.ndim < 2:
        raise ValueError(f"a tensor of the shape {x.shape} holds no matrix")
    below, above = whole(lower), whole(upper)
    rows, columns = room(*x.shape[-2:])
    row, column = np.arange(rows)[:, None], np.arange(columns)
    outside = np.zeros((rows, columns), dtype=bool)
    if below >= 0:
        outside |= column < row - below
    if above >= 0:
        outside |= column > row + above
    return np.where(outside, np.zeros((), dtype=x.dtype), x)


def _argsort(x: Tensor, axis: Tensor | int = -1, ascending: Tensor | bool = False) -> Tensor:
    """Of equal values the first comes first."""
    where = axis_of(axis, x.ndim)
    # Turned about, not negated: the smallest whole number has no opposite, and unsigned ones have none at all.
    keys = x if ascending else -x if x.dtype.kind == "f" else ~x
    return np.argsort(keys, axis=where, kind="stable").astype(np.int32)


def _non_zero(x: Tensor) -> Tensor:
    room(int(np.count_nonzero(x)), x.ndim)
    return np.argwhere(x).astype(np.int32)


OPS: Mapping[str, Handler] = {
    "fill": _fill,
    "fill_like": _fill_like,
    "range_1d": _range_1d,
    "one_hot": _one_hot,
    "band_part": _band_part,
    "argsort": _argsort,
    "non_zero": _non_zero,
}
