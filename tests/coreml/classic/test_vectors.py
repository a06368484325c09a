from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml.classic.run import Classic
from mlpublish.errors import ConversionError
from tests.coreml.classic.building import model, objects, run


def vectorizer(inputs, columns):
    spec = model("featureVectorizer", inputs, {"y": max(1, min(99, sum(columns.values())))})
    for name, size in columns.items():
        spec.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=size)
    return spec


def extractor(places, output, shape=4):
    spec = model("arrayFeatureExtractor", {"x": shape}, {"y": output})
    spec.arrayFeatureExtractor.extractIndex.extend(places)
    return spec


def test_features_of_every_type_stand_in_the_order_of_the_list():
    inputs = {"a": "double", "b": 2, "c": "int64", "d": "numbers"}
    got = run(
        vectorizer(inputs, {"d": 3, "b": 2, "a": 1, "c": 1}),
        a=np.asarray([0.5, -0.0]),
        b=np.asarray([[1, 2], [3, 4]], np.float32),
        c=np.asarray([7, 8]),
        d=objects({2: 9.0}, {0: np.nan, 1: -1.0}),
    )["y"]
    np.testing.assert_array_equal(got, [[0, 0, 9, 1, 2, 0.5, 7], [np.nan, -1, 0, 3, 4, 0, 8]])


@pytest.mark.parametrize(
    ("columns", "given"),
    [
        ({"x": 3}, np.zeros((2, 4))),
        ({"x": 2**60}, np.zeros((2, 4))),
        ({"x": 2**60}, objects({}, {})),
        ({"x": 2**28}, objects({}, {})),
        ({"x": 2}, objects({2: 1.0})),
        ({"x": 2}, objects({-1: 1.0})),
        ({"x": 2}, objects({"a": 1.0})),
        ({"x": 1}, np.asarray(["a"])),
        ({"z": 1}, np.zeros((2, 1))),
        ({}, np.zeros((2, 1))),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, given):
    with pytest.raises(ConversionError, match="featureVectorizer"):
        run(vectorizer({"x": "numbers" if given.dtype == object else 4}, columns), x=given)


def test_numbers_are_taken_out_by_place():
    x = np.arange(8.0).reshape(2, 4)
    assert run(extractor([3, 0, 3], 3), x=x)["y"].tolist() == [[3, 0, 3], [7, 4, 7]]
    assert run(extractor([1], "double"), x=x)["y"].tolist() == [1, 5]
    whole = run(extractor([1], "int64"), x=x)["y"]
    assert (whole.dtype, whole.tolist()) == (np.int64, [1, 5])
    assert run(extractor([5], 1, (2, 2, 2)), x=np.arange(16).reshape(2, 2, 2, 2))["y"].tolist() == [[5], [13]]


@pytest.mark.parametrize(("places", "output"), [([4], 1), ([2**64 - 1], 1), ([0, 1], "double"), ([], "int64")])
def test_places_that_are_not_there_are_refused(places, output):
    with pytest.raises(ConversionError, match="arrayFeatureExtractor"):
        run(extractor(places, output), x=np.zeros((1, 4)))


def test_identity_gives_back_what_it_gets():
    types = {"a": "double", "b": 2, "c": "string", "d": "names"}
    given = {"a": np.asarray([np.nan]), "b": np.ones((1, 2), np.float32), "c": np.asarray(["x"]), "d": objects({"k": 1.0})}
    got = run(model("identity", types, types), **given)
    assert all(got[name] is given[name] for name in types)
    with pytest.raises(ConversionError, match="identity"):
        Classic(model("identity", {"a": "double"}, {"z": "double"})).run({"a": np.zeros(1)})


def test_every_class_is_taken():
    spec = model("classConfidenceThresholding", {"x": 3}, {"y": (2, 3)})
    assert run(spec, x=[[0.5, 0.25, 0.0]])["y"].tolist() == [[[0.5, 0.25, 0.0], [1, 1, 1]]]
