from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

from mlpublish.converting.graph.machines import Trees
from mlpublish.converting.of_sklearn.reading import decided, predicted
from tests.converting.graphs import values
from tests.converting.of_sklearn.agreeing import HELD_OUT, ROWS, asked, of
from tests.converting.of_sklearn.filed import BEFORE_1_6, assert_filed
from tests.converting.of_sklearn.test_trees import GAPS, HELD_GAPS

FEW = {"n_estimators": 9, "random_state": 0}
BOTH = np.vstack([ROWS, HELD_OUT])

FORESTS = {
    "plain": {},
    "contaminated": {"contamination": 0.1},
    "some features": {"contamination": 0.2, "max_features": 2},
    "drawn rows": {"max_samples": 20, "bootstrap": True},
    "two rows": {"max_samples": 2},
}


@pytest.mark.parametrize("asked_for", FORESTS.values(), ids=FORESTS)
def test_a_forest_tells_sides_and_scores_as_the_library_does(asked_for):
    assert_says(IsolationForest(**FEW, **asked_for).fit(ROWS), BOTH)


def assert_says(model, rows):
    side, score = of(model).numbers
    assert side.whole
    np.testing.assert_array_equal(values(side.node, rows)[:, 0], asked(model.predict, rows))
    np.testing.assert_allclose(values(score.node, rows)[:, 0], asked(model.decision_function, rows), atol=1e-14)


@pytest.mark.parametrize("trees", [7, 40])
def test_the_row_that_the_offset_was_taken_from_is_inside_of_the_saved_forest(tmp_path, trees):
    """A quarter of 41 rows lie before a row, so the offset is that row's own score."""
    model = IsolationForest(n_estimators=trees, contamination=0.25, max_features=3, random_state=1).fit(ROWS[:41])
    assert (model.decision_function(ROWS[:41]) == 0).any()
    assert_filed(model, tmp_path, rows=ROWS, within=2e-6)


def test_the_row_at_the_offset_is_inside_in_whatever_order_the_trees_are_added_up():
    model = IsolationForest(n_estimators=40, contamination=0.25, random_state=1).fit(ROWS[:41])
    row = ROWS[:41][model.decision_function(ROWS[:41]) == 0][:1]
    side = of(model).numbers[0].node
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(40)
        shuffled = replace(side.of, trees=tuple(side.of.trees[place] for place in order))
        assert values(replace(side, of=shuffled), row) == 1


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from(["auto", 0.05, 0.25, 0.5]))
def test_sides_are_those_of_the_library(seed, trees, contamination):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(21, 3))
    model = IsolationForest(n_estimators=trees, contamination=contamination, random_state=seed % 1000).fit(rows)
    both = np.vstack([rows, random.normal(size=(20, 3)) * 2])
    assert_says(model, both)


@pytest.mark.parametrize(("offset", "side"), [(-2.0, 1), (0.0, -1)], ids=["all inside", "all outside"])
def test_an_offset_beyond_all_scores_puts_all_rows_on_one_side(offset, side):
    model = IsolationForest(**FEW).fit(ROWS)
    model.offset_ = offset
    np.testing.assert_array_equal(values(of(model).numbers[0].node, HELD_OUT), side)
    np.testing.assert_array_equal(asked(model.predict, HELD_OUT), side)


def test_trees_of_one_row_each_tell_nothing():
    assert_says(IsolationForest(max_samples=1, **FEW).fit(ROWS), HELD_OUT)


def test_a_step_inside_of_others_tells_side_or_score():
    model = IsolationForest(**FEW).fit(ROWS)
    np.testing.assert_array_equal(values(of(model, method=predicted), HELD_OUT)[:, 0], asked(model.predict, HELD_OUT))
    said = values(of(model, method=decided), HELD_OUT)[:, 0]
    np.testing.assert_allclose(said, asked(model.decision_function, HELD_OUT), atol=1e-14)


@pytest.mark.skipif(BEFORE_1_6, reason="it takes missing values from scikit-learn 1.6 on")
def test_missing_values_go_where_the_forest_sends_them():
    assert_says(IsolationForest(**FEW).fit(GAPS), HELD_GAPS)


def test_whether_missing_values_are_taken_is_the_librarys_to_say():
    model = IsolationForest(**FEW).fit(ROWS)
    side = of(model).numbers[0].node
    assert isinstance(side.of, Trees)
    assert side.of.takes_missing is not BEFORE_1_6
