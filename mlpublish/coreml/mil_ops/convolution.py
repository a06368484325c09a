"""Convolution and pooling over one to three spatial axes.

Source: coremltools' MIL operation reference, ``conv`` and ``pool``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, ints


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
    spatial = x.ndim - 2
    kernel, step, spread = weight.shape[2:], _each(strides, spatial), _each(dilations, spatial)
    widths = _widths(pad_type, pad, x.shape[2:], kernel, step, spread)
    windows = _windows(np.pad(x, [(0, 0), (0, 0), *widths]), kernel, step, spread)
    parts = int(groups)
    inputs = np.split(windows, parts, axis=1)
    filters = np.split(weight, parts, axis=0)
    over = [1, *range(2 + spatial, 2 + 2 * spatial)], list(range(1, weight.ndim))
    results = [np.tensordot(each, filter_, axes=over) for each, filter_ in zip(inputs, filters, strict=True)]
    out: Tensor = np.moveaxis(np.concatenate(results, axis=-1), -1, 1)
    return out if bias is None else out + bias.reshape(-1, *[1] * spatial)


def _max_pool(
    x: Tensor,
    kernel_sizes: Tensor,
    pad_type: str,
    strides: Tensor | None = None,
    pad: Tensor | None = None,
    ceil_mode: Tensor | bool = False,
) -> Tensor:
    windows = _pool_windows(x, kernel_sizes, pad_type, strides, pad, ceil_mode, fill=-np.inf)
    return np.asarray(np.max(windows, axis=tuple(range(x.ndim, windows.ndim))))


def _avg_pool(
    x: Tensor,
    kernel_sizes: Tensor,
    pad_type: str,
    strides: Tensor | None = None,
    pad: Tensor | None = None,
    exclude_padding_from_average: Tensor | bool = False,
    ceil_mode: Tensor | bool = False,
) -> Tensor:
    """Padding counts as zeros unless it is excluded; what ceil mode reaches beyond the padding never counts."""
    how = (kernel_sizes, pad_type, strides, pad, ceil_mode)
    windows = _pool_windows(x, *how, fill=0.0)
    over = tuple(range(x.ndim, windows.ndim))
    counted = _pool_windows(np.ones_like(x), *how, fill=0.0 if exclude_padding_from_average else 1.0)
    return np.asarray(np.sum(windows, axis=over) / np.sum(counted, axis=over))


def _pool_windows(
    x: Tensor,
    kernel_sizes: Tensor,
    pad_type: str,
    strides: Tensor | None,
    pad: Tensor | None,
    ceil_mode: Tensor | bool,
    *,
    fill: float,
) -> Tensor:
    spatial = x.ndim - 2
    kernel, step, spread = ints(kernel_sizes), _each(strides, spatial), [1] * spatial
    widths = _widths(pad_type, pad, x.shape[2:], kernel, step, spread)
    padded = np.pad(x, [(0, 0), (0, 0), *widths], constant_values=fill)
    if ceil_mode:
        beyond = [
            _beyond(size, sum(width), width[0], k, s)
            for size, width, k, s in zip(x.shape[2:], widths, kernel, step, strict=True)
        ]
        outside = -np.inf if fill == -np.inf else 0.0
        padded = np.pad(padded, [(0, 0), (0, 0), *((0, more) for more in beyond)], constant_values=outside)
    return _windows(padded, kernel, step, spread)


def _beyond(size: int, padding: int, before: int, kernel: int, step: int) -> int:
    """How far the last window reaches over the padded end in ceil mode; a window that begins beyond the input is dropped."""
    count = -(-(size + padding - kernel) // step) + 1
    if padding and (count - 1) * step >= size + before:
        count -= 1
    return max(0, (count - 1) * step + kernel - size - padding)


def _windows(x: Tensor, kernel: Sequence[int], step: Sequence[int], spread: Sequence[int]) -> Tensor:
    """(n, channels, …) -> (n, channels, output position…, position in the kernel…), without a copy."""
    axes = tuple(range(2, x.ndim))
    reach = [(size - 1) * gap + 1 for size, gap in zip(kernel, spread, strict=True)]
    windows: Tensor = np.lib.stride_tricks.sliding_window_view(x, reach, axis=axes)  # type: ignore[call-overload]
    positions = [slice(None, None, each) for each in step]
    inside = [slice(None, None, gap) for gap in spread]
    return windows[(slice(None), slice(None), *positions, *inside)]


def _widths(
    pad_type: str,
    pad: Tensor | None,
    sizes: Sequence[int],
    kernel: Sequence[int],
    step: Sequence[int],
    spread: Sequence[int],
) -> list[tuple[int, int]]:
    if pad_type == "valid":
        return [(0, 0)] * len(sizes)
    if pad_type == "custom":
        return [(0, 0)] * len(sizes) if pad is None else [(int(a), int(b)) for a, b in pad.reshape(-1, 2)]
    if pad_type not in ("same", "same_lower"):
        raise ValueError(f"there is no padding {pad_type}")
    widths = []
    for size, k, s, gap in zip(sizes, kernel, step, spread, strict=True):
        total = max(0, (-(-size // s) - 1) * s + (k - 1) * gap + 1 - size)
        less, more = total // 2, total - total // 2
        widths.append((less, more) if pad_type == "same" else (more, less))
    return widths


def _each(values: Tensor | None, count: int) -> list[int]:
    return [1] * count if values is None else ints(values)


OPS: Mapping[str, Handler] = {
    "conv": _conv,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
}
