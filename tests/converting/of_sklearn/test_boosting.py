from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import AMOUNT, HELD_OUT, ROWS, THREE, TWO, assert_classifies, of
from tests.converting.of_sklearn.filed import assert_filed

FEW = {"n_estimators": 6, "max_depth": 3, "random_state": 0}
SINGLE = HELD_OUT.astype(np.float32).astype(np.float64)  # the initial estimator is given float32

CLASSIFIERS = {
    "two": (GradientBoostingClassifier(**FEW), TWO),
    "three": (GradientBoostingClassifier(**FEW), THREE),
    "exponential": (GradientBoostingClassifier(loss="exponential", **FEW), TWO),
    "from zero": (GradientBoostingClassifier(init="zero", **FEW), TWO),
    "three from zero": (GradientBoostingClassifier(init="zero", **FEW), THREE),
    "exponential from zero": (GradientBoostingClassifier(loss="exponential", init="zero", **FEW), TWO),
    "sampled": (GradientBoostingClassifier(subsample=0.6, learning_rate=0.7, max_features=2, **FEW), THREE),
    "stopped early": (GradientBoostingClassifier(n_estimators=90, n_iter_no_change=2, random_state=0), THREE),
    "most frequent": (GradientBoostingClassifier(init=DummyClassifier(strategy="most_frequent"), **FEW), TWO),
    "most frequent of three": (GradientBoostingClassifier(init=DummyClassifier(strategy="most_frequent"), **FEW), THREE),
    "texts": (GradientBoostingClassifier(**FEW), np.array(["no", "yes"])[TWO]),
}


@pytest.mark.parametrize(("model", "target"), CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_a_saved_classifier_says_what_boosting_says_also_beside_its_splits(tmp_path, model, target):
    assert assert_filed(model.fit(ROWS, target), tmp_path) == "treeEnsembleClassifier"
    assert_classifies(model)


REGRESSORS = {
    "squared error": GradientBoostingRegressor(**FEW),
    "absolute error": GradientBoostingRegressor(loss="absolute_error", **FEW),
    "huber": GradientBoostingRegressor(loss="huber", **FEW),
    "quantile": GradientBoostingRegressor(loss="quantile", alpha=0.8, **FEW),
    "from zero": GradientBoostingRegressor(init="zero", **FEW),
    "from a constant": GradientBoostingRegressor(init=DummyRegressor(strategy="constant", constant=3.0), **FEW),
    "from a forest": GradientBoostingRegressor(init=RandomForestRegressor(3, max_depth=2, random_state=0), **FEW),
    "pruned": GradientBoostingRegressor(ccp_alpha=1.0, **FEW),
}


@pytest.mark.parametrize("model", REGRESSORS.values(), ids=REGRESSORS)
def test_a_saved_regressor_says_what_boosting_says_also_beside_its_splits(tmp_path, model):
    assert assert_filed(model.fit(ROWS, AMOUNT), tmp_path) == "treeEnsembleRegressor"


INITIAL = {
    "forest": RandomForestClassifier(4, max_depth=2, random_state=0),
    "sure tree": DecisionTreeClassifier(random_state=0),
}


@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
@pytest.mark.parametrize("initial", INITIAL.values(), ids=INITIAL)
def test_another_classifier_stands_before_the_trees(initial, loss):
    model = GradientBoostingClassifier(init=initial, loss=loss, **FEW).fit(ROWS, TWO)
    assert_classifies(model, SINGLE)
    if loss == "log_loss":
        assert_classifies(model.fit(ROWS, THREE), SINGLE)


def test_a_sure_beginning_is_no_infinity_in_the_file(tmp_path):
    model = GradientBoostingClassifier(init=DecisionTreeClassifier(random_state=0), **FEW).fit(ROWS, TWO)
    assert set(np.unique(model.init_.predict_proba(ROWS))) == {0.0, 1.0}
    assert_filed(model, tmp_path, within=1e-6)


@pytest.mark.parametrize("target", [TWO, THREE], ids=["two", "three"])
def test_an_initial_classifier_that_computes_in_float32_is_followed_as_far_as_that_goes(tmp_path, target):
    model = GradientBoostingClassifier(init=GaussianNB(), **FEW).fit(ROWS, target)
    assert_filed(model, tmp_path, rows=HELD_OUT[:20], within=1e-5)


def test_the_initial_classifier_is_left_as_it_was():
    model = GradientBoostingClassifier(init=LogisticRegression(), **FEW).fit(ROWS, TWO)
    before = model.init_.classes_.dtype
    of(model)
    assert model.init_.classes_.dtype == before


def test_another_regressor_stands_before_the_trees(tmp_path):
    model = GradientBoostingRegressor(init=make_pipeline(StandardScaler(), LinearRegression()), **FEW).fit(ROWS, AMOUNT)
    assert_filed(model, tmp_path, within=1e-6)


def test_a_decision_of_exactly_zero_is_the_second_class(tmp_path):
    model = GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=0)
    model.fit([[0.0], [0.0], [1.0], [1.0], [2.0], [2.0]], [0, 1, 0, 1, 0, 1])
    assert model.decision_function([[1.0]]) == [0.0]
    assert model.predict([[1.0]]) == [1]
    assert_filed(model, tmp_path, rows=np.array([[0.0], [1.0], [2.0]]))


def test_missing_values_are_refused_where_the_library_refuses_them():
    assert not of(REGRESSORS["squared error"].fit(ROWS, AMOUNT)).numbers[0].node.takes_missing


def test_a_random_beginning_is_refused_by_name():
    model = GradientBoostingClassifier(init=DummyClassifier(strategy="stratified"), **FEW).fit(ROWS, TWO)
    with pytest.raises(ConversionError, match=r"DummyClassifier is not converted"):
        of(model)


def test_a_loss_that_is_not_known_is_refused_by_name():
    model = GradientBoostingRegressor(**FEW).fit(ROWS, AMOUNT)
    with pytest.raises(ConversionError, match="loss='new'") as refused:
        of(model.set_params(loss="new"))
    assert refused.value.field == "loss"
