"""Normalisations. Source: coremltools' MIL operation reference, ``normalization``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.activation import per_channel
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, axes_of, number


def _batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: Tensor | float = 1e-5,
) -> Tensor:
    """``x`` (n, channels, …); the other tensors hold one number per channel."""
    factor = 1 / np.sqrt(variance + number(epsilon))
    if gamma is not None:
        factor = factor * gamma
    normal = (x - per_channel(mean, x)) * per_channel(factor, x)
    return np.asarray(normal if beta is None else normal + per_channel(beta, x))


def _layer_norm(
    x: Tensor,
    axes: Tensor | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: Tensor | float = 1e-5,
) -> Tensor:
    """``gamma`` and ``beta`` have the sizes of the normalised axes, in the order of ``x``."""
    over = normalised_axes(axes, x.ndim)
    kept = tuple(size if axis in over else 1 for axis, size in enumerate(x.shape))
    normal = _normal(x, over, epsilon)
    scaled = normal if gamma is None else normal * gamma.reshape(kept)
    return np.asarray(scaled if beta is None else scaled + beta.reshape(kept))


def normalised_axes(axes: Tensor | None, rank: int) -> tuple[int, ...]:
    """The axes of a ``layer_norm``, counted from the front, in the order of the tensor.

    Raises:
        ValueError: the tensor has no such axis.
    """
    given = axes_of(axes)
    if given is None:
        return tuple(range(rank))
    if any(not -rank <= axis < rank for axis in given):
        raise ValueError(f"the axes {given} are not all of a tensor of rank {rank}")
    return tuple(sorted({axis % rank for axis in given}))


def _normal(x: Tensor, over: tuple[int, ...], epsilon: Tensor | float) -> Tensor:
    centred = x - np.mean(x, axis=over, keepdims=True)
    return np.asarray(centred / np.sqrt(np.mean(np.square(centred), axis=over, keepdims=True) + number(epsilon)))


def _instance_norm(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: Tensor | float = 1e-5
) -> Tensor:
    """``x`` (n, channels, …): each channel of each sample by itself."""
    normal = _normal(x, tuple(range(2, x.ndim)), epsilon)
    scaled = normal if gamma is None else normal * per_channel(gamma, x)
    return np.asarray(scaled if beta is None else scaled + per_channel(beta, x))


def _l2_norm(x: Tensor, epsilon: Tensor | float = 1e-6) -> Tensor:
    """The last three axes by their common length; the axes before them are a batch."""
    if x.ndim < 3:
        raise ValueError(f"it takes a tensor of rank 3 or more, not {x.ndim}")
    squares = np.sum(np.square(x), axis=(-3, -2, -1), keepdims=True)
    return np.asarray(x / np.sqrt(squares + number(epsilon)))


def _local_response_norm(
    x: Tensor,
    size: Tensor,
    alpha: Tensor | float = 1e-4,
    beta: Tensor | float = 0.75,
    k: Tensor | float = 1.0,
) -> Tensor:
    """``x`` (n, channels, …): by the mean square of ``size`` neighbouring channels; those beyond the ends count as 0.

    Of an even size, one more neighbour lies before than behind, as in torch's and Metal's normalisation of this name: MIL's
    reference does not say.
    """
    if int(size) < 1 or x.ndim < 2:
        raise ValueError(f"{int(size)} neighbouring channels of a tensor of rank {x.ndim} cannot be normalised")
    before, channels = int(size) // 2, x.shape[1]
    squares, sums = np.square(x), np.zeros_like(x)
    for step in range(max(-before, 1 - channels), min(int(size) - before, channels)):
        here, there = slice(max(-step, 0), channels - max(step, 0)), slice(max(step, 0), channels + min(step, 0))
        sums[:, here] += squares[:, there]
    return np.asarray(x / (number(k) + number(alpha) / np.float32(int(size)) * sums) ** number(beta))


OPS: Mapping[str, Handler] = {
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "instance_norm": _instance_norm,
    "l2_norm": _l2_norm,
    "local_response_norm": _local_response_norm,
}
