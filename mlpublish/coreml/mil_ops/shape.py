"""Operations that give a tensor another shape and change no number.

Source: coremltools' MIL operation reference, ``tensor_transformation`` and ``tensor_operation``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.indexing import axis_of, whole
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, Value, axes_of, ints, room, several


def _reshape(x: Tensor, shape: Tensor) -> Tensor:
    """A 0 in ``shape`` keeps the dimension that stands there, if the ranks are the same; one -1 is worked out."""
    sizes = ints(shape)
    if 0 in sizes and len(sizes) != x.ndim:
        raise ValueError(f"a 0 in the shape {sizes} wants a tensor of the same rank, not of the shape {x.shape}")
    return _reshaped(x, [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)])


def _reshape_17(x: Tensor, shape: Tensor) -> Tensor:
    """As of iOS17 a 0 keeps the dimension at the same place from the right, and is 1 where there is none."""
    sizes = ints(shape)
    ones = [1] * max(0, len(sizes) - x.ndim)
    there = (ones + list(x.shape))[-len(sizes) :] if sizes else []
    return _reshaped(x, [kept if size == 0 else size for size, kept in zip(sizes, there, strict=True)])


def _reshaped(x: Tensor, sizes: list[int]) -> Tensor:
    if any(size < -1 for size in sizes):
        raise ValueError(f"a dimension of the shape {sizes} is negative")
    return x.reshape(sizes)


def _reshape_like(x: Tensor, ref_tensors: Value, begins: Value, ends: Value, end_masks: Value) -> Tensor:
    """The new shape is put together from pieces of the shapes of ``ref_tensors``."""
    sizes: list[int] = []
    for ref, begin, end, to_end in zip(several(ref_tensors), several(begins), several(ends), several(end_masks), strict=True):
        sizes += ref.shape[whole(begin) : None if whole(to_end) else whole(end)]
    return x.reshape(sizes)


def _transpose(x: Tensor, perm: Tensor) -> Tensor:
    return np.transpose(x, ints(perm))


def _squeeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
    """An axis that is named and longer than 1 stays, as the reference says (and as in PyTorch)."""
    named = range(x.ndim) if axes is None else {axis_of(axis, x.ndim) for axis in ints(axes)}
    return np.squeeze(x, axis=tuple(axis for axis in named if x.shape[axis] == 1))


def _expand_dims(x: Tensor, axes: Tensor) -> Tensor:
    return np.expand_dims(x, ints(axes))


def _flatten2d(x: Tensor, axis: Tensor | int = 1) -> Tensor:
    """The axis may be the rank itself: all dimensions stand before it then."""
    where = whole(axis)
    if not -x.ndim <= where <= x.ndim:
        raise ValueError(f"the axis {where} is not one of a tensor of rank {x.ndim}")
    return x.reshape(math.prod(x.shape[:where]), math.prod(x.shape[where:]))


def _shape(x: Tensor) -> Tensor:
    return np.asarray(x.shape, dtype=np.int32)


def _reverse(x: Tensor, axes: Tensor | None = None) -> Tensor:
    return np.ascontiguousarray(np.flip(x, axis=axes_of(axes)))  # torch takes no negative strides


def _tile(x: Tensor, reps: Tensor) -> Tensor:
    """Each dimension has its own number of repetitions.

    coremltools declares none below 1, but lets programs count them: for torch's ``nan_to_num`` one for each NaN, so 0 is usual.
    """
    times = ints(reps)
    if len(times) != x.ndim:
        raise ValueError(f"repetitions {times} do not fit a tensor of the shape {x.shape}: one for each axis")
    room(*(size * each for size, each in zip(x.shape, times, strict=True)))
    return np.tile(x, times)


OPS: Mapping[str, Handler] = {
    "reshape": _reshape,
    "reshape@17": _reshape_17,
    "reshape_like": _reshape_like,
    "transpose": _transpose,
    "squeeze": _squeeze,
    "expand_dims": _expand_dims,
    "flatten2d": _flatten2d,
    "shape": _shape,
    "reverse": _reverse,
    "tile": _tile,
}
