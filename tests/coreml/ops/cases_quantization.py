"""Quantised activations: coremltools' value inference, and loops over single elements written from the documentation."""

from __future__ import annotations

import numpy as np

from tests.coreml.ops.case import INFERRED, Case
from tests.coreml.ops.numbers import Numbers

N = Numbers(17)
LIMITS = {"int8": (-128, 127), "uint8": (0, 255)}


def _of(numbers, at, axis):
    return float(numbers) if np.ndim(numbers) == 0 else float(numbers[at[int(axis)]])


def quantized(input, scale, output_dtype, zero_point=None, axis=None):
    out = np.zeros(input.shape, output_dtype)
    low, high = LIMITS[output_dtype]
    for at in np.ndindex(*input.shape):
        level = round(float(np.float32(input[at]) / np.float32(_of(scale, at, axis))))  # halves to the even number
        out[at] = min(max(level + (0 if zero_point is None else int(_of(zero_point, at, axis))), low), high)
    return out


def dequantized(input, scale, zero_point=None, axis=None):
    out = np.zeros(input.shape, np.float32)
    for at in np.ndindex(*input.shape):
        out[at] = _of(scale, at, axis) * (float(input[at]) - (0.0 if zero_point is None else _of(zero_point, at, axis)))
    return out


def _levels(dtype, *shape):
    low, high = LIMITS[dtype]
    return (N.below(high - low + 1, *shape) + low).astype(dtype)


def _quantize(dtype, *shape, axis=None, zero=True, note="", x=None):
    count = () if axis is None else (shape[axis],)
    given = {"input": N.f(*shape) * 40 if x is None else x, "scale": N.positive(*count)}
    given |= {"zero_point": np.asarray(_levels(dtype, *count))} if zero else {}
    given |= {} if axis is None else {"axis": np.asarray(axis, np.int32)}
    what = f"{dtype}, {shape}, along {axis}, {'with' if zero else 'without'} zero point"
    both = (quantized, INFERRED)
    return [
        Case(op="quantize", given=given | {"output_dtype": dtype}, want=want, note=note or f"{what}, {_judge(want)}", atol=0)
        for want in both
    ]


def _dequantize(dtype, *shape, axis=None, zero=True):
    count = () if axis is None else (shape[axis],)
    given = {"input": _levels(dtype, *shape), "scale": N.positive(*count)}
    given |= {"zero_point": np.asarray(_levels(dtype, *count))} if zero else {}
    given |= {} if axis is None else {"axis": np.asarray(axis, np.int32)}
    note = f"{dtype}, {shape}, along {axis}, {'with' if zero else 'without'} zero point"
    return Case(op="dequantize", given=given, want=dequantized, note=note)


def _judge(want):
    return "inferred" if want == INFERRED else "by loops"


HALVES = np.asarray([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)
BEYOND = np.asarray([-1e9, -200, 0, 200, 1e9], np.float32)

CASES = [
    *_quantize("int8", 3, 4),
    *_quantize("uint8", 3, 4),
    *_quantize("int8", 3, 4, zero=False),
    *_quantize("uint8", 3, 4, zero=False),
    *_quantize("int8", 2, 3, 4, axis=1),
    *_quantize("uint8", 2, 3, 4, axis=-1),
    *_quantize("uint8", 2, 3, 4, 5, axis=0, zero=False),
    *_quantize("int8", 5, axis=0),
    *(
        Case(
            op="quantize", given={"input": x, "scale": np.float32(1), "output_dtype": dtype}, want=want, note=f"{dtype}, {what}"
        )
        for dtype in LIMITS
        for x, what in ((HALVES, "halves"), (BEYOND, "beyond the range"))
        for want in (quantized, INFERRED)
    ),
    _dequantize("int8", 3, 4),
    _dequantize("uint8", 3, 4),
    _dequantize("int8", 3, 4, zero=False),
    _dequantize("int8", 2, 3, 4, axis=1),
    _dequantize("uint8", 2, 3, 4, axis=-3),
    _dequantize("uint8", 2, 3, 4, 5, axis=-1, zero=False),
    _dequantize("int8", 1, axis=0),
]
