"""Matrix products and normalisations. Source: coremltools' MIL operation reference, ``linear`` and ``normalization``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, axes_of


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x`` (…, in), ``weight`` (out, in), ``bias`` (out) -> (…, out)."""
    product = np.asarray(x @ weight.T)
    return product if bias is None else np.asarray(product + bias)


def _matmul(x: Tensor, y: Tensor, transpose_x: Tensor | bool = False, transpose_y: Tensor | bool = False) -> Tensor:
    left, right = np.swapaxes(x, -1, -2) if transpose_x else x, np.swapaxes(y, -1, -2) if transpose_y else y
    return np.asarray(left @ right)


def _batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: Tensor | float = 1e-5,
) -> Tensor:
    """``x`` (n, channels, …); the other tensors hold one number per channel."""
    per_channel = (-1, *[1] * (x.ndim - 2))
    normal = (x - mean.reshape(per_channel)) / np.sqrt(variance.reshape(per_channel) + np.float32(epsilon))
    return _scaled(normal, gamma, beta, per_channel)


def _layer_norm(
    x: Tensor,
    axes: Tensor | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: Tensor | float = 1e-5,
) -> Tensor:
    over = axes_of(axes) or tuple(range(x.ndim))
    centred = x - np.mean(x, axis=over, keepdims=True)
    normal = centred / np.sqrt(np.mean(centred**2, axis=over, keepdims=True) + np.float32(epsilon))
    kept = tuple(size if axis in {each % x.ndim for each in over} else 1 for axis, size in enumerate(x.shape))
    return _scaled(normal, gamma, beta, kept)


def _instance_norm(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: Tensor | float = 1e-5
) -> Tensor:
    """``x`` (n, channels, …): each channel of each sample by itself."""
    over = tuple(range(2, x.ndim))
    centred = x - np.mean(x, axis=over, keepdims=True)
    normal = centred / np.sqrt(np.mean(centred**2, axis=over, keepdims=True) + np.float32(epsilon))
    return _scaled(normal, gamma, beta, (-1, *[1] * (x.ndim - 2)))


def _scaled(x: Tensor, gamma: Tensor | None, beta: Tensor | None, shape: tuple[int, ...]) -> Tensor:
    scaled = x if gamma is None else x * gamma.reshape(shape)
    return scaled if beta is None else scaled + beta.reshape(shape)


OPS: Mapping[str, Handler] = {
    "linear": _linear,
    "matmul": _matmul,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "instance_norm": _instance_norm,
}
