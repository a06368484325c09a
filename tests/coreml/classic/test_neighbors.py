from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from mlpublish.coreml.classic.run import Classic, classes_of, unsupported
from mlpublish.coreml.labels import labels_of
from mlpublish.errors import ConversionError
from tests.coreml.classic.building import classifier, run


def neighbors(samples, labels, k, *, weighted=False, tree=False, default=None):
    texts = isinstance((labels or [default])[0], str)
    spec = classifier("kNearestNeighborsClassifier", {"x": np.shape(samples)[1] if len(samples) else 2}, labels or [])
    held = spec.kNearestNeighborsClassifier
    index = held.nearestNeighborsIndex
    index.squaredEuclideanDistance.SetInParent()
    index.numberOfDimensions = np.shape(samples)[1] if len(samples) else 2
    for each in np.asarray(samples, np.float32).tolist():
        index.floatSamples.add().vector.extend(each)
    held.numberOfNeighbors.defaultValue = k
    (held.inverseDistanceWeighting if weighted else held.uniformWeighting).SetInParent()
    if tree:
        index.singleKdTreeIndex.leafSize = 30
    else:
        index.linearIndex.SetInParent()
    if default is not None:
        setattr(held, "defaultStringLabel" if texts else "defaultInt64Label", default)
    return spec


@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize("k", [1, 4, 7, 200])
def test_uniform_votes_as_scikit_learn(k, tree):
    rng = np.random.default_rng(k)
    samples, labels = rng.normal(size=(200, 3)).astype(np.float32), rng.integers(0, 4, 200)
    rows = rng.normal(size=(300, 3))
    judge = KNeighborsClassifier(k, algorithm="brute").fit(samples.astype(np.float64), labels)
    spec = neighbors(samples, labels.tolist(), k, tree=tree)
    got = run(spec, x=rows)
    np.testing.assert_allclose(got["probabilities"], judge.predict_proba(rows), atol=1e-15)
    assert got["label"].tolist() == judge.predict(rows).tolist()
    assert classes_of(spec) == (0, 1, 2, 3)


def test_the_labels_are_told_once_each_though_every_sample_has_one():
    spec = neighbors([[0.0], [1.0], [2.0]], ["b", "a", "b"], 1)
    assert labels_of(spec) == classes_of(spec) == ("a", "b")


@pytest.mark.parametrize("k", [1, 3, 20])
def test_votes_by_the_inverse_of_the_squared_distance_as_scikit_learn(k):
    rng = np.random.default_rng(k)
    samples = rng.normal(size=(50, 3)).astype(np.float32)
    labels = np.asarray(["c", "a", "b"])[rng.integers(0, 3, 50)]
    rows = np.concatenate([rng.normal(size=(100, 3)), samples[:20]])  # some stand on a sample

    def weigh(apart):
        same = (apart == 0).any(axis=1, keepdims=True)
        return np.where(same, apart == 0, 1 / np.where(apart == 0, 1, apart) ** 2)

    judge = KNeighborsClassifier(k, algorithm="kd_tree", weights=weigh).fit(samples.astype(np.float64), labels)
    got = run(neighbors(samples, labels.tolist(), k, weighted=True), x=rows)
    np.testing.assert_allclose(got["probabilities"], judge.predict_proba(rows), atol=1e-12)
    assert got["label"].tolist() == judge.predict(rows).tolist()


whole = st.integers(-2, 2).map(float)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.tuples(whole, whole), st.integers(0, 2)), min_size=1, max_size=12),
    st.lists(st.tuples(whole, whole), min_size=1, max_size=5),
    st.integers(1, 14),
    st.booleans(),
)
def test_ties_are_for_the_earlier_sample_and_the_smaller_label(samples, rows, k, weighted):
    points, labels = [list(each) for each, _ in samples], [label for _, label in samples]
    got = run(neighbors(points, labels, k, weighted=weighted), x=np.asarray(rows))
    for row, label, shares in zip(rows, got["label"].tolist(), got["probabilities"].tolist(), strict=True):
        apart = [(row[0] - x) ** 2 + (row[1] - y) ** 2 for x, y in points]
        nearest = sorted(range(len(points)), key=lambda place: apart[place])[:k]
        votes = dict.fromkeys(sorted(set(labels)), 0.0)
        for place in nearest:
            same = apart[nearest[0]] == 0
            votes[labels[place]] += (apart[place] == 0 if same else 1 / apart[place]) if weighted else 1
        np.testing.assert_allclose(shares, [each / sum(votes.values()) for each in votes.values()], rtol=1e-12)
        best = [each for each, share in zip(votes, shares, strict=True) if share == max(shares)]
        assert label == best[0]


