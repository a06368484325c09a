"""Transposed convolution over one to three spatial axes. Source: coremltools' MIL operation reference, ``conv_transpose``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Tensor, ints, room
from mlpublish.coreml.mil_ops.windows import bounded, check_bias, each_axis, listed, sides

_MAX_POSITIONS = 1 << 16  # of a kernel; each is one step of the loop below


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What a transposed convolution makes of its input.

    Args:
        full: spatial sizes if nothing is cut away.
        before: what is cut away at each axis' beginning.
        sizes: what is kept; zeros stand where it reaches over the full size.
    """

    step: tuple[int, ...]
    gap: tuple[int, ...]
    full: tuple[int, ...]
    before: tuple[int, ...]
    sizes: tuple[int, ...]


def spread(
    x: Tensor,
    weight: Tensor,
    pad: Tensor | None,
    output_shape: Tensor | None,
    pad_type: str,
    strides: Tensor | None,
    dilations: Tensor | None,
    groups: Tensor | int,
) -> Spread:
    """The sizes of a transposed convolution, its channels checked and its size bounded.

    ``same`` cuts so that size * stride is left (or what ``output_shape`` says), an odd one behind: the reference says that
    the operation is the gradient of the convolution with that padding.

    Args:
        x: (n, in, …).
        weight: (in, out / groups, …).

    Raises:
        ValueError: shapes do not fit each other, or the result or the work would be too large.
    """
    parts, axes = int(groups), x.ndim - 2
    if weight.ndim != x.ndim or parts < 1 or weight.shape[0] != x.shape[1] or x.shape[1] % parts:
        raise ValueError(f"weights {weight.shape} in {parts} groups do not fit {x.shape}")
    if math.prod(weight.shape[2:]) > _MAX_POSITIONS:
        raise ValueError(f"a kernel of the sizes {weight.shape[2:]} is not taken: at most {_MAX_POSITIONS} positions are")
    step, gap = each_axis(listed(strides), axes, "strides"), each_axis(listed(dilations), axes, "dilations")
    full = tuple(
        (size - 1) * by + (kernel - 1) * apart + 1
        for size, by, kernel, apart in zip(x.shape[2:], step, weight.shape[2:], gap, strict=True)
    )
    before, sizes = _cut(pad_type, pad, full, _asked(output_shape, x, weight, parts) or _same(pad_type, x.shape[2:], step))
    room(x.shape[0], weight.shape[1] * parts, *(max(ends) for ends in zip(full, _ends(before, sizes), strict=True)))
    bounded(x.size * weight.shape[1] * math.prod(weight.shape[2:]))
    return Spread(step=step, gap=gap, full=full, before=before, sizes=sizes)


def _asked(output_shape: Tensor | None, x: Tensor, weight: Tensor, parts: int) -> tuple[int, ...] | None:
    if output_shape is None:
        return None
    asked = tuple(ints(output_shape))
    if len(asked) != x.ndim or asked[:2] != (x.shape[0], weight.shape[1] * parts) or min(asked) < 0:
        raise ValueError(f"output_shape {asked} does not fit {x.shape} and the weights {weight.shape}")
    return asked[2:]


def _same(pad_type: str, given: Sequence[int], step: Sequence[int]) -> tuple[int, ...] | None:
    return tuple(size * by for size, by in zip(given, step, strict=True)) if pad_type == "same" else None


def _cut(
    pad_type: str, pad: Tensor | None, full: Sequence[int], asked: tuple[int, ...] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is cut away before, and what is kept."""
    if pad_type == "same":
        assert asked is not None
        return tuple(max(0, wide - size) // 2 for wide, size in zip(full, asked, strict=True)), asked
    pads = sides(pad_type, listed(pad), len(full))
    sizes = asked or tuple(wide - first - last for wide, (first, last) in zip(full, pads, strict=True))
    if min(sizes) < 1:
        raise ValueError(f"a padding of {pads} leaves nothing of {tuple(full)}")
    return tuple(first for first, _ in pads), sizes


def _ends(before: Sequence[int], sizes: Sequence[int]) -> list[int]:
    return [first + size for first, size in zip(before, sizes, strict=True)]


def conv_transpose(
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
    """``x`` (n, in, …), ``weight`` (in, out / groups, …) -> (n, out, …)."""
    plan = spread(x, weight, pad, output_shape, pad_type.lower(), strides, dilations, groups)
    parts, n = int(groups), x.shape[0]
    check_bias(bias, weight.shape[1] * parts)
    columns = x.reshape(n, parts, x.shape[1] // parts, -1)
    filters = np.moveaxis(
        weight.reshape(parts, x.shape[1] // parts, weight.shape[1], *weight.shape[2:]), (0, 1, 2), (-3, -1, -2)
    )
    ends = [max(pair) for pair in zip(plan.full, _ends(plan.before, plan.sizes), strict=True)]
    out = np.zeros((n, parts, weight.shape[1], *ends), np.result_type(x, weight))
    for position in product(*map(range, weight.shape[2:])):
        here = tuple(
            slice(where * gap, where * gap + (size - 1) * step + 1, step)
            for where, gap, size, step in zip(position, plan.gap, x.shape[2:], plan.step, strict=True)
        )
        made = np.matmul(filters[position], columns)
        out[(slice(None), slice(None), slice(None), *here)] += made.reshape(n, parts, -1, *x.shape[2:])
    kept = tuple(slice(first, first + size) for first, size in zip(plan.before, plan.sizes, strict=True))
    cut = np.array(out.reshape(n, weight.shape[1] * parts, *ends)[(slice(None), slice(None), *kept)])
    if bias is not None:
        cut += bias.reshape(-1, *[1] * (x.ndim - 2))
    return cut
