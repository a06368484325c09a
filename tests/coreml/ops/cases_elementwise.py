"""Arithmetic, comparison, logic, casts. Where coremltools' inference is another thing than its reference, Python says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i

N = Numbers(11)
INF, NAN = np.float32(np.inf), np.float32(np.nan)
X = N.f(2, 3, 4)
FLAGS = np.asarray([[True, False, True, False], [True, True, False, False]])
SIGNED = (np.int8, np.int16, np.int32)
WHOLE = (*SIGNED, np.uint8, np.uint16)


def f(*values: float) -> np.ndarray:
    return np.asarray(values, np.float32)


def each(function: Callable[..., float], dtype: type = np.float32) -> Callable[..., np.ndarray]:
    """Python's own function, one element after the other."""

    def want(**given: np.ndarray) -> np.ndarray:
        parts = np.broadcast_arrays(*given.values())
        return np.asarray([function(*(v.item() for v in row)) for row in zip(*(p.flat for p in parts), strict=True)]).reshape(
            parts[0].shape
        ).astype(dtype)  # fmt: skip

    return want


def binary() -> Iterator[Case]:
    arithmetic = ("add", "sub", "mul", "maximum", "minimum")
    compared = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
    shapes = [
        ((2, 3, 4), (2, 3, 4)),
        ((2, 3, 4), (4,)),
        ((3, 1), (2, 1, 4)),
        ((1,), (2, 2, 2, 2, 2)),
        ((5,), ()),
        ((0, 3), (1, 3)),
    ]
    for op in arithmetic:
        for left, right in shapes:
            yield Case(op=op, given={"x": N.f(*left), "y": N.f(*right)}, note=f"{left} and {right}")
        yield Case(op=op, given={"x": N.below(9, 2, 3), "y": N.below(9, 3)}, note="whole")
    for op in compared:
        for left, right in shapes:
            given = {"x": N.f(*left).round(), "y": N.f(*right).round()}
            yield Case(op=op, given=given, note=f"{left} and {right}")
        yield Case(op=op, given={"x": N.below(3, 2, 5), "y": N.below(3, 5)}, note="whole")
        yield Case(op=op, given={"x": f(NAN, 1, INF), "y": f(NAN, NAN, INF)}, note="not a number")
    for op in ("logical_and", "logical_or", "logical_xor"):
        yield Case(op=op, given={"x": FLAGS, "y": FLAGS[:, ::-1].copy()})
        yield Case(op=op, given={"x": FLAGS, "y": FLAGS[0]}, note="broadcast")
        yield Case(op=op, given={"x": FLAGS[0], "y": np.asarray(True)}, note="a scalar")


