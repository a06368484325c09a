from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.preprocessing import OneHotEncoder

from mlpublish.coreml.classic.run import Classic, unsupported
from mlpublish.errors import ConversionError
from tests.coreml.classic.building import declare, model, objects, run


def encoder(categories, *, sparse=False, ignore=False):
    is_text = isinstance(categories[0], str)
    spec = model("oneHotEncoder", {"x": "string" if is_text else "int64"}, {"y": "numbers" if sparse else len(categories)})
    held = spec.oneHotEncoder
    (held.stringCategories if is_text else held.int64Categories).vector.extend(categories)
    held.outputSparse, held.handleUnknown = sparse, int(ignore)
    return spec


@pytest.mark.parametrize("categories", [["b", "", "a", "c é"], [7, -2, 0, 2**62]])
def test_one_hot_as_scikit_learn(categories):
    x = np.asarray(categories)[np.random.default_rng(0).integers(0, 4, 300)]
    judge = OneHotEncoder(categories=[sorted(categories)], sparse_output=False).fit(x[:, None])  # it wants numbers in order
    order = [sorted(categories).index(each) for each in categories]
    np.testing.assert_array_equal(run(encoder(categories), x=x)["y"], judge.transform(x[:, None])[:, order])
    sparse = run(encoder(categories, sparse=True), x=x)["y"].tolist()
    assert sparse == [{categories.index(each): 1.0} for each in x.tolist()]


def test_what_is_unknown_is_ignored_where_the_file_says_so():
    assert run(encoder(["a", "b"], ignore=True), x=np.asarray(["z", "b"]))["y"].tolist() == [[0, 0], [0, 1]]
    assert run(encoder([1, 2], ignore=True, sparse=True), x=np.asarray([3, 2]))["y"].tolist() == [{}, {1: 1.0}]


@pytest.mark.parametrize("given", [["z", "b"], ["b", "A"]])
def test_what_is_unknown_is_an_error_otherwise(given):
    with pytest.raises(ConversionError, match="none of its 2 categories"):
        run(encoder(["a", "b"]), x=np.asarray(given))


def test_numbers_stand_for_whole_ones_where_they_are_equal():
    assert run(encoder([1, 2], ignore=True), x=np.asarray([2.0, 1.5, np.nan]))["y"].tolist() == [[0, 1], [0, 0], [0, 0]]


def test_of_a_category_that_is_listed_twice_the_first_place_counts():
    assert run(encoder(["a", "b", "a"]), x=np.asarray(["a"]))["y"].tolist() == [[1, 0, 0]]


def mapping(table, default=None):
    to_text = isinstance(next(iter(table.values())), str)
    kinds = ("int64", "string") if to_text else ("string", "int64")
    spec = model("categoricalMapping", {"x": kinds[0]}, {"y": kinds[1]})
    held = spec.categoricalMapping
    (held.int64ToStringMap if to_text else held.stringToInt64Map).map.update(table)
    if default is not None:
        setattr(held, "strValue" if to_text else "int64Value", default)
    return spec


def test_categories_are_mapped_both_ways():
    assert run(mapping({"a": 5, "": -(2**63)}), x=np.asarray(["", "a"]))["y"].tolist() == [-(2**63), 5]
    got = run(mapping({5: "five", -1: "less than none"}), x=np.asarray([-1, 5, -1]))["y"]
    assert got.tolist() == ["less than none", "five", "less than none"]
    assert run(mapping({"a": 5}, default=0), x=objects("a", "b"))["y"].tolist() == [5, 0]
    assert run(mapping({5: "five"}, default="other"), x=np.asarray([6]))["y"].tolist() == ["other"]
    assert run(mapping({5: "five"}, default=""), x=np.asarray([6]))["y"].tolist() == [""]


def test_what_is_not_mapped_is_an_error_without_a_default():
    with pytest.raises(ConversionError, match="'b' is none of the 1 values"):
        run(mapping({"a": 5}), x=np.asarray(["a", "b"]))


def test_a_mapping_of_sequences_is_named():
    spec = model("categoricalMapping", {}, {"y": "sequence"})
    declare(spec.description.input, {"x": "sequence"})
    assert unsupported(spec) == ["categoricalMapping of a sequence"]
    spec = encoder(["a"])
    spec.oneHotEncoder.handleUnknown = 4
    assert unsupported(spec) == ["oneHotEncoder with handleUnknown 4"]


def vectorizer(keys, of="names", output=None):
    spec = model("dictVectorizer", {"x": of}, {"y": len(keys) if output is None else output})
    held = spec.dictVectorizer
    (held.stringToIndex if of == "names" else held.int64ToIndex).vector.extend(keys)
    return spec


def test_dictionaries_become_arrays_as_scikit_learn():
    rng = np.random.default_rng(0)
    names = ["a", "b", "c", "d"]
    rows = [{name: float(value) for name, value in zip(names, rng.normal(size=4), strict=True) if value > 0} for _ in range(50)]
    judge = DictVectorizer(sparse=False).fit(rows)
    got = run(vectorizer(judge.feature_names_), x=objects(*rows))["y"]
    np.testing.assert_array_equal(got, judge.transform(rows))
    sparse = run(vectorizer(names, output="numbers"), x=objects(*rows))["y"].tolist()
    assert sparse == [{names.index(key): value for key, value in row.items()} for row in rows]


def test_the_specifications_own_example():
    got = run(vectorizer(["a", "c", "b", "z"]), x=objects({"a": 4, "c": 8}))["y"]
    assert got.tolist() == [[4, 8, 0, 0]]
    assert run(vectorizer([5, -1], "numbers"), x=objects({-1: 2.0}, {}))["y"].tolist() == [[0, 2], [0, 0]]


@pytest.mark.parametrize("given", [objects({"q": 1.0}), np.asarray([1.0]), objects({"a": "text"}), objects(None)])
def test_dictionaries_that_do_not_fit_are_refused(given):
    with pytest.raises(ConversionError, match="dictVectorizer"):
        run(vectorizer(["a"]), x=given)


@pytest.mark.parametrize(
    "spec",
    [
        model("oneHotEncoder", {"x": "string"}, {"y": 2}),
        model("dictVectorizer", {"x": "names"}, {"y": 2}),
        model("categoricalMapping", {"x": "string"}, {"y": "int64"}),
    ],
)
def test_stages_without_categories_are_refused(spec):
    with pytest.raises(ConversionError, match="cannot be run"):
        Classic(spec)


def test_a_default_of_the_other_type_is_refused():
    spec = mapping({"a": 5})
    spec.categoricalMapping.strValue = "five"
    with pytest.raises(ConversionError, match="strValue"):
        Classic(spec)


def test_an_array_of_several_is_no_category():
    with pytest.raises(ConversionError, match="2 values per row"):
        run(encoder([1, 2]), x=np.asarray([[1, 2]]))
