"""LightGBM: its scikit-learn API and its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from tests.converting.sources.data import (
    COUNTS,
    NUMBER_FRAME,
    NUMBERS,
    POSITIVE,
    RANKED,
    TEXTS,
    THREE,
    TWO,
    Data,
    with_gaps,
    with_zeros,
)
from tests.converting.sources.entry import Entry, Refusal, fitted

_FEW = {"n_estimators": 6, "num_leaves": 6, "min_child_samples": 5, "random_state": 0, "verbose": -1, "n_jobs": 1}


def entries() -> Iterator[Entry]:
    yield from _regressors()
    for name, data, asked in (
        ("binary", TWO, {}),
        ("three classes", TEXTS, {}),
        ("one against all", THREE, {"objective": "multiclassova"}),
        ("missing values", with_gaps(THREE), {}),
        ("random forest", THREE, {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.7}),
    ):
        yield _of("LGBMClassifier", name, data, fitted(lambda asked=asked: lightgbm.LGBMClassifier(**_FEW, **asked)))
    yield _of("LGBMRanker", "lambdarank", RANKED, fitted(lambda: lightgbm.LGBMRanker(**_FEW)))
    yield from _boosters()


def _of(estimator: str, variant: str, data: Data, fit: Any) -> Entry:
    return Entry(library="LightGBM", estimator=estimator, variant=variant, data=data, fit=fit)


def _regressors() -> Iterator[Entry]:
    for name, data, asked in (
        ("L2", NUMBERS, {}),
        ("L1", NUMBERS, {"objective": "regression_l1"}),
        ("Huber", NUMBERS, {"objective": "huber"}),
        ("Poisson", COUNTS, {"objective": "poisson"}),
        ("Tweedie", COUNTS, {"objective": "tweedie"}),
        ("gamma", POSITIVE, {"objective": "gamma"}),
        ("missing values", with_gaps(NUMBERS), {}),
        ("zero as missing", with_zeros(NUMBERS), {"zero_as_missing": True}),
        ("missing not used", NUMBERS, {"use_missing": False}),
        ("quantile", NUMBERS, {"objective": "quantile", "alpha": 0.8}),
        ("DART", NUMBERS, {"boosting_type": "dart"}),
        ("frame", NUMBER_FRAME, {}),
        ("extra trees", NUMBERS, {"extra_trees": True}),
    ):
        yield _of("LGBMRegressor", name, data, fitted(lambda asked=asked: lightgbm.LGBMRegressor(**_FEW, **asked)))
    yield _of("LGBMRegressor", "early stopping", NUMBERS, _stopped)
    yield _of("LGBMRegressor", "scaled", NUMBERS, fitted(lambda: make_pipeline(MinMaxScaler(), lightgbm.LGBMRegressor(**_FEW))))


def _boosters() -> Iterator[Entry]:
    for name, data, asked in (
        ("regression", NUMBERS, {"objective": "regression"}),
        ("binary", TWO, {"objective": "binary"}),
        ("multiclass", THREE, {"objective": "multiclass", "num_class": 3}),
        ("ranking", RANKED, {"objective": "lambdarank"}),
    ):
        said = _classes if name in ("binary", "multiclass") else _numbers
        yield replace(_of("Booster", name, data, lambda data, asked=asked: _trained(data, asked)), said=said)


def _trained(data: Data, asked: dict[str, Any]) -> lightgbm.Booster:
    rows = lightgbm.Dataset(data.x, data.y, group=list(data.groups) or None)
    settings = {"num_leaves": 6, "min_data_in_leaf": 5, "verbose": -1, "seed": 0, "num_threads": 1}
    return lightgbm.train(settings | asked, rows, 6)


def _stopped(data: Data) -> lightgbm.LGBMRegressor:
    """Stops long before its last round: ``best_iteration_`` counts."""
    model = lightgbm.LGBMRegressor(**_FEW | {"n_estimators": 200, "learning_rate": 0.9})
    model.fit(
        data.x[:100],
        data.y[:100],
        eval_set=[(data.x[100:], data.y[100:])],
        callbacks=[lightgbm.early_stopping(8, verbose=False)],
    )
    assert 0 < model.best_iteration_ < 190
    return model


def _numbers(model: lightgbm.Booster, rows: Any) -> dict[str, np.ndarray]:
    return {"prediction": model.predict(rows)}


def _classes(model: lightgbm.Booster, rows: Any) -> dict[str, np.ndarray]:
    shares = model.predict(rows)
    shares = np.column_stack([1 - shares, shares]) if shares.ndim == 1 else shares
    return {"classLabel": shares.argmax(axis=1), "classProbability": shares}


def refusals() -> Iterator[Refusal]:
    for what, names, data, make in (
        ("linear trees", "linear", NUMBERS, lambda: lightgbm.LGBMRegressor(linear_tree=True, **_FEW)),
        ("categorical splits", "categor", _categorical(), lambda: lightgbm.LGBMRegressor(**_FEW)),
    ):
        yield Refusal(library="LightGBM", what=what, names=names, data=data, fit=fitted(make))


def _categorical() -> Data:
    frames = [
        rows.assign(age=(rows["age"] // 10 % 4).astype(int).astype("category")) for rows in (NUMBER_FRAME.x, NUMBER_FRAME.held)
    ]
    return Data(x=frames[0], y=NUMBER_FRAME.y, held=frames[1])
