"""What a caller may give, and what an interface makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mlpublish.coreml.inputs import as_one_row, as_rows, unsupported
from mlpublish.errors import ConversionError, FormatError
from mlpublish.formats.evidence import Feature, Flexible, Interface


def array(shape=(1, 3), dtype="float32", **more):
    return Feature(name="x", kind="multiArray", shape=shape, dtype=dtype, **more)


LISTED = Flexible(shapes=((1, 3), (1, 5)))
INT8 = array(shape=(1,), dtype="int8")
INT32 = array(shape=(1,), dtype="int32")
TEXT = Feature(name="x", kind="string", dtype="string")
WHOLE = Feature(name="x", kind="int64", dtype="int64")
DOUBLE = Feature(name="x", kind="double", dtype="float64")
WORDS = Feature(name="x", kind="dictionary", dtype="string")


def rows(feature, values):
    return as_rows((feature,), {"x": values})["x"]


@pytest.mark.parametrize(
    ("feature", "given_shape", "shape"),
    [
        (array(), (4, 1, 3), (4, 1, 3)),
        (array(), (4, 3), (4, 1, 3)),
        (array(shape=(3,)), (4, 3), (4, 3)),
        (array(shape=(1, 1)), (4,), (4, 1, 1)),
        (array(flexible=LISTED), (4, 5), (4, 1, 5)),
        (array(flexible=LISTED), (4, 1, 3), (4, 1, 3)),
        (array(flexible=Flexible(ranges=((1, 1), (2, None)))), (4, 99), (4, 1, 99)),
        (array(shape=()), (4, 7, 7), (4, 7, 7)),
        (DOUBLE, (4, 1), (4,)),
        (WHOLE, (4,), (4,)),
    ],
)
def test_a_row_has_one_of_the_shapes_that_the_model_takes(feature, given_shape, shape):
    found = rows(feature, np.arange(np.prod(given_shape), dtype=np.float64).reshape(given_shape))
    assert found.shape == shape
    assert found.ravel().tolist() == list(range(int(np.prod(given_shape))))


@pytest.mark.parametrize(
    ("feature", "given_shape", "told"),
    [
        (array(), (4, 4), r"\(4,\), the model takes \(1, 3\)"),
        (array(flexible=LISTED), (4, 4), r"\(1, 3\) or \(1, 5\)"),
        (array(flexible=Flexible(ranges=((1, 1), (2, 6)))), (4, 7), r"\(1, 2…6\)"),
        (array(), (), "the model takes"),
        (DOUBLE, (4, 2), "the model takes"),
    ],
)
def test_a_row_of_another_shape_is_refused_and_the_allowed_ones_are_named(feature, given_shape, told):
    with pytest.raises(ConversionError, match=told):
        rows(feature, np.zeros(given_shape))


@given(
    sizes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=3),
    shape=st.lists(st.integers(0, 8), min_size=1, max_size=3).map(tuple),
)
def test_ranges_allow_exactly_what_lies_in_them(sizes, shape):
    flexible = Flexible(ranges=tuple((least, least + more) for least, more in sizes))
    inside = len(shape) == len(sizes) and all(
        size - least in range(more + 1) for size, (least, more) in zip(shape, sizes, strict=True)
    )
    assert flexible.allows(shape) is inside


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "int8"])
def test_an_array_travels_in_its_declared_type(dtype):
    assert rows(array(dtype=dtype), [[1.0, 2.0, 3.0]]).dtype == dtype


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        (WHOLE, 1.5), (WHOLE, float("nan")), (WHOLE, 2.0**63), (WHOLE, np.uint64(2**63)), (WHOLE, -(2.0**63) * 1.5),
        (INT8, 128), (INT8, -129), (INT32, 2**31),
    ],
)  # fmt: skip
def test_no_number_is_silently_made_another_one(feature, value):
    with pytest.raises(ConversionError, match="whole numbers"):
        rows(feature, np.asarray([value]))


@pytest.mark.parametrize(
    ("feature", "value"),
    [(WHOLE, 2**63 - 1), (WHOLE, -(2**63)), (WHOLE, np.uint64(2**63 - 1)), (WHOLE, 7.0), (WHOLE, True), (INT8, -128)],
)
def test_whole_numbers_arrive_as_they_are(feature, value):
    assert rows(feature, np.asarray([value])).ravel().tolist() == [int(value)]


def test_texts_come_one_a_row():
    for given_texts in (["a", "bc"], np.array(["a", "bc"], dtype=object), np.array([["a"], ["bc"]])):
        assert rows(TEXT, given_texts).tolist() == ["a", "bc"]
    assert as_one_row((TEXT,), {"x": "bc"})["x"].tolist() == ["bc"]
    for wrong in ([1, 2], np.array(["a", 1], dtype=object), [["a", "b"]], [b"a"]):
        with pytest.raises(ConversionError, match="one text a row"):
            rows(TEXT, wrong)


def test_a_row_of_a_dictionary_is_a_dictionary():
    found = rows(WORDS, [{"a": 1, "b": np.float32(2)}, {}])
    assert found.shape == (2,)
    assert found.tolist() == [{"a": 1.0, "b": 2.0}, {}]
    assert as_one_row((WORDS,), {"x": {"a": 1}})["x"].tolist() == [{"a": 1.0}]
    numbered = Feature(name="x", kind="dictionary", dtype="int64")
    assert rows(numbered, np.array([{np.int32(3): 1}], dtype=object)).tolist() == [{3: 1.0}]
    with pytest.raises(ConversionError, match="keys of type string"):
        rows(WORDS, [{3: 1.0}])
    with pytest.raises(ConversionError, match="keys of type int64"):
        rows(numbered, [{"3": 1.0}])
    with pytest.raises(ConversionError, match="numbers as values"):
        rows(WORDS, [{"a": "much"}])
    with pytest.raises(ConversionError, match="a dictionary a row"):
        rows(WORDS, [[1, 2]])


def test_an_optional_array_is_filled_with_its_default():
    features = (array(), Feature(name="y", kind="multiArray", shape=(2,), dtype="int32", optional=True, default=3.0))
    found = as_rows(features, {"x": np.zeros((4, 1, 3))})
    assert found["y"].dtype == np.int32
    assert found["y"].tolist() == [[3, 3]] * 4
    assert as_rows(features, {"x": np.zeros((4, 1, 3)), "y": np.ones((4, 2))})["y"].tolist() == [[1, 1]] * 4
    assert as_one_row(features[1:], {})["y"].tolist() == [[3, 3]]


def test_what_is_left_out_without_a_default_stays_out():
    features = (array(), Feature(name="y", kind="double", dtype="float64", optional=True))
    assert as_rows(features, {"x": np.zeros((2, 3))}).keys() == {"x"}
    with pytest.raises(ConversionError, match="rows"):
        as_rows(features[1:], {})


def test_a_default_that_would_fill_the_memory_is_refused():
    with pytest.raises(FormatError, match="default"):
        as_rows(
            (array(), Feature(name="y", kind="multiArray", shape=(1 << 40,), optional=True, default=1.0)), {"x": [[1, 2, 3]]}
        )


def test_inputs_that_are_missing_or_unknown_are_named_and_what_may_be_left_out():
    with pytest.raises(ConversionError, match=r"inputs are x; given are none. Give exactly"):
        as_rows((array(),), {})
    with pytest.raises(ConversionError, match="given are x, z"):
        as_rows((array(),), {"x": [[1, 2, 3]], "z": [1]})
    with pytest.raises(ConversionError, match="y may be left out"):
        as_rows((array(), Feature(name="y", kind="double", dtype="float64", optional=True)), {"y": [1.0]})


def test_rows_must_be_as_many_in_every_input_and_of_one_shape():
    features = (array(), Feature(name="y", kind="double", dtype="float64"))
    with pytest.raises(ConversionError, match=r"\[1, 2\] rows"):
        as_rows(features, {"x": [[1, 2, 3]], "y": [1.0, 2.0]})
    with pytest.raises(ConversionError, match="unlike shapes"):
        rows(array(flexible=LISTED), [np.zeros((1, 3)), np.zeros((1, 5))])


def test_a_sequence_cannot_be_given():
    interface = Interface(inputs=(Feature(name="x", kind="sequence", dtype="int64"), array()), outputs=())
    assert unsupported(interface) == ["sequence input x"]


def test_a_picture_for_an_array_is_refused():
    with pytest.raises(ConversionError, match="no image"):
        as_one_row((array(),), {"x": Image.new("L", (3, 1))})


def test_one_set_of_inputs_of_another_shape_is_sent_to_predict_rows():
    with pytest.raises(ConversionError, match=r"\(4, 1, 3\), the model takes \(1, 3\)") as caught:
        as_one_row((array(),), {"x": np.zeros((4, 1, 3))})
    assert "predict_rows" in str(caught.value)


class NeedsGrad:
    """What torch does for a tensor that requires grad."""

    def __array__(self, *args: object, **more: object) -> np.ndarray:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"x": NeedsGrad()}, "cannot be read as an array: Can't call numpy"),
        ({"x": np.zeros((1, 3), complex)}, "complex"),
        (np.zeros((1, 3)), "ndarray, not a mapping"),
        ({1: np.zeros((1, 3))}, "inputs are x; given are 1"),
        (None, "NoneType, not a mapping"),
    ],
)
def test_what_is_no_input_is_blamed_on_the_caller(inputs, told):
    for read in (as_rows, as_one_row):
        with pytest.raises(ConversionError, match=told):
            read((array(),), inputs)
