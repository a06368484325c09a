"""Indices and axes that a file names: each is held against the tensor before anything is read or written with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.mil_ops.tensor import Tensor


def axis_of(axis: Tensor | int, rank: int) -> int:
    """An axis counted from the front.

    Raises:
        ValueError: the tensor has no such axis.
    """
    where = whole(axis)
    if not -rank <= where < rank:
        raise ValueError(f"the axis {where} is not one of a tensor of rank {rank}")
    return where % rank


def whole(value: Tensor | int) -> int:
    """One whole number.

    Raises:
        ValueError: there are several, or it has a fraction.
    """
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iub":
        raise ValueError(f"one whole number is wanted, not {array.size} of {array.dtype}")
    return int(array.reshape(())[()])


def positions(indices: Tensor, size: int | Tensor, *, from_end: bool) -> NDArray[np.intp]:
    """Indices into axes, none negative.

    Args:
        indices: whole numbers.
        size: the axis's length, or one for each of the last axis of ``indices``.
        from_end: whether -1 means the last one: so until iOS16; from iOS17 on a negative index is out of range
            (``iOS17.scatter_gather.gather``).

    Raises:
        ValueError: one is out of range. A device may then do anything (``validate_indices``), so there is no right answer.
    """
    if indices.dtype.kind not in "iu":
        raise ValueError(f"indices are whole numbers, not {indices.dtype}")
    found = indices.astype(np.intp)
    limits = np.broadcast_to(np.asarray(size, dtype=np.intp), found.shape)
    wrong = (found >= limits) | (found < (-limits if from_end else 0))
    if wrong.any():
        at = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        raise ValueError(f"the index {int(found[at])} is out of range for an axis of length {int(limits[at])}")
    return np.where(found < 0, found + limits, found)
