from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.coreml.evaluate import load, unsupported
from mlpublish.coreml.schema import schema
from mlpublish.errors import ConversionError, FormatError

NONE, SOFTMAX, LOGISTIC, AGAINST_ZERO = range(4)
LESS_OR_EQUAL, LESS, GREATER_OR_EQUAL, GREATER, EQUAL, NOT_EQUAL, LEAF = range(7)


def saved(folder: Path, fill, *, base=(0.0,), transform=NONE, labels=(), doubles=0) -> Path:
    """A file around an ensemble over ``input``, a float32 array of two; ``fill`` adds its nodes."""
    spec = schema("Model").Model(specificationVersion=1)
    fed = spec.description.input.add(name="input").type.multiArrayType
    fed.shape.append(2)
    fed.dataType = 65568
    for number in range(doubles):
        spec.description.input.add(name=f"d{number}").type.doubleType.SetInParent()
    if labels:
        spec.description.output.add(name="classLabel").type.int64Type.SetInParent()
        spec.description.output.add(name="classProbability").type.dictionaryType.int64KeyType.SetInParent()
        spec.description.predictedFeatureName = "classLabel"
        spec.description.predictedProbabilitiesName = "classProbability"
        spec.treeEnsembleClassifier.int64ClassLabels.vector.extend(labels)
    else:
        spec.description.output.add(name="prediction").type.doubleType.SetInParent()
    held = spec.treeEnsembleClassifier if labels else spec.treeEnsembleRegressor
    held.postEvaluationTransform = transform
    held.treeEnsemble.numPredictionDimensions = len(base)
    held.treeEnsemble.basePredictionValue.extend(base)
    fill(held.treeEnsemble)
    path = folder / "trees.mlmodel"
    path.write_bytes(spec.SerializeToString())
    return path


@pytest.fixture
def ensemble(tmp_path) -> Callable[..., Path]:
    return partial(saved, tmp_path)


def branch(trees, tree, node, feature, mode, number, true, false, missing=False):
    trees.nodes.add(
        **{"treeId": tree, "nodeId": node, "nodeBehavior": mode, "branchFeatureIndex": feature, "branchFeatureValue": number},
        **{"trueChildNodeId": true, "falseChildNodeId": false, "missingValueTracksTrueChild": missing},
    )


def leaf(trees, tree, node, *values):
    added = trees.nodes.add(treeId=tree, nodeId=node, nodeBehavior=LEAF)
    for result, value in values:
        added.evaluationInfo.add(evaluationIndex=result, evaluationValue=value)


def stump(mode=LESS, number=1.5, feature=0, missing=False, yes=10.0, no=20.0):
    def fill(trees):
        branch(trees, 0, 0, feature, mode, number, 1, 2, missing)
        leaf(trees, 0, 1, (0, yes))
        leaf(trees, 0, 2, (0, no))

    return fill


def answers(path: Path, rows, **more) -> np.ndarray:
    return load(path).predict_rows({"input": np.asarray(rows, np.float32), **more})["prediction"]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    ("mode", "true_where"),
    [
        (LESS_OR_EQUAL, [1, 1, 0]),
        (LESS, [1, 0, 0]),
        (GREATER_OR_EQUAL, [0, 1, 1]),
        (GREATER, [0, 0, 1]),
        (EQUAL, [0, 1, 0]),
        (NOT_EQUAL, [1, 0, 1]),
    ],
)
def test_a_node_asks_in_its_own_way_and_sends_a_missing_value_in_its_own(ensemble, mode, true_where, missing):
    number = np.float32(1.5)
    beside = [np.nextafter(number, np.float32(0)), number, np.nextafter(number, np.float32(2)), np.nan]
    got = answers(ensemble(stump(mode, missing=missing)), [[value, 0] for value in beside])
    assert got.tolist() == [10.0 if true else 20.0 for true in [*true_where, missing]]


def test_a_float32_is_compared_as_a_double(ensemble):
    """0.1 as float32 is more than 0.1 as double; rounded to float32 the two would be one."""
    assert answers(ensemble(stump(LESS_OR_EQUAL, 0.1)), [[0.1, 0]]).tolist() == [20.0]


