from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from mlpublish.converting.convert import convert
from mlpublish.converting.graph.columnwise import Lookup, Scaled
from mlpublish.converting.graph.machines import Mode
from mlpublish.converting.graph.node import Array
from mlpublish.converting.writing import lookups
from mlpublish.converting.writing.folding import folded
from tests.converting.graphs import values
from tests.converting.writing.test_plan import stages

ONE = Array(size=1)
R = np.random.default_rng(2)
IDS = np.array([3, 7, 2**24, 2**24 + 1, 1.5, np.pi])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(allow_infinity=False) | st.integers(-3, 3).map(float), min_size=1, max_size=12, unique_by=repr),
    st.integers(1, 3),
    st.booleans(),
)
def test_any_table_is_its_tree(keys, width, refuses):
    keys = list({key if key == key else np.nan: None for key in (key + 0.0 for key in keys)})
    table = R.normal(size=(len(keys), width)).round(1)
    node = Lookup(of=ONE, keys=tuple(keys), table=table, unknown=None if refuses else R.normal(size=width))
    rows = np.array(keys) if refuses else np.array([*keys, *np.nextafter(keys, np.inf), *np.nextafter(keys, -np.inf), np.nan])
    rows = rows[np.isfinite(rows) | np.isnan(rows)][:, np.newaxis]
    np.testing.assert_array_equal(values(lookups.as_tree(node), rows), values(node, rows))


def test_a_table_that_holds_no_number_is_no_tree():
    held = Lookup(of=ONE, keys=(1.0,), table=np.array([[np.nan]]), unknown=None)
    assert not lookups.can_be_tree(held)


@pytest.mark.parametrize(
    ("keys", "needs"),
    [((1.0, 2.0), False), ((1.0, 2.0, np.nan), False), ((0.1, 2.0), True), ((1.0, 2.0**24), True), ((1.0, 2.0**24 - 1), False)],
)
def test_whole_numbers_that_float32_tells_apart_need_no_doubles(keys, needs):
    assert lookups.needs_doubles(Lookup(of=ONE, keys=keys, table=np.eye(len(keys)), unknown=None)) == needs


def test_a_number_that_is_asked_for_by_itself_is_not_moved():
    scaled = Scaled(of=ONE, shift=np.ones(1), scale=np.ones(1))
    tree = lookups.as_tree(Lookup(of=scaled, keys=(1.0, 2.0), table=np.eye(2), unknown=np.zeros(2)))
    assert Mode.EQUAL in tree.trees[0].mode
    assert folded(tree, [ONE]).of is scaled


PLANS = {
    "a tree": (
        OneHotEncoder(handle_unknown="ignore"),
        DecisionTreeClassifier(max_depth=4),
        ["treeEnsembleRegressor", "treeEnsembleClassifier"],
    ),
    "logistic": (OneHotEncoder(), LogisticRegression(), ["treeEnsembleRegressor", "glmClassifier"]),
    "ordinal": (
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=2),
        ["treeEnsembleRegressor", "treeEnsembleRegressor"],
    ),
}


@pytest.mark.parametrize(("encoder", "model", "wanted"), PLANS.values(), ids=PLANS)
def test_ids_are_told_apart_in_doubles(tmp_path, encoder, model, wanted):
    frame = pd.DataFrame({"id": IDS[R.integers(0, 6, 90)], "x": R.normal(size=90)})
    made = make_pipeline(ColumnTransformer([("id", encoder, ["id"])], remainder="passthrough"), model)
    made.fit(frame, (frame["id"] == 2**24 + 1) | (frame["x"] > 1.5))
    converted = convert(made, name="m", samples=frame, out=tmp_path, progress=False)
    assert stages(converted.path) == wanted
    assert converted.parity.max_abs_diff < 1e-12


def test_small_numbers_are_looked_up_in_the_program_where_one_is_needed_anyway(tmp_path):
    frame = pd.DataFrame({"id": R.integers(0, 4, 90), "x": R.normal(size=90)})
    made = make_pipeline(ColumnTransformer([("id", OneHotEncoder(), ["id"])], remainder="passthrough"), Ridge())
    made.fit(frame, np.column_stack([frame["x"], frame["id"]]))
    converted = convert(made, name="m", samples=frame, out=tmp_path, progress=False)
    assert stages(converted.path) == ["mlProgram"]
