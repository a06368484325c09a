"""What float32 would spoil, in saved files: close thresholds, numbers far from 0, ties."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.coreml import evaluate
from tests.converting.of_sklearn.agreeing import AMOUNT, ROWS, THREE, TWO

R = np.random.default_rng(11)
NEW = (R.normal(size=(60, 4)) * [1, 10, 0.1, 3] + [0, 30, 0, -5]).astype(np.float32).astype(np.float64)
ROWS32 = ROWS.astype(np.float32).astype(np.float64)


def fitted(model, rows, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(rows, target)


def saved(model, rows, folder):
    """What the saved file says to rows."""
    source = SklearnSource(model)
    path = source.write(folder, "m", samples=rows, precision="float32", target="iOS16")
    return evaluate.load(path).predict_rows(source.inputs(rows))


def assert_same(model, rows, folder, *, within=1e-5):
    said = saved(model, rows, folder)
    if not hasattr(model, "classes_"):
        wanted = np.asarray(model.predict(rows))
        np.testing.assert_allclose(said["prediction"].reshape(wanted.shape), wanted, rtol=within, atol=within)
        return
    np.testing.assert_array_equal(said["classLabel"], model.predict(rows))
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(said["classProbability"], model.predict_proba(rows), rtol=0, atol=within)


@pytest.mark.parametrize("target", [TWO, THREE], ids=["two classes", "three"])
def test_probabilities_that_are_all_but_1_are_calibrated(target, tmp_path):
    """Twelve features that say the same: most probabilities are nearer to 1 than float32 can tell."""
    rows, new = (np.hstack([held + R.normal(size=held.shape) / 50 for _ in range(12)]) for held in (ROWS32, NEW))
    new = new.astype(np.float32).astype(np.float64)
    model = fitted(CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2), rows, target)
    first = model.calibrated_classifiers_[0].estimator.predict_proba(new).max(axis=1)
    assert ((first > 1 - 1e-7) & (first < 1)).mean() > 0.2
    assert_same(model, new, tmp_path, within=5e-5)


@pytest.mark.parametrize(
    "model",
    [GaussianNB(), KNeighborsRegressor(weights="distance"), KNeighborsClassifier(p=np.inf)],
    ids=["bayes", "distances", "gaps"],
)
def test_numbers_far_from_zero_keep_their_digits(model, tmp_path):
    """Years and the like: 16 000 000 and a few."""
    target = AMOUNT if isinstance(model, KNeighborsRegressor) else THREE
    far = np.rint(ROWS32 * 8) + 2**24 - 2**10
    assert_same(
        fitted(model, far, target), np.rint(NEW * 8) + 2**24 - 2**10 + (R.random(NEW.shape) < 0.5), tmp_path, within=1e-4
    )


def test_training_rows_answer_for_themselves(tmp_path):
    assert_same(fitted(KNeighborsRegressor(weights="distance", algorithm="kd_tree"), ROWS32, AMOUNT), ROWS32, tmp_path)
    assert_same(fitted(KNeighborsRegressor(1), ROWS32, AMOUNT), ROWS32, tmp_path)


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_chances_that_tie_leave_the_first_class(voting, tmp_path):
    """Three neighbours' thirds and a tree's halves: sums that are the same on both sides."""
    members = [("near", KNeighborsClassifier(3)), ("far", KNeighborsClassifier(3, p=1)), ("tree", DecisionTreeClassifier())]
    model = fitted(VotingClassifier(members, voting=voting, weights=[0.1, 0.1, 0.2]), ROWS32, R.permutation(TWO))
    model.estimators_[1].fit(ROWS32, 1 - model.estimators_[0].predict(ROWS32))
    model.estimators_[2].fit(np.zeros((2, 4)), [0, 1])  # it knows nothing: half and half
    if voting == "soft":
        assert (np.ptp(model.predict_proba(NEW), axis=1) < 1e-15).any()
    assert_same(model, NEW, tmp_path)


@pytest.mark.parametrize("bound", [0.1, 30.1])
def test_a_bound_is_met_in_doubles(bound, tmp_path):
    near = np.float32(bound)
    beside = np.array([[near, np.nextafter(near, np.float32(99)), np.nextafter(near, np.float32(-99)), near]], dtype=np.float64)
    rows = np.vstack([NEW, beside, np.roll(beside, 1), [[bound, np.nextafter(bound, 99), np.nextafter(bound, 0), 0]]])
    assert_same(fitted(BernoulliNB(binarize=bound), ROWS, THREE), rows, tmp_path)


@pytest.mark.parametrize(
    "labels", [np.array(["no", "yes"]), np.array([-5, 7]), np.array([False, True])], ids=["texts", "numbers", "bools"]
)
@pytest.mark.parametrize("model", [SVC(), MLPClassifier((3,), max_iter=5, random_state=0)], ids=["machine", "network"])
def test_labels_keep_their_kind(model, labels, tmp_path):
    said = saved(fitted(model, ROWS, labels[TWO]), NEW, tmp_path)["classLabel"]
    assert set(said.tolist()) <= set(labels.tolist())
    assert isinstance(said.tolist()[0], str if labels.dtype.kind == "U" else int)


def test_a_feature_that_was_constant_in_training_may_be_anything(tmp_path):
    """It adds millions to every class's distance, beside which float32 would not see what they differ by."""
    constant, moved = np.full((len(ROWS32), 1), 3.0), (np.arange(len(NEW)) % 5).reshape(-1, 1)
    model = GaussianNB().fit(np.hstack([ROWS32, constant]), THREE)
    assert_same(model, np.hstack([NEW, moved]), tmp_path)


def test_a_feature_that_is_all_and_constant_leaves_the_priors(tmp_path):
    model = GaussianNB(var_smoothing=0.1).fit(ROWS32[:, :1] * 0 + 3, THREE)
    model.var_ = np.ones_like(model.var_)  # the library's own would be 0
    assert_same(model, NEW[:, :1], tmp_path)


def test_one_against_the_rest_tells_the_smallest_chances_apart(tmp_path):
    """Far from all that was learnt every class is unlikely: 1e-88 for one of them, and less for the others."""
    rows = ROWS32[:, :3]
    model = OneVsRestClassifier(GaussianNB()).fit(rows, np.digitize(rows @ [1, 0.2, 3], [5, 7]))
    far = np.vstack([rows, rows * [2, 10, 1], rows * [2, -10, 1]]).astype(np.float32).astype(np.float64)
    each = np.column_stack([member.predict_proba(far)[:, 1] for member in model.estimators_]).max(axis=1)
    assert ((each > 0) & (each < 1e-46)).sum() > 2
    assert_same(model, far[each > 0], tmp_path, within=1e-4)
