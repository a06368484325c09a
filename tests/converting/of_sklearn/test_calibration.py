from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from mlpublish.errors import ConversionError
from tests.converting.graphs import values
from tests.converting.of_sklearn.agreeing import HELD_OUT, ROWS, THREE, TWO, assert_classifies, assert_transforms, of

VERSION = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
METHODS = ["sigmoid", "isotonic", *(["temperature"] if VERSION >= (1, 8) else [])]
LABELS = pytest.mark.parametrize(
    "target",
    [TWO, THREE, np.array(["no", "yes", "maybe"])[THREE], np.array([-3, 8])[TWO]],
    ids=["two", "three", "texts", "numbers"],
)

BASES = {
    "decisions": make_pipeline(StandardScaler(), LinearSVC(random_state=0)),
    "probabilities": GaussianNB(),
    "steps": RandomForestClassifier(3, max_depth=3, random_state=0),
    "machine": make_pipeline(StandardScaler(), SVC()),
}


def fitted(model, target, rows=ROWS):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(rows, target)


@LABELS
@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ensemble", [True, False], ids=["one per fold", "one"])
def test_scores_are_calibrated(ensemble, method, base, target):
    if method == "temperature" and -3 in target.tolist():
        pytest.skip("scikit-learn takes such labels for places: it reads beyond its arrays")
    model = fitted(CalibratedClassifierCV(base, method=method, cv=2, ensemble=ensemble), target)
    assert len(model.calibrated_classifiers_) == (2 if ensemble else 1)
    assert_classifies(model)


def test_where_every_class_is_impossible_all_are_as_likely():
    model = fitted(CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2, ensemble=False), THREE)
    for calibrator in model.calibrated_classifiers_[0].calibrators:
        calibrator.fit([0.0, 0.6, 0.7], [0.0, 0.0, 1.0])
    rows = np.vstack([HELD_OUT, ROWS])
    assert (model.predict_proba(rows) == 1 / 3).all(axis=1).any()
    assert_classifies(model, rows)


def test_a_calibrator_of_one_point_is_level():
    model = fitted(CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2, ensemble=False), TWO)
    model.calibrated_classifiers_[0].calibrators[0].fit([0.5], [0.25])
    assert_classifies(model)


def test_pairs_of_classes_are_taken_as_the_library_takes_them():
    four = np.digitize(ROWS @ [1, 0.2, 3, -1], [7, 11, 15])
    machine = make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo"))
    assert_classifies(fitted(CalibratedClassifierCV(machine, cv=2), four))


def test_a_member_that_misses_a_class_is_refused():
    model = fitted(CalibratedClassifierCV(GaussianNB(), cv=2), THREE)
    model.calibrated_classifiers_[1].estimator.fit(ROWS, TWO)
    with pytest.raises(ConversionError, match="fitted on 2 of its 3 classes"):
        of(model)


def test_an_unknown_method_is_refused():
    model = fitted(CalibratedClassifierCV(GaussianNB(), cv=2), TWO)
    model.calibrated_classifiers_[0].method = "beta"
    with pytest.raises(ConversionError, match="with method='beta' is not converted"):
        of(model)


@pytest.mark.skipif(VERSION >= (1, 8), reason="cv='prefit' is gone")
def test_a_classifier_may_be_fitted_before():
    assert_classifies(fitted(CalibratedClassifierCV(fitted(GaussianNB(), THREE), cv="prefit"), THREE))


@pytest.mark.skipif(VERSION < (1, 6), reason="scikit-learn 1.6")
@pytest.mark.parametrize("method", METHODS)
def test_a_frozen_estimator_answers_as_it_did(method):
    from sklearn.frozen import FrozenEstimator

    frozen = FrozenEstimator(fitted(LogisticRegression(), THREE))
    assert_classifies(frozen)
    assert_classifies(fitted(CalibratedClassifierCV(frozen, method=method), THREE))
    scaled = make_pipeline(FrozenEstimator(StandardScaler().fit(ROWS)), GaussianNB()).fit(ROWS, TWO)
    assert_classifies(scaled)
    assert_transforms(FrozenEstimator(StandardScaler().fit(ROWS)))


def test_probabilities_are_shares():
    answer = of(fitted(CalibratedClassifierCV(GaussianNB(), cv=2), THREE))
    np.testing.assert_allclose(values(answer.probabilities, HELD_OUT).sum(axis=1), 1)
