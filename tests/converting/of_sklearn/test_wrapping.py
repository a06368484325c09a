from __future__ import annotations

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    RANSACRegressor,
    Ridge,
    SGDClassifier,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import LinearSVC

from mlpublish.converting.graph.algebra import Combined, Linear
from mlpublish.converting.graph.columnwise import Function, Name
from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import AMOUNT, ROWS, THREE, TWO, assert_classifies, assert_predicts, of

CALM = (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0)
SEVERAL = np.column_stack([AMOUNT, -AMOUNT + ROWS[:, 0], np.abs(AMOUNT)])
POSITIVE = np.abs(AMOUNT) + 1


def test_one_regressor_per_target():
    node = assert_predicts(MultiOutputRegressor(Ridge()).fit(CALM, SEVERAL), CALM)
    assert isinstance(node, Linear)  # linear ones are one
    assert assert_predicts(MultiOutputRegressor(PoissonRegressor()).fit(CALM, np.abs(SEVERAL)), CALM).width == 3


@pytest.mark.parametrize("order", [None, [2, 0, 1], "random"], ids=["as they are", "given", "random"])
def test_a_chain_reads_what_was_said_before(order):
    model = RegressorChain(Ridge(), order=order, random_state=3).fit(CALM, SEVERAL)
    assert assert_predicts(model, CALM).width == 3


def test_inliers_have_an_estimator():
    assert_predicts(RANSACRegressor(random_state=0).fit(CALM, AMOUNT), CALM)


TARGETS = {
    "none": TransformedTargetRegressor(Ridge()),
    "func": TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
    "roots": TransformedTargetRegressor(Ridge(), func=np.sqrt, inverse_func=np.square),
    "FunctionTransformer": TransformedTargetRegressor(
        Ridge(), transformer=FunctionTransformer(np.log, np.exp, check_inverse=False)
    ),
    "StandardScaler": TransformedTargetRegressor(Ridge(), transformer=StandardScaler()),
    "StandardScaler, no mean": TransformedTargetRegressor(Ridge(), transformer=StandardScaler(with_mean=False)),
    "StandardScaler, no deviation": TransformedTargetRegressor(Ridge(), transformer=StandardScaler(with_std=False)),
    "RobustScaler": TransformedTargetRegressor(Ridge(), transformer=RobustScaler()),
    "RobustScaler, no centre": TransformedTargetRegressor(Ridge(), transformer=RobustScaler(with_centering=False)),
    "RobustScaler, no scale": TransformedTargetRegressor(Ridge(), transformer=RobustScaler(with_scaling=False)),
    "MinMaxScaler": TransformedTargetRegressor(Ridge(), transformer=MinMaxScaler((-1, 3))),
    "MaxAbsScaler": TransformedTargetRegressor(Ridge(), transformer=MaxAbsScaler()),
}


@pytest.mark.parametrize("target", [POSITIVE, np.abs(SEVERAL)], ids=["one", "several"])
@pytest.mark.parametrize("model", TARGETS.values(), ids=TARGETS)
def test_a_transformed_target_is_turned_back(model, target):
    assert_predicts(model.fit(CALM, target), CALM)


@pytest.mark.filterwarnings("ignore:The provided functions")
@pytest.mark.parametrize(
    ("model", "match"),
    [
        (TransformedTargetRegressor(Ridge(), transformer=PowerTransformer()), "PowerTransformer around the target"),
        (TransformedTargetRegressor(Ridge(), transformer=QuantileTransformer(n_quantiles=9)), "QuantileTransformer around"),
        (
            TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=lambda y: np.exp(y)),
            "inverse_func=<lambda> is not converted",
        ),
        (
            TransformedTargetRegressor(
                Ridge(), transformer=FunctionTransformer(np.round, np.round, inv_kw_args={"decimals": 1}, check_inverse=False)
            ),
            "FunctionTransformer around the target is not converted",
        ),
    ],
    ids=["power", "quantiles", "lambda", "arguments"],
)
def test_other_transformations_are_refused(model, match):
    with pytest.raises(ConversionError, match=match):
        of(model.fit(CALM, POSITIVE))


@pytest.mark.parametrize("target", [TWO, THREE, np.array(["a", "b", "c"])[THREE]], ids=["two", "three", "texts"])
@pytest.mark.parametrize(
    "inner",
    [LogisticRegression(), LinearSVC(random_state=0), SGDClassifier(loss="modified_huber", random_state=0)],
    ids=["logistic", "label only", "clipped"],
)
def test_one_class_against_the_rest(inner, target):
    assert_classifies(OneVsRestClassifier(inner).fit(CALM, target), CALM)


def test_equal_probabilities_are_told_apart_as_the_installed_library_does():
    """What has no decision_function is asked for probabilities; of two neighbours there are three of them."""
    model = OneVsRestClassifier(KNeighborsClassifier(2)).fit(CALM, THREE)
    shares = np.sort(model.predict_proba(CALM * 1.1), axis=1)
    assert (shares[:, -1] == shares[:, -2]).any()
    assert_classifies(model, CALM * 1.1)


def test_features_that_each_target_selects_for_itself():
    model = MultiOutputRegressor(make_pipeline(SelectKBest(f_regression, k=1), Ridge()))
    targets = np.column_stack([CALM[:, 0], CALM[:, 2] * 3]) + CALM[:, 1:2] / 5
    assert_predicts(model.fit(CALM, targets), CALM)


def test_logistic_ones_become_one_logistic_node():
    answer = assert_classifies(OneVsRestClassifier(LogisticRegression()).fit(CALM, THREE), CALM * 40)
    assert isinstance(answer.scores, Linear)
    assert isinstance(answer.probabilities, Combined)
    sigmoids = answer.probabilities.left
    assert isinstance(sigmoids, Function)
    assert (sigmoids.name, type(sigmoids.of)) == (Name.EXPIT, Linear)


def test_several_labels_per_row_are_refused():
    model = OneVsRestClassifier(LogisticRegression()).fit(CALM, np.column_stack([TWO, 1 - TWO, THREE > 1]))
    with pytest.raises(ConversionError, match="several labels per row"):
        of(model)


def test_regressors_per_class_are_refused():
    model = OneVsRestClassifier(LinearRegression()).fit(CALM, THREE)
    with pytest.raises(ConversionError, match="LinearRegression"):
        of(model)
