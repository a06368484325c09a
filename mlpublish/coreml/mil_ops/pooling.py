"""Pooling over one to three spatial axes. Source: coremltools' MIL operation reference, ``pool``.

A window's maximum or sum is taken axis by axis, so the work grows with the sum of a window's sizes, not their product.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, ints
from mlpublish.coreml.mil_ops.windows import SLOW, Windows, bounded, listed, padded, padded_size, windows_over


def placed(
    x: Tensor, kernel_sizes: Tensor, strides: Tensor | None, pad_type: str, pad: Tensor | None, ceil_mode: Tensor | bool
) -> Windows:
    """The windows of a pool, its size bounded.

    Raises:
        ValueError: the parameters do not fit each other, or the work would be too large.
    """
    if ceil_mode and pad_type.lower().startswith("same"):
        raise ValueError(f"ceil_mode does not go with the padding {pad_type}")
    windows = windows_over(
        x.shape[2:],
        tuple(ints(kernel_sizes)),
        strides=listed(strides),
        pad_type=pad_type,
        pad=listed(pad),
        ceil_mode=bool(ceil_mode),
    )
    bounded(padded_size(x.shape, windows) * sum(windows.kernel), each=SLOW)
    return windows


def _max_pool(
    x: Tensor,
    kernel_sizes: Tensor,
    pad_type: str,
    strides: Tensor | None = None,
    pad: Tensor | None = None,
    ceil_mode: Tensor | bool = False,
) -> Tensor:
    windows = placed(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    return _gathered(padded(x, windows, -np.inf), windows, np.maximum)


def _avg_pool(
    x: Tensor,
    kernel_sizes: Tensor,
    pad_type: str,
    strides: Tensor | None = None,
    pad: Tensor | None = None,
    exclude_padding_from_average: Tensor | bool = False,
    ceil_mode: Tensor | bool = False,
) -> Tensor:
    """Padding counts as zeros unless it is excluded; what ceil mode reaches beyond the padding never counts."""
    windows = placed(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    out = _gathered(padded(x, windows), windows, np.add)
    out /= counted(x, windows, padding=not exclude_padding_from_average)
    return out


def _l2_pool(
    x: Tensor,
    kernel_sizes: Tensor,
    pad_type: str,
    strides: Tensor | None = None,
    pad: Tensor | None = None,
    ceil_mode: Tensor | bool = False,
) -> Tensor:
    """The root of the sum of the squares: the reference gives no formula, coremltools' tests of it do."""
    windows = placed(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    return np.asarray(np.sqrt(_gathered(np.square(padded(x, windows)), windows, np.add)))


def _gathered(x: Tensor, windows: Windows, join: np.ufunc) -> Tensor:
    """Each window's elements joined; a fresh array."""
    for axis, (size, step, count) in enumerate(zip(windows.kernel, windows.step, windows.counts, strict=True), start=2):
        if count == 1:
            x = join.reduce(_cut(x, axis, slice(0, size)), axis=axis, keepdims=True)
            continue
        last = (count - 1) * step + 1
        joined = np.array(_cut(x, axis, slice(0, last, step)))
        for position in range(1, size):
            join(joined, _cut(x, axis, slice(position, position + last, step)), out=joined)
        x = joined
    return x


def _cut(x: Tensor, axis: int, part: slice) -> Tensor:
    return x[(slice(None),) * axis + (part,)]


def counted(x: Tensor, windows: Windows, *, padding: bool) -> Tensor:
    """How many elements a window's average is over, as an array that spreads over (n, channels, …)."""
    out = np.ones(1, x.dtype)
    for axis, (size, (before, after)) in enumerate(zip(x.shape[2:], windows.pads, strict=True)):
        starts = np.arange(windows.counts[axis], dtype=np.int64) * windows.step[axis]
        ends = starts + windows.kernel[axis]
        first, last = (0, size + before + after) if padding else (before, before + size)
        held = np.minimum(ends, last) - np.maximum(starts, first)
        out = out[..., np.newaxis] * held.astype(x.dtype)
    return out[np.newaxis]


OPS: Mapping[str, Handler] = {"max_pool": _max_pool, "avg_pool": _avg_pool, "l2_pool": _l2_pool}
