"""Layers that make blobs out of nothing, or out of a shape.

Source: NeuralNetwork.proto, ``LoadConstantLayerParams``, ``LoadConstantNDLayerParams``, ``Fill…LayerParams``,
``Range…LayerParams``, ``GetShapeLayerParams``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mlpublish.coreml.mil_ops.tensor import room
from mlpublish.coreml.network.blob import Blob, Opener, Step, agreed, one, whole
from mlpublish.coreml.network.weights import numbers
from mlpublish.coreml.schema import Message


def _nothing_in(made: Blob) -> Step:
    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        if inputs:
            raise ValueError("it takes no input")
        return (made,)

    return step


def _load_constant(layer: Message) -> Step:
    shape = [int(size) for size in layer.loadConstant.shape]
    if len(shape) != 3:
        raise ValueError(f"a constant of the shape {shape}")
    return _nothing_in(numbers(layer.loadConstant.data, *shape).reshape(1, 1, 1, *shape))


def _load_constant_nd(layer: Message) -> Step:
    shape = [int(size) for size in layer.loadConstantND.shape] or [1]
    return _nothing_in(numbers(layer.loadConstantND.data, *shape)[np.newaxis])


def _fill(shape: Sequence[int], value: float) -> Blob:
    """One number seen everywhere: a file may name many of these, and none takes room before something is computed from it."""
    return np.broadcast_to(np.float32(value), room(1, *shape))


def _fill_static(layer: Message) -> Step:
    return _nothing_in(_fill([int(size) for size in layer.fillStatic.targetShape], layer.fillStatic.value))


def _evenly(end: float, start: float, step: float) -> Blob:
    """From the start by steps, before the end."""
    if not all(math.isfinite(each) for each in (end, start, step)) or step == 0:
        raise ValueError(f"there is no range from {start} to {end} by {step}")
    (count,) = room(max(0, math.ceil((end - start) / step)))
    return (np.arange(count) * step + start).astype(np.float32)[np.newaxis]


def _range_static(layer: Message) -> Step:
    held = layer.rangeStatic
    return _nothing_in(_evenly(held.endValue, held.startValue, held.stepSizeValue))


def _range_dynamic(layer: Message) -> Step:
    held = layer.rangeDynamic

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        given = [agreed(each).reshape(-1) for each in inputs]
        if not 1 <= len(given) <= 3 or any(len(each) != 1 for each in given):
            raise ValueError("a range takes one to three numbers")
        values = [float(each[0]) for each in given] + [held.startValue, held.stepSizeValue][len(given) - 1 :]
        return (_evenly(*values),)

    return step


LAYERS: Mapping[str, Opener] = {
    "loadConstant": _load_constant,
    "loadConstantND": _load_constant_nd,
    "fillStatic": _fill_static,
    "fillLike": lambda layer: one(lambda x: _fill(x.shape[1:], layer.fillLike.value)),
    "fillDynamic": lambda layer: one(lambda shape: _fill(whole(shape), layer.fillDynamic.value)),
    "rangeStatic": _range_static,
    "rangeDynamic": _range_dynamic,
    "getShape": lambda _: one(lambda x: np.asarray(x.shape[1:], np.float32)[np.newaxis]),
}
