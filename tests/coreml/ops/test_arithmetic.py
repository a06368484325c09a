"""What no single case says of arithmetic: laws, float16 files, and arguments that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpublish.coreml import evaluate
from mlpublish.coreml.mil_ops import OPS, handler_of
from mlpublish.coreml.mil_ops.tensor import MAX_ELEMENTS
from tests.coreml.ops.numbers import Numbers, i

N = Numbers(16)
X = N.f(2, 3, 4)
ONE = np.asarray(1, np.float32)


@given(st.floats(-1e4, 1e4, width=32), st.integers(1, 6))
def test_softmax_sums_to_one_whatever_is_added(shift, size):
    x = N.f(size) * 10
    p = OPS["softmax"](x=x)
    assert p.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(OPS["softmax"](x=x + np.float32(shift)), p, atol=5e-3)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=6), st.integers(-50, 50).filter(bool))
def test_division_and_remainder_make_up_the_number(numbers, by):
    x, y = np.asarray(numbers, np.int32), np.asarray(by, np.int32)
    quotient, rest = OPS["floor_div"](x=x, y=y).astype(np.int64), OPS["mod"](x=x, y=y).astype(np.int64)
    if by != -1:  # whose quotient of the smallest number has no place in 32 bits
        np.testing.assert_array_equal(quotient * by + rest, x)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["int8", "uint8", "int16", "uint16", "int32"]))
def test_a_cast_of_a_float_lies_between_the_bounds_and_next_to_it(bits, dtype):
    x = np.asarray([bits], np.uint32).view(np.float32)
    got, bounds = int(OPS["cast"](x=x, dtype=dtype)[0]), np.iinfo(dtype)
    value = 0.0 if np.isnan(x[0]) else float(x[0])
    assert abs(got - min(max(value, bounds.min), bounds.max)) < 1


def test_erf_is_odd_and_never_beyond_one():
    x = np.linspace(0, 9, 100_001, dtype=np.float32)
    np.testing.assert_array_equal(OPS["erf"](x=-x), -OPS["erf"](x=x))
    assert OPS["erf"](x=x).max() == 1
    assert OPS["erf"](x=np.float32([np.nan, np.inf, -np.inf])).tolist()[1:] == [1, -1]


@pytest.mark.parametrize(("op", "at_zero"), [("log", -np.inf), ("rsqrt", 4096), ("inverse", 1 / np.float32(np.float16(1e-4)))])
def test_a_float16_file_holds_the_epsilon_that_float16_can_hold(package, op, at_zero):
    """coremltools writes the default into the file: 1e-45 as 0, 1e-12 as float16's smallest number, 2 ** -24."""

    def body(x):
        from coremltools.converters.mil import Builder as mb

        return getattr(mb, op)(x=x)

    path = package(body, shape=(1, 2), precision="FLOAT16")
    (got,) = evaluate.load(path).predict({"x": np.asarray([[0, 1]], np.float32)}).values()
    np.testing.assert_allclose(got[0, 0], at_zero, rtol=1e-3)


REFUSED = [
    ("add", {"x": N.f(2, 3), "y": N.f(4)}),
    ("cast", {"x": X, "dtype": "string"}),
    ("log", {"x": X, "epsilon": N.f(4)}),
    ("leaky_relu", {"x": X, "alpha": N.f(2, 1, 1)}),
    ("threshold", {"x": X, "alpha": N.f(4)}),
    ("prelu", {"x": N.f(2, 1, 4), "alpha": N.f(3)}),
    ("prelu", {"x": N.f(3), "alpha": N.f(3)}),
    ("softplus_parametric", {"x": N.f(2, 1, 4), "alpha": N.f(3), "beta": N.f(1)}),
    ("gelu", {"x": X, "mode": "ROUGH"}),
    ("clip", {"x": X, "alpha": ONE, "beta": ONE}),
    ("linear", {"x": N.f(2, 4), "weight": N.f(3, 4), "bias": N.f(1)}),
    ("linear", {"x": N.f(2, 4), "weight": N.f(3, 5)}),
    ("matmul", {"x": N.f(2, 3), "y": N.f(2, 3)}),
    ("einsum", {"values": (N.f(2, 3, 4), N.f(4, 3, 5)), "equation": "abc,cde->abe"}),
    ("einsum", {"values": (N.f(2, 3, 4),), "equation": "chw,whr->chr"}),
    ("einsum", {"values": ("a", "b"), "equation": "chw,whr->chr"}),
    ("scaled_dot_product_attention", {"query": X, "key": X, "value": X, "attn_mask": N.f(5, 2, 3, 3)}),
    ("batch_norm", {"x": N.f(2, 1, 4), "mean": N.f(3), "variance": N.positive(3)}),
    ("layer_norm", {"x": X, "axes": i(3)}),
    ("layer_norm", {"x": X, "axes": i(-1), "gamma": N.f(3)}),
    ("instance_norm", {"x": N.f(2, 1, 4), "gamma": N.f(3)}),
    ("l2_norm", {"x": N.f(2, 3)}),
    ("local_response_norm", {"x": X, "size": np.asarray(0, np.int32)}),
    ("topk", {"x": X, "k": np.asarray(5, np.int32)}),
    ("topk", {"x": X, "k": np.asarray(-2, np.int32)}),
    ("classify", {"probabilities": N.f(3), "classes": ("a", "b")}),
]


@pytest.mark.parametrize(("op", "given_"), REFUSED, ids=[op for op, _ in REFUSED])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_what_makes_no_sense_is_refused(backends, backend, op, given_):
    with pytest.raises(ValueError):  # noqa: PT011
        handler_of(op, 18, backends(backend))(**given_)


def long(*shape: int) -> np.ndarray:
    """A tensor that is as large as it says, but takes no room."""
    return np.broadcast_to(ONE, shape)


HALF = int(MAX_ELEMENTS**0.5) + 1
TOO_LARGE = [
    ("add", {"x": long(HALF, 1), "y": long(1, HALF)}),
    ("real_div", {"x": long(HALF, 1), "y": long(1, HALF)}),
    ("less", {"x": long(HALF, 1), "y": long(1, HALF)}),
    ("select", {"cond": long(HALF, 1) > 0, "a": long(1, HALF), "b": ONE}),
    ("linear", {"x": long(HALF, 1), "weight": long(HALF, 1)}),
    ("linear", {"x": long(HALF, 0), "weight": long(HALF, 0)}),
    ("matmul", {"x": long(HALF, 1), "y": long(1, HALF)}),
    ("matmul", {"x": long(HALF, 0), "y": long(0, HALF)}),
    ("matmul", {"x": long(HALF, 1, 1, 1), "y": long(HALF, 1, 1)}),
    ("einsum", {"values": (long(HALF, 1, 1), long(1, 1, HALF)), "equation": "chw,whr->chr"}),
    ("scaled_dot_product_attention", {"query": long(1, HALF, 1), "key": long(1, HALF, 1), "value": long(1, HALF, 1)}),
]


@pytest.mark.parametrize(("op", "given_"), TOO_LARGE, ids=[op for op, _ in TOO_LARGE])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_result_that_outgrows_its_arguments_is_refused_before_it_is_made(backends, backend, op, given_):
    with pytest.raises(ValueError, match="is not made"):
        handler_of(op, 18, backends(backend))(**given_)
