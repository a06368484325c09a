from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder, TargetEncoder

from mlpublish.converting.graph.columnwise import Empty, Filled
from mlpublish.converting.graph.node import walked
from mlpublish.errors import ConversionError
from tests.converting.graphs import values
from tests.converting.of_sklearn.agreeing import ROWS, of
from tests.converting.of_sklearn.homes import DEAR, HOMES, OTHERS, RENT, THREE, WHOLE, assert_agrees, read

STRANGE = OTHERS.assign(city="Paris", rooms=77)
ALL = ["city", "heating", "rooms", "lift"]

ENCODERS = {
    "one-hot": OneHotEncoder(),
    "one-hot, sparse not": OneHotEncoder(sparse_output=False),
    "one-hot, unknown are nothing": OneHotEncoder(handle_unknown="ignore"),
    "one-hot, first dropped": OneHotEncoder(drop="first"),
    "one-hot, first dropped, unknown too": OneHotEncoder(drop="first", handle_unknown="ignore"),
    "one-hot, one of two dropped": OneHotEncoder(drop="if_binary"),
    "one-hot, some dropped": OneHotEncoder(drop=["Oslo", "gas", 3, True]),
    "one-hot, rare ones": OneHotEncoder(min_frequency=12, handle_unknown="infrequent_if_exist"),
    "one-hot, rare ones, first dropped": OneHotEncoder(min_frequency=12, drop="first", handle_unknown="infrequent_if_exist"),
    "one-hot, few": OneHotEncoder(max_categories=2, handle_unknown="infrequent_if_exist"),
    "one-hot, few, unknown refused": OneHotEncoder(max_categories=2),
    "ordinal": OrdinalEncoder(),
    "ordinal, unknown -1": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    "ordinal, unknown NaN": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
    "ordinal, missing -2": OrdinalEncoder(encoded_missing_value=-2),
    "ordinal, rare ones": OrdinalEncoder(min_frequency=12, handle_unknown="use_encoded_value", unknown_value=-1),
    "ordinal of whole numbers": OrdinalEncoder(encoded_missing_value=-2, dtype=np.int32),
}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_every_column_is_looked_up_as_the_encoder_does(encoder):
    model = make_column_transformer((encoder, ALL), sparse_threshold=0).fit(HOMES)
    assert_agrees(model)
    if model.transformers_[0][1].handle_unknown != "error":
        assert_agrees(model, STRANGE)


@pytest.mark.parametrize("target", [RENT, DEAR, THREE], ids=["number", "two classes", "three classes"])
def test_categories_become_the_mean_of_their_target(target):
    model = make_column_transformer((TargetEncoder(), ALL)).fit(HOMES, target)
    assert_agrees(model)
    assert_agrees(model, STRANGE)


FILLED = {
    "most frequent": SimpleImputer(strategy="most_frequent"),
    "constant": SimpleImputer(strategy="constant", fill_value="none"),
    "constant that is empty": SimpleImputer(strategy="constant", fill_value=""),
    "told of": SimpleImputer(strategy="most_frequent", add_indicator=True),
    "a word for missing": SimpleImputer(strategy="constant", fill_value="Oslo", missing_values="Bern"),
}


@pytest.mark.parametrize("imputer", FILLED.values(), ids=FILLED)
def test_missing_texts_are_filled_in_before_they_are_looked_up(imputer):
    samples = HOMES if imputer.missing_values != "Bern" else WHOLE
    model = make_pipeline(imputer, OneHotEncoder(handle_unknown="ignore")).fit(samples[["city", "heating"]])
    assert_agrees(model, samples)
    answer, _ = read(model)
    assert not any(isinstance(each, Filled) for each in walked(*answer.ends))


def test_what_is_filled_in_twice_takes_the_first():
    twice = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="Oslo"),
        SimpleImputer(strategy="constant", fill_value="Bern", missing_values="Oslo"),
        SimpleImputer(strategy="constant", fill_value="Rome"),
        OneHotEncoder(),
    ).fit(HOMES[["city"]])
    assert_agrees(twice)


def test_an_imputer_of_texts_and_numbers_is_read_column_by_column():
    model = make_pipeline(SimpleImputer(strategy="most_frequent", add_indicator=True), OneHotEncoder(handle_unknown="ignore"))
    assert_agrees(model.fit(HOMES[["size", "city", "rooms"]]), HOMES)


@pytest.mark.parametrize(
    ("texts", "imputed", "empty"),
    [
        (["a", "b", np.nan], False, Empty.NAN),
        (["a", "b", None], False, Empty.NONE),
        (["a", "b", np.nan], True, Empty.NAN),
        (["a", "b", ""], False, Empty.TEXT),
        (["a", "a", "b", ""], True, Empty.TEXT),
        (["a", "b"], False, None),
    ],
    ids=["NaN", "None", "filled in", "empty", "empty, none filled in", "none"],
)
def test_what_an_empty_text_means_is_told(texts, imputed, empty):
    frame = pd.DataFrame({"c": pd.Series(texts * 3, dtype=object)})
    steps = [SimpleImputer(strategy="most_frequent")] if imputed else []
    model = make_pipeline(*steps, OneHotEncoder()).fit(frame)
    _, (column,) = read(model)
    assert column.empty is empty
    assert_agrees(model, frame)


