"""Convolutions, element by element, from the operations' documentation: no padding is made, no window is cut."""

from __future__ import annotations

import math

import numpy as np


def axis_of(size: int, kernel: int, step: int, gap: int, pad_type: str, pad: tuple[int, int]) -> tuple[int, int]:
    """How many windows an axis has, and where the first begins (before 0 where there is padding)."""
    reach = (kernel - 1) * gap + 1
    if pad_type in ("same", "same_lower"):
        count = math.ceil(size / step)
        total = max(0, (count - 1) * step + reach - size)
        return count, -(total // 2 if pad_type == "same" else math.ceil(total / 2))
    before, after = pad if pad_type == "custom" else (0, 0)
    return math.floor((size + before + after - reach) / step) + 1, -before


def conv(x, weight, bias=None, strides=None, pad_type="valid", pad=None, dilations=None, groups=1):
    kernel, axes, groups = weight.shape[2:], x.ndim - 2, int(groups)
    steps, gaps = (([1] * axes if each is None else [int(e) for e in each]) for each in (strides, dilations))
    pads = np.zeros((axes, 2), int) if pad is None else np.reshape(pad, (axes, 2))
    plan = [axis_of(x.shape[2 + a], kernel[a], steps[a], gaps[a], pad_type, tuple(pads[a])) for a in range(axes)]
    out = np.zeros((x.shape[0], weight.shape[0], *(count for count, _ in plan)))
    for n, o, *window in np.ndindex(*out.shape):
        total = 0.0 if bias is None else float(bias[o])
        group = o // (weight.shape[0] // groups)
        for c, *inside in np.ndindex(*weight.shape[1:]):
            place = [plan[a][1] + window[a] * steps[a] + inside[a] * gaps[a] for a in range(axes)]
            if all(0 <= p < size for p, size in zip(place, x.shape[2:], strict=True)):
                total += float(x[(n, group * weight.shape[1] + c, *place)]) * float(weight[(o, c, *inside)])
        out[(n, o, *window)] = total
    return out


def conv_quantized(x, weight, quantization_type, quant_scale, quant_bias, nbits=8, **rest):
    """W_float = W_quantized * scale + bias."""
    numbers = np.empty(weight.shape)
    for place in np.ndindex(*weight.shape):
        scale, shift = (np.reshape(each, -1)[place[0] % np.size(each)] for each in (quant_scale, quant_bias))
        numbers[place] = int(weight[place]) * float(scale) + float(shift)
    return conv(x, numbers, **rest)


def conv_transpose(x, weight, bias=None, pad=None, output_shape=None, pad_type="valid", strides=None, dilations=None, groups=1):
    """Each input element spreads its kernel over the result; what falls outside is lost."""
    axes, groups = x.ndim - 2, int(groups)
    steps, gaps = (([1] * axes if each is None else [int(e) for e in each]) for each in (strides, dilations))
    pads = np.zeros((axes, 2), int) if pad is None or pad_type != "custom" else np.reshape(pad, (axes, 2))
    sizes, starts = [], []
    for a in range(axes):
        full = (x.shape[2 + a] - 1) * steps[a] + (weight.shape[2 + a] - 1) * gaps[a] + 1
        size = x.shape[2 + a] * steps[a] if pad_type == "same" else full - pads[a][0] - pads[a][1]
        size = size if output_shape is None else int(output_shape[2 + a])
        sizes.append(size)
        starts.append(max(0, full - size) // 2 if pad_type == "same" else pads[a][0])
    per_group, taken = weight.shape[1], x.shape[1] // groups
    out = np.zeros((x.shape[0], per_group * groups, *sizes))
    for n, c, *from_ in np.ndindex(*x.shape):
        for o, *inside in np.ndindex(*weight.shape[1:]):
            place = [from_[a] * steps[a] + inside[a] * gaps[a] - starts[a] for a in range(axes)]
            if all(0 <= p < size for p, size in zip(place, sizes, strict=True)):
                out[(n, c // taken * per_group + o, *place)] += float(x[(n, c, *from_)]) * float(weight[(c, o, *inside)])
    if bias is not None:
        for o in range(out.shape[1]):
            out[:, o] += float(bias[o])
    return out
