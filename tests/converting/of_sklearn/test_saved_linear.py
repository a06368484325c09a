"""Saved files against the library, of what the catalogue of sources does not try: held-out rows, far rows, rows on a bound."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import linear_model as lm
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from mlpublish.converting.convert import convert
from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.coreml.evaluate import load
from tests.converting.of_sklearn.agreeing import AMOUNT, DIVIDES_BY_0, ROWS, THREE, TWO, asked

CALM = (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0)
HELD_OUT = np.vstack([CALM[::3] * 1.1, -CALM[::5], CALM[::7] * 20, np.zeros((1, 4))])

MODELS = {
    "powers alone": (PowerTransformer(), None),
    "functions": (make_pipeline(FunctionTransformer(np.tanh), StandardScaler(), lm.Ridge()), AMOUNT),
    "bounds": (make_pipeline(MinMaxScaler(clip=True), lm.Ridge()), AMOUNT),
    "scalers one after the other": (
        make_pipeline(RobustScaler(), MaxAbsScaler(), Normalizer("l1"), lm.LogisticRegression()),
        TWO,
    ),
    "the largest alone": (Normalizer("max"), None),
}


def saved(model, rows, folder):
    source = SklearnSource(model)
    converted = convert(model, name="m", samples=rows, out=folder, progress=False)
    return lambda asked_for: load(converted.path).predict_rows(source.inputs(asked_for))


@pytest.mark.parametrize(("model", "target"), MODELS.values(), ids=MODELS)
def test_a_saved_file_answers_as_the_library_does(tmp_path, model, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(CALM, target)
    ask = saved(model, CALM[:10], tmp_path)
    for rows in (HELD_OUT, HELD_OUT.astype(np.float32)):
        assert_same(ask(rows), model, rows.astype(np.float64))


def assert_same(got, model, rows):
    if "classLabel" in got:
        np.testing.assert_array_equal(got["classLabel"], asked(model.predict, rows))
        assert ("classProbability" in got) == hasattr(model, "predict_proba")
        if "classProbability" in got:
            wanted = asked(model.predict_proba, rows)
            told = ~np.isnan(wanted).any(axis=1) if DIVIDES_BY_0 else np.full(len(rows), True)
            np.testing.assert_allclose(got["classProbability"][told], wanted[told], atol=1e-5)
        return
    wanted = asked(model.predict if hasattr(model, "predict") else model.transform, rows)
    np.testing.assert_allclose(got["prediction"].reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
def test_a_saved_classifier_is_right_where_its_probabilities_saturate(tmp_path, loss):
    model = lm.SGDClassifier(loss=loss, random_state=0).fit(CALM, THREE)
    far = np.vstack([CALM * 10.0**power for power in (1, 2, 3, 6)])
    assert_same(saved(model, CALM[:10], tmp_path)(far), model, far.astype(np.float32).astype(np.float64))


@pytest.mark.parametrize("kind", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(
    "last", ["passthrough", lm.LogisticRegression(), DecisionTreeClassifier()], ids=["alone", "line", "tree"]
)
def test_a_saved_threshold_is_a_double(tmp_path, last, kind):
    threshold = 0.1  # no float32
    model = make_pipeline(Binarizer(threshold=threshold), last).fit(CALM, TWO)
    on = kind(threshold)
    near = [np.nextafter(on, kind(-1)), on, np.nextafter(on, kind(1)), kind(0)]
    rows = np.asarray([near, near[1:] + near[:1], near[2:] + near[:2], near[3:] + near[:3]])
    got = saved(model, CALM[:10], tmp_path)(rows)
    assert_same(got, model, rows.astype(np.float64))
