"""Convolution over one to three spatial axes. Source: coremltools' MIL operation reference, ``conv``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from itertools import product

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Handler, Taken, Tensor, room
from mlpublish.coreml.mil_ops.transposed_convolution import conv_transpose
from mlpublish.coreml.mil_ops.windows import (
    CHUNK,
    SLOW,
    Windows,
    blocks,
    bounded,
    check_bias,
    listed,
    padded,
    padded_size,
    windows_over,
)

_IN_CACHE = 1 << 16  # elements: what is added up position by position stays near the processor


def placed(
    x: Tensor,
    weight: Tensor,
    strides: Tensor | None,
    pad_type: str,
    pad: Tensor | None,
    dilations: Tensor | None,
    groups: Tensor | int,
) -> Windows:
    """The windows of a convolution, its channels checked and its size bounded.

    Args:
        x: (n, in, …).
        weight: (out, in / groups, …).

    Raises:
        ValueError: shapes do not fit each other, or the result or the work would be too large.
    """
    sizes = listed(strides), pad_type, listed(pad), listed(dilations)
    windows = _placed(x.shape, weight.shape, *sizes, int(groups))
    results = math.prod((x.shape[0], weight.shape[0], *windows.counts))
    bounded(results * weight.shape[1] * windows.positions, each=SLOW if weight.shape[1] == 1 else 1)
    return windows


@lru_cache(maxsize=4096)
def _placed(
    x: tuple[int, ...],
    weight: tuple[int, ...],
    strides: tuple[int, ...] | None,
    pad_type: str,
    pad: tuple[int, ...] | None,
    dilations: tuple[int, ...] | None,
    groups: int,
) -> Windows:
    if len(weight) != len(x) or len(x) < 3 or groups < 1 or weight[0] % groups or weight[1] * groups != x[1]:
        raise ValueError(f"weights {weight} in {groups} groups do not fit {x}")
    windows = windows_over(x[2:], weight[2:], strides=strides, pad_type=pad_type, pad=pad, dilations=dilations)
    padded_size(x, windows)
    room(x[0], weight[0], *windows.counts)
    return windows


def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Tensor | None = None,
    pad_type: str = "valid",
    pad: Tensor | None = None,
    dilations: Tensor | None = None,
    groups: Tensor | int = 1,
) -> Tensor:
    """``x`` (n, in, …), ``weight`` (out, in / groups, …) -> (n, out, …)."""
    windows = placed(x, weight, strides, pad_type, pad, dilations, groups)
    check_bias(bias, weight.shape[0])
    wide, parts = padded(x, windows), int(groups)
    if weight.shape[1] == 1 and windows.positions <= 1024:
        out = _per_channel(wide, weight, windows)
    elif windows.positions == 1:
        out = _pointwise(wide, weight, windows, parts)
    else:
        out = _unrolled(wide, weight, windows, parts)
    if bias is not None:
        out += bias.reshape(-1, *[1] * (out.ndim - 2))
    return out


def _pointwise(x: Tensor, weight: Tensor, windows: Windows, parts: int) -> Tensor:
    """A window of one element: a matrix product over the channels."""
    n, channels = x.shape[:2]
    picked = x[(slice(None), slice(None), *windows.at([0] * len(windows.kernel)))]
    columns = picked.reshape(n, parts, channels // parts, -1)
    out: Tensor = np.matmul(weight.reshape(parts, -1, channels // parts), columns)
    return out.reshape(n, weight.shape[0], *windows.counts)


def _per_channel(x: Tensor, weight: Tensor, windows: Windows) -> Tensor:
    """Depthwise: each result channel looks at one input channel; added up position by position, all channels at once.

    The channels stand last meanwhile, for they are many where an image is small.
    """
    spatial = len(windows.kernel)
    times = weight.shape[0] // x.shape[1]
    filters = np.ascontiguousarray(np.moveaxis(weight.reshape(x.shape[1], times, *windows.kernel), (0, 1), (-2, -1)))
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))[..., np.newaxis]
    out = np.empty((x.shape[0], *windows.counts, x.shape[1], times), np.result_type(x, weight))
    for block in blocks(out.shape[: 1 + spatial], _IN_CACHE // max(1, weight.shape[0])):
        here = out[block]
        term = np.empty_like(here)
        for number, position in enumerate(product(*map(range, windows.kernel))):
            part = last[block[0], *(_within(*each) for each in zip(windows.at(position), block[1:], strict=True))]
            np.multiply(part, filters[position], out=term if number else here)
            if number:
                here += term
    return np.ascontiguousarray(np.moveaxis(out.reshape(*out.shape[: 1 + spatial], -1), -1, 1))


def _within(every: slice, block: slice) -> slice:
    """A block of the windows, as a slice of the padded axis."""
    stop = min(block.stop, len(range(every.start, every.stop, every.step)))
    return slice(every.start + block.start * every.step, every.start + (stop - 1) * every.step + 1, every.step)


def _unrolled(x: Tensor, weight: Tensor, windows: Windows, parts: int) -> Tensor:
    """The windows side by side as columns, some at a time; each group is one matrix product."""
    spatial = len(windows.kernel)
    n, channels = x.shape[:2]
    out = np.empty((parts, weight.shape[0] // parts, n, *windows.counts), np.result_type(x, weight))
    filters = weight.reshape(parts, weight.shape[0] // parts, -1)
    kernel_first = (1, *range(2 + spatial, 2 + 2 * spatial), 0, *range(2, 2 + spatial))
    seen = _views(x, windows).transpose(kernel_first)
    for block in blocks((n, *windows.counts), CHUNK // max(1, channels * windows.positions)):
        columns = seen[(slice(None),) * (1 + spatial) + block].reshape(parts, channels // parts * windows.positions, -1)
        made = np.matmul(filters, columns)
        out[(slice(None), slice(None), *block)] = made.reshape(out[(slice(None), slice(None), *block)].shape)
    return np.ascontiguousarray(np.moveaxis(out, 2, 0).reshape(n, weight.shape[0], *windows.counts))


def _views(x: Tensor, windows: Windows) -> Tensor:
    """(n, channels, …) -> (n, channels, window…, position in the window…), without a copy."""
    axes = tuple(range(2, x.ndim))
    reach = [(size - 1) * gap + 1 for size, gap in zip(windows.kernel, windows.spread, strict=True)]
    views: Tensor = np.lib.stride_tricks.sliding_window_view(x, reach, axis=axes)  # type: ignore[call-overload]
    steps = [slice(None, None, step) for step in windows.step]
    inside = [slice(None, None, gap) for gap in windows.spread]
    return views[(slice(None), slice(None), *steps, *inside)]


def _conv_quantized(
    x: Tensor,
    weight: Tensor,
    quantization_type: str,
    quant_scale: Tensor,
    quant_bias: Tensor,
    bias: Tensor | None = None,
    nbits: Tensor | int = 8,
    strides: Tensor | None = None,
    pad_type: str = "valid",
    pad: Tensor | None = None,
    dilations: Tensor | None = None,
    groups: Tensor | int = 1,
) -> Tensor:
    """A convolution whose weights are ``weight * quant_scale + quant_bias``; both are one number, or one per result channel."""
    numbers = dequantized(weight, quantization_type, nbits, quant_scale, quant_bias)
    return _conv(x, numbers, bias, strides, pad_type, pad, dilations, groups)


def dequantized(weight: Tensor, kind: str, nbits: Tensor | int, scale: Tensor, shift: Tensor) -> Tensor:
    """The weights of ``conv_quantized``.

    Raises:
        ValueError: they are a look-up table's, whose layout the reference does not tell, or do not fit.
    """
    if kind.lower() not in TAKEN["conv_quantized"]["quantization_type"]:
        raise ValueError(f"quantization_type={kind}: the layout of such weights is not documented")
    if not 1 <= int(nbits) <= 8 or (weight.size and int(weight.max()) >= 1 << int(nbits)):
        raise ValueError(f"the weights are not numbers of {int(nbits)} bits")
    each = [np.asarray(value, np.float32).reshape(-1, *[1] * (weight.ndim - 1)) for value in (scale, shift)]
    if any(len(value) not in (1, len(weight)) for value in each):
        raise ValueError(f"scales {np.shape(scale)} and biases {np.shape(shift)} are not one per channel of {weight.shape}")
    return weight.astype(np.float32) * each[0] + each[1]


TAKEN: Mapping[str, Mapping[str, Taken]] = {"conv_quantized": {"quantization_type": ("linear",)}}
"""Operation -> parameter -> the values that are evaluated."""

OPS: Mapping[str, Handler] = {"conv": _conv, "conv_quantized": _conv_quantized, "conv_transpose": conv_transpose}