def test_features_are_counted_through_the_inputs(ensemble):
    path = ensemble(stump(feature=3), doubles=2)
    got = answers(path, [[9, 9], [9, 9]], d0=np.asarray([9.0, 9.0]), d1=np.asarray([0.0, 2.0]))
    assert got.tolist() == [10.0, 20.0]


def test_leaves_are_added_to_the_base_each_where_it_says(ensemble):
    def fill(trees):
        leaf(trees, 7, 3, (1, 0.5))
        stump(yes=1.0, no=2.0)(trees)
        leaf(trees, 9, 0, (0, 0.25), (2, 0.125))
        leaf(trees, 10, 0)

    got = answers(ensemble(fill, base=(1, 2, 3)), [[0, 0], [9, 9]])
    assert got.tolist() == [[2.25, 2.5, 3.125], [3.25, 2.5, 3.125]]


SUMS = [0.5, -1.0, 800.0]


@pytest.mark.parametrize(
    ("transform", "count", "wanted"),
    [
        (NONE, 3, SUMS),
        (SOFTMAX, 2, [1 / (1 + math.exp(-1.5)), 1 / (1 + math.exp(1.5))]),
        (SOFTMAX, 3, [0, 0, 1]),
        (LOGISTIC, 3, [1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(1)), 1]),
        (AGAINST_ZERO, 1, [1 / (1 + math.exp(0.5)), 1 / (1 + math.exp(-0.5))]),
        (AGAINST_ZERO, 3, [0, 0, 0, 1]),
        (NONE, 1, [0.5, 0.5]),
        (LOGISTIC, 1, [1 / (1 + math.exp(0.5)), 1 / (1 + math.exp(-0.5))]),
    ],
)
def test_the_sums_become_probabilities(ensemble, transform, count, wanted):
    path = ensemble(lambda trees: leaf(trees, 0, 0), base=SUMS[:count], transform=transform, labels=range(5, 5 + len(wanted)))
    model = load(path)
    got = model.predict_rows({"input": np.zeros((2, 2))})
    np.testing.assert_allclose(got["classProbability"], [wanted] * 2, atol=1e-15)
    assert got["classLabel"].tolist() == [5 + int(np.argmax(wanted))] * 2
    assert model.classes == tuple(range(5, 5 + len(wanted)))


def test_a_regression_may_end_in_a_logistic(ensemble):
    got = answers(ensemble(stump(yes=0.0, no=-800.0), transform=LOGISTIC), [[0, 0], [9, 9]])
    np.testing.assert_allclose(got, [0.5, 0], atol=1e-300)


def test_an_ensemble_without_trees_says_its_base(ensemble):
    assert answers(ensemble(lambda _: None, base=(7,)), [[0, 0]]).tolist() == [7.0]


def test_more_rows_than_are_walked_at_once(ensemble):
    def fill(trees):
        stump()(trees)
        for tree in range(1, 20):
            leaf(trees, tree, 0, (0, 1.0))

    rows = np.zeros((20_001, 2))
    rows[::3, 0] = 9
    np.testing.assert_array_equal(answers(ensemble(fill), rows), 19 + np.where(rows[:, 0] > 1, 20, 10))


@st.composite
def trees(draw):
    """A tree as nested pairs: a number is a leaf."""
    grown = st.floats(-3, 3)
    numbers = st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 0.5, 2.0, math.inf])
    asked = st.tuples(st.integers(0, 1), st.integers(0, 5), numbers, st.booleans())
    return draw(st.recursive(grown, lambda below: st.tuples(asked, below, below), max_leaves=12))


def walk(tree, row):
    """The format reference, word by word."""
    while not isinstance(tree, float):
        (feature, mode, number, missing), yes, no = tree
        value = row[feature]
        holds = [value <= number, value < number, value >= number, value > number, value == number, value != number][mode]
        tree = yes if (missing if math.isnan(value) else holds) else no
    return tree


def fill_in(parameters, number, tree):
    count = itertools.count()

    def add(part):
        here = next(count)
        if isinstance(part, float):
            leaf(parameters, number, here, (0, part))
        else:
            (feature, mode, threshold, missing), *children = part
            branch(parameters, number, here, feature, mode, threshold, *(add(each) for each in children), missing)
        return here

    add(tree)


LEAST = float(np.nextafter(np.float32(0), np.float32(1)))


