from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlpublish.converting.graph.algebra import WeightedMedian
from mlpublish.converting.graph.machines import Trees
from tests.converting.of_sklearn.agreeing import AMOUNT, HELD_OUT, ROWS, THREE, TWO, assert_classifies, assert_predicts, of
from tests.converting.of_sklearn.filed import BEFORE_1_6, assert_filed

FEW = {"n_estimators": 6, "random_state": 0}
LABELS = {"algorithm": "SAMME"} if BEFORE_1_6 else {}
REAL = pytest.mark.skipif(not BEFORE_1_6, reason="SAMME.R is gone from scikit-learn 1.6 on")


def fitted(model, target, rows=ROWS):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SAMME.R, that it will go
        return model.fit(rows, target)


CLASSIFIERS = {
    "stumps, two": (None, TWO),
    "stumps, three": (None, THREE),
    "trees, texts": (DecisionTreeClassifier(max_depth=2), np.array(["a", "b", "c"])[THREE]),
    "trees, two texts": (DecisionTreeClassifier(max_depth=2), np.array(["no", "yes"])[TWO]),
}


@pytest.mark.parametrize(("member", "target"), CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_a_saved_classifier_of_trees_is_one_ensemble(tmp_path, member, target):
    model = fitted(AdaBoostClassifier(member, learning_rate=0.7, **LABELS, **FEW), target)
    assert assert_filed(model, tmp_path) == "treeEnsembleClassifier"
    assert_classifies(model)


@REAL
@pytest.mark.parametrize(("member", "target"), CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_real_boosting_of_trees_is_one_ensemble(tmp_path, member, target):
    model = fitted(AdaBoostClassifier(member, algorithm="SAMME.R", **FEW), target)
    assert assert_filed(model, tmp_path) == "treeEnsembleClassifier"
    assert_classifies(model)


@REAL
@pytest.mark.parametrize("target", [TWO, THREE], ids=["two", "three"])
def test_real_boosting_of_other_members(target):
    member = LogisticRegression(max_iter=300)
    assert_classifies(fitted(AdaBoostClassifier(member, algorithm="SAMME.R", **FEW), target), HELD_OUT[:20])


MEMBERS = {
    "logistic": LogisticRegression(max_iter=300),
    "forest": RandomForestClassifier(3, max_depth=2, random_state=0),
    "without probabilities": RidgeClassifier(),
}


@pytest.mark.parametrize("target", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
def test_other_members_vote(member, target):
    assert_classifies(fitted(AdaBoostClassifier(member, **LABELS, **FEW), target))


def test_a_perfect_member_ends_it(tmp_path):
    model = fitted(AdaBoostClassifier(DecisionTreeClassifier(), **LABELS, **FEW), THREE)
    assert len(model.estimators_) == 1
    assert_filed(model, tmp_path)


@pytest.mark.parametrize("loss", ["linear", "square", "exponential"])
def test_a_regressor_is_the_weighted_median_of_its_trees(loss):
    model = AdaBoostRegressor(DecisionTreeRegressor(max_depth=3), loss=loss, **FEW).fit(ROWS, AMOUNT)
    node = assert_predicts(model)
    assert isinstance(node, WeightedMedian)
    assert isinstance(node.of, Trees)
    assert node.of.width == len(model.estimators_)


def test_a_saved_regressor_says_the_weighted_median(tmp_path):
    assert_filed(AdaBoostRegressor(**FEW).fit(ROWS, AMOUNT), tmp_path, within=1e-6)


def test_other_regressors_have_a_median_too():
    assert_predicts(AdaBoostRegressor(LinearRegression(), **FEW).fit(ROWS, AMOUNT))


def test_missing_values_are_refused_as_by_the_library_though_each_tree_takes_them():
    classifier = fitted(AdaBoostClassifier(**LABELS, **FEW), THREE)
    with pytest.raises(ValueError, match="NaN"):
        classifier.predict([[np.nan] * 4])
    assert not of(classifier).scores.of.takes_missing
    assert not of(AdaBoostRegressor(**FEW).fit(ROWS, AMOUNT)).numbers[0].node.of.takes_missing
