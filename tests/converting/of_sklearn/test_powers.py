from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import PolynomialFeatures, PowerTransformer

from mlpublish.converting.of_sklearn.reading import transformed
from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import HELD_OUT, ROWS, assert_transforms, of

POLYNOMIALS = {
    "degree 2": PolynomialFeatures(),
    "degree 3": PolynomialFeatures(3),
    "degree 4": PolynomialFeatures(4),
    "degree 1": PolynomialFeatures(1),
    "no bias": PolynomialFeatures(include_bias=False),
    "interaction only": PolynomialFeatures(3, interaction_only=True),
    "from 2": PolynomialFeatures((2, 3), include_bias=False),
    "from 2, with a bias": PolynomialFeatures((2, 2)),
    "degree 0": PolynomialFeatures(0),
}


@pytest.mark.parametrize("model", POLYNOMIALS.values(), ids=POLYNOMIALS)
def test_a_polynomial_is_products(model):
    assert_transforms(model.fit(ROWS))
    assert_transforms(model.fit(ROWS[:, :1]), ROWS[:, :1])


@pytest.mark.parametrize("standardize", [True, False], ids=["standardised", "plain"])
@pytest.mark.parametrize("lambdas", [None, [0, 1, 2, -0.7], [0, 0, 0, 0], [2, 2, 2, 2]], ids=["fitted", "mixed", "0", "2"])
def test_a_power_is_its_lambda(standardize, lambdas):
    model = PowerTransformer(standardize=standardize).fit(ROWS)
    if lambdas is not None:
        model.lambdas_ = np.asarray(lambdas, dtype=np.float64)
    rows = np.vstack([HELD_OUT[:-1], ROWS, ROWS * 1e-7, -ROWS])
    rows[::7, 2] = np.nan
    assert_transforms(model, rows)


@pytest.mark.parametrize("lambdas", [None, [0, 1, 2, -0.7]], ids=["fitted", "mixed"])
def test_a_power_of_positive_numbers_is_its_lambda(lambdas):
    model = PowerTransformer(method="box-cox").fit(np.abs(ROWS))
    if lambdas is not None:
        model.lambdas_ = np.asarray(lambdas, dtype=np.float64)
    assert_transforms(model, np.abs(np.vstack([HELD_OUT[:-2], ROWS])))


def test_an_unknown_method_is_refused():
    model = PowerTransformer().fit(ROWS)
    model.method = "other"
    with pytest.raises(ConversionError, match="method='other' is not converted"):
        of(model, method=transformed)


def test_numbers_that_are_not_finite_are_refused():
    model = PowerTransformer().fit(ROWS)
    model.lambdas_[1] = np.nan
    with pytest.raises(ConversionError, match=r"PowerTransformer.lambdas_ holds NaN"):
        of(model, method=transformed)
