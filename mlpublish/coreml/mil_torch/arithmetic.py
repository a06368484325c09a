"""Products, normalisations, reductions and the activations that torch computes sooner than numpy.

Left out, as numpy was as quick or quicker on one core at the sizes of ResNet-18, ViT-tiny and BERT-tiny: sums and products of
elements, exp, log, tanh, square roots, clip, instance_norm. Products of matrices take torch although one core is as quick
either way: two libraries that each keep a pool of threads wait for each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from mlpublish.coreml.mil_ops import activation, linear, normalization, reduction
from mlpublish.coreml.mil_ops.activation import per_channel
from mlpublish.coreml.mil_ops.linear import added_mask, check_product, einsum_operands, linear_shape, turned
from mlpublish.coreml.mil_ops.normalization import normalised_axes
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, Value, number
from mlpublish.coreml.mil_torch.tensor import taken

_FUNCTIONS = torch.nn.functional


def _are_float(*tensors: Tensor | None) -> bool:
    """Whether torch takes them together; whole numbers are numpy's."""
    return all(each is None or each.dtype == np.float32 for each in tensors)


def _several(*tensors: Tensor | None) -> tuple[Any, ...]:
    return tuple(None if each is None else taken(each) for each in tensors)


def _one(function: Callable[[Any], Any]) -> Handler:
    def run(x: Tensor) -> Tensor:
        return np.asarray(function(taken(x)).numpy())

    return run


def _gelu(x: Tensor, mode: str = "EXACT") -> Value:
    ways = {"EXACT": "none", "TANH_APPROXIMATION": "tanh"}
    if mode not in ways:
        return activation.OPS["gelu"](x, mode)
    return np.asarray(_FUNCTIONS.gelu(taken(x), approximate=ways[mode]).numpy())


def _sigmoid_hard(x: Tensor, alpha: Tensor, beta: Tensor) -> Value:
    scaled = taken(x) * float(number(alpha))
    return np.asarray(scaled.add_(float(number(beta))).clamp_(0, 1).numpy())


def _thresholded_relu(x: Tensor, alpha: Tensor) -> Value:
    given = taken(x)
    return np.asarray(torch.where(given >= float(number(alpha)), given, 0.0).numpy())


def _softmax(x: Tensor, axis: Tensor | int = -1) -> Value:
    if not -x.ndim <= int(axis) < x.ndim:
        raise ValueError(f"there is no axis {int(axis)} of a tensor of rank {x.ndim}")
    return np.asarray(torch.softmax(taken(x), int(axis)).numpy())


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Value:
    linear_shape(x, weight, bias)
    if not _are_float(x, weight, bias):
        return linear.OPS["linear"](x, weight, bias)
    return np.asarray(_FUNCTIONS.linear(*_several(x, weight, bias)).numpy())


def _matmul(x: Tensor, y: Tensor, transpose_x: Tensor | bool = False, transpose_y: Tensor | bool = False) -> Value:
    left, right = turned(x, transpose_x), turned(y, transpose_y)
    check_product(left, right)
    if not _are_float(x, y):
        return linear.OPS["matmul"](left, right)
    return np.asarray(torch.matmul(taken(left), taken(right)).numpy())


def _einsum(values: Value, equation: str) -> Value:
    left, right = einsum_operands(values, equation)
    return np.asarray(torch.matmul(taken(left), taken(right)).transpose(-2, -3).numpy())


def _attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Value:
    """torch's own attention where there is no mask: with one, it gives 0 for a row that sees nothing, and MIL NaN."""
    keys = np.swapaxes(key, -1, -2)
    check_product(query, keys)
    scores = (*np.broadcast_shapes(query.shape[:-2], keys.shape[:-2]), query.shape[-2], key.shape[-2])
    check_product(np.broadcast_to(np.float32(0), scores), value)
    q, k, v = _several(query, key, value)
    if attn_mask is None and query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
        return np.asarray(_FUNCTIONS.scaled_dot_product_attention(q, k, v).numpy())
    found = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(query.shape[-1])
    if attn_mask is not None:
        found = found + taken(added_mask(attn_mask, scores))
    return np.asarray(torch.matmul(torch.softmax(found, -1), v).numpy())


def _batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: Tensor | float = 1e-5,
) -> Value:
    for each in (mean, variance, gamma, beta):
        if each is not None:
            per_channel(each, x)
    return np.asarray(
        _FUNCTIONS.batch_norm(*_several(x, mean, variance, gamma, beta), False, 0.0, float(number(epsilon))).numpy()
    )


def _layer_norm(
    x: Tensor,
    axes: Tensor | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: Tensor | float = 1e-5,
) -> Value:
    """torch's own where the axes are the last ones."""
    over = normalised_axes(axes, x.ndim)
    sizes = x.shape[x.ndim - len(over) :]
    last = over == tuple(range(x.ndim - len(over), x.ndim))
    if not over or not last or any(each is not None and each.shape != sizes for each in (gamma, beta)):
        return normalization.OPS["layer_norm"](x, axes, gamma, beta, epsilon)
    given, scale, shift = _several(x, gamma, beta)
    return np.asarray(_FUNCTIONS.layer_norm(given, sizes, scale, shift, float(number(epsilon))).numpy())


def _over(name: str, function: Callable[..., Any]) -> Handler:
    def run(x: Tensor, axes: Tensor | None = None, keep_dims: Tensor | bool = False) -> Value:
        over = normalised_axes(axes, x.ndim)
        if not over or x.size == 0 or not _are_float(x):
            return reduction.OPS[name](x, axes, keep_dims)
        return np.asarray(function(taken(x), over, bool(keep_dims)).numpy())

    return run


OPS: Mapping[str, Handler] = {
    "relu": _one(torch.relu),
    "sigmoid": _one(torch.sigmoid),
    "silu": _one(_FUNCTIONS.silu),
    "erf": _one(torch.erf),
    "gelu": _gelu,
    "sigmoid_hard": _sigmoid_hard,
    "thresholded_relu": _thresholded_relu,
    "softmax": _softmax,
    "linear": _linear,
    "matmul": _matmul,
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "reduce_mean": _over("reduce_mean", torch.mean),
    "reduce_sum": _over("reduce_sum", torch.sum),
    "reduce_max": _over("reduce_max", torch.amax),
}