def test_two_kinds_of_missing_texts_are_refused():
    frame = pd.DataFrame({"c": pd.Series(["a", None, np.nan], dtype=object)})
    with pytest.raises(ConversionError, match="'c' has both None and NaN"):
        read(make_pipeline(OneHotEncoder()).fit(frame))


def test_two_readers_of_a_column_must_mean_the_same_by_an_empty_text():
    frame = pd.DataFrame({"c": pd.Series(["a", "", "b"] * 3, dtype=object), "d": ["x", "y", "x"] * 3})
    model = make_column_transformer(
        (OneHotEncoder(), ["c"]),
        (make_pipeline(SimpleImputer(missing_values="", strategy="constant", fill_value="a"), OrdinalEncoder()), ["c"]),
        (make_pipeline(SimpleImputer(strategy="constant", fill_value="x"), OneHotEncoder()), ["d"]),
        sparse_threshold=0,
    ).fit(frame)
    assert_agrees(model, frame)
    other = make_column_transformer(
        (OneHotEncoder(categories=[["", "a", "b"]]), ["c"]),
        (make_pipeline(SimpleImputer(strategy="constant", fill_value="a"), OneHotEncoder(categories=[["a", "b"]])), ["c"]),
    ).fit(frame[["c"]].replace("", "a"))
    with pytest.raises(ConversionError, match="'c' NaN and an empty text mean two things"):
        read(other)


REFUSED = {
    "dates": (pd.DataFrame({"c": pd.to_datetime(["2024-01-01", "2025-01-01"])}), "categories of type datetime64"),
    "None among numbers": (pd.DataFrame({"c": pd.Series([1, None], dtype=object)}), "category None"),
    "bytes": (pd.DataFrame({"c": pd.Series([b"a", b"b"], dtype=object)}), "category b'a'"),
    "whole numbers beyond doubles": (pd.DataFrame({"c": [2**53, 2**53 + 1]}), "category 9007199254740993"),
}


@pytest.mark.parametrize(("frame", "told"), REFUSED.values(), ids=REFUSED)
def test_categories_that_are_neither_texts_nor_numbers_are_refused(frame, told):
    with pytest.raises(ConversionError, match=told):
        read(make_pipeline(OneHotEncoder()).fit(frame))


def test_texts_of_an_array_are_refused():
    model = OneHotEncoder().fit(np.array([["a"], ["b"]]))
    with pytest.raises(ConversionError, match="takes texts from an array"):
        of(model)


def test_a_category_per_row_is_refused_with_what_to_do():
    model = OneHotEncoder().fit(np.arange(5000)[:, np.newaxis])
    with pytest.raises(ConversionError, match="5000 columns of the 5000 categories of column 0") as refused:
        of(model)
    assert "max_categories" in refused.value.remedy
    few = OneHotEncoder(max_categories=10).fit(np.arange(5000)[:, np.newaxis] % 60)
    assert of(few).ends[0].width == 10


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.float32, np.bool_])
def test_numbers_of_any_type_are_categories(kind):
    rows = np.array([[0], [1], [1]]).astype(kind)
    model = OneHotEncoder(handle_unknown="ignore").fit(rows)
    asked_for = np.array([[0.0], [1.0], [2.0], [np.nan]])
    np.testing.assert_array_equal(values(of(model).ends[0], asked_for), [[1, 0], [0, 1], [0, 0], [0, 0]])


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.sampled_from(["a", "b", "c", "", "é", None]), min_size=1, max_size=12),
    st.lists(st.sampled_from(["a", "b", "z", "", None]), min_size=1, max_size=6),
    st.sampled_from([None, "first", "if_binary"]),
    st.sampled_from([None, 2, 3]),
)
def test_any_column_of_texts_is_encoded_as_the_library_does(learnt, held_out, drop, few):
    encoder = OneHotEncoder(handle_unknown="ignore" if few is None else "infrequent_if_exist", drop=drop, max_categories=few)
    try:
        model = make_pipeline(encoder).fit(pd.DataFrame({"c": pd.Series(learnt, dtype=object)}))
    except ValueError:
        return  # the library says itself that the settings do not go together
    if model[0].get_feature_names_out().size == 0:
        return
    if "" in learnt and None in learnt:
        return  # may be refused: a test of its own
    held_out = [None if text == "" and None in learnt else text for text in held_out]
    if "" in learnt:
        held_out = [text for text in held_out if text is not None] or ["a"]
    assert_agrees(model, pd.DataFrame({"c": pd.Series(held_out, dtype=object)}))


@pytest.mark.parametrize(
    "asked_for",
    [{}, {"encode": "ordinal"}, {"encode": "onehot-dense", "strategy": "uniform", "n_bins": 5}],
    ids=["one-hot", "ordinal", "of one width"],
)
def test_numbers_are_put_into_bins_on_and_beside_the_edges(asked_for):
    rows = np.column_stack([ROWS, np.ones(len(ROWS))])
    model = KBinsDiscretizer(**{"n_bins": 3, **asked_for}).fit(rows)
    edges = [np.concatenate([edge, np.nextafter(edge, -np.inf), np.nextafter(edge, np.inf)]) for edge in model.bin_edges_[:4]]
    count = min(map(len, edges))
    held_out = np.vstack([rows, np.column_stack([*(edge[:count] for edge in edges), np.ones(count)])])
    wanted = model.transform(held_out)
    wanted = wanted.toarray() if hasattr(wanted, "toarray") else wanted
    np.testing.assert_array_equal(values(of(model).ends[0], held_out), wanted)
