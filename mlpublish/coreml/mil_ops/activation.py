"""Activations. Source: coremltools' MIL operation reference, ``activation``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.error_function import erf
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, number


def per_channel(values: Tensor, x: Tensor) -> Tensor:
    """One number per channel, laid along axis 1 of ``x`` (n, channels, …).

    Raises:
        ValueError: there are more or fewer than channels.
    """
    if x.ndim < 2 or values.shape != x.shape[1:2]:
        raise ValueError(f"{values.shape} numbers per channel do not fit {x.shape}")
    return values.reshape(-1, *[1] * (x.ndim - 2))


def _sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + np.exp(-x))


def _silu(x: Tensor) -> Tensor:
    return np.asarray(x * _sigmoid(x))


def _tanh(x: Tensor) -> Tensor:
    return np.tanh(x)


def _relu(x: Tensor) -> Tensor:
    return np.asarray(np.maximum(x, np.float32(0)))


def _relu6(x: Tensor) -> Tensor:
    return np.clip(x, 0, 6)


def _leaky_relu(x: Tensor, alpha: Tensor) -> Tensor:
    return np.where(x >= 0, x, number(alpha) * x)


def _prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """``alpha`` holds one factor per channel; the channels are axis 1."""
    return np.where(x >= 0, x, per_channel(alpha, x) * x)


def _elu(x: Tensor, alpha: Tensor) -> Tensor:
    return np.where(x >= 0, x, number(alpha) * np.expm1(np.minimum(x, 0)))


def _gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    if mode == "SIGMOID_APPROXIMATION":
        return np.asarray(x * _sigmoid(np.float32(1.702) * x))
    if mode == "TANH_APPROXIMATION":
        inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * (x * x * x))
        return np.asarray(x / 2 * (1 + np.tanh(inner)))
    if mode != "EXACT":
        raise ValueError(f"there is no gelu mode {mode}")
    return np.asarray(x / 2 * (1 + erf(x / np.float32(np.sqrt(2)))))


def _sigmoid_hard(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    return np.clip(number(alpha) * x + number(beta), 0, 1)


def _softplus(x: Tensor) -> Tensor:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))  # log(1 + e^x) without its overflow


def _softplus_parametric(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """``alpha`` and ``beta`` hold one number per channel; the channels are axis 1."""
    return np.asarray(per_channel(alpha, x) * _softplus(per_channel(beta, x) * x))


def _softsign(x: Tensor) -> Tensor:
    return np.asarray(x / (1 + np.abs(x)))


def _scaled_tanh(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    return np.asarray(number(alpha) * np.tanh(number(beta) * x))


def _linear_activation(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    return np.asarray(number(alpha) * x + number(beta))


def _clamped_relu(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    return np.asarray(np.minimum(number(beta), np.where(x >= 0, x, number(alpha) * x)))


def _thresholded_relu(x: Tensor, alpha: Tensor) -> Tensor:
    return np.where(x >= number(alpha), x, 0)


def _softmax(x: Tensor, axis: Tensor | int = -1) -> Tensor:
    powers = np.exp(x - np.max(x, axis=int(axis), keepdims=True))
    return np.asarray(powers / np.sum(powers, axis=int(axis), keepdims=True))


OPS: Mapping[str, Handler] = {
    "sigmoid": _sigmoid,
    "silu": _silu,
    "tanh": _tanh,
    "relu": _relu,
    "relu6": _relu6,
    "leaky_relu": _leaky_relu,
    "prelu": _prelu,
    "elu": _elu,
    "gelu": _gelu,
    "sigmoid_hard": _sigmoid_hard,
    "softplus": _softplus,
    "softplus_parametric": _softplus_parametric,
    "softsign": _softsign,
    "scaled_tanh": _scaled_tanh,
    "linear_activation": _linear_activation,
    "clamped_relu": _clamped_relu,
    "thresholded_relu": _thresholded_relu,
    "softmax": _softmax,
}
