"""XGBoost's ensembles that coremltools converts without a word, and wrongly: its answer and ours."""

from __future__ import annotations

import numpy as np
import pytest

from tests.converting.sources.data import COUNTS, NUMBERS, POSITIVE, THREE, TWO

xgboost = pytest.importorskip("xgboost", reason="needs XGBoost: pip install 'mlpublish[xgboost]'")

ROWS = NUMBERS.held.astype(np.float32)
MAJOR = int(xgboost.__version__.split(".")[0])
TRAINED = NUMBERS.x.astype(np.float32)  # XGBoost splits at numbers of training rows


def fitted(data=NUMBERS, **asked):
    kind = xgboost.XGBClassifier if data.y.dtype.kind == "i" else xgboost.XGBRegressor
    return kind(**{"n_estimators": 6, "random_state": 0} | asked).fit(data.x, data.y)


def base_score(model) -> float:
    import json

    written = json.loads(model.get_booster().save_config())["learner"]["learner_model_param"]["base_score"]
    return float(written.strip("[]").split(",")[0])


@pytest.mark.parametrize("asked", [{}, {"base_score": 3.0}], ids=["from the targets", "given"])
def test_a_base_score_other_than_a_half_is_lost(judge, asked):
    model = fitted(**asked)
    want = model.predict(ROWS)
    theirs = judge.theirs(model, ROWS)["target"]
    np.testing.assert_allclose(theirs - want, 0.5 - base_score(model), rtol=1e-5)
    np.testing.assert_allclose(judge.ours(model, ROWS)["prediction"], want, rtol=1e-6)


@pytest.mark.parametrize(("data", "lost"), [(TWO, True), (THREE, MAJOR >= 3)], ids=["two classes", "three classes"])
def test_so_are_those_of_classes(judge, data, lost):
    """Since XGBoost 3 each of several classes has its own; before, they had one, which a softmax does not feel."""
    model = fitted(data)
    want = model.predict_proba(ROWS)
    theirs = judge.theirs(model, ROWS, mode="classifier", n_classes=len(set(data.y)))["classProbability"]
    assert bool(np.abs(theirs - want).max() > 0.05) is lost
    np.testing.assert_allclose(judge.ours(model, ROWS)["classProbability"], want, atol=1e-6)


def test_a_split_that_is_not_cut_to_float32_sends_rows_on_it_the_other_way(judge):
    model = fitted(max_depth=5)
    want = model.predict(TRAINED)
    shifted = judge.theirs(model, TRAINED, force_32bit_float=False)["target"] - want
    astray = np.abs(shifted - np.median(shifted)) > 1e-3
    assert astray.sum() >= 5
    np.testing.assert_allclose(judge.ours(model, TRAINED)["prediction"], want, rtol=1e-6)


def test_the_exponential_of_a_count_is_forgotten(judge):
    model = fitted(COUNTS, objective="count:poisson")
    want = model.predict(ROWS)
    theirs = judge.theirs(model, ROWS)["target"]
    np.testing.assert_allclose(theirs - 0.5, np.log(want) - np.log(base_score(model)), atol=1e-5)
    np.testing.assert_allclose(judge.ours(model, ROWS)["prediction"], want, rtol=1e-5)


@pytest.mark.parametrize(("objective", "data"), [("reg:gamma", POSITIVE), ("reg:tweedie", COUNTS)], ids=["gamma", "Tweedie"])
def test_objectives_that_it_does_not_know(judge, objective, data):
    model = fitted(data, objective=objective)
    with pytest.raises(ValueError, match="not supported"):
        judge.theirs(model, ROWS)
    np.testing.assert_allclose(judge.ours(model, ROWS)["prediction"], model.predict(ROWS), rtol=1e-5)
