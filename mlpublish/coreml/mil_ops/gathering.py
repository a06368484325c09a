"""Gather: elements or slices picked by index. Source: coremltools' MIL operation reference, ``scatter_gather``.

Until iOS16 a negative index counts from the end; from iOS17 on it is out of range (coremltools' converter puts a ``select``
before it that counts from the end). An index out of range is refused: what a device gives for it is undefined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.indexing import axis_of, positions, whole
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, room


def _gather(x: Tensor, indices: Tensor, axis: Tensor | int = 0, batch_dims: Tensor | int = 0) -> Tensor:
    return _gathered(x, indices, axis, batch_dims, from_end=True)


def _gather_17(x: Tensor, indices: Tensor, axis: Tensor | int = 0, batch_dims: Tensor | int = 0) -> Tensor:
    return _gathered(x, indices, axis, batch_dims, from_end=False)


def _gathered(x: Tensor, indices: Tensor, axis: Tensor | int, batch_dims: Tensor | int, *, from_end: bool) -> Tensor:
    """The shape is ``x.shape[:axis] + indices.shape[batch_dims:] + x.shape[axis + 1:]``."""
    where, batch = axis_of(axis, x.ndim), _batch(x, indices, batch_dims)
    if where < batch:
        raise ValueError(f"the axis {where} is one of the {batch} batch dimensions")
    found = positions(indices, x.shape[where], from_end=from_end)
    room(*x.shape[:where], *found.shape[batch:], *x.shape[where + 1 :])
    if not batch:
        return np.asarray(np.take(x, found, axis=where))
    return _by_batch(x, found, where, batch)


def _by_batch(x: Tensor, found: Tensor, where: int, batch: int) -> Tensor:
    """Each batch has its own indices; all batches become one axis, and so do the axes before and behind the gathered one."""
    count, before, behind = math.prod(x.shape[:batch]), x.shape[batch:where], x.shape[where + 1 :]
    flat = x.reshape(count, math.prod(before), x.shape[where], math.prod(behind))
    picked = found.reshape(count, 1, math.prod(found.shape[batch:]), 1)
    return np.take_along_axis(flat, picked, axis=2).reshape((*x.shape[:where], *found.shape[batch:], *behind))


def _gather_along_axis(x: Tensor, indices: Tensor, axis: Tensor | int = 0) -> Tensor:
    return _gathered_along(x, indices, axis, from_end=True)


def _gather_along_axis_17(x: Tensor, indices: Tensor, axis: Tensor | int = 0) -> Tensor:
    return _gathered_along(x, indices, axis, from_end=False)


def _gathered_along(x: Tensor, indices: Tensor, axis: Tensor | int, *, from_end: bool) -> Tensor:
    where = along(x, indices, axis)
    return np.take_along_axis(x, positions(indices, x.shape[where], from_end=from_end), axis=where)


def along(x: Tensor, indices: Tensor, axis: Tensor | int) -> int:
    """The axis that indices go along; the other axes are as long as the tensor's.

    Raises:
        ValueError: they are not.
    """
    where = axis_of(axis, x.ndim)
    if indices.ndim != x.ndim or any(indices.shape[other] != x.shape[other] for other in range(x.ndim) if other != where):
        raise ValueError(f"indices of the shape {indices.shape} do not go along the axis {where} of {x.shape}")
    return where


def _gather_nd(x: Tensor, indices: Tensor, batch_dims: Tensor | int = 0) -> Tensor:
    return _gathered_nd(x, indices, batch_dims, from_end=True)


def _gather_nd_17(x: Tensor, indices: Tensor, batch_dims: Tensor | int = 0) -> Tensor:
    return _gathered_nd(x, indices, batch_dims, from_end=False)


def _gathered_nd(x: Tensor, indices: Tensor, batch_dims: Tensor | int, *, from_end: bool) -> Tensor:
    """The last axis of ``indices`` is a place in ``x`` behind the batch dimensions: an element, or a slice."""
    batch = _batch(x, indices, batch_dims)
    found, rest = places(x.shape[batch:], indices, from_end=from_end)
    room(*indices.shape[:-1], *rest)
    count, each = math.prod(x.shape[:batch]), math.prod(indices.shape[batch:-1])
    flat = x.reshape(count, *x.shape[batch:])
    at = [index.reshape(count, each) for index in found]
    picked = flat[(np.arange(count)[:, None], *at)] if at else np.repeat(flat[:, None], each, axis=1)
    return np.asarray(picked.reshape((*indices.shape[:-1], *rest)))


def places(shape: tuple[int, ...], indices: Tensor, *, from_end: bool) -> tuple[list[Tensor], tuple[int, ...]]:
    """What the last axis of indices names in a shape: an array of indices for each of the first axes, and the axes left.

    Raises:
        ValueError: there are more than the shape has, or one is out of range.
    """
    if indices.ndim == 0 or indices.shape[-1] > len(shape):
        raise ValueError(f"indices of the shape {indices.shape} are no places in {shape}")
    depth = indices.shape[-1]
    found = positions(indices, np.asarray(shape[:depth], dtype=np.intp), from_end=from_end)
    return [found[..., axis] for axis in range(depth)], shape[depth:]


def _batch(x: Tensor, indices: Tensor, batch_dims: Tensor | int) -> int:
    """How many first dimensions both share."""
    batch = whole(batch_dims)
    if not 0 <= batch <= min(x.ndim, indices.ndim) or x.shape[:batch] != indices.shape[:batch]:
        raise ValueError(f"tensors of the shapes {x.shape} and {indices.shape} do not share {batch} batch dimensions")
    return batch


OPS: Mapping[str, Handler] = {
    "gather": _gather,
    "gather@17": _gather_17,
    "gather_along_axis": _gather_along_axis,
    "gather_along_axis@17": _gather_along_axis_17,
    "gather_nd": _gather_nd,
    "gather_nd@17": _gather_nd_17,
}
