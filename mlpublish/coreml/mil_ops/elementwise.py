"""Arithmetic, comparison, logic, casts. Source: coremltools' MIL operation reference, ``elementwise_*``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Handler, Tensor

_CAST = {
    "fp16": np.float32,  # rounded to float16 where the result is stored
    "fp32": np.float32,
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "uint16": np.uint16,
    "int32": np.int32,
    "bool": np.bool_,
}


def _one(function: Callable[[Tensor], Tensor]) -> Handler:
    def run(x: Tensor) -> Tensor:
        return function(x)

    return run


def _two(function: Callable[[Tensor, Tensor], Tensor]) -> Handler:
    def run(x: Tensor, y: Tensor) -> Tensor:
        return function(x, y)

    return run


def _log(x: Tensor, epsilon: Tensor | float = 1e-45) -> Tensor:
    return np.log(x + np.float32(epsilon))


def _rsqrt(x: Tensor, epsilon: Tensor | float = 1e-12) -> Tensor:
    return 1 / np.sqrt(x + np.float32(epsilon))


def _inverse(x: Tensor, epsilon: Tensor | float = 1e-4) -> Tensor:
    return 1 / (x + np.float32(epsilon))


def _erf(x: Tensor) -> Tensor:
    from scipy.special import erf  # type: ignore[import-untyped]  # scikit-learn brings it; an exact GELU needs it

    return np.asarray(erf(x))


def _clip(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    return np.clip(x, alpha, beta)


def _threshold(x: Tensor, alpha: Tensor) -> Tensor:
    return np.maximum(x, alpha)


def _cast(x: Tensor, dtype: str) -> Tensor:
    return x.astype(_CAST[dtype])


def _select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return np.where(cond, a, b)


OPS: Mapping[str, Handler] = {
    "add": _two(np.add),
    "sub": _two(np.subtract),
    "mul": _two(np.multiply),
    "real_div": _two(np.true_divide),
    "floor_div": _two(np.floor_divide),
    "mod": _two(np.mod),
    "pow": _two(np.power),
    "maximum": _two(np.maximum),
    "minimum": _two(np.minimum),
    "equal": _two(np.equal),
    "not_equal": _two(np.not_equal),
    "greater": _two(np.greater),
    "greater_equal": _two(np.greater_equal),
    "less": _two(np.less),
    "less_equal": _two(np.less_equal),
    "logical_and": _two(np.logical_and),
    "logical_or": _two(np.logical_or),
    "logical_xor": _two(np.logical_xor),
    "logical_not": _one(np.logical_not),
    "identity": _one(lambda x: x),
    "abs": _one(np.abs),
    "sign": _one(np.sign),
    "exp": _one(np.exp),
    "exp2": _one(np.exp2),
    "log": _log,
    "sqrt": _one(np.sqrt),
    "rsqrt": _rsqrt,
    "inverse": _inverse,
    "square": _one(np.square),
    "floor": _one(np.floor),
    "ceil": _one(np.ceil),
    "round": _one(np.round),
    "sin": _one(np.sin),
    "cos": _one(np.cos),
    "tan": _one(np.tan),
    "atan": _one(np.arctan),
    "erf": _erf,
    "clip": _clip,
    "threshold": _threshold,
    "cast": _cast,
    "select": _select,
}
