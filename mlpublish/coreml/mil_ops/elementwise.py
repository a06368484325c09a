"""Arithmetic, comparison, logic, casts. Source: coremltools' MIL operation reference, ``elementwise_*`` and ``select``.

Whole numbers stay whole, as the reference's result types say: where numpy would give a fraction, it is cut towards zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mlpublish.coreml.mil_ops.error_function import erf
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, number, spread

_CAST: Mapping[str, type[np.generic]] = {
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
        spread(x, y)
        return function(x, y)

    return run


def _whole(got: Tensor, *given: Tensor) -> Tensor:
    """A result in the type of its arguments, where these are whole numbers."""
    kind = np.result_type(*given)
    return got.astype(kind) if kind.kind in "iu" else got


def _real_div(x: Tensor, y: Tensor) -> Tensor:
    spread(x, y)
    return _whole(np.true_divide(x, y), x, y)


def _exp2(x: Tensor) -> Tensor:
    return _whole(np.exp2(x), x)


def _log(x: Tensor, epsilon: Tensor | float = 1e-45) -> Tensor:
    return np.log(x + number(epsilon))


def _rsqrt(x: Tensor, epsilon: Tensor | float = 1e-12) -> Tensor:
    return np.asarray(1 / np.sqrt(x + number(epsilon)))


def _inverse(x: Tensor, epsilon: Tensor | float = 1e-4) -> Tensor:
    return np.asarray(1 / (x + number(epsilon)))


def _clip(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Where ``alpha`` lies above ``beta``, everything is ``beta``."""
    return np.clip(x, number(alpha), number(beta))


def _clip_17(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """As of iOS17 the bounds must stand in their order."""
    if number(alpha) >= number(beta):
        raise ValueError(f"its lower bound {number(alpha)} is not below its upper bound {number(beta)}")
    return _clip(x, alpha, beta)


def _threshold(x: Tensor, alpha: Tensor) -> Tensor:
    return np.asarray(np.maximum(x, alpha.reshape(())))


def _cast(x: Tensor, dtype: str) -> Tensor:
    """Fractions are cut towards zero; whole numbers that do not fit keep their lower bits.

    A float beyond the whole type's range becomes its nearest bound, and NaN becomes 0, as Arm's conversion instructions have
    it: neither the reference nor numpy says.
    """
    if dtype not in _CAST:
        raise ValueError(f"there is no type {dtype!r} to cast to")
    kind = _CAST[dtype]
    if x.dtype.kind == "f" and issubclass(kind, np.integer):
        bounds = np.iinfo(kind)
        return np.clip(np.nan_to_num(x.astype(np.float64), posinf=np.inf, neginf=-np.inf), bounds.min, bounds.max).astype(kind)
    return x.astype(kind)


def _select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    spread(cond, a, b)
    return np.where(cond, a, b)


OPS: Mapping[str, Handler] = {
    "add": _two(np.add),
    "sub": _two(np.subtract),
    "mul": _two(np.multiply),
    "real_div": _real_div,
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
    "exp2": _exp2,
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
    "asin": _one(np.arcsin),
    "acos": _one(np.arccos),
    "atan": _one(np.arctan),
    "sinh": _one(np.sinh),
    "cosh": _one(np.cosh),
    "atanh": _one(np.arctanh),
    "erf": _one(erf),
    "clip": _clip,
    "clip@17": _clip_17,
    "threshold": _threshold,
    "cast": _cast,
    "select": _select,
}
