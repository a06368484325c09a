from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import linear_model as lm
from sklearn.cross_decomposition import PLSRegression
from sklearn.svm import LinearSVR

from mlpublish.converting.graph.columnwise import Function, Name
from mlpublish.converting.of_sklearn.linear import READERS
from mlpublish.converting.source import PREDICTION, SCORE
from mlpublish.errors import ConversionError
from tests.converting.graphs import values
from tests.converting.of_sklearn.agreeing import AMOUNT, HELD_OUT, ROWS, assert_predicts, of

COUNTS = np.abs(np.round(AMOUNT / 4)) + 1
CALM = (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0)

REGRESSIONS = {
    "ARDRegression": lm.ARDRegression(),
    "BayesianRidge": lm.BayesianRidge(),
    "ElasticNet": lm.ElasticNet(),
    "ElasticNetCV": lm.ElasticNetCV(cv=2),
    "HuberRegressor": lm.HuberRegressor(max_iter=1000),
    "Lars": lm.Lars(),
    "LarsCV": lm.LarsCV(cv=2),
    "Lasso": lm.Lasso(),
    "LassoCV": lm.LassoCV(cv=2),
    "LassoLars": lm.LassoLars(alpha=0.1),
    "LassoLarsCV": lm.LassoLarsCV(cv=2),
    "LassoLarsIC": lm.LassoLarsIC(),
    "LinearRegression": lm.LinearRegression(),
    "LinearRegression, positive": lm.LinearRegression(positive=True),
    "LinearRegression, no intercept": lm.LinearRegression(fit_intercept=False),
    "OrthogonalMatchingPursuit": lm.OrthogonalMatchingPursuit(),
    "OrthogonalMatchingPursuitCV": lm.OrthogonalMatchingPursuitCV(cv=2),
    "PassiveAggressiveRegressor": lm.PassiveAggressiveRegressor(random_state=0),
    "QuantileRegressor": lm.QuantileRegressor(alpha=0.01),
    "Ridge": lm.Ridge(),
    "Ridge, no intercept": lm.Ridge(fit_intercept=False),
    "RidgeCV": lm.RidgeCV(),
    "SGDRegressor": lm.SGDRegressor(random_state=0),
    "SGDRegressor, average": lm.SGDRegressor(random_state=0, average=True),
    "TheilSenRegressor": lm.TheilSenRegressor(random_state=0, max_subpopulation=50),
    "LinearSVR": LinearSVR(random_state=0),
    "LinearSVR, no intercept": LinearSVR(random_state=0, fit_intercept=False),
}


def fitted(model, rows=CALM, target=AMOUNT):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what does not converge, or is old-fashioned, is read all the same
        return model.fit(rows, target)


@pytest.mark.parametrize("model", REGRESSIONS.values(), ids=REGRESSIONS)
def test_a_regression_is_its_coefficients(model):
    assert assert_predicts(fitted(model)).width == 1


@pytest.mark.parametrize("target", [AMOUNT, np.column_stack([AMOUNT, -AMOUNT + ROWS[:, 0]])], ids=["one", "two"])
@pytest.mark.parametrize("scale", [True, False], ids=["scaled", "plain"])
def test_partial_least_squares_are_asked_at_zero(scale, target):
    assert_predicts(PLSRegression(2, scale=scale).fit(ROWS, target))


def test_every_plain_regression_is_tried():
    tried = {type(model).__name__ for model in REGRESSIONS.values()} | {"SGDOneClassSVM", "PLSRegression"}
    tried |= {"GammaRegressor", "PoissonRegressor", "TweedieRegressor"} | {type(model).__name__ for model in SEVERAL.values()}
    assert {name.rpartition(".")[2] for name in READERS} == tried