def divided() -> Iterator[Case]:
    """Whole numbers by Python: // rounds down, % has the divisor's sign, a quotient is cut towards zero."""
    over, under = i(7, -7, 8, -8, 0, 2**30, -(2**31)), i(2, 2, -3, -3, 5, 3, 7)
    whole = {"x": over, "y": under}
    yield Case(op="floor_div", given=whole, want=each(lambda x, y: x // y, np.int32), note="whole")
    yield Case(op="mod", given=whole, want=each(lambda x, y: x % y, np.int32), note="whole")
    yield Case(op="real_div", given=whole, want=each(lambda x, y: math.trunc(x / y), np.int32), note="whole")
    yield Case(op="pow", given={"x": i(2, -3, 0, 5), "y": i(10, 3, 0, 1)}, want=each(pow, np.int32), note="whole")
    real = {"x": f(7.5, -7.5, 6, -6, 0.3), "y": f(2, 2, -3, 4, 0.125)}
    yield Case(op="floor_div", given=real)
    yield Case(op="floor_div", given=real, want=each(lambda x, y: math.floor(x / y)), note="rounds down")
    yield Case(op="mod", given=real)
    yield Case(op="mod", given=real, want=each(lambda x, y: x - y * math.floor(x / y)), note="has the divisor's sign")
    for op in ("floor_div", "mod", "real_div"):
        yield Case(op=op, given={"x": N.f(2, 1, 3) * 9, "y": N.positive(4, 1)}, note="broadcast")
    yield Case(op="real_div", given={"x": f(1, -1, 0), "y": f(0, 0, 0)}, note="by nothing")
    yield Case(op="pow", given={"x": N.positive(2, 1, 3), "y": N.f(4, 1)}, note="broadcast")
    yield Case(op="pow", given={"x": f(-2, -2, -2, 0), "y": f(2, 3, 0.5, -1)}, note="below zero")


def unary() -> Iterator[Case]:
    wide = (
        "abs",
        "sign",
        "exp",
        "exp2",
        "square",
        "floor",
        "ceil",
        "round",
        "sin",
        "cos",
        "sinh",
        "cosh",
        "atan",
        "erf",
        "identity",
    )
    for op in wide:
        for shape in ((2, 3, 4), (7,), (), (1, 2, 1, 2, 3)):
            yield Case(op=op, given={"x": N.f(*shape) * 3}, note=f"{shape}")
        yield Case(op=op, given={"x": f(INF, -INF, 0)}, note="infinite")
    yield Case(op="tan", given={"x": N.f(2, 3)}, rtol=1e-5)
    inside = {
        "acos": f(-1, -0.999, -0.3, 0, 0.5, 1),
        "asin": f(-1, -0.999, -0.3, 0, 0.5, 1),
        "atanh": f(-0.999, -0.3, 0, 0.5, 1),
    }
    for op, x in inside.items():
        yield Case(op=op, given={"x": x})
        yield Case(op=op, given={"x": f(1.5, -2, 0.5)}, note="outside its domain")
        yield Case(
            op=op, given={"x": x.reshape(1, -1, 1)}, want=each(getattr(math, op) if op != "atanh" else _atanh), note="by Python"
        )
    for op in ("abs", "sign", "square"):
        yield Case(op=op, given={"x": i(-3, 0, 5, -46340)}, note="whole")
    yield Case(op="exp2", given={"x": i(0, 1, 10, 30)}, want=each(lambda x: 2**x, np.int32), note="whole")
    halves = f(0.5, 1.5, 2.5, -0.5, -1.5, 3.2)
    yield Case(op="round", given={"x": halves}, note="halves")
    yield Case(op="round", given={"x": halves}, want=each(round), note="halves by Python")
    yield Case(op="erf", given={"x": np.linspace(-6, 6, 501, dtype=np.float32)}, rtol=0, atol=2e-7, note="everywhere")
    yield Case(
        op="erf",
        given={"x": np.geomspace(1e-30, 1, 99).astype(np.float32)},
        rtol=2e-7,
        atol=0,
        want=each(math.erf),
        note="near 0",
    )
    yield Case(op="identity", given={"x": i(1, 2)}, note="whole")
    yield Case(op="identity", given={"x": FLAGS}, note="flags")
    yield Case(op="logical_not", given={"x": FLAGS})


def _atanh(x: float) -> float:
    return math.inf if x == 1 else math.atanh(x)


def with_parameters() -> Iterator[Case]:
    for op, least in (("log", 1e-45), ("rsqrt", 1e-12), ("inverse", 1e-4)):
        yield Case(op=op, given={"x": N.positive(3, 2)})
        yield Case(op=op, given={"x": N.positive(3, 2), "epsilon": np.float32(0.5)}, note="epsilon")
        yield Case(op=op, given={"x": f(0, 1e-30, -1)}, note="nothing to take it of")
        written = {
            "log": lambda x, e: math.log(x + e),
            "rsqrt": lambda x, e: 1 / math.sqrt(x + e),
            "inverse": lambda x, e: 1 / (x + e),
        }[op]
        yield Case(op=op, given={"x": N.positive(2, 1, 4)}, want=each(lambda x, g=written, e=least: g(x, e)), note="by Python")
    yield Case(op="sqrt", given={"x": N.positive(3, 2)})
    yield Case(op="sqrt", given={"x": f(0, -1, INF, 1e-40)}, note="at its ends")
    bounds = {"alpha": np.float32(-0.5), "beta": np.float32(0.3)}
    yield Case(op="clip", given={"x": X, **bounds})
    yield Case(op="clip", given={"x": f(-INF, INF), **bounds}, note="infinite")
    crossed = {"alpha": np.float32(0.5), "beta": np.float32(-0.5)}
    yield Case(op="clip", given={"x": X, **crossed}, opsets=(15, 16), note="bounds that cross")
    yield Case(op="threshold", given={"x": X, "alpha": np.float32(0.2)})
    yield Case(op="threshold", given={"x": i(-3, 0, 5), "alpha": np.int32(1)}, note="whole")


def casts() -> Iterator[Case]:
    inside = f(0, 0.5, 1.999, -0.5, -1.999, 100.25)
    for dtype in ("int32", "fp32", "bool"):
        yield Case(op="cast", given={"x": inside, "dtype": dtype}, note=f"float to {dtype}")
        yield Case(op="cast", given={"x": i(0, 1, -5, 2**31 - 1), "dtype": dtype}, note=f"int32 to {dtype}")
        yield Case(op="cast", given={"x": FLAGS, "dtype": dtype}, note=f"bool to {dtype}")
    yield Case(op="cast", given={"x": np.float32(2.75), "dtype": "int32"}, note="a scalar")
    yield Case(op="cast", given={"x": f(0, 0.1, -65504, 1e-9), "dtype": "fp16"}, rtol=1e-3, note="to fp16", want=_halved)
    for kind in WHOLE:
        name, bounds = np.dtype(kind).name, np.iinfo(kind)
        ends = np.asarray([bounds.min, 0, 1, bounds.max], kind)
        yield Case(op="cast", given={"x": ends, "dtype": "fp32"}, opsets=(17, 18, 26), note=f"{name} to fp32")
        yield Case(op="cast", given={"x": ends, "dtype": "int32"}, opsets=(17, 18, 26), note=f"{name} to int32")
        yield Case(op="cast", given={"x": ends, "dtype": "bool"}, opsets=(17, 18, 26), note=f"{name} to bool")
        if kind is not np.int32:
            narrowed = {"x": i(0, 1, 127, 128, 300, -1, 70000), "dtype": name}
            yield Case(op="cast", given=narrowed, opsets=(17, 18, 26), note=f"int32 to {name}, cut to its bits")
        beyond = {"x": f(-1e12, 1e12, 3.9, INF, -INF, NAN), "dtype": name}
        opsets = () if kind is np.int32 else (17, 18, 26)
        yield Case(op="cast", given=beyond, opsets=opsets, want=_saturated, note=f"far beyond {name}")


def _halved(x: np.ndarray, dtype: str) -> np.ndarray:
    return np.asarray([np.float16(v) for v in x])


def _saturated(x: np.ndarray, dtype: str) -> np.ndarray:
    bounds = np.iinfo(dtype)
    cut = [
        0 if math.isnan(v) else bounds.max if v > bounds.max else bounds.min if v < bounds.min else int(v) for v in x.tolist()
    ]
    return np.asarray(cut, dtype)


def selections() -> Iterator[Case]:
    a, b = N.f(2, 3, 4), N.f(2, 3, 4)
    yield Case(op="select", given={"cond": X > 0, "a": a, "b": b})
    yield Case(op="select", given={"cond": X > 0, "a": a > 0, "b": b > 0}, note="flags")
    yield Case(op="select", given={"cond": FLAGS, "a": N.below(9, 2, 4), "b": N.below(9, 2, 4)}, note="whole")
    yield Case(op="select", given={"cond": FLAGS[0], "a": N.f(2, 3, 4), "b": N.f(3, 1)}, note="broadcast")
    yield Case(op="select", given={"cond": np.asarray(True), "a": N.f(2), "b": N.f(2)}, note="one condition")


CASES = [*binary(), *divided(), *unary(), *with_parameters(), *casts(), *selections()]
