from __future__ import annotations

import json

import numpy as np
import pytest

from mlpublish.converting.files.xgboost_file import opened_xgboost
from mlpublish.converting.from_file import opened_file
from mlpublish.errors import ConversionError

xgb = pytest.importorskip("xgboost", reason="needs xgboost: pip install 'mlpublish[xgboost]'")

_R = np.random.default_rng(5)
ROWS = _R.normal(size=(40, 3))
CLASSES = np.arange(40) % 3
TARGETS = ROWS[:, :2]
SMALL = {"max_depth": 2, "n_jobs": 1}


def stopped():
    model = xgb.XGBClassifier(n_estimators=9, early_stopping_rounds=1, **SMALL)
    return model.fit(ROWS, CLASSES, eval_set=[(ROWS, CLASSES[::-1])], verbose=False)


def boosted(rounds=4, **more):
    return xgb.train({"objective": "multi:softprob", "num_class": 3, "nthread": 1, **more}, xgb.DMatrix(ROWS, CLASSES), rounds)


WHOLE = {
    "a regressor": lambda: xgb.XGBRegressor(n_estimators=2, **SMALL).fit(ROWS, TARGETS[:, 0]),
    "one round": lambda: xgb.XGBClassifier(n_estimators=1, **SMALL).fit(ROWS, CLASSES),
    "stopped early": stopped,
    "a random forest": lambda: xgb.XGBRFClassifier(n_estimators=3, **SMALL).fit(ROWS, CLASSES),
    "several targets": lambda: xgb.XGBRegressor(n_estimators=1, **SMALL).fit(ROWS, TARGETS),
    "vectors": lambda: xgb.XGBRegressor(n_estimators=1, multi_strategy="multi_output_tree", **SMALL).fit(ROWS, TARGETS),
    "vectors of classes": lambda: xgb.XGBClassifier(n_estimators=1, multi_strategy="multi_output_tree").fit(ROWS, CLASSES),
    "several labels": lambda: xgb.XGBClassifier(n_estimators=1, **SMALL).fit(ROWS, (TARGETS > 0).astype(int)),
    "quantiles": lambda: xgb.XGBRegressor(
        n_estimators=1, objective="reg:quantileerror", quantile_alpha=[0.1, 0.5], **SMALL
    ).fit(ROWS, TARGETS[:, 0]),
    "dropped trees": lambda: xgb.XGBClassifier(n_estimators=2, booster="dart", **SMALL).fit(ROWS, CLASSES),
    "every second round": lambda: boosted()[0:4:2],
    "no rounds": lambda: boosted(0),
}


@pytest.mark.parametrize("model", WHOLE.values(), ids=WHOLE)
def test_what_xgboost_saved_is_opened(tmp_path, model):
    model().save_model(tmp_path / "m.ubj")
    assert opened_file(tmp_path / "m.ubj", trust_pickle=False).model is not None


@pytest.mark.parametrize("name", ["num_class", "num_target"])
@pytest.mark.parametrize("kind", ["one round", "several targets", "a regressor"])
def test_more_results_than_trees_speak_for_are_refused(tmp_path, kind, name):
    """XGBoost would fill a row of that many numbers for every row that it is asked."""
    WHOLE[kind]().save_model(tmp_path / "m.json")
    document = json.loads((tmp_path / "m.json").read_bytes())
    document["learner"]["learner_model_param"][name] = "99999"
    with pytest.raises(ConversionError, match="has no trees for some of its results"):
        opened_xgboost(tmp_path / "m.json", json.dumps(document).encode())
