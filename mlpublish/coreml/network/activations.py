"""Activations. Source: NeuralNetwork.proto, ``ActivationParams``, ``GeluLayerParams``, ``ClampedReLULayerParams``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import numpy as np

from mlpublish.coreml.mil_ops import OPS
from mlpublish.coreml.mil_ops.tensor import Tensor
from mlpublish.coreml.network.blob import Blob, Opener, Step, at_least, one
from mlpublish.coreml.network.weights import numbers
from mlpublish.coreml.schema import Message

Function: TypeAlias = Callable[[Blob], Blob]

_SAME_AS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "linear": ("linear_activation", ("alpha", "beta")),
    "ReLU": ("relu", ()),
    "leakyReLU": ("leaky_relu", ("alpha",)),
    "thresholdedReLU": ("thresholded_relu", ("alpha",)),
    "tanh": ("tanh", ()),
    "scaledTanh": ("scaled_tanh", ("alpha", "beta")),
    "sigmoid": ("sigmoid", ()),
    "sigmoidHard": ("sigmoid_hard", ("alpha", "beta")),
    "ELU": ("elu", ("alpha",)),
    "softsign": ("softsign", ()),
    "softplus": ("softplus", ()),
}
"""Nonlinearity -> the MIL operation with the same formula, and its parameters."""

_IN_RECURRENT: Mapping[str, tuple[float, float]] = {"linear": (1, 0), "scaledTanh": (1.7159, 2 / 3), "sigmoidHard": (0.2, 0.5)}
"""What stands in a recurrent layer whatever the file says: coremltools leaves these parameters out there."""


def activation(params: Message) -> Function:
    """The function of an ``ActivationParams``.

    Raises:
        ValueError: it names none.
    """
    kind = params.WhichOneof("NonlinearityType")
    if kind in _SAME_AS:
        op, fields = _SAME_AS[kind]
        settings = {field: np.asarray(getattr(getattr(params, kind), field), np.float32) for field in fields}
        return partial(_by_mil, op, settings)
    if kind == "PReLU":
        alpha = _per_channel(params.PReLU.alpha)
        return lambda x: np.where(x >= 0, x, _fitting(alpha, x) * x)
    if kind == "parametricSoftplus":
        held = params.parametricSoftplus
        alpha, beta = _per_channel(held.alpha), _per_channel(held.beta)
        return lambda x: np.asarray(_fitting(alpha, x) * np.logaddexp(_fitting(beta, x) * x, np.float32(0)))
    raise ValueError(f"there is no activation {kind}")


def recurrent_activation(params: Message) -> Function:
    """The function of an ``ActivationParams`` in a recurrent layer, where only six exist, with fixed parameters.

    Raises:
        ValueError: it is none of them.
    """
    kind = params.WhichOneof("NonlinearityType")
    if kind not in ("linear", "sigmoid", "tanh", "ReLU", "scaledTanh", "sigmoidHard"):
        raise ValueError(f"there is no activation {kind} in a recurrent layer")
    op, fields = _SAME_AS[kind]
    settings = {field: np.asarray(value, np.float32) for field, value in zip(fields, _IN_RECURRENT.get(kind, ()), strict=True)}
    return partial(_by_mil, op, settings)


def _by_mil(op: str, settings: Mapping[str, Tensor], x: Blob) -> Blob:
    return np.asarray(OPS[op](x, **settings), dtype=np.float32)


def _per_channel(params: Message) -> Tensor:
    count = max(len(params.floatValue), len(params.float16Value) // 2, 1)
    if len(params.rawValue):
        count = len(params.rawValue) * 8 // max(1, params.quantization.numberOfBits)
    return numbers(params, count).reshape(count, 1, 1)


def _fitting(values: Tensor, x: Blob) -> Tensor:
    """One value, or one per channel (axis -3)."""
    if len(values) not in (1, at_least(3, x).shape[-3]):
        raise ValueError(f"{len(values)} parameters for {x.shape[-3]} channels")
    return values


def _activation(layer: Message) -> Step:
    return one(activation(layer.activation))


def _gelu(layer: Message) -> Step:
    mode = {0: "EXACT", 1: "TANH_APPROXIMATION", 2: "SIGMOID_APPROXIMATION"}[layer.gelu.mode]
    return one(lambda x: np.asarray(OPS["gelu"](x, mode=mode), dtype=np.float32))


def _clamped_relu(layer: Message) -> Step:
    alpha, beta = np.float32(layer.clampedReLU.alpha), np.float32(layer.clampedReLU.beta)
    return one(lambda x: np.minimum(beta, np.where(x >= 0, x, alpha * x)))


LAYERS: Mapping[str, Opener] = {"activation": _activation, "gelu": _gelu, "clampedReLU": _clamped_relu}
