from __future__ import annotations

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from mlpublish.converting.graph.machines import Trees
from mlpublish.converting.graph.node import Array
from mlpublish.converting.of_sklearn import trees
from mlpublish.errors import ConversionError
from tests.converting.graphs import values
from tests.converting.of_sklearn.agreeing import AMOUNT, HELD_OUT, ROWS, THREE, TWO, asked, assert_classifies, of
from tests.converting.of_sklearn.filed import BEFORE_1_6, assert_filed

WEIGHTS = np.linspace(0.1, 3, len(ROWS))
GAPS = ROWS.copy()
GAPS[np.random.default_rng(0).random(ROWS.shape) < 0.15] = np.nan
HELD_GAPS = np.vstack([HELD_OUT, np.where(np.arange(4) % 2, np.nan, HELD_OUT[:3]), np.full((1, 4), np.nan)])
SEED = {"random_state": 0}

CLASSIFIERS = {
    "gini": (DecisionTreeClassifier(max_depth=4, **SEED), TWO),
    "entropy, three": (DecisionTreeClassifier(max_depth=4, criterion="entropy", **SEED), THREE),
    "log loss, three": (DecisionTreeClassifier(max_depth=3, criterion="log_loss", **SEED), THREE),
    "class weights": (DecisionTreeClassifier(max_depth=2, class_weight={0: 1, 1: 5, 2: 0.3}, **SEED), THREE),
    "balanced": (DecisionTreeClassifier(max_depth=2, class_weight="balanced", **SEED), THREE),
    "pruned": (DecisionTreeClassifier(ccp_alpha=0.02, **SEED), THREE),
    "few leaves": (DecisionTreeClassifier(max_leaf_nodes=5, **SEED), THREE),
    "random splits": (DecisionTreeClassifier(max_depth=4, splitter="random", **SEED), THREE),
    "monotone": (DecisionTreeClassifier(max_depth=4, monotonic_cst=[1, 0, -1, 0], **SEED), TWO),
    "a root alone": (DecisionTreeClassifier(max_depth=4, min_samples_leaf=60, **SEED), TWO),
    "extra tree": (ExtraTreeClassifier(max_depth=4, **SEED), THREE),
    "texts": (DecisionTreeClassifier(max_depth=4, **SEED), np.array(["low", "mid", "high"])[THREE]),
    "booleans": (DecisionTreeClassifier(max_depth=4, **SEED), TWO > 0),
}


