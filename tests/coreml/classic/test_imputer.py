from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.impute import SimpleImputer

from mlpublish.coreml.classic.run import Classic
from mlpublish.errors import ConversionError
from tests.coreml.classic.building import model, objects, run

NAN = math.nan


def imputer(of, *, optional=(), **settings):
    spec = model("imputer", {"x": of, "other": "double"} if optional else {"x": of}, {"y": of}, optional=optional)
    if optional:
        del spec.description.input[1]
    for name, value in settings.items():
        held = spec.imputer
        if isinstance(value, list):
            getattr(held, name).vector.extend(value)
        elif isinstance(value, dict):
            getattr(held, name).map.update(value)
        else:
            setattr(held, name, value)
    return spec


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
@pytest.mark.parametrize("missing", [NAN, 0.0, -999.0])
def test_arrays_as_scikit_learn(strategy, missing):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 4)).round(1)
    x[rng.random(x.shape) < 0.2] = missing
    judge = SimpleImputer(missing_values=missing, strategy=strategy).fit(x)
    spec = imputer(4, imputedDoubleArray=judge.statistics_.tolist(), replaceDoubleValue=missing)
    np.testing.assert_array_equal(run(spec, x=x)["y"], judge.transform(x))


@pytest.mark.parametrize(
    ("of", "settings", "given", "wanted"),
    [
        ("double", {"imputedDoubleValue": 2.5, "replaceDoubleValue": NAN}, [1.0, NAN], [1.0, 2.5]),
        ("double", {"imputedDoubleValue": 2.5, "replaceDoubleValue": 0.0}, [-0.0, 3.0], [2.5, 3.0]),
        ("double", {"imputedDoubleValue": 2.5}, [NAN, 3.0], [2.5, 3.0]),
        (2, {"imputedDoubleValue": 2.5}, [[NAN, 3.0], [0.0, NAN]], [[2.5, 3.0], [0.0, 2.5]]),
        (2, {"imputedDoubleArray": [7.0, 8.0]}, [[NAN, 3.0], [0.0, NAN]], [[7.0, 3.0], [0.0, 8.0]]),
        ("int64", {"imputedInt64Value": 2**62 + 1, "replaceInt64Value": -1}, [-1, 5], [2**62 + 1, 5]),
        ("int64", {"imputedInt64Value": 4}, [-1, 5], [-1, 5]),
        (2, {"imputedInt64Array": [7, 8], "replaceInt64Value": 0}, [[0, 3], [1, 0]], [[7, 3], [1, 8]]),
        ("string", {"imputedStringValue": "somewhere", "replaceStringValue": "?"}, ["?", "here"], ["somewhere", "here"]),
        ("string", {"imputedStringValue": "somewhere"}, ["", "here"], ["", "here"]),
    ],
)
def test_every_kind_of_value(of, settings, given, wanted):
    got = run(imputer(of, **settings), x=np.asarray(given))["y"]
    assert got.tolist() == wanted


def test_texts_as_objects():
    spec = imputer("string", imputedStringValue="somewhere", replaceStringValue="?")
    assert run(spec, x=objects("?", "here"))["y"].tolist() == ["somewhere", "here"]


def test_dictionaries_get_what_they_lack():
    spec = imputer("names", imputedStringDictionary={"a": 1.0, "b": 2.0})
    got = run(spec, x=objects({"a": 5.0}, {"b": NAN, "c": NAN}, {}))["y"].tolist()
    assert got[0] == {"a": 5.0, "b": 2.0}
    assert (got[1]["a"], got[1]["b"], math.isnan(got[1]["c"])) == (1.0, 2.0, True)
    assert got[2] == {"a": 1.0, "b": 2.0}
    by_number = imputer("numbers", imputedInt64Dictionary={-3: 0.5})
    assert run(by_number, x=objects({}))["y"].tolist() == [{-3: 0.5}]


@pytest.mark.parametrize(
    ("of", "settings", "wanted"),
    [
        ("double", {"imputedDoubleValue": 2.5}, 2.5),
        ("int64", {"imputedInt64Value": 3}, 3),
        ("string", {"imputedStringValue": "x"}, "x"),
        (2, {"imputedDoubleArray": [7.0, 8.0]}, [7.0, 8.0]),
        ("names", {"imputedStringDictionary": {"a": 1.0}}, {"a": 1.0}),
    ],
)
def test_an_input_that_is_left_out_is_missing_as_a_whole(of, settings, wanted):
    got = Classic(imputer(of, optional=("x",), **settings)).run({"other": np.zeros(2)})["y"]
    assert got.tolist() == [wanted, wanted]


@pytest.mark.parametrize(
    ("of", "settings", "given"),
    [
        ("double", {}, [1.0]),
        ("double", {"imputedInt64Value": 3}, [1.0]),
        ("double", {"imputedDoubleValue": 2.5, "replaceStringValue": "?"}, [1.0]),
        ("names", {"imputedStringDictionary": {"a": 1.0}, "replaceDoubleValue": 0.0}, objects({})),
        (2, {"imputedDoubleArray": [1.0, 2.0, 3.0]}, [[1.0, 2.0]]),
        (2, {"imputedDoubleArray": [1.0, NAN]}, [[1.0, 2.0]]),
        (2, {"imputedDoubleArray": []}, [[1.0, 2.0]]),
        ("string", {"imputedStringValue": "a", "replaceStringValue": "?"}, [1.0]),
        ("double", {"imputedDoubleValue": 1.0}, ["a"]),
        ("names", {"imputedStringDictionary": {"a": 1.0}}, [1.0]),
    ],
)
def test_what_does_not_fit_is_refused(of, settings, given):
    with pytest.raises(ConversionError, match="imputer"):
        Classic(imputer(of, **settings)).run({"x": np.asarray(given)})