@pytest.mark.parametrize("default", ["none yet", 41])
def test_without_samples_the_default_is_the_answer(default):
    spec = neighbors([], [], 3, default=default)
    got = run(spec, x=[[1.0, 2.0], [math.nan, 0.0]])
    assert got["label"].tolist() == [default, default]
    assert got["probabilities"].tolist() == [[1.0], [1.0]]
    assert classes_of(spec) == (default,)


def test_many_rows_come_in_parts():
    rng = np.random.default_rng(0)
    samples, labels = rng.normal(size=(1000, 2)), rng.integers(0, 3, 1000).tolist()
    rows = rng.normal(size=(5000, 2))
    judge = KNeighborsClassifier(5, algorithm="brute").fit(samples.astype(np.float32).astype(np.float64), labels)
    assert run(neighbors(samples, labels, 5), x=rows)["label"].tolist() == judge.predict(rows).tolist()


@pytest.mark.parametrize("field", ["uniformWeighting", "linearIndex", "squaredEuclideanDistance"])
def test_a_setting_that_is_not_there_is_named(field):
    spec = neighbors([[0, 0]], [1], 1)
    held = spec.kNearestNeighborsClassifier
    (held if field == "uniformWeighting" else held.nearestNeighborsIndex).ClearField(field)
    (named,) = unsupported(spec)
    assert named.startswith("kNearestNeighborsClassifier without")


BROKEN = {
    "dimensions": lambda held: setattr(held.nearestNeighborsIndex, "numberOfDimensions", 2**31 - 1),
    "negative dimensions": lambda held: setattr(held.nearestNeighborsIndex, "numberOfDimensions", -2),
    "no neighbours": lambda held: setattr(held.numberOfNeighbors, "defaultValue", 0),
    "negative neighbours": lambda held: setattr(held.numberOfNeighbors, "defaultValue", -(2**62)),
    "labels": lambda held: held.int64ClassLabels.vector.pop(),
    "no labels": lambda held: held.ClearField("int64ClassLabels"),
    "a sample of another length": lambda held: held.nearestNeighborsIndex.floatSamples[0].vector.pop(),
    "a sample NaN": lambda held: held.nearestNeighborsIndex.floatSamples[0].vector.__setitem__(0, math.nan),
    "leaves": lambda held: setattr(held.nearestNeighborsIndex.singleKdTreeIndex, "leafSize", 0),
    "nothing": lambda held: (held.ClearField("int64ClassLabels"), held.nearestNeighborsIndex.ClearField("floatSamples")),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_samples_that_do_not_hold_together_are_refused(broken):
    spec = neighbors([[0, 0], [1, 1]], [1, 2], 1)
    BROKEN[broken](spec.kNearestNeighborsClassifier)
    with pytest.raises(ConversionError, match="kNearestNeighborsClassifier"):
        Classic(spec).run({"x": np.zeros((1, 2))})


def test_so_many_neighbours_that_no_number_holds_them_are_all():
    got = run(neighbors([[0, 0], [1, 1]], [1, 2], 2**62), x=[[5.0, 5.0]])
    assert got["probabilities"].tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize("rows", [[[math.nan, 0.0]], [[math.inf, 0.0]], [[0.0, 0.0, 0.0]]])
def test_rows_without_neighbours_are_refused(rows):
    with pytest.raises(ConversionError, match="kNearestNeighborsClassifier"):
        run(neighbors([[0, 0], [1, 1]], [1, 2], 1), x=rows)
