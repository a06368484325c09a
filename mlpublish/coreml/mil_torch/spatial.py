"""Convolutions, pools and bilinear resizing by torch.

torch's own rules differ in places: a padding that is not alike on both sides, or larger than half a pool's window, and ceil
mode's count of windows. There the padding is made here and torch is asked for windows without any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from mlpublish.coreml.mil_ops import convolution, pooling, resizing, transposed_convolution
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, room
from mlpublish.coreml.mil_ops.windows import Windows, check_bias
from mlpublish.coreml.mil_torch.tensor import taken

_CONV: tuple[Callable[..., Any], ...] = (torch.conv1d, torch.conv2d, torch.conv3d)
_CONV_TRANSPOSE: tuple[Callable[..., Any], ...] = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)
_FUNCTIONS = torch.nn.functional
_MAX: tuple[Callable[..., Any], ...] = (_FUNCTIONS.max_pool1d, _FUNCTIONS.max_pool2d, _FUNCTIONS.max_pool3d)
_AVG: tuple[Callable[..., Any], ...] = (_FUNCTIONS.avg_pool1d, _FUNCTIONS.avg_pool2d, _FUNCTIONS.avg_pool3d)
_MOST = 1 << 30
"""Elements that torch may unroll at once, or compare: beyond, the numpy handlers take their way in bounded pieces."""

_ALIGN = {"STRICT_ALIGN_CORNERS": True, "UNALIGN_CORNERS": False}  # sampling mode -> torch's align_corners


def _numpys(name: str, *arguments: Any) -> Tensor:
    return np.asarray({**convolution.OPS, **pooling.OPS}[name](*arguments))


def _padded(x: Any, windows: Windows, fill: float, *, beyond: bool) -> Any:
    """A tensor with the padding around it; torch names the last axis first."""
    ends = [after + (over if beyond else 0) for (_, after), over in zip(windows.pads, windows.beyond, strict=True)]
    both = [side for (before, _), after in zip(windows.pads, ends, strict=True) for side in (after, before)]
    return _FUNCTIONS.pad(x, both[::-1], value=fill) if any(both) else x


@lru_cache(maxsize=4096)
def _even(windows: Windows) -> tuple[int, ...] | None:
    """The padding as torch takes it, alike on both sides; None where it is not."""
    return None if any(before != after for before, after in windows.pads) else tuple(before for before, _ in windows.pads)


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
    windows = convolution.placed(x, weight, strides, pad_type, pad, dilations, groups)
    check_bias(bias, weight.shape[0])
    if x.shape[1] * windows.positions * math.prod(windows.counts) > _MOST:
        return _numpys("conv", x, weight, bias, strides, pad_type, pad, dilations, groups)
    given, padding = taken(x), _even(windows)
    if padding is None:
        given, padding = _padded(given, windows, 0.0, beyond=False), (0,) * len(windows.pads)
    weights = taken(weight), None if bias is None else taken(bias)
    out = _CONV[len(padding) - 1](given, *weights, windows.step, padding, windows.spread, int(groups))
    return out.numpy()  # type: ignore[no-any-return]


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
    numbers = convolution.dequantized(weight, quantization_type, nbits, quant_scale, quant_bias)
    wide = None if bias is None else bias.astype(np.float32, copy=False)
    return _conv(x, numbers, wide, strides, pad_type, pad, dilations, groups)


def _conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: Tensor | None = None,
    output_shape: Tensor | None = None,
    pad_type: str = "valid",
    strides: Tensor | None = None,
    dilations: Tensor | None = None,
    groups: Tensor | int = 1,
) -> Tensor:
    """torch makes all of it; what the padding takes away is cut off here, for it may differ from side to side."""
    plan = transposed_convolution.spread(x, weight, pad, output_shape, pad_type.lower(), strides, dilations, groups)
    check_bias(bias, weight.shape[1] * int(groups))
    if math.prod(weight.shape[1:]) * int(groups) * math.prod(x.shape[2:]) > _MOST:
        return _numpys("conv_transpose", x, weight, bias, pad, output_shape, pad_type, strides, dilations, groups)
    run, axes = _CONV_TRANSPOSE[x.ndim - 3], len(plan.step)
    full = run(taken(x), taken(weight), None, plan.step, [0] * axes, [0] * axes, int(groups), plan.gap)
    cuts = [
        side
        for before, size, wide in zip(plan.before, plan.sizes, plan.full, strict=True)
        for side in (before + size - wide, -before)
    ]
    out = _FUNCTIONS.pad(full, cuts[::-1]) if any(cuts) else full
    if bias is not None:
        out += taken(bias).reshape(-1, *[1] * axes)
    return np.asarray(out.contiguous().numpy())


def _max_pool(
    x: Tensor,
    kernel_sizes: Tensor,
    pad_type: str,
    strides: Tensor | None = None,
    pad: Tensor | None = None,
    ceil_mode: Tensor | bool = False,
) -> Tensor:
    windows = pooling.placed(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    if math.prod((*x.shape[:2], *windows.counts, *windows.kernel)) > _MOST:
        return _numpys("max_pool", x, kernel_sizes, pad_type, strides, pad, ceil_mode)
    given, padding = taken(x), [before for before, _ in windows.pads]
    if not _is_torchs(windows):
        given, padding = _padded(given, windows, -math.inf, beyond=True), [0] * len(padding)
    return np.asarray(_MAX[len(padding) - 1](given, windows.kernel, windows.step, padding).numpy())


def _avg_pool(
    x: Tensor,
    kernel_sizes: Tensor,
    pad_type: str,
    strides: Tensor | None = None,
    pad: Tensor | None = None,
    exclude_padding_from_average: Tensor | bool = False,
    ceil_mode: Tensor | bool = False,
) -> Tensor:
    windows = pooling.placed(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    given, padding, counting = taken(x), [before for before, _ in windows.pads], not exclude_padding_from_average
    run = _AVG[len(padding) - 1]
    if all(count == 1 for count in windows.counts) and windows.kernel == x.shape[2:] and not any(padding):
        return np.asarray(given.mean(dim=tuple(range(2, x.ndim)), keepdim=True).numpy())
    if math.prod((*x.shape[:2], *windows.counts, *windows.kernel)) > _MOST:
        return _numpys("avg_pool", x, kernel_sizes, pad_type, strides, pad, exclude_padding_from_average, ceil_mode)
    if _is_torchs(windows):
        return np.asarray(run(given, windows.kernel, windows.step, padding, False, counting).numpy())
    out = run(_padded(given, windows, 0.0, beyond=True), windows.kernel, windows.step)
    held = pooling.counted(x, windows, padding=counting)
    return np.asarray((out * taken(np.float32(windows.positions) / held)).numpy())


def _is_torchs(windows: Windows) -> bool:
    """Whether torch's pool places the same windows: padded alike on both sides, by half a window at most, none beyond."""
    halves = all(before <= size // 2 for (before, _), size in zip(windows.pads, windows.kernel, strict=True))
    return halves and _even(windows) is not None and not any(windows.beyond)


def _interpolated(x: Tensor, sizes: Sequence[int], mode: str) -> Tensor | None:
    """The last two axes bilinear, where torch has the sampling mode; None where it has not."""
    if mode not in _ALIGN or x.dtype != np.float32 or 0 in x.shape:
        return None
    room(*x.shape[:-2], *sizes)
    planes = taken(x).reshape(1, -1, *x.shape[-2:])
    out = _FUNCTIONS.interpolate(planes, list(sizes), mode="bilinear", align_corners=_ALIGN[mode])
    return np.asarray(out.reshape(*x.shape[:-2], *sizes).numpy())


def _upsample_bilinear(
    x: Tensor,
    scale_factor_height: Tensor | float = 1,
    scale_factor_width: Tensor | float = 1,
    align_corners: Tensor | bool = True,
    half_pixel_centers: Tensor | bool | None = None,
) -> Tensor:
    mode = resizing.corner_mode(align_corners, half_pixel_centers)
    sizes = resizing.upsampled(x, scale_factor_height, scale_factor_width)
    found = _interpolated(x, sizes, mode)
    return resizing.linear(x, sizes, mode) if found is None else found


def _resize_bilinear(
    x: Tensor,
    target_size_height: Tensor | int = 1,
    target_size_width: Tensor | int = 1,
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    sizes = resizing.target(x, target_size_height, target_size_width)
    found = _interpolated(x, sizes, sampling_mode)
    return resizing.linear(x, sizes, sampling_mode) if found is None else found


OPS: Mapping[str, Handler] = {
    "conv": _conv,
    "conv_quantized": _conv_quantized,
    "conv_transpose": _conv_transpose,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "upsample_bilinear": _upsample_bilinear,
    "resize_bilinear": _resize_bilinear,
}
