from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import linear_model as lm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.svm import LinearSVC

from mlpublish.converting.graph.algebra import Linear
from mlpublish.converting.of_sklearn.linear_classifiers import READERS
from mlpublish.converting.of_sklearn.reading import transformed
from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import HELD_OUT, OLD, ROWS, THREE, TWO, assert_classifies, assert_transforms, of

CALM = (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0)
NEAR = np.vstack([HELD_OUT, CALM, CALM * 1e-6, CALM * 300])

_NEW_CV = {} if OLD else {"use_legacy_attributes": False, "l1_ratios": (0,), "scoring": "accuracy"}
CLASSIFIERS = {
    "LogisticRegression": lm.LogisticRegression(),
    "LogisticRegression, no intercept": lm.LogisticRegression(fit_intercept=False),
    "LogisticRegression, newton-cholesky": lm.LogisticRegression(solver="newton-cholesky"),
    "LogisticRegressionCV": lm.LogisticRegressionCV(Cs=2, cv=2, **_NEW_CV),
    "LinearDiscriminantAnalysis": LinearDiscriminantAnalysis(),
    "LinearDiscriminantAnalysis, lsqr": LinearDiscriminantAnalysis(solver="lsqr"),
    "LinearDiscriminantAnalysis, eigen": LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto"),
    "LinearSVC": LinearSVC(random_state=0),
    "LinearSVC, Crammer and Singer": LinearSVC(random_state=0, multi_class="crammer_singer", max_iter=50),
    "LinearSVC, no intercept": LinearSVC(random_state=0, fit_intercept=False),
    "PassiveAggressiveClassifier": lm.PassiveAggressiveClassifier(random_state=0),
    "Perceptron": lm.Perceptron(random_state=0),
    "RidgeClassifier": lm.RidgeClassifier(),
    "RidgeClassifierCV": lm.RidgeClassifierCV(),
    "SGDClassifier, average": lm.SGDClassifier(random_state=0, average=True, loss="log_loss"),
    **{
        f"SGDClassifier, {loss}": lm.SGDClassifier(random_state=0, loss=loss)
        for loss in (
            *("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron", "squared_error", "huber"),
            *("epsilon_insensitive", "squared_epsilon_insensitive"),
        )
    },
}
if OLD:
    CLASSIFIERS |= {
        "LogisticRegression, ovr": lm.LogisticRegression(multi_class="ovr"),
        "LogisticRegression, multinomial": lm.LogisticRegression(multi_class="multinomial"),
        "LogisticRegression, auto": lm.LogisticRegression(multi_class="auto"),
        "LogisticRegression, auto, liblinear": lm.LogisticRegression(multi_class="auto", solver="liblinear"),
        "LogisticRegression, liblinear": lm.LogisticRegression(solver="liblinear"),
        "LogisticRegressionCV, ovr": lm.LogisticRegressionCV(Cs=2, cv=2, multi_class="ovr"),
    }


def fitted(model, target, rows=CALM):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(rows, target)


@pytest.mark.parametrize(("target", "width"), [(TWO, 1), (THREE, 3)], ids=["two", "three"])
@pytest.mark.parametrize("model", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_a_classifier_is_its_decisions_and_what_it_makes_of_them(model, target, width):
    answer = assert_classifies(fitted(model, target), NEAR)
    assert answer.scores.width in (width, 2)


def test_every_classifier_is_tried():
    assert {name.rpartition(".")[2] for name in READERS} == {type(model).__name__ for model in CLASSIFIERS.values()}


def test_liblinear_of_two_is_a_logistic_function():
    assert_classifies(fitted(lm.LogisticRegression(solver="liblinear"), TWO), NEAR)


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
def test_the_label_is_that_of_the_decision_where_probabilities_are_equal(loss):
    """Rows far from what it was fitted on: several classes have a sigmoid of 1, or all of 0."""
    model = fitted(lm.SGDClassifier(random_state=0, loss=loss), THREE)
    far = np.vstack([CALM * 1e3, -CALM * 1e3, CALM * 1e6])
    decisions = model.decision_function(far)
    equal = np.sum(np.clip(decisions, -745.2, 37) == np.clip(decisions, -745.2, 37).max(axis=1, keepdims=True), axis=1) > 1
    assert equal.sum() > 5
    answer = assert_classifies(model, far)
    assert isinstance(answer.scores, Linear)


@pytest.mark.parametrize("model", [lm.RidgeClassifier(), lm.RidgeClassifierCV()], ids=["plain", "cross-validated"])
def test_several_labels_per_row_are_refused(model):
    model.fit(CALM, np.column_stack([TWO, THREE > 1, 1 - TWO]))
    with pytest.raises(ConversionError, match="several labels per row"):
        of(model)


@pytest.mark.parametrize("solver", ["svd", "eigen"])
@pytest.mark.parametrize("components", [None, 1])
def test_discriminants_are_a_projection(solver, components):
    model = LinearDiscriminantAnalysis(solver=solver, n_components=components).fit(ROWS, THREE)
    assert assert_transforms(model).width == (components or 2)


def test_discriminants_that_the_library_does_not_have_are_refused():
    model = LinearDiscriminantAnalysis(solver="lsqr").fit(ROWS, THREE)
    with pytest.raises(ConversionError, match=r"LinearDiscriminantAnalysis.transform is not converted"):
        of(model, method=transformed)


def test_coefficients_for_other_classes_are_refused():
    model = fitted(lm.LogisticRegression(), THREE)
    model.classes_ = np.arange(4)
    with pytest.raises(ConversionError, match="3 rows of coef_ for 4 classes"):
        of(model)


def test_a_model_that_was_made_sparse_is_read():
    assert_classifies(fitted(lm.SGDClassifier(random_state=0, penalty="l1", loss="log_loss"), THREE).sparsify(), NEAR)


_LOSSES = st.sampled_from(["log_loss", "modified_huber", "hinge"])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(1, 6), st.floats(-2, 4), _LOSSES)
def test_any_classifier_by_descent_is_its_decisions(seed, classes, width, power, loss):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(30, width)) * 10**power
    model = fitted(lm.SGDClassifier(loss=loss, random_state=seed % 100, max_iter=3), np.arange(30) % classes, rows)
    assert_classifies(model, random.normal(size=(20, width)) * 10**power)


def test_a_model_that_was_fitted_on_a_frame_is_asked_without_its_names():
    frame = pd.DataFrame(CALM, columns=list("abcd"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert of(lm.RidgeClassifier().fit(frame, THREE)).classes == (0, 1, 2)
