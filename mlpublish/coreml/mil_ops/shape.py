"""Operations that move elements and change no number. Source: coremltools' MIL operation reference, ``tensor_*``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, Value, axes_of, ints, several


def _reshape(x: Tensor, shape: Tensor) -> Tensor:
    """A 0 in ``shape`` keeps the dimension that stands there; one -1 is worked out."""
    return x.reshape([x.shape[axis] if size == 0 else size for axis, size in enumerate(ints(shape))])


def _transpose(x: Tensor, perm: Tensor) -> Tensor:
    return np.transpose(x, ints(perm))


def _concat(values: Value, axis: Tensor, interleave: Tensor | bool = False) -> Tensor:
    parts = several(values)
    if not interleave:
        return np.concatenate(parts, axis=int(axis))
    where = int(axis) % parts[0].ndim
    stacked = np.stack(parts, axis=where + 1)
    return stacked.reshape(*parts[0].shape[:where], -1, *parts[0].shape[where + 1 :])


def _stack(values: Value, axis: Tensor) -> Tensor:
    return np.stack(several(values), axis=int(axis))


def _split(x: Tensor, axis: Tensor, num_splits: Tensor | None = None, split_sizes: Tensor | None = None) -> Value:
    if split_sizes is not None:
        return tuple(np.split(x, np.cumsum(ints(split_sizes))[:-1], axis=int(axis)))
    assert num_splits is not None
    return tuple(np.split(x, int(num_splits), axis=int(axis)))


def _squeeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
    return np.squeeze(x, axis=axes_of(axes))


def _expand_dims(x: Tensor, axes: Tensor) -> Tensor:
    return np.expand_dims(x, ints(axes))


def _slice_by_index(
    x: Tensor,
    begin: Tensor,
    end: Tensor,
    stride: Tensor | None = None,
    begin_mask: Tensor | None = None,
    end_mask: Tensor | None = None,
    squeeze_mask: Tensor | None = None,
) -> Tensor:
    """A mask's truth at an axis means: from the very start, to the very end, or this one index alone."""
    no = np.zeros(x.ndim, dtype=bool)
    steps = ints(stride) if stride is not None else [1] * x.ndim
    from_start, to_end, single = (no if mask is None else mask for mask in (begin_mask, end_mask, squeeze_mask))
    where: list[int | slice] = [
        first if one else slice(None if whole else first, None if rest else last, step)
        for first, last, step, whole, rest, one in zip(ints(begin), ints(end), steps, from_start, to_end, single, strict=True)
    ]
    return np.asarray(x[tuple(where)])


def _slice_by_size(x: Tensor, begin: Tensor, size: Tensor) -> Tensor:
    """A size of -1 reaches to the end."""
    ends = [None if length == -1 else first + length for first, length in zip(ints(begin), ints(size), strict=True)]
    return np.asarray(x[tuple(slice(first, end) for first, end in zip(ints(begin), ends, strict=True))])


def _gather(
    x: Tensor,
    indices: Tensor,
    axis: Tensor | int = 0,
    batch_dims: Tensor | int = 0,
) -> Tensor:
    if int(batch_dims):
        raise ValueError("gather with batch_dims is not evaluated")
    return np.take(x, indices, axis=int(axis))


def _gather_along_axis(x: Tensor, indices: Tensor, axis: Tensor | int = 0) -> Tensor:
    return np.take_along_axis(x, indices, axis=int(axis))


def _pad(x: Tensor, pad: Tensor, mode: str = "constant", constant_val: Tensor | float = 0.0) -> Tensor:
    """``pad`` speaks of the last axes: before and after each."""
    widths = [(0, 0)] * (x.ndim - len(pad) // 2) + [(int(before), int(after)) for before, after in pad.reshape(-1, 2)]
    if mode == "constant":
        return np.pad(x, widths, constant_values=constant_val)
    if mode == "reflect":
        return np.pad(x, widths, mode="reflect")
    return np.pad(x, widths, mode="edge")


def _tile(x: Tensor, reps: Tensor) -> Tensor:
    return np.tile(x, ints(reps))


def _reverse(x: Tensor, axes: Tensor | None = None) -> Tensor:
    return np.flip(x, axis=axes_of(axes))


def _flatten2d(x: Tensor, axis: Tensor | int = 1) -> Tensor:
    return x.reshape(int(np.prod(x.shape[: int(axis) % x.ndim])), -1)


def _shape(x: Tensor) -> Tensor:
    return np.asarray(x.shape, dtype=np.int32)


OPS: Mapping[str, Handler] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "concat": _concat,
    "stack": _stack,
    "split": _split,
    "squeeze": _squeeze,
    "expand_dims": _expand_dims,
    "slice_by_index": _slice_by_index,
    "slice_by_size": _slice_by_size,
    "gather": _gather,
    "gather_along_axis": _gather_along_axis,
    "pad": _pad,
    "tile": _tile,
    "reverse": _reverse,
    "flatten2d": _flatten2d,
    "shape": _shape,
}
