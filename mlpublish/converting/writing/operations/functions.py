"""Functions of one number in MIL. Where MIL has none, or a naive form would cancel near 0, a polynomial stands in.

Each takes the builder and a variable of any shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlpublish.converting.graph.columnwise import Name
from mlpublish.converting.writing.operations.constants import float32

_NEAR = 0.5  # where the polynomials stand in; what they leave out is below a float32's last bit there


def expm1(mb: Any, x: Any) -> Any:
    """``x + x²/2! + x³/3! + …`` near 0."""
    near = mb.mul(x=x, y=polynomial(mb, x, [1 / math.factorial(power) for power in range(1, 11)]))
    return mb.select(cond=_is_near(mb, x), a=near, b=mb.sub(x=mb.exp(x=x), y=float32(1)))


def log1p(mb: Any, x: Any) -> Any:
    """``2 atanh(s)`` near 0, with ``s = x / (2 + x)``, as its series ``2 (s + s³/3 + s⁵/5 + …)``."""
    s = mb.real_div(x=x, y=mb.add(x=x, y=float32(2)))
    near = mb.mul(x=s, y=polynomial(mb, mb.square(x=s), [2 / odd for odd in range(1, 18, 2)]))
    return mb.select(cond=_is_near(mb, x), a=near, b=log(mb, mb.add(x=x, y=float32(1))))


def log(mb: Any, x: Any) -> Any:
    return mb.log(x=x, epsilon=float32(0))  # MIL adds 1e-45 otherwise


def softplus(mb: Any, x: Any) -> Any:
    """``max(x, 0) + log1p(exp(-|x|))``, which neither overflows nor vanishes."""
    return mb.add(x=mb.relu(x=x), y=log1p(mb, mb.exp(x=_negative(mb, mb.abs(x=x)))))


def polynomial(mb: Any, x: Any, coefficients: Sequence[float]) -> Any:
    """``c0 + c1 x + c2 x² + …``"""
    *before, last = coefficients
    found = mb.mul(x=x, y=float32(last))
    for coefficient in reversed(before[1:]):
        found = mb.mul(x=x, y=mb.add(x=found, y=float32(coefficient)))
    return mb.add(x=found, y=float32(before[0]))


def _is_near(mb: Any, x: Any) -> Any:
    return mb.less(x=mb.abs(x=x), y=float32(_NEAR))


def _negative(mb: Any, x: Any) -> Any:
    return mb.mul(x=x, y=float32(-1))


def _cbrt(mb: Any, x: Any) -> Any:
    return mb.mul(x=mb.sign(x=x), y=mb.pow(x=mb.abs(x=x), y=float32(1 / 3)))


def _logit(mb: Any, x: Any) -> Any:
    return log(mb, mb.real_div(x=x, y=mb.sub(x=float32(1), y=x)))


def _round(mb: Any, x: Any) -> Any:
    """To the nearest whole number, from a half to the even one, as NumPy does; MIL's ``round`` does not say."""
    below = mb.floor(x=x)
    rest = mb.sub(x=x, y=below)
    half = mb.mul(x=below, y=float32(0.5))
    odd = mb.greater(x=half, y=mb.floor(x=half))
    up = mb.logical_or(x=mb.greater(x=rest, y=float32(0.5)), y=mb.logical_and(x=mb.equal(x=rest, y=float32(0.5)), y=odd))
    return mb.add(x=below, y=mb.cast(x=up, dtype="fp32"))


def _positive(mb: Any, x: Any) -> Any:
    return mb.cast(x=mb.greater(x=x, y=float32(0)), dtype="fp32")


FUNCTIONS: Mapping[Name, Callable[[Any, Any], Any]] = {
    Name.ABSOLUTE: lambda mb, x: mb.abs(x=x),
    Name.EXP: lambda mb, x: mb.exp(x=x),
    Name.EXP2: lambda mb, x: mb.exp2(x=x),
    Name.EXPM1: expm1,
    Name.LOG: log,
    Name.LOG1P: log1p,
    Name.LOG2: lambda mb, x: mb.real_div(x=log(mb, x), y=float32(math.log(2))),
    Name.LOG10: lambda mb, x: mb.real_div(x=log(mb, x), y=float32(math.log(10))),
    Name.SQRT: lambda mb, x: mb.sqrt(x=x),
    Name.CBRT: _cbrt,
    Name.SQUARE: lambda mb, x: mb.square(x=x),
    Name.RECIPROCAL: lambda mb, x: mb.real_div(x=float32(1), y=x),  # MIL's ``inverse`` adds 1e-4
    Name.NEGATIVE: _negative,
    Name.SIGN: lambda mb, x: mb.sign(x=x),
    Name.FLOOR: lambda mb, x: mb.floor(x=x),
    Name.CEIL: lambda mb, x: mb.ceil(x=x),
    Name.ROUND: _round,
    Name.SIN: lambda mb, x: mb.sin(x=x),
    Name.COS: lambda mb, x: mb.cos(x=x),
    Name.TAN: lambda mb, x: mb.tan(x=x),
    Name.ARCTAN: lambda mb, x: mb.atan(x=x),
    Name.TANH: lambda mb, x: mb.tanh(x=x),
    Name.EXPIT: lambda mb, x: mb.sigmoid(x=x),
    Name.LOGIT: _logit,
    Name.RELU: lambda mb, x: mb.relu(x=x),
    Name.SOFTPLUS: softplus,
    Name.POSITIVE: _positive,
}