@pytest.mark.parametrize(("model", "target"), CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_a_saved_classifier_says_what_the_tree_says_also_beside_every_split(tmp_path, model, target):
    assert assert_filed(model.fit(ROWS, target), tmp_path) == "treeEnsembleClassifier"


REGRESSORS = {
    "squared error": DecisionTreeRegressor(max_depth=4, **SEED),
    "absolute error": DecisionTreeRegressor(max_depth=4, criterion="absolute_error", **SEED),
    "poisson": DecisionTreeRegressor(max_depth=4, criterion="poisson", **SEED),
    "monotone": DecisionTreeRegressor(max_depth=4, monotonic_cst=[1, 0, 0, -1], **SEED),
    "extra tree": ExtraTreeRegressor(max_depth=4, **SEED),
}


@pytest.mark.parametrize("model", REGRESSORS.values(), ids=REGRESSORS)
def test_a_saved_regressor_says_what_the_tree_says_also_beside_every_split(tmp_path, model):
    assert assert_filed(model.fit(ROWS, np.abs(AMOUNT)), tmp_path) == "treeEnsembleRegressor"


@pytest.mark.parametrize("model", [DecisionTreeRegressor(max_depth=4), ExtraTreeRegressor(max_depth=4)], ids=["best", "random"])
def test_several_targets_are_several_results_of_a_leaf(tmp_path, model):
    assert_filed(model.fit(ROWS, np.column_stack([AMOUNT, -3 * AMOUNT, THREE])), tmp_path)
    assert of(model).numbers[0].node.width == 3


def test_weighted_rows_are_shares_of_a_leaf(tmp_path):
    model = DecisionTreeClassifier(max_depth=2, **SEED).fit(ROWS, THREE, sample_weight=WEIGHTS)
    node = of(model).probabilities
    assert isinstance(node, Trees)
    np.testing.assert_allclose(node.trees[0].values.sum(axis=1), 1)
    assert_filed(model, tmp_path)


@pytest.mark.parametrize("criterion", ["gini", "entropy"])
def test_missing_values_go_where_the_tree_sends_them(tmp_path, criterion):
    model = DecisionTreeClassifier(max_depth=5, criterion=criterion, **SEED).fit(GAPS, THREE)
    assert model.tree_.missing_go_to_left[model.tree_.children_left >= 0].any()
    assert_filed(model, tmp_path, rows=HELD_GAPS)


def test_a_split_between_missing_and_given_sends_every_number_one_way(tmp_path):
    rows = np.column_stack([np.where(TWO == 1, np.nan, ROWS[:, 0]), ROWS[:, 1]])
    model = DecisionTreeRegressor(max_depth=2, **SEED).fit(rows, 10.0 * TWO)
    assert np.isinf(model.tree_.threshold).any()
    assert all(np.isfinite(tree.threshold).all() for tree in of(model).numbers[0].node.trees)
    largest = float(np.finfo(np.float32).max)
    assert_filed(model, tmp_path, rows=np.array([[np.nan, 1.0], [largest, 1.0], [-largest, 1.0], [0.0, 1.0]]))


def test_a_tree_that_was_fitted_without_missing_values_answers_to_them_as_the_library_does(tmp_path):
    model = DecisionTreeClassifier(max_depth=4, **SEED).fit(ROWS, THREE)
    assert of(model).scores.takes_missing
    assert_filed(model, tmp_path, rows=HELD_GAPS)


def test_a_tree_that_refuses_missing_values_is_not_said_to_take_them():
    which = "random" if BEFORE_1_6 else "best"
    model = ExtraTreeRegressor(max_depth=3, splitter=which, **SEED).fit(ROWS, AMOUNT)
    with pytest.raises(ValueError, match="NaN"):
        model.predict(HELD_GAPS)
    assert not of(model).numbers[0].node.takes_missing


@pytest.mark.skipif(BEFORE_1_6, reason="random splits take missing values from scikit-learn 1.6 on")
def test_random_splits_take_missing_values(tmp_path):
    assert_filed(ExtraTreeClassifier(max_depth=5, **SEED).fit(GAPS, THREE), tmp_path, rows=HELD_GAPS)


def test_equal_shares_are_the_first_class():
    model = DecisionTreeClassifier(max_depth=1, **SEED).fit([[0.0], [0.0], [1.0], [1.0]], [0, 1, 0, 1])
    assert_classifies(model, np.array([[0.0], [1.0]]))
    assert model.predict([[0.0]]) == [0]


def test_a_function_of_a_single_tree_stands_in_its_leaves():
    model = DecisionTreeRegressor(max_depth=3, **SEED).fit(ROWS, AMOUNT)
    node = trees.mapped(trees.predict(model, Array(size=4)), lambda said: np.hstack([said**2, -said]))
    said = asked(model.predict, HELD_OUT)
    np.testing.assert_allclose(values(node, HELD_OUT), np.column_stack([said**2, -said]))


REFUSED = {
    "several labels": (lambda: DecisionTreeClassifier().fit(ROWS, np.column_stack([TWO, THREE])), "2 labels per row"),
    "one class": (lambda: DecisionTreeClassifier().fit(ROWS, np.zeros(len(ROWS), int)), "one class only: 0"),
    "floats": (lambda: DecisionTreeClassifier().fit(ROWS, TWO + 0.0), "float64"),
}


@pytest.mark.parametrize(("model", "told"), REFUSED.values(), ids=REFUSED)
def test_labels_that_core_ml_has_not_are_refused_by_name(model, told):
    with pytest.raises(ConversionError, match=told) as refused:
        of(model())
    assert refused.value.field == "classes_"


@pytest.mark.parametrize("attribute", ["value", "threshold"])
def test_numbers_that_are_none_are_refused_by_name(attribute):
    model = DecisionTreeRegressor(max_depth=3, **SEED).fit(ROWS, AMOUNT)
    getattr(model.tree_, attribute).flat[0] = np.nan
    with pytest.raises(ConversionError, match=rf"tree_.{attribute} holds NaN"):
        of(model)
