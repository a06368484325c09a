from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.svm import SVC, OneClassSVM

from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.converting.graph.machines import SupportVectors
from mlpublish.converting.graph.node import Join
from mlpublish.converting.of_sklearn.reading import decided
from mlpublish.converting.writing.pairs import in_pairs, voting
from mlpublish.coreml import evaluate
from tests.converting.graphs import values
from tests.converting.of_sklearn.agreeing import HELD_OUT, ROWS, THREE, of

FOUR = np.digitize(ROWS @ [1, 0.2, 3, -1], [7, 11, 15])


def machine(classes: int) -> SupportVectors:
    rows = np.random.default_rng(classes).normal(size=(3 * classes, 4))
    node = of(SVC(decision_function_shape="ovo").fit(rows, np.arange(len(rows)) % classes), method=decided)
    assert isinstance(node, SupportVectors)
    return node


def fitted(model, target=FOUR):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(ROWS, target)


@pytest.mark.parametrize("classes", [3, 4, 10])
def test_a_machine_is_its_pairs(classes):
    whole = machine(classes)
    pairs = in_pairs(whole)
    assert isinstance(pairs, Join)
    assert {len(part.counts) for part in pairs.parts} == {0}
    np.testing.assert_allclose(values(pairs, HELD_OUT), values(whole, HELD_OUT), rtol=1e-12, atol=1e-12)


def test_too_many_pairs_stay_together():
    whole = machine(11)
    assert in_pairs(whole) is whole


def test_one_decision_is_a_pair_already():
    node = of(OneClassSVM().fit(ROWS), method=decided)
    assert in_pairs(node) is node


@pytest.mark.parametrize(("probable", "votes"), [(False, True), (True, False)], ids=["label", "label and probabilities"])
def test_votes_that_nothing_else_reads_stay_in_one(probable, votes):
    answer = of(fitted(SVC(probability=probable, random_state=0), THREE))
    assert (voting(answer) is answer.scores.of) == votes


def test_decisions_that_cancel_are_made_in_doubles(tmp_path):
    """A linear kernel far from 0: its sums are a hundred thousand times the decision, of which float32 would leave a digit."""
    rows = (ROWS + 1000).astype(np.float32).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SVC(kernel="linear", probability=True, random_state=0, max_iter=200).fit(rows, THREE)
    assert np.abs(rows @ model.support_vectors_.T).max() > 1e5 * np.median(np.abs(model.decision_function(rows)))
    source = SklearnSource(model)
    path = source.write(tmp_path, "m", samples=rows, precision="float32", target="iOS16")
    said = evaluate.load(path).predict_rows(source.inputs(rows))
    np.testing.assert_allclose(said["classProbability"], model.predict_proba(rows), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(said["classLabel"], model.predict(rows))
