"""The element types of MIL (``MILSpec.DataType``): how bytes hold them, and what numpy holds them in.

Types below one byte are packed without gaps: the first element begins at the lowest bit of the first byte, an element may
lie across two bytes (its low bits in the first of them), and only the last byte is filled up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

DTYPES: Mapping[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "FLOAT16": np.float16,
    "FLOAT32": np.float32,
    "FLOAT64": np.float64,
    "BFLOAT16": np.float32,  # numpy has no such type; float32 holds each of its numbers
    "INT4": np.int8,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT1": np.uint8,
    "UINT2": np.uint8,
    "UINT3": np.uint8,
    "UINT4": np.uint8,
    "UINT6": np.uint8,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
}
"""MIL's name of an element type -> what numpy holds it in; the two of eight-bit floats are not among them."""

_NARROW = {"BFLOAT16": 16, "INT4": 4, "UINT1": 1, "UINT2": 2, "UINT3": 3, "UINT4": 4, "UINT6": 6}


def bits_of(kind: str) -> int:
    """How many bits of a file one element of a type takes."""
    return _NARROW.get(kind) or np.dtype(DTYPES[kind]).itemsize * 8


def is_unpacked(kind: str) -> bool:
    """Whether elements of a type are held in other bytes than a file's."""
    return kind in _NARROW or kind == "BOOL"


def range_of(kind: str) -> tuple[int, int]:
    """The smallest and the largest number of a type of whole numbers."""
    bits, signed = bits_of(kind), kind.startswith("INT")
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def from_bytes(data: bytes | memoryview, kind: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Elements as numpy holds them; not copied, unless numpy has no such type (then at most eight times as long).

    Args:
        data: exactly their bytes, little endian.
        kind: MIL's name of their type.

    Raises:
        ValueError: the type is not read, or the bytes are more or fewer than the shape takes.
    """
    if kind not in DTYPES:
        raise ValueError(f"elements of the type {kind} are not read")
    count, bits = math.prod(shape), bits_of(kind)
    if (count * bits + 7) // 8 != len(data):
        raise ValueError(f"{len(data)} bytes are not the {count} elements of {shape} in {kind}")
    if bits < 8:
        return unpacked(np.frombuffer(data, np.uint8), kind, shape)
    if kind == "BFLOAT16":  # the upper half of a float32
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32).reshape(shape)
    if kind == "BOOL":  # any other byte than 0 and 1 would make a bool that numpy does not know
        return np.not_equal(np.frombuffer(data, np.uint8), 0).reshape(shape)
    return np.frombuffer(data, DTYPES[kind]).reshape(shape)


def unpacked(data: NDArray[np.uint8], kind: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Packed elements of a type below one byte, one byte each; ``data`` has bytes enough for them."""
    bits = bits_of(kind)
    together = math.lcm(bits, 8) // 8  # bytes after which the pattern begins again: 1, or 3 for uint3 and uint6
    whole = -(-len(data) // together)
    padded = data if len(data) == whole * together else np.append(data, np.zeros(whole * together - len(data), np.uint8))
    words = padded if together == 1 else _words(padded.reshape(whole, together))
    mask = words.dtype.type((1 << bits) - 1)
    each = np.empty((whole, together * 8 // bits), np.uint8)
    for place in range(each.shape[1]):
        each[:, place] = (words >> words.dtype.type(place * bits)) & mask
    flat = each.reshape(-1)[: math.prod(shape)].reshape(shape)
    return flat if kind.startswith("UINT") else _signed(flat, bits)


def _words(groups: NDArray[np.uint8]) -> NDArray[np.uint32]:
    words = groups[:, 0].astype(np.uint32)
    for place in range(1, groups.shape[1]):
        words |= groups[:, place].astype(np.uint32) << np.uint32(8 * place)
    return words


def _signed(values: NDArray[np.uint8], bits: int) -> NDArray[np.int8]:
    """Two's complement of so many bits, its sign carried into the rest of the byte."""
    empty = np.uint8(8 - bits)
    return (values << empty).view(np.int8) >> np.int8(empty)
