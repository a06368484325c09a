"""What coremltools' value inference leaves out of the operations in ``shape``, ``joining`` and ``slicing``: in plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.coreml.ops.reference_elements import by_element, counted, replaced


def interleaved(values: Any, axis: Any, interleave: Any) -> np.ndarray:
    """Element k along the axis comes from part k mod n, at k div n."""
    first = values[0]
    where, n = counted(axis, first.ndim), len(values)
    shape = replaced(first.shape, where, first.shape[where] * n)
    return by_element(shape, first.dtype, lambda p: values[p[where] % n][replaced(p, where, p[where] // n)])


def joined_scalars(values: Any, axis: Any) -> np.ndarray:
    return np.asarray([each.item() for each in values], values[0].dtype)


def squeezed(x: Any, axes: Any = None) -> np.ndarray:
    """Named axes of length 1 go, longer ones stay."""
    named = range(x.ndim) if axes is None else [counted(axis, x.ndim) for axis in axes]
    return np.asarray(x.ravel().tolist(), x.dtype).reshape([s for k, s in enumerate(x.shape) if k not in named or s != 1])


def padded(x: Any, pad: Any, mode: str = "constant", constant_val: Any = 0.0) -> np.ndarray:
    """Each coordinate is worked out by itself: outside, the edge, or mirrored at it."""
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + [tuple(pair) for pair in np.reshape(pad, (-1, 2)).tolist()]
    shape = tuple(size + before + after for size, (before, after) in zip(x.shape, pairs, strict=True))

    def inside(index: int, size: int) -> int | None:
        if 0 <= index < size:
            return index
        if mode == "replicate":
            return 0 if index < 0 else size - 1
        if mode == "reflect":
            return -index if index < 0 else 2 * (size - 1) - index
        return None

    def value(place):
        there = [inside(k - before, size) for k, (before, _), size in zip(place, pairs, x.shape, strict=True)]
        return constant_val if None in there else x[tuple(there)]

    return by_element(shape, x.dtype, value)


def reshaped_like(x: Any, ref_tensors: Any, begins: Any, ends: Any, end_masks: Any) -> np.ndarray:
    shape: list[int] = []
    for ref, begin, end, to_end in zip(ref_tensors, begins, ends, end_masks, strict=True):
        shape += [size for k, size in enumerate(ref.shape) if k >= begin and (to_end or k < end)]
    return np.asarray(x.ravel().tolist(), x.dtype).reshape(shape)


def windows(x: Any, axis: Any, size: Any, stride: Any = 1) -> np.ndarray:
    """``output[.., w, k, ..] = x[.., w * stride + k, ..]``."""
    where = counted(axis, x.ndim)
    count = (x.shape[where] - int(size)) // int(stride) + 1
    shape = (*x.shape[:where], count, int(size), *x.shape[where + 1 :])

    def value(place):
        return x[(*place[:where], place[where] * int(stride) + place[where + 1], *place[where + 2 :])]

    return by_element(shape, x.dtype, value)
