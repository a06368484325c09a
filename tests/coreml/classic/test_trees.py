from __future__ import annotations

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


def test_more_rows_than_are_added_at_once(ensemble):
    def fill(trees):
        stump()(trees)
        for tree in range(1, 2000):
            leaf(trees, tree, 0, (0, 1.0))

    rows = np.zeros((2500, 2))
    rows[::3, 0] = 9
    np.testing.assert_array_equal(answers(ensemble(fill), rows), 1999 + np.where(rows[:, 0] > 1, 20, 10))


@st.composite
def trees(draw):
    """A tree as nested pairs: a number is a leaf."""
    grown = st.floats(-3, 3)
    asked = st.tuples(st.integers(0, 1), st.integers(0, 5), st.sampled_from([-1.0, 0.0, 0.5, 2.0]), st.booleans())
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
    count = iter(range(10_000))

    def add(part):
        here = next(count)
        if isinstance(part, float):
            leaf(parameters, number, here, (0, part))
        else:
            (feature, mode, threshold, missing), *children = part
            branch(parameters, number, here, feature, mode, threshold, *(add(each) for each in children), missing)
        return here

    add(tree)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(trees(), min_size=1, max_size=4),
    st.lists(st.tuples(*[st.sampled_from([-2.0, -1.0, 0.0, 0.25, 0.5, 2.0, 3.0, math.nan])] * 2), min_size=1, max_size=8),
)
def test_every_tree_is_walked_as_the_reference_says(tmp_path_factory, grown, rows):
    path = saved(tmp_path_factory.getbasetemp(), lambda held: [fill_in(held, *each) for each in enumerate(grown)])
    wanted = [sum(walk(tree, row) for tree in grown) for row in rows]
    np.testing.assert_allclose(answers(path, rows), wanted, atol=1e-12)


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
