from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.converting.graph.columnwise import Imputed
from mlpublish.errors import ConversionError
from tests.converting.graphs import values
from tests.converting.of_sklearn.agreeing import asked, assert_transforms, of
from tests.converting.of_sklearn.homes import HOMES, OTHERS, RENT, assert_agrees, read

_R = np.random.default_rng(3)
GAPS = np.where(_R.random((40, 4)) < 0.2, np.nan, _R.integers(0, 5, (40, 4)))
HELD_OUT = np.where(_R.random((20, 4)) < 0.3, np.nan, _R.normal(size=(20, 4)))
NO_FIRST = np.column_stack([np.full(40, np.nan), GAPS[:, 1:]])

IMPUTERS = {
    "mean": SimpleImputer(),
    "median": SimpleImputer(strategy="median"),
    "most frequent": SimpleImputer(strategy="most_frequent"),
    "constant": SimpleImputer(strategy="constant", fill_value=-7.5),
    "constant by default": SimpleImputer(strategy="constant"),
    "told of": SimpleImputer(add_indicator=True),
    "empty ones kept": SimpleImputer(keep_empty_features=True),
    "empty ones kept and told of": SimpleImputer(keep_empty_features=True, add_indicator=True),
    "empty ones told of": SimpleImputer(add_indicator=True),
    "indicator": MissingIndicator(),
    "indicator of all": MissingIndicator(features="all"),
}


@pytest.mark.parametrize("learnt", [GAPS, NO_FIRST], ids=["all columns", "an empty column"])
@pytest.mark.parametrize("imputer", IMPUTERS.values(), ids=IMPUTERS)
def test_missing_numbers_become_what_the_imputer_makes_of_them(imputer, learnt):
    assert_transforms(imputer.fit(learnt), HELD_OUT)


@pytest.mark.parametrize("missing", [-1, 0.0, 3])
def test_any_number_may_mean_missing(missing):
    rows = np.nan_to_num(GAPS, nan=missing)
    model = SimpleImputer(missing_values=missing, add_indicator=True).fit(rows)
    assert_transforms(model, np.nan_to_num(HELD_OUT, nan=missing))


def test_a_whole_table_is_one_node():
    assert isinstance(of(SimpleImputer().fit(GAPS)).ends[0], Imputed)


def test_columns_of_float32_are_filled_with_what_was_learnt_of_them():
    model = SimpleImputer().fit(GAPS.astype(np.float32))
    np.testing.assert_array_equal(values(of(model).ends[0], HELD_OUT), asked(model.transform, HELD_OUT))


def test_imputers_behind_one_another_fill_once():
    assert_transforms(make_pipeline(SimpleImputer(), SimpleImputer(strategy="constant", fill_value=9.0)).fit(GAPS), HELD_OUT)


def test_frames_keep_their_gaps():
    model = make_pipeline(SimpleImputer(add_indicator=True), Ridge()).fit(HOMES[["size", "rooms", "lift"]], RENT)
    assert_agrees(model)
    assert OTHERS["size"].isna().any()


REFUSED = {
    "pandas.NA": (lambda: SimpleImputer(missing_values=pd.NA).fit(HOMES[["size"]].astype("Float64")), "takes <NA> for"),
    "NaN for NaN": (
        lambda: SimpleImputer(strategy="constant", fill_value=np.nan).fit(HOMES[["size"]]),
        "fills in (nan|other columns)|gives no columns",
    ),
    "nothing ever missing": (lambda: MissingIndicator().fit(HOMES[["rooms"]]), "MissingIndicator gives no columns"),
    "nothing but missing": (lambda: SimpleImputer().fit(HOMES[["size"]] * np.nan), "SimpleImputer gives no columns"),
}


@pytest.mark.parametrize(("model", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_told_to_a_file_is_refused(model, told):
    with pytest.raises(ConversionError, match=told):
        read(make_pipeline(model()))


def test_texts_that_are_filled_in_need_an_encoder():
    model = make_pipeline(SimpleImputer(strategy="most_frequent")).fit(HOMES[["city"]])
    with pytest.raises(ConversionError, match="no encoder reads") as refused:
        SklearnSource(model)
    assert "OneHotEncoder" in refused.value.remedy


def test_an_infinite_fill_is_refused():
    model = SimpleImputer().fit(GAPS)
    model.statistics_[1] = np.inf
    with pytest.raises(ConversionError, match="fills in inf"):
        of(model)


def test_texts_filled_in_twice_are_not_told_of():
    model = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="none"),
        SimpleImputer(missing_values="none", strategy="constant", fill_value="Oslo", add_indicator=True),
        OneHotEncoder(),
    ).fit(HOMES[["city"]])
    with pytest.raises(ConversionError, match="filled in before"):
        read(model)
