from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from mlpublish.converting.convert import convert
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.machines import Trees
from mlpublish.coreml.evaluate import load
from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import AMOUNT, HELD_OUT, ROWS, THREE, TWO, assert_classifies, assert_predicts, of
from tests.converting.of_sklearn.filed import BEFORE_1_6, assert_filed
from tests.converting.of_sklearn.test_trees import GAPS, HELD_GAPS

FEW = {"n_estimators": 7, "random_state": 0}

FORESTS = {
    "random, two": (RandomForestClassifier(max_depth=4, **FEW), TWO),
    "random, three": (RandomForestClassifier(max_depth=4, **FEW), THREE),
    "balanced rows": (RandomForestClassifier(max_depth=3, class_weight="balanced_subsample", **FEW), THREE),
    "pruned": (RandomForestClassifier(ccp_alpha=0.02, **FEW), THREE),
    "few leaves": (RandomForestClassifier(max_leaf_nodes=4, max_samples=0.5, **FEW), THREE),
    "extra, texts": (ExtraTreesClassifier(max_depth=4, **FEW), np.array(["a", "b", "c"])[THREE]),
    "regression": (RandomForestRegressor(max_depth=4, **FEW), AMOUNT),
    "extra, regression": (ExtraTreesRegressor(max_depth=4, **FEW), AMOUNT),
    "two targets": (RandomForestRegressor(max_depth=4, **FEW), np.column_stack([AMOUNT, -3 * AMOUNT])),
}


@pytest.mark.parametrize(("model", "target"), FORESTS.values(), ids=FORESTS)
def test_a_saved_forest_says_what_the_forest_says_also_beside_its_splits(tmp_path, model, target):
    assert_filed(model.fit(ROWS, target), tmp_path)
    assert isinstance(_shown(of(model)), Trees)


def _shown(answer):
    return answer.probabilities if isinstance(answer, Classified) else answer.numbers[0].node


DRAWS = {
    "forest": (4, RandomForestClassifier(6, min_samples_leaf=3, random_state=0)),
    "bag": (16, BaggingClassifier(DecisionTreeClassifier(min_samples_leaf=3), n_estimators=6, random_state=0)),
}


@pytest.mark.parametrize(("seed", "model"), DRAWS.values(), ids=DRAWS)
def test_shares_that_draw_to_the_last_bit_may_rank_either_way(tmp_path, seed, model):
    random = np.random.default_rng(seed)
    rows, target = random.integers(0, 4, size=(60, 4)).astype(float), random.integers(0, 2, size=60)
    held_out = random.integers(0, 4, size=(200, 4)).astype(float)
    divided = sum(tree.predict_proba(held_out) / 6 for tree in model.fit(rows, target).estimators_)
    drawn = np.argmax(divided, axis=1) != model.predict(held_out)
    assert drawn.any()
    converted = convert(model, samples=held_out, out=tmp_path, progress=False)
    assert (converted.kind, converted.parity.label_agreement) == ("treeEnsembleClassifier", 1.0)
    got = load(converted.path).predict_rows({"input": held_out.astype(np.float32)})
    apart = got["classLabel"] != model.predict(held_out)
    assert (np.ptp(model.predict_proba(held_out)[apart], axis=1) < 1e-15).all()


def test_a_forest_that_has_grown_since_is_read_as_it_is(tmp_path):
    model = RandomForestClassifier(max_depth=3, warm_start=True, **FEW).fit(ROWS, THREE)
    model.set_params(n_estimators=11).fit(ROWS, THREE)
    assert len(of(model).probabilities.trees) == 11
    assert_filed(model, tmp_path)


def test_pure_leaves_that_draw_are_the_first_class(tmp_path):
    model = RandomForestClassifier(n_estimators=10, random_state=0).fit(ROWS, THREE)
    held_out = np.random.default_rng(1).normal(size=(300, 4)) * [1, 10, 0.1, 3] + [0, 30, 0, -5]
    largest = np.sort(model.predict_proba(held_out), axis=1)
    assert (largest[:, -1] == largest[:, -2]).any()
    assert_filed(model, tmp_path, rows=held_out)


@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier])
def test_missing_values_go_where_the_forest_sends_them(tmp_path, kind):
    if BEFORE_1_6 and kind is ExtraTreesClassifier:
        pytest.skip("it takes them from scikit-learn 1.6 on")
    assert_filed(kind(max_depth=5, **FEW).fit(GAPS, THREE), tmp_path, rows=HELD_GAPS)


def test_several_labels_are_refused_by_name():
    with pytest.raises(ConversionError, match="2 labels per row"):
        of(RandomForestClassifier(**FEW).fit(ROWS, np.column_stack([TWO, THREE])))


BAGS = {
    "trees": (BaggingClassifier(DecisionTreeClassifier(max_depth=3), **FEW), THREE),
    "of some features": (BaggingClassifier(DecisionTreeClassifier(max_depth=3), max_features=2, **FEW), THREE),
    "drawn features": (BaggingRegressor(max_features=3, bootstrap_features=True, **FEW), AMOUNT),
    "of few rows": (
        BaggingClassifier(DecisionTreeClassifier(max_depth=3), max_samples=6, **FEW),
        np.array(["a", "b", "c"])[THREE],
    ),
}


@pytest.mark.parametrize(("model", "target"), BAGS.values(), ids=BAGS)
def test_a_bag_of_trees_is_one_ensemble(tmp_path, model, target):
    assert_filed(model.fit(ROWS, target), tmp_path)
    assert isinstance(_shown(of(model)), Trees)


def _shown(answer):
    return answer.probabilities if isinstance(answer, Classified) else answer.numbers[0].node


def test_a_member_of_a_bag_may_know_fewer_classes():
    model = BaggingClassifier(KNeighborsClassifier(1), max_samples=4, **FEW).fit(ROWS, THREE)  # it takes no weights
    assert min(len(member.classes_) for member in model.estimators_) < 3
    assert_classifies(model)


def test_bags_of_other_estimators_are_means():
    lines = BaggingRegressor(LinearRegression(), max_features=2, **FEW).fit(ROWS, AMOUNT)
    assert not isinstance(assert_predicts(lines), Trees)
    assert_classifies(BaggingClassifier(LogisticRegression(max_iter=500), max_features=3, **FEW).fit(ROWS, THREE))


@pytest.mark.parametrize("target", [TWO, THREE], ids=["two", "three"])
def test_members_without_probabilities_vote(target):
    model = BaggingClassifier(RidgeClassifier(), max_samples=8, **FEW).fit(ROWS, target)
    answer = of(model)
    assert answer.probabilities is not None
    assert_classifies(model, HELD_OUT)
