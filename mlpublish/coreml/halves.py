"""Between float16 and float32 in numpy, whose own way goes through every number by itself."""

from __future__ import annotations

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Tensor

_AT_ONCE = 1 << 14  # elements, which stay in a processor's cache from one step to the next
_SMALL = 1 << 12  # elements; below, numpy's own way is as quick
_LEAST = np.uint32(0x38800000)  # 2**-14, float16's least normal number, as float32 is written
_SPAN = np.uint32(0x477FE000 - 0x38800000)  # from there to 65504, its largest


def widened(x: Tensor) -> Tensor:
    """float16 as float32."""
    return x.astype(np.float32)


def rounded(x: Tensor) -> Tensor:
    """A float32 array with every number rounded to float16, ties to even; beyond 65504 it is infinite."""
    if x.size < _SMALL:
        return _by_numpy(x)
    flat = x.reshape(-1)
    out = np.empty(flat.shape, np.float32)
    for start in range(0, flat.size, _AT_ONCE):
        _round(flat[start : start + _AT_ONCE], out[start : start + _AT_ONCE])
    return out.reshape(x.shape)


def is_finite(x: Tensor) -> bool:
    """Whether no number is infinite or NaN, for numbers as large as float16's: their sum of squares stays a float32."""
    flat = x.ravel(order="K")
    return bool(np.isfinite(np.dot(flat, flat)))


def _round(x: Tensor, out: Tensor) -> None:
    """Normal numbers by their bits: float32's fraction is 13 bits longer than float16's."""
    bits, result = x.view(np.uint32), out.view(np.uint32)
    np.right_shift(bits, 13, out=result)
    result &= 1
    result += 0xFFF
    result += bits
    result &= 0xFFFFE000
    size = bits & 0x7FFFFFFF
    others = (size - _LEAST) > _SPAN
    if others.any():
        others &= size != 0  # zeros, of which there are many, came out right
        if np.count_nonzero(others) * 8 > x.size:
            out[:] = x.astype(np.float16)
        else:
            out[others] = x[others].astype(np.float16)


def _by_numpy(x: Tensor) -> Tensor:
    return x.astype(np.float16).astype(np.float32)
