"""Rows in, without MLflow: however they come, each input finds its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlpublish.coreml.inputs import as_rows
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import Feature
from mlpublish.mlflow_plugin.frames import rows_of

IMAGE = Feature(name="input", kind="multiArray", shape=(1, 2, 2))
PLAIN = tuple(Feature(name=name, kind="double", dtype="float64") for name in ("a_b", "c"))


def test_columns_keep_the_names_that_the_source_model_knew():
    found = rows_of(PLAIN, pd.DataFrame({"c": [3.0], "a b": [1.0]}))
    assert {name: values.tolist() for name, values in found.items()} == {"a_b": [1.0], "c": [3.0]}
    assert {name: values.tolist() for name, values in rows_of(PLAIN, [[1.0, 3.0]]).items()} == {"a_b": [1.0], "c": [3.0]}
    assert rows_of(PLAIN, {"a b": [1.0], "c": [3.0]}).keys() == {"a_b", "c"}


def test_one_column_among_others_is_found_by_its_name():
    (only, _) = PLAIN
    assert rows_of((only,), pd.DataFrame({"a b": [1.0, 2.0]}))["a_b"].tolist() == [1.0, 2.0]


def test_columns_that_the_source_model_drops_may_stand_in_the_frame():
    frame = pd.DataFrame({"ticket": ["A/5"], "c": [3.0], "a b": [1.0]})
    assert {name: values.tolist() for name, values in rows_of(PLAIN, frame).items()} == {"a_b": [1.0], "c": [3.0]}
    assert rows_of(PLAIN[:1], frame).keys() == {"a_b"}
    assert rows_of(PLAIN, frame.drop(columns="c")).keys() == {"a_b", "ticket"}, "what is missing is told with what is given"


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=["None", "NaN", "NA"])
def test_a_missing_text_is_an_empty_one(missing):
    text = Feature(name="port", kind="string", dtype="string")
    for dtype in (object, "str", "string"):
        frame = pd.DataFrame({"port": pd.Series(["S", missing], dtype=dtype)})
        assert rows_of((text,), frame)["port"].tolist() == ["S", ""]
    with pytest.raises(ConversionError, match="one text a row"):
        as_rows((text,), rows_of((text,), pd.DataFrame({"port": ["S", 1]})))


@pytest.mark.parametrize("columns", [("a_b", "a b"), ("a b", "a_b")])
def test_of_two_columns_that_could_be_one_input_none_is_taken(columns):
    with pytest.raises(ConversionError, match=f"'{columns[0]}' and '{columns[1]}' are both the input 'a_b'"):
        rows_of(PLAIN[:1], pd.DataFrame([[1.0, 2.0]], columns=list(columns)))
    with pytest.raises(ConversionError, match="are both the input 'a_b'"):
        rows_of(PLAIN[:1], {column: [1.0] for column in columns})


@pytest.mark.parametrize("flat", [True, False])
def test_an_array_comes_in_its_shape_however_flat_it_is_given(flat):
    rows = np.arange(8.0).reshape((2, 4) if flat else (2, 1, 2, 2))
    for given in (rows, rows.tolist(), pd.DataFrame({"input": list(rows)})):
        found = rows_of((IMAGE,), given)["input"]
        assert found.reshape(2, 4).tolist() == np.arange(8.0).reshape(2, 4).tolist()
        assert found.shape[1:] in ((1, 2, 2), (2, 2))


def test_what_fits_no_input_is_told_with_the_numbers():
    with pytest.raises(ConversionError, match=r"shape \(2, 3\) does not fit 2 inputs.*a_b, c"):
        rows_of(PLAIN, np.zeros((2, 3)))
    with pytest.raises(ConversionError, match="unlike shapes"):
        rows_of((IMAGE,), pd.DataFrame({"input": [[1, 2, 3, 4], [1]]}))
