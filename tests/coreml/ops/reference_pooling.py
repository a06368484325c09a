"""Pools, window by window, from the operations' documentation."""

from __future__ import annotations

import math

import numpy as np

from tests.coreml.ops.reference_convolution import axis_of


def _windows(x, kernel_sizes, pad_type, strides=None, pad=None, ceil_mode=False):
    """Place in the result -> (the elements of its window, how many places it has with the padding)."""
    axes = x.ndim - 2
    kernel = [int(k) for k in kernel_sizes]
    steps = [1] * axes if strides is None else [int(s) for s in strides]
    pads = np.zeros((axes, 2), int) if pad is None or pad_type != "custom" else np.reshape(pad, (axes, 2))
    plan = []
    for a, (size, (before, after)) in enumerate(zip(x.shape[2:], pads, strict=True)):
        count, start = axis_of(size, kernel[a], steps[a], 1, pad_type, (before, after))
        if ceil_mode:
            count = math.ceil((size + before + after - kernel[a]) / steps[a]) + 1
            if (count - 1) * steps[a] >= size + before and before + after > 0:
                count -= 1
        # Up to here the padding reaches; with `same` as far as the last window does.
        end = size + after if pad_type in ("valid", "custom") else max(size, start + (count - 1) * steps[a] + kernel[a])
        plan.append((count, start, end))
    found = {}
    for place in np.ndindex(*x.shape[:2], *(count for count, _, _ in plan)):
        held, width = [], 0
        for inside in np.ndindex(*kernel):
            at = [plan[a][1] + place[2 + a] * steps[a] + inside[a] for a in range(axes)]
            width += all(p < end for p, (_, _, end) in zip(at, plan, strict=True))
            if all(0 <= p < size for p, size in zip(at, x.shape[2:], strict=True)):
                held.append(float(x[(*place[:2], *at)]))
        found[place] = held, width
    return found, (*x.shape[:2], *(count for count, _, _ in plan))


def _pooled(join, x, *window, **more):
    found, shape = _windows(x, *window, **more)
    out = np.zeros(shape)
    for place, (held, width) in found.items():
        out[place] = join(held, width)
    return out


def max_pool(**given):
    return _pooled(lambda held, width: max(held), **given)


def l2_pool(**given):
    return _pooled(lambda held, width: math.sqrt(sum(each * each for each in held)), **given)


def avg_pool(exclude_padding_from_average=False, **given):
    return _pooled(lambda held, width: sum(held) / (len(held) if exclude_padding_from_average else width), **given)