SEVERAL = {
    "LinearRegression": lm.LinearRegression(),
    "Ridge": lm.Ridge(),
    "RidgeCV": lm.RidgeCV(),
    "Lasso": lm.Lasso(),
    "ElasticNet": lm.ElasticNet(),
    "Lars": lm.Lars(),
    "LassoLars": lm.LassoLars(alpha=0.1),
    "OrthogonalMatchingPursuit": lm.OrthogonalMatchingPursuit(),
    "MultiTaskLasso": lm.MultiTaskLasso(),
    "MultiTaskLassoCV": lm.MultiTaskLassoCV(cv=2),
    "MultiTaskElasticNet": lm.MultiTaskElasticNet(),
    "MultiTaskElasticNet, no intercept": lm.MultiTaskElasticNet(fit_intercept=False),
    "MultiTaskElasticNetCV": lm.MultiTaskElasticNetCV(cv=2),
}


@pytest.mark.parametrize("model", SEVERAL.values(), ids=SEVERAL)
def test_several_targets_are_several_numbers(model):
    targets = np.column_stack([AMOUNT, -2 * AMOUNT + ROWS[:, 0], np.abs(AMOUNT)])
    assert assert_predicts(fitted(model, target=targets)).width == 3


@pytest.mark.parametrize("model", [lm.LinearRegression(), lm.Ridge(), lm.RidgeCV()], ids=["linear", "ridge", "cross-validated"])
def test_one_column_of_targets_is_one_number(model):
    assert assert_predicts(fitted(model, target=AMOUNT[:, np.newaxis])).width == 1


@pytest.mark.parametrize(
    ("model", "rises"),
    [
        (lm.PoissonRegressor(), True),
        (lm.GammaRegressor(), True),
        (lm.TweedieRegressor(power=0), False),
        (lm.TweedieRegressor(power=0, link="log"), True),
        (lm.TweedieRegressor(power=1.5), True),
        (lm.TweedieRegressor(power=2, link="identity", alpha=100), False),
        (lm.TweedieRegressor(power=3), True),
    ],
    ids=["Poisson", "gamma", "normal", "normal, log", "Tweedie", "identity", "inverse Gauss"],
)
def test_a_logarithmic_link_is_turned_back(model, rises):
    node = assert_predicts(fitted(model, target=COUNTS), CALM)
    assert (isinstance(node, Function) and node.name is Name.EXP) == rises


def test_an_unknown_link_is_refused():
    model = fitted(lm.TweedieRegressor(), target=COUNTS)
    model.link = "inverse"
    with pytest.raises(ConversionError, match="link='inverse' is not converted") as caught:
        of(model)
    assert caught.value.field == "link"


def test_one_class_is_1_or_minus_1_and_a_score():
    model = lm.SGDOneClassSVM(random_state=0, nu=0.3).fit(CALM)
    prediction, score = of(model).numbers
    assert (prediction.name, prediction.whole, score.name) == (PREDICTION, True, SCORE)
    rows = np.vstack([HELD_OUT, CALM])
    assert set(model.predict(rows)) == {1, -1}
    np.testing.assert_array_equal(values(prediction.node, rows)[:, 0], model.predict(rows))
    np.testing.assert_allclose(values(score.node, rows)[:, 0], model.decision_function(rows), rtol=1e-12)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("coef_", [1, np.nan, 0, 0]), ("coef_", [1, np.inf, 0, 0]), ("intercept_", np.nan), ("intercept_", [-np.inf])],
    ids=["NaN", "infinite", "intercept", "intercepts"],
)
def test_numbers_that_are_not_finite_are_refused(attribute, value):
    model = fitted(lm.Ridge())
    setattr(model, attribute, np.asarray(value))
    with pytest.raises(ConversionError, match=rf"sklearn.linear_model.Ridge.{attribute} holds NaN or infinity") as caught:
        of(model)
    assert caught.value.field == attribute


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("coef_", np.ones(3)), ("coef_", np.ones((2, 5))), ("coef_", np.ones((1, 1, 4))), ("intercept_", np.ones(2))],
    ids=["fewer", "more", "another dimension", "intercepts"],
)
def test_numbers_that_do_not_fit_each_other_are_refused(attribute, value):
    model = fitted(lm.Ridge())
    setattr(model, attribute, value)
    with pytest.raises(ConversionError, match="for 4 features"):
        of(model)
