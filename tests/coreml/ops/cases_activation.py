"""Activations. What coremltools cannot infer, or infers less exactly than its reference says, Python says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from tests.coreml.ops.case import Case
from tests.coreml.ops.cases_elementwise import each
from tests.coreml.ops.numbers import Numbers

N = Numbers(12)
FAR = np.asarray([-200, -90, -20, -1e-4, 0, 1e-4, 20, 90, 200], np.float32)
A, B = np.float32(0.3), np.float32(0.4)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def softplus(x: float) -> float:
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def plain() -> Iterator[Case]:
    written: dict[str, Callable[[float], float]] = {
        "relu": lambda x: max(x, 0),
        "relu6": lambda x: min(max(x, 0), 6),
        "sigmoid": sigmoid,
        "silu": lambda x: x * sigmoid(x),
        "softplus": softplus,
        "softsign": lambda x: x / (1 + abs(x)),
        "tanh": math.tanh,
    }
    for op, function in written.items():
        for shape in ((2, 3, 4), (5,), (), (1, 2, 3, 2, 2)):
            yield Case(op=op, given={"x": N.f(*shape) * 3}, want=each(function), note=f"{shape}")
        yield Case(op=op, given={"x": FAR}, want=each(function), note="far out")
        if op != "silu":
            yield Case(op=op, given={"x": N.f(2, 3) * 3}, note="inferred")


def with_parameters() -> Iterator[Case]:
    one = {
        "leaky_relu": lambda x: x if x >= 0 else A * x,
        "elu": lambda x: x if x > 0 else A * math.expm1(x),
        "thresholded_relu": lambda x: x if x >= A else 0,
    }
    for op, function in one.items():
        for x in (N.f(2, 3, 4), FAR, np.asarray([A, -A], np.float32), N.f(1, 2, 3, 2, 2)):
            yield Case(op=op, given={"x": x, "alpha": A}, want=lambda x, alpha, g=function: each(g)(x=x), note=f"{x.shape}")
        yield Case(op=op, given={"x": N.f(2, 3) * 3, "alpha": np.float32(-0.5)}, note="a factor below zero")
    two = {
        "sigmoid_hard": lambda x: min(max(A * x + B, 0), 1),
        "scaled_tanh": lambda x: A * math.tanh(B * x),
        "linear_activation": lambda x: A * x + B,
        "clamped_relu": lambda x: min(B, x if x >= 0 else A * x),
    }
    for op, function in two.items():
        for x in (N.f(2, 3, 4), FAR, N.f(1, 2, 3, 2, 2)):
            yield Case(
                op=op,
                given={"x": x, "alpha": A, "beta": B},
                want=lambda x, alpha, beta, g=function: each(g)(x=x),
                note=f"{x.shape}",
            )
        yield Case(op=op, given={"x": N.f(2, 3) * 3, "alpha": np.float32(-0.5), "beta": np.float32(1.5)}, note="inferred")


def per_channel() -> Iterator[Case]:
    for shape in ((2, 3, 4), (2, 3, 4, 1), (2, 3, 1, 2, 2)):
        same = np.full(3, 0.25, np.float32)  # what a rank of 3 or 5 may hold
        yield Case(op="prelu", given={"x": N.f(*shape), "alpha": same}, note=f"{shape}, one factor")
    yield Case(op="prelu", given={"x": N.f(2, 3, 4, 5), "alpha": N.f(3)}, note="a factor per channel")
    yield Case(op="prelu", given={"x": N.f(2, 3, 2, 2), "alpha": N.f(3)}, want=_prelu, note="by loops")
    for shape in ((2, 3, 4), (2, 3, 4, 1), (1, 3, 1, 2, 2)):
        given = {"x": N.f(*shape), "alpha": N.f(3), "beta": N.f(3)}
        yield Case(op="softplus_parametric", given=given, note=f"{shape}")
        yield Case(op="softplus_parametric", given=given, want=_softplus_parametric, note=f"{shape}, by loops")


def _prelu(x: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    got = x.copy()
    for place, value in np.ndenumerate(x):
        got[place] = value if value > 0 else alpha[place[1]] * value
    return got


def _softplus_parametric(x: np.ndarray, alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    got = x.copy()
    for place, value in np.ndenumerate(x):
        got[place] = alpha[place[1]] * softplus(float(beta[place[1]]) * float(value))
    return got


def gelus() -> Iterator[Case]:
    exact = each(lambda x: x / 2 * (1 + math.erf(x / math.sqrt(2))))
    yield Case(op="gelu", given={"x": N.f(2, 3, 4) * 2}, want=exact)
    yield Case(op="gelu", given={"x": FAR}, want=exact, note="far out")
    for mode in ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"):
        for shape in ((2, 3, 4), (5,), (1, 2, 3, 2, 2)):
            yield Case(op="gelu", given={"x": N.f(*shape) * 2, "mode": mode}, note=f"{mode}, {shape}")


def softmaxes() -> Iterator[Case]:
    yield Case(op="softmax", given={"x": N.f(2, 3)}, note="the last axis")
    for axis in (0, 1, 2, -1, -2, -3):
        yield Case(op="softmax", given={"x": N.f(2, 3, 4) * 9, "axis": np.int32(axis)}, note=f"axis {axis}")
        by_loops = lambda x, axis: np.apply_along_axis(_softmax, axis, x)  # noqa: E731
        yield Case(
            op="softmax", given={"x": N.f(2, 3, 4), "axis": np.int32(axis)}, want=by_loops, note=f"axis {axis}, by loops"
        )
    for shape in ((4,), (1, 2, 1, 3, 2), (2, 2, 3, 3)):
        yield Case(op="softmax", given={"x": N.f(*shape), "axis": np.int32(-1)}, note=f"{shape}")
    yield Case(op="softmax", given={"x": np.asarray([1e4, 0, -1e4, 1e4], np.float32)}, note="far out")
    yield Case(op="softmax", given={"x": np.asarray([-np.inf, 0, 1], np.float32)}, note="one left out")


def _softmax(row: np.ndarray) -> np.ndarray:
    powers = [math.exp(value) for value in row.tolist()]
    return np.asarray([each / sum(powers) for each in powers])


CASES = [*plain(), *with_parameters(), *per_channel(), *gelus(), *softmaxes()]