@settings(deadline=None, max_examples=200)
@given(
    st.lists(trees(), min_size=1, max_size=4),
    st.lists(
        st.tuples(*[st.sampled_from([-math.inf, -2.0, -1.0, -0.0, 0.0, LEAST, 0.5, 2.0, math.inf, math.nan])] * 2),
        min_size=1,
        max_size=8,
    ),
)
def test_every_tree_is_walked_as_the_reference_says(tmp_path_factory, grown, rows):
    path = saved(tmp_path_factory.getbasetemp(), lambda held: [fill_in(held, *each) for each in enumerate(grown)])
    wanted = [sum(walk(tree, row) for tree in grown) for row in rows]
    np.testing.assert_allclose(answers(path, rows), wanted, atol=1e-12)


def _grown(rng, depth, leaf_value):
    """A tree as nested pairs, its questions at random, some of its branches cut early."""
    if depth == 0 or rng.random() < 0.1:
        return leaf_value()
    mode, number = int(rng.integers(6)), float(rng.integers(-2, 3)) / 2
    question = (int(rng.integers(2)), mode, number, bool(rng.integers(2)))
    return question, _grown(rng, depth - 1, leaf_value), _grown(rng, depth - 1, leaf_value)


def _chain(rng, length):
    """Every question leads to a leaf or on to the next."""
    tree = 1.0
    for step in range(length):
        question = (int(rng.integers(2)), int(rng.integers(6)), float(rng.integers(-2, 3)) / 2, bool(rng.integers(2)))
        tree = (question, tree, float(step)) if rng.integers(2) else (question, float(step), tree)
    return tree


@pytest.mark.parametrize("rows", [1, 3, 500])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_forest_of_trees_of_all_depths(tmp_path, rows, dtype):
    rng = np.random.default_rng(rows)
    grown = [_grown(rng, depth, lambda: float(rng.normal())) for depth in (0, 1, 4, 7, 10, 12)]
    grown += [_chain(rng, length) for length in (0, 1, 11, 12, 13, 25, 60)]
    path = saved(tmp_path, lambda held: [fill_in(held, *each) for each in enumerate(grown)])
    x = rng.integers(-4, 5, (rows, 2)).astype(dtype) / 2
    x[rng.random(x.shape) < 0.1] = np.nan
    got = load(path)._inside.run({"input": x})["prediction"]
    np.testing.assert_allclose(got, [sum(walk(tree, row) for tree in grown) for row in x], atol=1e-9)


@pytest.mark.parametrize("per_leaf", [1, 40])
def test_leaves_add_to_many_results(tmp_path, per_leaf):
    """40 results: with one number in each leaf they are added one by one, with 40 as rows of a table."""
    rng = np.random.default_rng(0)
    numbers = {}

    def fill(trees):
        for tree in range(600):
            branch(trees, tree, 0, 0, LESS, float(tree % 5), 1, 2)
            for place in (1, 2):
                numbers[tree, place] = [(int(at), float(rng.normal())) for at in rng.permutation(40)[:per_leaf]]
                leaf(trees, tree, place, *numbers[tree, place])

    x = np.asarray([[-1, 0], [2, 0], [2.5, 0], [9, 0]])
    got = answers(saved(tmp_path, fill, base=(1,) * 40), x)
    want = np.ones((4, 40))
    for row in range(4):
        for tree in range(600):
            for at, value in numbers[tree, 1 if x[row, 0] < tree % 5 else 2]:
                want[row, at] += value
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_without_base_values_sums_begin_at_0(ensemble):
    def fill(trees):
        leaf(trees, 0, 0, (0, 0.5), (2, 1.0))
        leaf(trees, 1, 0, (1, 0.25))
        trees.numPredictionDimensions = 3

    assert answers(ensemble(fill, base=()), [[0, 0]]).tolist() == [[0.5, 0.25, 1.0]]


def test_without_labels_classes_are_counted(tmp_path):
    path = saved(tmp_path, lambda trees: leaf(trees, 0, 0), base=(0.25,), labels=(1, 2))
    spec = schema("Model").Model.FromString(path.read_bytes())
    spec.treeEnsembleClassifier.ClearField("int64ClassLabels")
    path.write_bytes(spec.SerializeToString())
    assert load(path).classes == (0, 1)
    assert load(path).predict_rows({"input": np.zeros((1, 2))})["classLabel"].tolist() == [0]


