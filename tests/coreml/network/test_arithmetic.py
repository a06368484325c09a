from __future__ import annotations

import math

import numpy as np
import pytest

from mlpublish.coreml.evaluate import load
from mlpublish.errors import ConversionError
from tests.coreml.network.building import ROWS, builder, check, numbers, save

SEVERAL = {
    "ADD": lambda *v: sum(v),
    "MULTIPLY": lambda *v: math.prod(v),
    "AVE": lambda *v: sum(v) / len(v),
    "MAX": max,
    "MIN": min,
}


def _spread(run, *blobs):
    """A function of numbers, place by place, with dimensions of 1 read again and again."""
    shape = np.broadcast_shapes(*(blob.shape for blob in blobs))
    y = np.zeros(shape)
    for place in np.ndindex(*shape):
        given = []
        for blob in blobs:
            own = place[len(place) - blob.ndim :]
            given.append(float(blob[tuple(0 if size == 1 else at for at, size in zip(own, blob.shape, strict=True))]))
        y[place] = run(*given)
    return y


@pytest.mark.parametrize("mode", SEVERAL)
@pytest.mark.parametrize(
    "shapes", [[(3, 2, 4)] * 3, [(3, 2, 4), (3, 1, 1), (1, 1, 1)], [(3, 1, 1), (1, 2, 4), (3, 2, 4)]], ids=str
)
def test_several_blobs_become_one(tmp_path, mode, shapes):
    given = {name: numbers(ROWS, *shape, seed=at) for at, (name, shape) in enumerate(zip("abc", shapes, strict=True))}
    check(
        tmp_path,
        lambda made: made.add_elementwise("e", list("abc"), "y", mode),
        lambda *blobs: _spread(SEVERAL[mode], *blobs),
        exact=False,
        **given,
    )


@pytest.mark.parametrize("mode", ["ADD", "MULTIPLY"])
def test_a_number_of_the_layer_is_the_other_blob(tmp_path, mode):
    check(
        tmp_path,
        lambda made: made.add_elementwise("e", ["x"], "y", mode, alpha=2.5),
        lambda x: x + 2.5 if mode == "ADD" else x * 2.5,
        x=numbers(ROWS, 3, 4),
    )


UNARY = {
    "sqrt": (math.sqrt, True),
    "rsqrt": (lambda x: 1 / math.sqrt(x + 0.01), True),
    "inverse": (lambda x: 1 / (x + 0.01), True),
    "power": (lambda x: x**1.5, True),
    "exp": (math.exp, False),
    "log": (math.log, True),
    "abs": (abs, False),
    "threshold": (lambda x: max(1.5, x), False),
}


@pytest.mark.parametrize("mode", UNARY)
def test_a_function_of_each_number_shifted_and_scaled(tmp_path, mode):
    run, positive = UNARY[mode]
    x = numbers(ROWS, 3, 4)
    x = np.abs(x) + 1 if positive else x
    check(
        tmp_path,
        lambda made: made.add_unary("u", "x", "y", mode, alpha=1.5, shift=0.25, scale=2.0, epsilon=0.01),
        lambda x: np.vectorize(lambda v: float(run(float(v) * 2 + 0.25)))(x),
        x=x,
    )


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 2, 4), (3, 2, 4)])
@pytest.mark.parametrize("bias", [None, (1,), (3,), (1, 2, 4), (3, 2, 4)])
def test_a_scale_and_a_bias(tmp_path, shape, bias):
    scale = numbers(*shape, seed=1)
    shift = None if bias is None else numbers(*bias, seed=2)

    def place(values):
        return values.reshape(-1, 1, 1) if values.ndim == 1 else values

    def add(made):
        made.add_scale("s", scale, shift, bias is not None, "x", "y", list(shape), list(bias or [1]))
        made.add_bias("b", scale, "x", "z", list(shape))

    def want(x):
        scaled = _spread(lambda a, b: a * b, x, place(scale))
        return scaled if shift is None else _spread(lambda a, b: a + b, scaled, place(shift)), _spread(
            lambda a, b: a + b, x, place(scale)
        )

    check(tmp_path, add, want, outputs=("y", "z"), x=numbers(ROWS, 2, 3, 2, 4))


def test_a_scale_that_would_stretch_the_blob_is_refused(tmp_path):
    made = builder({"x": (1, 2, 4)})
    made.add_bias("b", numbers(3), "x", "y", [3])
    with pytest.raises(ConversionError, match="layer 'b'"):
        load(save(made, tmp_path / "m.mlmodel")).predict({"x": numbers(1, 2, 4)})


