from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from mlpublish.converting.graph.machines import Coupled, SupportVectors, Votes
from mlpublish.converting.source import PREDICTION, SCORE
from mlpublish.errors import ConversionError
from tests.converting.graphs import values
from tests.converting.of_sklearn.agreeing import AMOUNT, HELD_OUT, ROWS, THREE, TWO, assert_classifies, assert_predicts, of

CALM = (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0)
NEW = np.vstack([(HELD_OUT[:25] - ROWS.mean(axis=0)) / ROWS.std(axis=0), np.zeros((1, 4)), np.full((1, 4), 8.0)])
FOUR = np.digitize(CALM @ [1, 0.2, 3, -1], [-1.5, 0, 1.5])

KERNELS = {
    "linear": {"kernel": "linear"},
    "rbf": {"kernel": "rbf"},
    "rbf, gamma given": {"kernel": "rbf", "gamma": 0.7},
    "rbf, gamma auto": {"kernel": "rbf", "gamma": "auto"},
    "poly": {"kernel": "poly", "degree": 2, "coef0": 0.5},
    "sigmoid": {"kernel": "sigmoid", "gamma": 0.05, "coef0": -0.2},
}


def fitted(model, rows=CALM, target=TWO):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # probability=True is deprecated from 1.9 on, and works
        return model.fit(rows, target)


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("target", [TWO, THREE, FOUR], ids=["two classes", "three", "four"])
def test_a_classifier_votes(target, kernel):
    answer = assert_classifies(fitted(SVC(**kernel), target=target), NEW)
    assert isinstance(answer.scores, Votes)


@pytest.mark.parametrize("shape", ["ovr", "ovo"])
@pytest.mark.parametrize("target", [TWO, FOUR], ids=["two classes", "four"])
def test_decisions_have_the_shape_that_was_asked_for(target, shape):
    assert_classifies(fitted(SVC(decision_function_shape=shape), target=target), NEW)


@pytest.mark.parametrize("target", [TWO, THREE, FOUR], ids=["two classes", "three", "four"])
@pytest.mark.parametrize("kind", [SVC, lambda **given: NuSVC(nu=0.2, **given)], ids=["SVC", "NuSVC"])
def test_probabilities_are_coupled_and_do_not_vote(kind, target):
    answer = assert_classifies(fitted(kind(probability=True, random_state=0), target=target), NEW)
    assert isinstance(answer.scores, Votes)
    assert isinstance(answer.probabilities, Coupled)


def test_a_label_is_not_the_most_probable_class_where_the_library_says_so():
    rows = np.random.default_rng(3).normal(size=(24, 2))
    model = fitted(SVC(probability=True, random_state=2, C=50), rows, np.arange(24) % 3)
    new = np.random.default_rng(4).normal(size=(200, 2))
    answer = assert_classifies(model, new)
    assert (np.argmax(values(answer.scores, new), axis=1) != np.argmax(values(answer.probabilities, new), axis=1)).any()


def test_probabilities_that_are_switched_off_after_the_fit_are_not_told():
    model = fitted(SVC(probability=True, random_state=0))
    model.probability = False
    assert assert_classifies(model, NEW).probabilities is None


@pytest.mark.parametrize("target", [TWO, THREE, FOUR], ids=["two classes", "three", "four"])
def test_ties_are_broken_by_the_decisions(target):
    rows = np.vstack([NEW, np.random.default_rng(1).normal(size=(100, 4)) * 3])
    answer = assert_classifies(fitted(SVC(break_ties=True, C=0.05), target=target), rows)
    assert isinstance(answer.scores, Votes) == (target is TWO)


def test_ties_are_broken_by_one_shape_only():
    model = fitted(SVC(break_ties=True, decision_function_shape="ovo"), target=THREE)
    with pytest.raises(ConversionError, match="break_ties=True and decision_function_shape='ovo'") as caught:
        of(model)
    assert caught.value.field == "break_ties"


def test_a_decision_of_nothing_is_the_second_class():
    model = fitted(SVC(kernel="linear"), np.array([[-1.0], [1.0]]), [0, 1])
    assert model.decision_function([[0.0]]) == 0
    assert_classifies(model, np.array([[0.0], [1e-9], [-1e-9]]))


@pytest.mark.parametrize("kind", [SVR, NuSVR])
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_a_regression_is_one_decision(kernel, kind):
    node = assert_predicts(fitted(kind(**kernel), target=AMOUNT), NEW)
    assert isinstance(node, SupportVectors)
    assert node.width == 1


def test_a_regression_without_support_vectors_is_its_intercept():
    model = fitted(SVR(epsilon=100), target=AMOUNT)
    assert not len(model.support_vectors_)
    assert assert_predicts(model, NEW).width == 1


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_a_machine_of_one_class_says_whether_a_row_is_of_it(kernel):
    model = fitted(OneClassSVM(nu=0.3, **kernel), target=None)
    inlier, score = of(model).numbers
    assert (inlier.name, inlier.whole, score.name) == (PREDICTION, True, SCORE)
    np.testing.assert_array_equal(values(inlier.node, NEW)[:, 0], model.predict(NEW))
    np.testing.assert_allclose(values(score.node, NEW)[:, 0], model.decision_function(NEW), rtol=1e-9, atol=1e-9)
    assert set(model.predict(NEW).tolist()) == {1, -1}


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_fitted_on_sparse_rows_it_is_the_same(kernel):
    assert_classifies(fitted(SVC(**kernel), csr_matrix(CALM), FOUR), NEW)
    assert_predicts(fitted(SVR(**kernel), csr_matrix(CALM), AMOUNT), NEW)


@pytest.mark.parametrize("labels", [np.array(["no", "yes", "maybe"]), np.array([-5, 2, 7])], ids=["texts", "numbers"])
def test_labels_are_kept(labels):
    assert_classifies(fitted(SVC(), target=labels[THREE]), NEW)


@pytest.mark.parametrize(
    ("kernel", "name"), [(lambda a, b: a @ b.T, "a function"), ("precomputed", "precomputed")], ids=["function", "precomputed"]
)
def test_other_kernels_are_refused(kernel, name):
    model = fitted(SVC(kernel=kernel), CALM @ CALM.T)
    model.n_features_in_ = len(CALM)
    with pytest.raises(ConversionError, match=f"SVC with the kernel {name} is not converted") as caught:
        of(model)
    assert caught.value.field == "kernel"


def test_gamma_is_still_where_it_is_read():
    """It has no public name; a scikit-learn that keeps it elsewhere must fail here."""
    assert fitted(SVC(gamma="scale"))._gamma == pytest.approx(1 / (4 * CALM.var()))
