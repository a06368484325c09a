"""XGBoost: its scikit-learn API and its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import xgboost
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.converting.sources.data import (
    COUNTS,
    NUMBER_FRAME,
    NUMBERS,
    POSITIVE,
    RANKED,
    THREE,
    TWO,
    TWO_NUMBERS,
    Data,
    with_gaps,
)
from tests.converting.sources.entry import Entry, Refusal, fitted

_FEW = {"n_estimators": 6, "max_depth": 4, "learning_rate": 0.4, "random_state": 0}


def entries() -> Iterator[Entry]:
    yield from _regressors()
    yield from _classifiers()
    yield _of("XGBRanker", "pairwise", RANKED, fitted(lambda: xgboost.XGBRanker(**_FEW)))
    yield _of("XGBRFRegressor", "forest", NUMBERS, fitted(lambda: xgboost.XGBRFRegressor(n_estimators=6, max_depth=4)))
    yield from _boosters()


def _of(estimator: str, variant: str, data: Data, fit: Any) -> Entry:
    return Entry(library="XGBoost", estimator=estimator, variant=variant, data=data, fit=fit)


def _regressors() -> Iterator[Entry]:
    for name, objective, data in (
        ("squared error", "reg:squarederror", NUMBERS),
        ("absolute error", "reg:absoluteerror", NUMBERS),
        ("pseudo-Huber", "reg:pseudohubererror", NUMBERS),
        ("Poisson", "count:poisson", COUNTS),
        ("gamma", "reg:gamma", POSITIVE),
        ("Tweedie", "reg:tweedie", COUNTS),
        ("squared log error", "reg:squaredlogerror", POSITIVE),
    ):
        yield _of("XGBRegressor", name, data, fitted(lambda asked=objective: xgboost.XGBRegressor(objective=asked, **_FEW)))
    for name, data, asked in (
        ("missing values", with_gaps(NUMBERS), {}),
        ("base score", NUMBERS, {"base_score": -7.5}),
        ("two targets", TWO_NUMBERS, {}),
        ("frame", NUMBER_FRAME, {}),
        ("a quantile", NUMBERS, {"objective": "reg:quantileerror", "quantile_alpha": 0.8}),
        ("two quantiles", NUMBERS, {"objective": "reg:quantileerror", "quantile_alpha": np.asarray([0.2, 0.8])}),
        ("vectors in leaves", TWO_NUMBERS, {"multi_strategy": "multi_output_tree", "tree_method": "hist"}),
        ("several trees a round", NUMBERS, {"num_parallel_tree": 3, "subsample": 0.8}),
    ):
        yield _of("XGBRegressor", name, data, fitted(lambda asked=asked: xgboost.XGBRegressor(**_FEW, **asked)))
    yield _of("XGBRegressor", "early stopping", NUMBERS, _stopped)
    yield _of("XGBRegressor", "scaled", NUMBERS, fitted(lambda: make_pipeline(StandardScaler(), xgboost.XGBRegressor(**_FEW))))


def _classifiers() -> Iterator[Entry]:
    for name, data, asked in (
        ("binary", TWO, {}),
        ("three classes", THREE, {}),
        ("softmax", THREE, {"objective": "multi:softmax"}),
        ("missing values", with_gaps(THREE), {}),
        ("base score", TWO, {"base_score": 0.2}),
    ):
        yield _of("XGBClassifier", name, data, fitted(lambda asked=asked: xgboost.XGBClassifier(**_FEW, **asked)))


def _boosters() -> Iterator[Entry]:
    for name, data, asked in (
        ("regression", NUMBERS, {"objective": "reg:squarederror"}),
        ("binary", TWO, {"objective": "binary:logistic"}),
        ("softprob", THREE, {"objective": "multi:softprob", "num_class": 3}),
        ("ranking", RANKED, {"objective": "rank:ndcg"}),
    ):
        said = _classes if name in ("binary", "softprob") else _numbers
        yield replace(_of("Booster", name, data, lambda data, asked=asked: _trained(data, asked)), said=said)


def _trained(data: Data, asked: dict[str, Any]) -> xgboost.Booster:
    rows = xgboost.DMatrix(data.x, data.y)
    if data.groups:
        rows.set_group(list(data.groups))
    return xgboost.train({"max_depth": 4, "seed": 0} | asked, rows, 6)


def _stopped(data: Data) -> xgboost.XGBRegressor:
    """Stops long before its last round: ``best_iteration`` counts."""
    model = xgboost.XGBRegressor(n_estimators=60, max_depth=6, learning_rate=0.9, early_stopping_rounds=8, random_state=0)
    model.fit(data.x[:100], data.y[:100], eval_set=[(data.x[100:], data.y[100:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    return model


def _numbers(model: xgboost.Booster, rows: Any) -> dict[str, np.ndarray]:
    return {"prediction": model.predict(xgboost.DMatrix(rows))}


def _classes(model: xgboost.Booster, rows: Any) -> dict[str, np.ndarray]:
    shares = model.predict(xgboost.DMatrix(rows))
    shares = np.column_stack([1 - shares, shares]) if shares.ndim == 1 else shares
    return {"classLabel": shares.argmax(axis=1), "classProbability": shares}


def refusals() -> Iterator[Refusal]:
    for what, names, data, make in (
        ("DART", "dart", NUMBERS, lambda: xgboost.XGBRegressor(booster="dart", **_FEW)),
        ("missing values that are no NaN", "missing", NUMBERS, lambda: xgboost.XGBRegressor(missing=0.0, **_FEW)),
        ("categorical splits", "categor", _categorical(), lambda: xgboost.XGBRegressor(enable_categorical=True, **_FEW)),
    ):
        yield Refusal(library="XGBoost", what=what, names=names, data=data, fit=fitted(make))


def _categorical() -> Data:
    frames = [
        rows.assign(age=(rows["age"] // 10 % 4).astype(int).astype("category")) for rows in (NUMBER_FRAME.x, NUMBER_FRAME.held)
    ]
    return Data(x=frames[0], y=NUMBER_FRAME.y, held=frames[1])
