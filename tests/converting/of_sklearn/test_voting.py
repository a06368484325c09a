from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, VotingClassifier, VotingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlpublish.converting.graph.algebra import Sum
from mlpublish.converting.graph.columnwise import Scaled
from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import AMOUNT, HELD_OUT, ROWS, THREE, TWO, assert_classifies, assert_predicts, of

LABELS = pytest.mark.parametrize(
    "target",
    [TWO, THREE, np.array(["no", "yes", "maybe"])[THREE], np.array([-3, 8])[TWO]],
    ids=["two", "three", "texts", "numbers"],
)


def members(*, probable: bool) -> list:
    told = [
        ("bayes", GaussianNB()),
        ("scaled", make_pipeline(StandardScaler(), LogisticRegression())),
        ("forest", RandomForestClassifier(3, max_depth=3, random_state=0)),
        ("near", KNeighborsClassifier(3)),
    ]
    return (
        told if probable else [*told, ("line", Perceptron(random_state=0)), ("machine", make_pipeline(StandardScaler(), SVC()))]
    )


def fitted(model, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(ROWS, target)


@LABELS
@pytest.mark.parametrize("weights", [None, [1, 2, 3, 4], [0.3, 0.1, 0.2, 0.7]], ids=["equal", "whole", "broken"])
def test_soft_votes_are_a_mean(weights, target):
    answer = assert_classifies(fitted(VotingClassifier(members(probable=True), voting="soft", weights=weights), target))
    assert answer.scores is answer.probabilities


@LABELS
@pytest.mark.parametrize("weights", [None, [1, 2, 3, 4, 5, 6], [0.5, 0.25, 0.25, 1, 2, 0.5]], ids=["equal", "whole", "broken"])
def test_hard_votes_are_counted(weights, target):
    answer = assert_classifies(fitted(VotingClassifier(members(probable=False), weights=weights), target))
    assert answer.probabilities is None


def test_of_as_many_votes_the_first_class_wins():
    model = VotingClassifier([(name, DecisionTreeClassifier(max_depth=1, random_state=0)) for name in "ab"]).fit(ROWS, TWO)
    model.estimators_[0].fit(ROWS, 1 - TWO)
    assert (model.predict(HELD_OUT) == 0).all()
    assert_classifies(model)


def test_a_dropped_member_has_no_weight():
    model = VotingClassifier(members(probable=True), voting="soft", weights=[1, 2, 3, 4]).set_params(scaled="drop")
    answer = assert_classifies(fitted(model, THREE))
    assert isinstance(answer.scores, Scaled)
    assert isinstance(answer.scores.of, Sum)
    assert answer.scores.of.weights == (1, 3, 4)


def test_a_member_dropped_after_the_fit_is_refused():
    model = fitted(VotingClassifier(members(probable=True), voting="soft", weights=[1, 2, 3, 4]), THREE)
    model.set_params(scaled="drop")
    with pytest.raises(ConversionError, match="3 weights for 4 fitted members"):
        of(model)


def test_a_member_without_probabilities_has_no_soft_vote():
    model = fitted(VotingClassifier([("machine", SVC()), ("bayes", GaussianNB())]), TWO)
    model.voting = "soft"
    with pytest.raises(ConversionError, match="SVC tells no probabilities"):
        of(model)


def test_sums_of_weights_that_float32_cannot_tell_apart_are_refused():
    model = VotingClassifier(members(probable=True)[:3], weights=[0.1, 0.2, 0.3])  # 0.1 + 0.2 is more than 0.3, in doubles
    with pytest.raises(ConversionError, match="differ by less than float32 can tell") as caught:
        of(fitted(model, TWO))
    assert caught.value.field == "weights"


def test_a_member_that_was_fitted_on_other_classes_is_refused():
    model = fitted(VotingClassifier(members(probable=True), voting="soft"), THREE)
    model.estimators_[0].fit(ROWS, THREE + 1)
    with pytest.raises(ConversionError, match=r"a member of it knows others: \(1, 2, 3\)"):
        of(model)


@pytest.mark.parametrize("weights", [None, [1, 2, 3, 0]], ids=["equal", "given"])
def test_amounts_are_averaged(weights):
    model = VotingRegressor(
        [
            ("line", LinearRegression()),
            ("scaled", make_pipeline(StandardScaler(), Ridge())),
            ("tree", DecisionTreeRegressor(max_depth=3)),
            ("near", KNeighborsRegressor(3)),
        ],
        weights=weights,
    )
    assert assert_predicts(model.fit(ROWS, AMOUNT)).width == 1
