"""Scatter: values put at indices, in one of seven modes. Source: coremltools' MIL operation reference, ``scatter_gather``.

Where no mode is named it is ``add``, as coremltools' default is, also for ``scatter`` (whose text says ``update``). Where an
index is repeated, the values are put there one after the other. For indices see ``gathering``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.coreml.mil_ops.gathering import along, places
from mlpublish.coreml.mil_ops.indexing import axis_of, positions
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor


def _scatter(data: Tensor, indices: Tensor, updates: Tensor, axis: Tensor | int = 0, mode: str = "add") -> Tensor:
    return _scattered(data, indices, updates, axis, mode, from_end=True)


def _scatter_17(data: Tensor, indices: Tensor, updates: Tensor, axis: Tensor | int = 0, mode: str = "add") -> Tensor:
    return _scattered(data, indices, updates, axis, mode, from_end=False)


def _scattered(data: Tensor, indices: Tensor, updates: Tensor, axis: Tensor | int, mode: str, *, from_end: bool) -> Tensor:
    """Each index names a whole slice along the axis."""
    where = axis_of(axis, data.ndim)
    if indices.ndim != 1:
        raise ValueError(f"the indices of a scatter are a vector, not of the shape {indices.shape}")
    found = positions(indices, data.shape[where], from_end=from_end)
    _same_shape(updates, (*data.shape[:where], *found.shape, *data.shape[where + 1 :]))
    return _put(data, (slice(None),) * where + (found,), updates, mode)


def _scatter_along_axis(data: Tensor, indices: Tensor, updates: Tensor, axis: Tensor | int = 0, mode: str = "add") -> Tensor:
    return _scattered_along(data, indices, updates, axis, mode, from_end=True)


def _scatter_along_axis_17(data: Tensor, indices: Tensor, updates: Tensor, axis: Tensor | int = 0, mode: str = "add") -> Tensor:
    return _scattered_along(data, indices, updates, axis, mode, from_end=False)


def _scattered_along(
    data: Tensor, indices: Tensor, updates: Tensor, axis: Tensor | int, mode: str, *, from_end: bool
) -> Tensor:
    """Each index names one element along the axis; its other coordinates are its own."""
    where = along(data, indices, axis)
    _same_shape(updates, indices.shape)
    own = list(np.ogrid[tuple(slice(size) for size in indices.shape)])
    own[where] = positions(indices, data.shape[where], from_end=from_end)
    return _put(data, tuple(own), updates, mode)


def _scatter_nd(data: Tensor, indices: Tensor, updates: Tensor, mode: str = "add") -> Tensor:
    return _scattered_nd(data, indices, updates, mode, from_end=True)


def _scatter_nd_17(data: Tensor, indices: Tensor, updates: Tensor, mode: str = "add") -> Tensor:
    return _scattered_nd(data, indices, updates, mode, from_end=False)


def _scattered_nd(data: Tensor, indices: Tensor, updates: Tensor, mode: str, *, from_end: bool) -> Tensor:
    """The last axis of ``indices`` is a place in ``data``: an element, or a slice where it names only the first axes."""
    found, rest = places(data.shape, indices, from_end=from_end)
    _same_shape(updates, (*indices.shape[:-1], *rest))
    return _put(data, tuple(found), updates, mode)


def _same_shape(updates: Tensor, wanted: tuple[int, ...]) -> None:
    if updates.shape != wanted:
        raise ValueError(f"updates of the shape {updates.shape} were given, {wanted} is wanted")


_MODES: Mapping[str, np.ufunc] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
}


def _put(data: Tensor, where: tuple[Any, ...], updates: Tensor, mode: str) -> Tensor:
    changed = data.copy()
    if mode == "update":
        changed[where] = updates
    elif mode == "div" and data.dtype.kind in "iu":
        return _divided(data, where, updates)
    elif mode in _MODES:
        _MODES[mode].at(changed, where, updates)
    else:
        raise ValueError(f"the mode {mode!r} is none of update, {', '.join(_MODES)}")
    return changed


def _divided(data: Tensor, where: tuple[Any, ...], updates: Tensor) -> Tensor:
    """Whole numbers, where the quotient is one: the reference does not say how another is rounded."""
    divisor = np.ones_like(data)
    np.multiply.at(divisor, where, updates)
    if not divisor.all() or (data % divisor).any():
        raise ValueError("a quotient of whole numbers that is none itself is not evaluated")
    quotient: Tensor = data // divisor
    return quotient


OPS: Mapping[str, Handler] = {
    "scatter": _scatter,
    "scatter@17": _scatter_17,
    "scatter_along_axis": _scatter_along_axis,
    "scatter_along_axis@17": _scatter_along_axis_17,
    "scatter_nd": _scatter_nd,
    "scatter_nd@17": _scatter_nd_17,
}
