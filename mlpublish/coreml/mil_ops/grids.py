"""Where a resized axis looks, and what it sees between two elements. Source: MIL operation reference, ``resize_bilinear``.

An axis of n elements is the interval [0, n - 1]; a resized axis looks at points of it. Points are float64, so that a point
which lies on an element by the formula lies on it in fact.
"""

from __future__ import annotations

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Tensor

ALIGNED = ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS")


def points(mode: str, last: Tensor | float, count: int) -> Tensor:
    """The points at which an axis is looked at.

    Args:
        mode: the sampling mode.
        last: the end of the interval that begins at 0, n - 1 for n elements; an array gives points for each, last axis.
        count: how many points.

    Raises:
        ValueError: there is no such mode.
    """
    end = np.asarray(last, np.float64)[..., np.newaxis]
    number = np.arange(count, dtype=np.float64)
    if mode in ALIGNED:
        if count == 1:
            return end / 2 if mode == "ALIGN_CORNERS" else np.zeros_like(end)
        return end * number / (count - 1)
    if mode == "DEFAULT":
        found = number * ((end + 1) / count)
    elif mode == "OFFSET_CORNERS":
        found = (number + 0.5) * (np.maximum(1, end) / count)
    elif mode == "UNALIGN_CORNERS":
        found = (number + 0.5) * ((end + 1) / count) - 0.5
    else:
        raise ValueError(f"there is no sampling mode {mode}")
    return np.asarray(np.clip(found, 0, end))


def between(places: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The elements on both sides of points inside of [0, size - 1], and how far a point is from the first."""
    whole = np.floor(places)
    low = np.clip(np.nan_to_num(whole), 0, size - 1).astype(np.intp)
    return low, np.minimum(low + 1, size - 1), (places - whole).astype(np.float32)


def interpolated(x: Tensor, axis: int, places: Tensor) -> Tensor:
    """An axis at points of [0, size - 1], linear between two elements."""
    low, high, part = between(places, x.shape[axis])
    if not part.any():
        return np.take(x, low, axis)
    share = part.reshape(-1, *[1] * (x.ndim - 1 - axis % x.ndim))
    out = np.take(x, low, axis) * (1 - share)
    out += np.take(x, high, axis) * share
    return np.asarray(out)


def nearest(size: int, count: int, *, centred: bool) -> Tensor:
    """Which element a resized axis takes, in whole numbers: floor(i n / m), or floor((i + 1/2) n / m) if ``centred``."""
    twice = 2 * np.arange(count, dtype=np.int64) + (1 if centred else 0)
    return twice * size // (2 * count)
