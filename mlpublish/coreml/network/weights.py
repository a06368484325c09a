"""A layer's numbers, ``WeightParams`` of the specification: float32, float16, or 1 to 8 bits with a scale or a table.

Packed bits run from a byte's highest to its lowest, one number after the other, and a number's highest bit comes first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Tensor, room
from mlpublish.coreml.schema import Message

_FIELDS = ("floatValue", "float16Value", "rawValue", "int8RawValue")


def numbers(params: Message, *shape: int, channels: tuple[int, ...] = (0,)) -> Tensor:
    """The weights as float32.

    Args:
        params: a ``WeightParams``.
        shape: what they must be; the layer knows it.
        channels: the axes that ``LinearQuantizationParams`` calls output channels, the outermost first.

    Raises:
        ValueError: they are not so many, or are stored in no way or in several.
    """
    room(*shape)
    stored = [field for field in _FIELDS if len(getattr(params, field))]
    if len(stored) != 1:
        raise ValueError(f"weights are stored in {len(stored)} ways ({', '.join(stored)})")
    if stored == ["rawValue"]:
        return _dequantised(params, shape, channels)
    if len(params.float16Value) % 2:
        raise ValueError(f"{len(params.float16Value)} bytes are no float16 numbers")
    if stored == ["int8RawValue"]:
        raise ValueError("int8RawValue stands in a layer that does not quantise its input")
    flat = (
        np.asarray(params.floatValue, dtype=np.float32)
        if stored == ["floatValue"]
        else np.frombuffer(params.float16Value, dtype="<f2").astype(np.float32)
    )
    if flat.size != math.prod(shape):
        raise ValueError(f"{flat.size} weights are stored, {math.prod(shape)} are needed for {shape}")
    return flat.reshape(shape)


def is_set(params: Message) -> bool:
    """Whether any weights are stored."""
    return any(len(getattr(params, field)) for field in _FIELDS)


def _dequantised(params: Message, shape: Sequence[int], channels: tuple[int, ...]) -> Tensor:
    how = params.quantization
    codes = _codes(params.rawValue, math.prod(shape), how.numberOfBits).reshape(shape)
    kind = how.WhichOneof("QuantizationType")
    if kind == "lookupTableQuantization":
        table = np.asarray(how.lookupTableQuantization.floatValue, dtype=np.float32)
        if len(table) != 1 << how.numberOfBits:
            raise ValueError(f"a table for {how.numberOfBits} bits has {len(table)} values")
        return np.asarray(table[codes])
    if kind != "linearQuantization":
        raise ValueError("weights are quantised in no way that the file names")
    scale, bias = how.linearQuantization.scale, how.linearQuantization.bias
    if len(bias) not in (0, len(scale)):
        raise ValueError(f"{len(scale)} scales have {len(bias)} biases")
    scaled = codes.astype(np.float32) * _along(scale, shape, channels)
    return scaled + _along(bias, shape, channels) if len(bias) else scaled


def _along(values: Sequence[float], shape: Sequence[int], channels: tuple[int, ...]) -> Tensor:
    """One value for all, one per channel, or one per channel of a group, so that it broadcasts against the weights."""
    for axes in ((), channels, channels[-1:]):
        against = [size if axis in axes else 1 for axis, size in enumerate(shape)]
        if len(values) == math.prod(against):
            return np.asarray(values, dtype=np.float32).reshape(against)
    raise ValueError(f"{len(values)} scales or biases for weights of {tuple(shape)}")


def _codes(packed: bytes, count: int, bits: int) -> Tensor:
    """``count`` numbers of so many bits."""
    if not 1 <= bits <= 8:
        raise ValueError(f"weights of {bits} bits")
    needed = -(-count * bits // 8)
    if len(packed) < needed:
        raise ValueError(f"{len(packed)} bytes are stored for {count} weights of {bits} bits")
    stored = np.frombuffer(packed, dtype=np.uint8, count=needed)
    if bits == 8:
        return stored
    each = np.unpackbits(stored, count=count * bits).reshape(count, bits)
    return np.packbits(each, axis=1)[:, 0] >> (8 - bits)
