"""Layers that calculate number by number.

Source: NeuralNetwork.proto, ``AddLayerParams`` … ``BiasLayerParams``, ``UnaryFunctionLayerParams``, the ``…Broadcastable``
layers, comparisons, logic, and elementary functions. What is true is 1, what is false 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, TypeAlias

import numpy as np

from mlpublish.coreml.mil_ops import OPS
from mlpublish.coreml.mil_ops.tensor import Tensor
from mlpublish.coreml.network.blob import Blob, Opener, Step, aligned, at_least, one, two
from mlpublish.coreml.network.weights import numbers
from mlpublish.coreml.schema import Message

_Binary: TypeAlias = Callable[[Any, Any], Any]


def _folded(kind: str, run: _Binary) -> Opener:
    """Several inputs; where there is one, the layer's ``alpha`` is the other."""

    def opened(layer: Message) -> Step:
        alpha = np.float32(getattr(layer, kind).alpha)
        return lambda inputs: (run(inputs[0], alpha),) if len(inputs) == 1 else (_all(run, inputs),)

    return opened


def _all(run: _Binary, inputs: Sequence[Blob]) -> Blob:
    if not inputs:
        raise ValueError("it has no input")
    return np.asarray(reduce(run, aligned(inputs)), dtype=np.float32)


def _joined(run: _Binary) -> Opener:
    return lambda _: lambda inputs: (_all(run, inputs),)


def _average(_: Message) -> Step:
    return lambda inputs: (_all(np.add, inputs) / np.float32(len(inputs)),)


def _pair(run: _Binary) -> Opener:
    def both(x: Blob, y: Blob) -> Blob:
        first, second = aligned([x, y])
        return np.asarray(run(first, second), dtype=np.float32)

    return lambda _: two(both)


def _compared(kind: str, run: _Binary) -> Opener:
    """Two inputs, or one and ``alpha``."""

    def opened(layer: Message) -> Step:
        alpha = np.float32(getattr(layer, kind).alpha)
        pair = _pair(run)(layer)
        return lambda inputs: (run(inputs[0], alpha).astype(np.float32),) if len(inputs) == 1 else pair(inputs)

    return opened


def _logical(run: _Binary) -> Opener:
    return _pair(lambda x, y: run(x != 0, y != 0))


def _each(run: Callable[[Blob], Any]) -> Opener:
    return lambda _: one(lambda x: np.asarray(run(x), dtype=np.float32))


def _clip(layer: Message) -> Step:
    low, high = np.float32(layer.clip.minVal), np.float32(layer.clip.maxVal)
    return one(lambda x: np.minimum(np.maximum(x, low), high))


def _unary(layer: Message) -> Step:
    held = layer.unary
    scale, shift = np.float32(held.scale or 1), np.float32(held.shift)
    epsilon, alpha = np.float32(held.epsilon or 1e-6), np.float32(held.alpha)
    functions: Mapping[int, Callable[[Blob], Any]] = {
        held.SQRT: np.sqrt,
        held.RSQRT: lambda x: 1 / np.sqrt(x + epsilon),
        held.INVERSE: lambda x: 1 / (x + epsilon),
        held.POWER: lambda x: x**alpha,
        held.EXP: np.exp,
        held.LOG: np.log,
        held.ABS: np.abs,
        held.THRESHOLD: lambda x: np.maximum(alpha, x),
    }
    run = functions[held.type]
    return one(lambda x: np.asarray(run(x * scale + shift), dtype=np.float32))


def _scale(layer: Message) -> Step:
    held = layer.scale
    scale = _spread(held.scale, held.shapeScale)
    bias = _spread(held.bias, held.shapeBias) if held.hasBias else np.zeros((1, 1, 1), np.float32)
    return one(lambda x: x * _fitting(scale, x) + _fitting(bias, x))


def _bias(layer: Message) -> Step:
    bias = _spread(layer.bias.bias, layer.bias.shape)
    return one(lambda x: x + _fitting(bias, x))


def _spread(params: Message, shape: Sequence[int]) -> Tensor:
    """[1], [C], [1, H, W] or [C, H, W], as three dimensions."""
    if len(shape) not in (1, 3):
        raise ValueError(f"a scale or bias of the shape {list(shape)}")
    full = [int(size) for size in shape] + [1, 1] * (len(shape) == 1)
    return numbers(params, *full)


def _fitting(values: Tensor, x: Blob) -> Tensor:
    """The values, if they broadcast to the blob and not the blob to them."""
    if np.broadcast_shapes(values.shape, at_least(3, x).shape[-3:]) != x.shape[-3:]:
        raise ValueError(f"a scale or bias of {values.shape} for {x.shape[-3:]}")
    return values


def _dot(layer: Message) -> Step:
    def run(x: Blob, y: Blob) -> Blob:
        first, second = aligned([at_least(3, x), at_least(3, y)])
        if first.shape[-2:] != (1, 1) or first.shape[-3:] != second.shape[-3:]:
            raise ValueError(f"no dot product of {x.shape[1:]} and {y.shape[1:]}")
        product = np.sum(first * second, axis=-3, keepdims=True)
        if not layer.dot.cosineSimilarity:
            return np.asarray(product)
        lengths = [np.sqrt(np.sum(each * each, axis=-3, keepdims=True)) for each in (first, second)]
        return np.asarray(product / (lengths[0] * lengths[1]))

    return two(run)


_FUNCTIONS: Mapping[str, Callable[[Blob], Any]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "sign": np.sign,
    "round": np.round,
    "exp2": np.exp2,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": lambda x: OPS["erf"](x),
    "logicalNot": lambda x: x == 0,
}

_PAIRS: Mapping[str, _Binary] = {
    "addBroadcastable": np.add,
    "subtractBroadcastable": np.subtract,
    "multiplyBroadcastable": np.multiply,
    "divideBroadcastable": np.divide,
    "maxBroadcastable": np.maximum,
    "minBroadcastable": np.minimum,
    "powBroadcastable": np.power,
    "floorDivBroadcastable": np.floor_divide,
    "modBroadcastable": np.mod,
}

_COMPARISONS: Mapping[str, _Binary] = {
    "greaterThan": np.greater,
    "greaterEqual": np.greater_equal,
    "lessThan": np.less,
    "lessEqual": np.less_equal,
    "equal": np.equal,
    "notEqual": np.not_equal,
}

_LOGIC: Mapping[str, _Binary] = {"logicalAnd": np.logical_and, "logicalOr": np.logical_or, "logicalXor": np.logical_xor}

LAYERS: Mapping[str, Opener] = {
    "add": _folded("add", np.add),
    "multiply": _folded("multiply", np.multiply),
    "average": _average,
    "max": _joined(np.maximum),
    "min": _joined(np.minimum),
    "dot": _dot,
    "unary": _unary,
    "scale": _scale,
    "bias": _bias,
    "clip": _clip,
    **{kind: _each(run) for kind, run in _FUNCTIONS.items()},
    **{kind: _pair(run) for kind, run in _PAIRS.items()},
    **{kind: _compared(kind, run) for kind, run in _COMPARISONS.items()},
    **{kind: _logical(run) for kind, run in _LOGIC.items()},
}
