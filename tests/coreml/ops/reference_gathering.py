"""Gather and scatter, one element after the other, as their formulas stand in the documentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.coreml.ops.reference_elements import by_element, counted, replaced


def gather(x: Any, indices: Any, axis: Any = 0, batch_dims: Any = 0, validate_indices: Any = False) -> np.ndarray:
    """``output[batch, p, i.., q] = x[batch, p, indices[batch, i..], q]``."""
    where, batch = counted(axis, x.ndim), int(batch_dims)
    behind = where + indices.ndim - batch

    def value(place):
        index = indices[place[:batch] + place[where:behind]]
        return x[(*place[:where], int(index), *place[behind:])]

    return by_element((*x.shape[:where], *indices.shape[batch:], *x.shape[where + 1 :]), x.dtype, value)


def gather_along_axis(x: Any, indices: Any, axis: Any = 0, validate_indices: Any = False) -> np.ndarray:
    where = counted(axis, x.ndim)
    return by_element(indices.shape, x.dtype, lambda place: x[replaced(place, where, indices[place])])


def gather_nd(x: Any, indices: Any, batch_dims: Any = 0, validate_indices: Any = False) -> np.ndarray:
    """``output[batch, i.., rest] = x[batch, indices[batch, i..], rest]``."""
    batch, head = int(batch_dims), indices.ndim - 1
    shape = indices.shape[:-1] + x.shape[batch + indices.shape[-1] :]

    def value(place):
        named = tuple(int(each) for each in indices[place[:head]])
        return x[place[:batch] + named + place[head:]]

    return by_element(shape, x.dtype, value)


def scatter(
    data: Any, indices: Any, updates: Any, axis: Any = 0, mode: str = "add", validate_indices: Any = False
) -> np.ndarray:
    where = counted(axis, data.ndim)
    return _put(data, updates, mode, lambda place: replaced(place, where, indices[place[where]]))


def scatter_along_axis(
    data: Any, indices: Any, updates: Any, axis: Any = 0, mode: str = "add", validate_indices: Any = False
) -> np.ndarray:
    where = counted(axis, data.ndim)
    return _put(data, updates, mode, lambda place: replaced(place, where, indices[place]))


def scatter_nd(data: Any, indices: Any, updates: Any, mode: str = "add", validate_indices: Any = False) -> np.ndarray:
    head = indices.ndim - 1
    return _put(data, updates, mode, lambda place: tuple(int(each) for each in indices[place[:head]]) + place[head:])


def _put(data: Any, updates: Any, mode: str, to: Any) -> np.ndarray:
    found = data.copy()
    for place in np.ndindex(*updates.shape):
        old, new = found[to(place)], updates[place]
        match mode:
            case "update":
                result = new
            case "add":
                result = old + new
            case "sub":
                result = old - new
            case "mul":
                result = old * new
            case "div":
                result = old / new
            case "max":
                result = max(old, new)
            case "min":
                result = min(old, new)
        found[to(place)] = result
    return found
