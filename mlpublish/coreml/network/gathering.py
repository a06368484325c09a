"""Layers that pick and put numbers by index, and choose between two.

Source: NeuralNetwork.proto, ``Gather…LayerParams``, ``Scatter…LayerParams``, ``WhereBroadcastableLayerParams``,
``WhereNonZeroLayerParams``, ``OneHotLayerParams``, ``MatrixBandPartLayerParams``, ``…TriangularLayerParams``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Tensor, room
from mlpublish.coreml.network.blob import (
    Blob,
    Opener,
    Step,
    aligned,
    at_least,
    axis_of,
    each_row,
    filled,
    indices,
    one,
    rank,
    two,
    whole,
)
from mlpublish.coreml.schema import Message

_MODES: Mapping[int, Callable[..., Any]] = {  # ScatterMode; updates are put one by one, in their order
    1: np.add.at,
    2: np.subtract.at,
    3: np.multiply.at,
    4: np.divide.at,
    5: np.maximum.at,
    6: np.minimum.at,
}


def _gather(layer: Message) -> Step:
    def row(data: Tensor, places: Tensor) -> Tensor:
        axis = axis_of(layer.gather.axis, data.ndim) - 1
        room(*data.shape[:axis], *places.shape, *data.shape[axis + 1 :])
        return np.take(data, indices(places, data.shape[axis]), axis=axis)

    return two(lambda data, places: filled(each_row(row, data, places)))


def _gather_nd(_: Message) -> Step:
    def row(data: Tensor, places: Tensor) -> Tensor:
        chosen = _multi(places, data)
        room(*places.shape[:-1], *data.shape[places.shape[-1] :])
        return np.asarray(data[chosen])

    return two(lambda data, places: filled(each_row(row, data, places)))


def _multi(places: Tensor, data: Tensor) -> tuple[Tensor, ...]:
    """The last dimension of the indices as an index into each of the first dimensions of the data."""
    if places.ndim < 1 or not 1 <= places.shape[-1] <= data.ndim:
        raise ValueError(f"indices of {places.shape} into {data.shape}")
    return tuple(indices(places[..., at], data.shape[at]) for at in range(places.shape[-1]))


def _gather_along_axis(layer: Message) -> Step:
    def row(data: Tensor, places: Tensor) -> Tensor:
        axis = axis_of(layer.gatherAlongAxis.axis, data.ndim) - 1
        return np.take_along_axis(data, indices(places, data.shape[axis]), axis=axis)

    return two(lambda data, places: each_row(row, data, places))


def _put(mode: int, into: Tensor, where: tuple[Any, ...], updates: Tensor) -> Tensor:
    out = np.array(into)
    if np.broadcast_shapes(out[where].shape, updates.shape) != out[where].shape:
        raise ValueError(f"updates of {updates.shape} for {out[where].shape}")
    if mode == 0:
        out[where] = updates
    else:
        _MODES[mode](out, where, updates)
    return out


def _three(row: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Step:
    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        container, places, updates = inputs
        return (each_row(row, container, places, updates),)

    return step


def _scatter(layer: Message) -> Step:
    held = layer.scatter

    def row(container: Tensor, places: Tensor, updates: Tensor) -> Tensor:
        axis = axis_of(held.axis, container.ndim) - 1
        where = (*[slice(None)] * axis, indices(places, container.shape[axis]))
        return _put(held.mode, container, where, updates)

    return _three(row)


def _scatter_nd(layer: Message) -> Step:
    return _three(lambda into, places, updates: _put(layer.scatterND.mode, into, _multi(places, into), updates))


def _scatter_along_axis(layer: Message) -> Step:
    held = layer.scatterAlongAxis

    def row(container: Tensor, places: Tensor, updates: Tensor) -> Tensor:
        axis = axis_of(held.axis, container.ndim) - 1
        if places.shape != updates.shape or places.ndim != container.ndim:
            raise ValueError(f"indices of {places.shape} for updates of {updates.shape}")
        where = list(np.ogrid[tuple(slice(size) for size in places.shape)])
        where[axis] = indices(places, container.shape[axis])
        return _put(held.mode, container, tuple(where), updates)

    return _three(row)


def _where(_: Message) -> Step:
    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        condition, x, y = aligned(inputs)
        return (np.where(condition != 0, x, y),)

    return step


def _where_non_zero(_: Message) -> Step:
    return one(lambda x: each_row(lambda row: np.argwhere(row).astype(np.float32), x))


def _one_hot(layer: Message) -> Step:
    held = layer.oneHot

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        x, *given = inputs
        (size,) = whole(given[0]) if given else [int(held.oneHotVectorSize)]
        axis = axis_of(held.axis, rank(x) + 1)
        room(*x.shape, size)
        hit = np.expand_dims(x, axis) == np.arange(size).reshape(-1, *[1] * (x.ndim - axis))
        return (np.where(hit, np.float32(held.onValue), np.float32(held.offValue)),)

    return step


def _band(keeps: Callable[[Message, Tensor, Tensor], Tensor]) -> Opener:
    """Zeros where a place (row, column) of the inner matrices is not kept."""

    def opened(layer: Message) -> Step:
        def run(x: Blob) -> Blob:
            rows, columns = np.ogrid[: at_least(2, x).shape[-2], : x.shape[-1]]
            return np.where(keeps(layer, rows, columns), x, np.float32(0))

        return one(run)

    return opened


def _in_band(layer: Message, rows: Tensor, columns: Tensor) -> Tensor:
    low, high = layer.matrixBandPart.numLower, layer.matrixBandPart.numUpper
    return np.asarray(((low < 0) | (rows - columns <= low)) & ((high < 0) | (columns - rows <= high)))


LAYERS: Mapping[str, Opener] = {
    "gather": _gather,
    "gatherND": _gather_nd,
    "gatherAlongAxis": _gather_along_axis,
    "scatter": _scatter,
    "scatterND": _scatter_nd,
    "scatterAlongAxis": _scatter_along_axis,
    "whereBroadcastable": _where,
    "whereNonZero": _where_non_zero,
    "oneHot": _one_hot,
    "matrixBandPart": _band(_in_band),
    "lowerTriangular": _band(lambda layer, rows, columns: columns - rows <= layer.lowerTriangular.k),
    "upperTriangular": _band(lambda layer, rows, columns: columns - rows >= layer.upperTriangular.k),
}
