from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.preprocessing import Normalizer, StandardScaler

from mlpublish.coreml.classic.run import Classic, unsupported
from mlpublish.errors import ConversionError
from tests.coreml.classic.building import model, run

X = np.random.default_rng(0).normal(size=(200, 3)) * [1, 100, 0.01]


def scaler(shift=(), scale=(), inputs=3, outputs=3):
    spec = model("scaler", {"x": inputs}, {"y": outputs})
    spec.scaler.shiftValue.extend(shift)
    spec.scaler.scaleValue.extend(scale)
    return spec


def normalizer(norm, size=3):
    spec = model("normalizer", {"x": size}, {"y": size})
    spec.normalizer.normType = norm
    return spec


def test_a_scaler_as_scikit_learn():
    judge = StandardScaler().fit(X)
    got = run(scaler((-judge.mean_).tolist(), (1 / judge.scale_).tolist()), x=X)["y"]
    np.testing.assert_allclose(got, judge.transform(X), rtol=1e-12)


@pytest.mark.parametrize("shift", [(), (2.0,), (1.0, 2.0, 3.0)])
@pytest.mark.parametrize("scale", [(), (-3.0,), (1.0, 0.0, 0.5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_a_scaler_shifts_first_and_has_defaults(shift, scale, dtype):
    x = X.astype(dtype)
    shifts, scales = (shift or (0,)) * 3, (scale or (1,)) * 3
    want = [[(float(value) + shifts[at]) * scales[at] for at, value in enumerate(row)] for row in x]
    got = run(scaler(shift, scale), x=x)["y"]
    np.testing.assert_array_equal(got, want)
    assert got.dtype == np.float64


def test_a_scaler_of_whole_numbers():
    got = run(scaler([1], [0.5], "int64", "int64"), x=np.asarray([3, -5]))["y"]
    assert got.dtype == np.int64
    assert got.tolist() == [2, -2]
    assert run(scaler([1], [0.5], "int64", "double"), x=np.asarray([4]))["y"].tolist() == [2.5]


@pytest.mark.parametrize("scale", [0.5, math.inf, 1e300])
def test_a_cast_that_loses_something_is_an_error(scale):
    with pytest.raises(ConversionError, match="not whole"):
        run(scaler([], [scale], "int64", "int64"), x=np.asarray([3]))


@pytest.mark.parametrize(("norm", "name"), [(0, "max"), (1, "l1"), (2, "l2")])
def test_a_normalizer_as_scikit_learn(norm, name):
    x = np.concatenate([np.abs(X) if name == "max" else X, np.zeros((1, 3)), [[-0.0, 0.0, 5.0]]])
    np.testing.assert_allclose(run(normalizer(norm), x=x)["y"], Normalizer(name).transform(x), rtol=1e-14)


def test_the_largest_number_is_not_the_largest_size():
    """Normalizer.proto: max(x_i), without bars."""
    assert run(normalizer(0), x=[[-4.0, 2.0, 1.0], [-4.0, -2.0, -1.0]])["y"].tolist() == [[-2, 1, 0.5], [4, 2, 1]]


@given(
    arrays.arrays(np.float64, (4, 3), elements=st.floats(-1e6, 1e6).map(lambda each: round(each, 3))), st.sampled_from([1, 2])
)
def test_what_is_normal_stays_so(values, norm):
    once = run(normalizer(norm), x=values)["y"]
    np.testing.assert_allclose(run(normalizer(norm), x=once)["y"], once, atol=1e-12)


def test_nan_stays_nan():
    assert np.isnan(run(normalizer(2), x=[[np.nan, 1, 1]])["y"]).all()
    assert np.isnan(run(scaler([1]), x=[[np.nan, 1, 1]])["y"]).tolist() == [[True, False, False]]


def test_a_norm_that_is_none_is_named():
    assert unsupported(normalizer(7)) == ["normalizer with the norm 7"]


@pytest.mark.parametrize(
    ("spec", "rows"),
    [
        (scaler([1, 2]), X),
        (scaler([], [1] * 4), X),
        (scaler([math.nan]), X),
        (scaler([1, 2, 3], inputs="double", outputs="double"), X[:, 0]),
        (scaler(), np.asarray(["a", "b"])),
        (model("scaler", {"x": 3, "z": 3}, {"y": 3}), X),
        (model("scaler", {"x": 3}, {"y": 3, "z": 3}), X),
        (model("scaler", {}, {"y": 3}), X),
        (model("scaler", {"x": 3}, {}), X),
        (model("normalizer", {"q": 3}, {"y": 3}), X),
    ],
)
def test_what_does_not_fit_is_refused(spec, rows):
    with pytest.raises(ConversionError, match=r"scaler|normalizer"):
        Classic(spec).run({"x": rows})
