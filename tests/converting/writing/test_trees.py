from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.converting.graph.machines import LEAF, Mode
from mlpublish.converting.graph.node import Array
from mlpublish.converting.writing import packing, trees
from mlpublish.converting.writing.features import Kind, Value
from mlpublish.converting.writing.trees import Transform
from mlpublish.coreml.classic.run import Classic
from mlpublish.coreml.schema import schema
from tests.converting.graphs import values
from tests.converting.writing.forests import forest, grown, split

READS = (Value(name="input", kind=Kind.DOUBLES, width=3),)
SUM = Value(name="prediction", kind=Kind.DOUBLE)
ROWS = np.random.default_rng(0).normal(size=(50, 3)).round(1)


def one_by_one(some):
    """The nodes as protobuf writes them."""
    parameters = schema("TreeEnsemble").TreeEnsembleParameters()
    for number, tree in enumerate(some):
        for place, feature in enumerate(tree.feature.tolist()):
            node = parameters.nodes.add(treeId=number, nodeId=place)
            if feature == LEAF:
                node.nodeBehavior = node.LeafNode
                held = [pair for pair in zip(tree.adds_to, tree.values[place], strict=True) if pair[1] != 0]
                for result, value in held or [(tree.adds_to[0], tree.values[place, 0])]:
                    node.evaluationInfo.add(evaluationIndex=result, evaluationValue=value)
            else:
                node.nodeBehavior = getattr(node, packing.BEHAVIOURS[tree.mode[place]])
                node.branchFeatureIndex, node.branchFeatureValue = feature, tree.threshold[place]
                node.trueChildNodeId, node.falseChildNodeId = int(tree.yes[place]), int(tree.no[place])
                node.missingValueTracksTrueChild = bool(tree.missing_goes_yes[place])
    return parameters.SerializeToString()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(0, 6), st.sampled_from([(0,), (1,), (0, 1, 2), (2, 300)]))
def test_nodes_are_the_bytes_that_protobuf_writes(seed, count, depth, adds_to):
    random = np.random.default_rng(seed)
    some = [
        grown(random, 200, depth, adds_to=adds_to, modes=tuple(Mode), places=[0.0, -0.0, 1.5, -1e300]) for _ in range(count)
    ]
    assert b"".join(packing.packed(some)) == one_by_one(some)


def test_many_nodes_are_written_in_parts(monkeypatch):
    monkeypatch.setattr(packing, "_TOGETHER", 100)
    random = np.random.default_rng(0)
    some = [grown(random, 9, 5) for _ in range(300)]
    parts = list(packing.packed(some))
    assert len(parts) > 10
    assert b"".join(parts) == one_by_one(some)


def test_what_a_leaf_adds_nothing_to_is_left_out():
    random = np.random.default_rng(0)
    some = [grown(random, 3, 4, adds_to=(0, 1, 2)) for _ in range(9)]
    made = trees.regressor(
        READS, forest(Array(size=3), *some, base=(0.0, 1.0, 2.0)), Value(name="y", kind=Kind.DOUBLES, width=3)
    )
    infos = [each for node in made.treeEnsembleRegressor.treeEnsemble.nodes for each in node.evaluationInfo]
    assert all(each.evaluationValue or each.evaluationIndex == 0 for each in infos)
    np.testing.assert_allclose(
        Classic(made).run({"input": ROWS})["y"], values(forest(Array(size=3), *some, base=(0.0, 1.0, 2.0)), ROWS)
    )


def test_an_ensemble_without_trees_says_its_base():
    made = trees.regressor(READS, forest(Array(size=3), base=(4.5,), rounds=True), SUM)
    assert Classic(made).run({"input": ROWS})["prediction"].tolist() == [4.5] * 50


@pytest.mark.parametrize("transform", list(Transform))
def test_sums_become_probabilities(transform):
    random = np.random.default_rng(1)
    width = 1 if transform is Transform.LOGISTIC else 3
    node = forest(Array(size=3), *(grown(random, 3, 3, adds_to=(result,)) for result in range(width)), base=(0.25,) * width)
    classes = ("a", "b") if width == 1 else (7, 8, 9)
    made = Classic(trees.classifier(READS, node, transform, classes)).run({"input": ROWS})
    sums = values(node, ROWS)
    if transform is Transform.LOGISTIC:
        second = 1 / (1 + np.exp(-sums[:, 0]))
        wanted = np.column_stack([1 - second, second])
    else:
        wanted = sums if transform is Transform.NONE else np.exp(sums) / np.exp(sums).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(made["classProbability"], wanted, rtol=1e-12)
    assert made["classLabel"].tolist() == np.asarray(classes)[wanted.argmax(axis=1)].tolist()


def test_a_classifier_may_tell_its_label_alone():
    made = trees.classifier(READS, forest(Array(size=3), split(0, 0.0)), Transform.LOGISTIC, (0, 1), probabilities=None)
    assert [each.name for each in made.description.output] == ["classLabel"]
    assert not made.description.predictedProbabilitiesName


@pytest.mark.parametrize(
    ("kind", "rounds", "threshold"),
    [
        (Kind.DOUBLES, False, 0.1),
        (Kind.FLOATS, True, float(np.nextafter(np.float32(0.1), np.float32(0)))),
        (Kind.DOUBLES, True, (float(np.float32(0.1)) + float(np.nextafter(np.float32(0.1), np.float32(0)))) / 2),
    ],
    ids=["doubles", "float32", "float32 of doubles"],
)
def test_a_split_stands_where_the_inputs_type_asks_it_to(kind, rounds, threshold):
    made = trees.regressor((Value(name="input", kind=kind, width=3),), forest(Array(size=3), split(0, 0.1), rounds=rounds), SUM)
    assert made.treeEnsembleRegressor.treeEnsemble.nodes[0].branchFeatureValue == threshold