PAIRS = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "max": max,
    "min": min,
    "pow": lambda x, y: abs(x) ** y,
    "floor_div": lambda x, y: x // y,
    "mod": lambda x, y: x % y,
}


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2, 1), (4, 1, 3)), ((3,), (2, 3)), ((1,), (4,))], ids=str)
def test_two_blobs_broadcast_from_the_last_dimension_on(tmp_path, kind, shapes):
    first, second = shapes
    x = numbers(ROWS, *first)
    check(
        tmp_path,
        lambda made: getattr(made, f"add_{kind}_broadcastable")("p", ["x", "z"], "y"),
        lambda x, z: _spread(PAIRS[kind], x, z),
        rtol=1e-4,
        x=np.abs(x) if kind == "pow" else x,
        z=numbers(ROWS, *second, seed=1),
    )


def _whole(*shape, seed=0):
    return np.random.default_rng(seed).integers(-2, 3, (ROWS, *shape)).astype(np.float32)


COMPARISONS = {
    "greaterThan": lambda x, y: x > y,
    "greaterEqual": lambda x, y: x >= y,
    "lessThan": lambda x, y: x < y,
    "lessEqual": lambda x, y: x <= y,
    "equal": lambda x, y: x == y,
    "notEqual": lambda x, y: x != y,
}


def _comparison(made, kind, inputs, alpha):
    layer = made._add_generic_layer("c", inputs, ["y"])
    getattr(layer, kind).SetInParent()
    getattr(layer, kind).alpha = alpha


@pytest.mark.parametrize("kind", COMPARISONS)
def test_what_is_true_is_1(tmp_path, kind):
    def want(*blobs):
        return _spread(COMPARISONS[kind], *blobs)

    check(tmp_path, lambda made: _comparison(made, kind, ["x", "z"], 9), want, x=_whole(2, 3), z=_whole(4, 1, 3, seed=1))
    check(tmp_path, lambda made: _comparison(made, kind, ["x"], 1), lambda x: want(x, np.ones(1)), x=_whole(2, 3))


@pytest.mark.parametrize("mode", ["AND", "OR", "XOR", "NOT"])
def test_logic_knows_zero_from_the_rest(tmp_path, mode):
    tables = {
        "AND": lambda x, y: bool(x) and bool(y),
        "OR": lambda x, y: bool(x) or bool(y),
        "XOR": lambda x, y: bool(x) != bool(y),
        "NOT": lambda x: not x,
    }
    given = {"x": _whole(2, 3)} | ({} if mode == "NOT" else {"z": _whole(2, 3, seed=1)})
    check(
        tmp_path,
        lambda made: made.add_logical("l", list(given), "y", mode),
        lambda *blobs: _spread(tables[mode], *blobs),
        **given,
    )


FUNCTIONS = {
    "ceil": math.ceil,
    "floor": math.floor,
    "round": round,
    "sign": lambda x: (x > 0) - (x < 0),
    "exp2": lambda x: 2**x,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": lambda x: math.asin(x / 4),
    "acos": lambda x: math.acos(x / 4),
    "atan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "asinh": math.asinh,
    "acosh": lambda x: math.acosh(x * x + 1.5),
    "atanh": lambda x: math.atanh(x / 4),
    "erf": math.erf,
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_an_elementary_function(tmp_path, kind):
    x = np.clip(numbers(ROWS, 3, 4), -2.5, 2.5)

    def add(made):
        name = "x"
        if kind in ("asin", "acos", "atanh"):
            made.add_elementwise("quarter", ["x"], name := "small", "MULTIPLY", alpha=0.25)
        if kind == "acosh":
            made.add_unary("square", "x", "squared", "power", alpha=2.0)
            made.add_elementwise("more", ["squared"], name := "large", "ADD", alpha=1.5)
        getattr(made, f"add_{kind}")("f", name, "y")

    check(tmp_path, add, lambda x: np.vectorize(lambda v: float(FUNCTIONS[kind](float(v))))(x), rtol=1e-4, x=x)


def test_numbers_are_clipped(tmp_path):
    check(
        tmp_path,
        lambda made: made.add_clip("c", "x", "y", -0.5, 0.75),
        lambda x: np.vectorize(lambda v: min(max(v, -0.5), 0.75))(x),
        x=numbers(ROWS, 3, 4),
    )


def test_one_of_two_is_chosen(tmp_path):
    check(
        tmp_path,
        lambda made: made.add_where_broadcastable("w", ["c", "a", "b"], "y"),
        lambda c, a, b: _spread(lambda truth, x, y: x if truth else y, c, a, b),
        c=_whole(2, 1),
        a=numbers(ROWS, 2, 3),
        b=numbers(ROWS, 3, seed=1),
    )


def test_reduce_of_nothing_is_refused(tmp_path):
    made = builder({"x": (2,)})
    made._add_generic_layer("nothing", [], ["y"]).max.SetInParent()
    with pytest.raises(ConversionError, match="layer 'nothing'"):
        load(save(made, tmp_path / "m.mlmodel")).predict({"x": numbers(2)})
