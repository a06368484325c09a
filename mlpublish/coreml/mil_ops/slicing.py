"""Slices and windows. Source: coremltools' MIL operation reference, ``tensor_transformation``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.indexing import axis_of, whole
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, ints, room


def _slice_by_index(
    x: Tensor,
    begin: Tensor,
    end: Tensor,
    stride: Tensor | None = None,
    begin_mask: Tensor | None = None,
    end_mask: Tensor | None = None,
    squeeze_mask: Tensor | None = None,
) -> Tensor:
    found = np.asarray(x[_where(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)])
    return np.ascontiguousarray(found) if min(found.strides, default=0) < 0 else found  # torch takes no negative strides


def _slice_update(
    x: Tensor,
    update: Tensor,
    begin: Tensor,
    end: Tensor,
    stride: Tensor | None = None,
    begin_mask: Tensor | None = None,
    end_mask: Tensor | None = None,
    squeeze_mask: Tensor | None = None,
) -> Tensor:
    """The slice is ``slice_by_index``'s; the update has its shape."""
    where = _where(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    if x[where].shape != update.shape:
        raise ValueError(f"an update of the shape {update.shape} does not fit a slice of the shape {x[where].shape}")
    changed = x.copy()
    changed[where] = update
    return changed


def _where(
    x: Tensor,
    begin: Tensor,
    end: Tensor,
    stride: Tensor | None,
    begin_mask: Tensor | None,
    end_mask: Tensor | None,
    squeeze_mask: Tensor | None,
) -> tuple[int | slice, ...]:
    """A mask's truth at an axis means: from the very start, to the very end, or this one index alone.

    "The very start" is the last element where the stride is negative, as in Python (``solve_slice_by_index_slice``).
    """
    steps = np.ones(x.ndim, dtype=np.intp) if stride is None else stride
    no = np.zeros(x.ndim, dtype=bool)
    masks = (no if mask is None else mask for mask in (begin_mask, end_mask, squeeze_mask))
    lists = [_one_for_each_axis(x, each) for each in (begin, end, steps, *masks)]
    return tuple(_along(*each) for each in zip(x.shape, *lists, strict=True))


def _along(size: int, first: int, last: int, step: int, from_start: int, to_end: int, single: int) -> int | slice:
    """What is taken of one axis."""
    if not single:
        return slice(None if from_start else first, None if to_end else last, step)
    index = 0 if from_start else first
    if not -size <= index < size:
        raise ValueError(f"the index {index} is out of range for an axis of length {size}")
    return index


def _one_for_each_axis(x: Tensor, values: Tensor) -> list[int]:
    if values.size != x.ndim:
        raise ValueError(f"a slice of a tensor of rank {x.ndim} names {values.size} numbers, not one for each axis")
    return ints(values)


def _slice_by_size(x: Tensor, begin: Tensor, size: Tensor) -> Tensor:
    """A size of -1 reaches to the end."""
    firsts, sizes = _one_for_each_axis(x, begin), _one_for_each_axis(x, size)
    where = []
    for length, first, count in zip(x.shape, firsts, sizes, strict=True):
        start = first + length if first < 0 else first
        stop = length if count == -1 else start + count
        if not 0 <= start <= stop <= length:
            raise ValueError(f"a slice of {count} from {first} on reaches out of an axis of length {length}")
        where.append(slice(start, stop))
    return np.asarray(x[tuple(where)])


def _sliding_windows(x: Tensor, axis: Tensor, size: Tensor, stride: Tensor | int = 1) -> Tensor:
    """The windows stand at the axis, what is in them behind it."""
    where, length, step = axis_of(axis, x.ndim), whole(size), whole(stride)
    if step < 1 or not 1 <= length <= x.shape[where]:
        raise ValueError(f"windows of {length}, every {step}, do not fit an axis of length {x.shape[where]}")
    room(*x.shape[:where], (x.shape[where] - length) // step + 1, length, *x.shape[where + 1 :])
    windows = np.lib.stride_tricks.sliding_window_view(x, length, axis=where)
    return np.moveaxis(windows[(slice(None),) * where + (slice(None, None, step),)], -1, where + 1).copy()


OPS: Mapping[str, Handler] = {
    "slice_by_index": _slice_by_index,
    "slice_update": _slice_update,
    "slice_by_size": _slice_by_size,
    "sliding_windows": _sliding_windows,
}
