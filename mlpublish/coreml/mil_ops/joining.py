"""Tensors put together, taken apart, or given a border. Source: coremltools' MIL operation reference, ``tensor_operation``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.indexing import axis_of, whole
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, Value, ints, room, several


def _concat(values: Value, axis: Tensor, interleave: Tensor | bool = False) -> Tensor:
    """Scalars become a vector; interleaved parts are of one shape, and take turns along the axis."""
    parts = several(values)
    first = parts[0]
    if first.ndim == 0:
        return np.stack(parts)
    where = axis_of(axis, first.ndim)
    if any(part.ndim != first.ndim for part in parts):
        raise ValueError(f"tensors of the ranks {[part.ndim for part in parts]} cannot be joined")
    room(*first.shape[:where], sum(part.shape[where] for part in parts), *first.shape[where + 1 :])
    if not interleave:
        return np.concatenate(parts, axis=where)
    stacked = np.stack(parts, axis=where + 1)
    return stacked.reshape(*first.shape[:where], first.shape[where] * len(parts), *first.shape[where + 1 :])


def _stack(values: Value, axis: Tensor) -> Tensor:
    parts = several(values)
    room(len(parts), *parts[0].shape)
    return np.stack(parts, axis=whole(axis))


def _split(x: Tensor, axis: Tensor, num_splits: Tensor | None = None, split_sizes: Tensor | None = None) -> Value:
    where = axis_of(axis, x.ndim)
    sizes = _even(x.shape[where], num_splits) if split_sizes is None else ints(split_sizes)
    if any(size < 0 for size in sizes) or sum(sizes) != x.shape[where]:
        raise ValueError(f"parts of the sizes {sizes} do not make up an axis of length {x.shape[where]}")
    if split_sizes is not None and num_splits is not None and whole(num_splits) != len(sizes):
        raise ValueError(f"{len(sizes)} sizes are given for {whole(num_splits)} parts")
    ends = np.cumsum(sizes)
    before = (slice(None),) * where
    parts = tuple(x[(*before, slice(end - size, end))] for size, end in zip(sizes, ends, strict=True))
    return parts if len(parts) > 1 else parts[0]


def _even(length: int, num_splits: Tensor | None) -> list[int]:
    count = 0 if num_splits is None else whole(num_splits)
    if not 1 <= count <= max(length, 1) or length % count:
        raise ValueError(f"an axis of length {length} cannot be split into {count} even parts")
    return [length // count] * count


def _pad(x: Tensor, pad: Tensor, mode: str = "constant", constant_val: Tensor | float = 0.0) -> Tensor:
    """``pad`` speaks of the last axes: before and after each.

    A reflection does not repeat the edge, so it is shorter than the axis; a replicated edge has any width here.
    """
    sides = ints(pad)
    if len(sides) % 2 or len(sides) > 2 * x.ndim or any(side < 0 for side in sides):
        raise ValueError(f"the padding {sides} does not fit {x.shape}: two numbers for each axis, none negative")
    widths = [(0, 0)] * (x.ndim - len(sides) // 2) + list(zip(sides[::2], sides[1::2], strict=True))
    room(*(before + size + after for size, (before, after) in zip(x.shape, widths, strict=True)))
    if mode == "constant":
        return np.pad(x, widths, constant_values=np.asarray(constant_val).reshape(()))
    if mode == "reflect":
        if any(max(each) >= size for size, each in zip(x.shape, widths, strict=True) if max(each)):
            raise ValueError(f"the padding {sides} reflects more than a tensor of the shape {x.shape} has")
        return np.pad(x, widths, mode="reflect")
    if mode == "replicate":
        return np.pad(x, widths, mode="edge")
    raise ValueError(f"the padding mode {mode!r} is none of constant, reflect, replicate")


OPS: Mapping[str, Handler] = {
    "concat": _concat,
    "stack": _stack,
    "split": _split,
    "pad": _pad,
}