@pytest.mark.parametrize("missing", [False, True])
def test_a_number_that_is_left_out_is_missing(tmp_path, missing):
    path = saved(tmp_path, stump(feature=2, missing=missing), doubles=1)
    spec = schema("Model").Model.FromString(path.read_bytes())
    spec.description.input[1].type.isOptional = True
    path.write_bytes(spec.SerializeToString())
    assert answers(path, [[0, 0], [9, 9]]).tolist() == [10.0 if missing else 20.0] * 2
    assert answers(path, [[0, 0]], d0=np.asarray([1.0])).tolist() == [10.0]


def test_ids_may_be_any(ensemble):
    def fill(trees):
        top = 2**64 - 1
        leaf(trees, top, 0, (0, 2.0))
        branch(trees, top, 7, 0, LESS, 1.5, top, 0)
        leaf(trees, top, top, (0, 1.0))

    assert answers(ensemble(fill), [[0, 0], [9, 9]]).tolist() == [1.0, 2.0]


def _without_last(trees):
    stump()(trees)
    del trees.nodes[-1]


def _twice(trees):
    stump()(trees)
    leaf(trees, 0, 2, (0, 1.0))


def _two_roots(trees):
    stump()(trees)
    leaf(trees, 0, 3, (0, 1.0))


def _circle(trees):
    branch(trees, 0, 0, 0, LESS, 1.0, 1, 2)
    branch(trees, 0, 1, 0, LESS, 1.0, 0, 3)
    leaf(trees, 0, 2, (0, 1.0))
    leaf(trees, 0, 3, (0, 1.0))


def _lone_circle(trees):
    """A tree, and beside it two nodes that lead to each other."""
    stump()(trees)
    branch(trees, 0, 10, 0, LESS, 1.0, 11, 12)
    branch(trees, 0, 11, 0, LESS, 1.0, 10, 13)
    leaf(trees, 0, 12, (0, 1.0))
    leaf(trees, 0, 13, (0, 1.0))


def _shared(trees):
    branch(trees, 0, 0, 0, LESS, 1.0, 1, 1)
    leaf(trees, 0, 1, (0, 1.0))


@pytest.mark.parametrize(
    ("fill", "asked", "told"),
    [
        (_without_last, {}, "cannot be run"),
        (_twice, {}, "one id"),
        (_two_roots, {}, "one root each"),
        (_circle, {}, "one root each"),
        (_shared, {}, "one root each"),
        (stump(), {"base": ()}, "a leaf adds to result 0 of 0"),
        (lambda trees: leaf(trees, 0, 0, (1, 1.0)), {}, "a leaf adds to result 1 of 1"),
        (lambda trees: setattr(trees, "numPredictionDimensions", 3), {}, "1 base values for 3"),
        (stump(feature=2), {}, "asks feature 2 of 2"),
        (stump(mode=9), {}, "behaviour 9"),
        (stump(number=math.nan), {}, "not a number"),
        (stump(yes=math.nan), {}, "not a number"),
        (_lone_circle, {}, "in a circle"),
        (lambda trees: setattr(trees, "numPredictionDimensions", 2**60), {"base": ()}, "0 base values for 1152921504606846976"),
        (lambda trees: leaf(trees, 0, 0, (2**64 - 1, 1.0)), {}, "cannot be run"),
        (stump(), {"labels": (1, 2, 3)}, "3 labels for 2"),
        (stump(feature=2**64 - 1), {}, "cannot be run"),
    ],
)
def test_nodes_that_are_no_trees_are_refused(ensemble, fill, asked, told):
    with pytest.raises((ConversionError, FormatError), match=told) as refused:
        load(ensemble(fill, **asked)).predict_rows({"input": np.zeros((1, 2))})
    assert refused.value.remedy


def test_a_softmax_of_one_number_per_row_is_not_evaluated(ensemble):
    path = ensemble(stump(), transform=SOFTMAX)
    assert unsupported(path) == ["treeEnsembleRegressor with a softmax"]
    with pytest.raises(ConversionError, match="softmax"):
        load(path)
