"""Models of the size that people convert: 500 trees over 50 features, and a pipeline over a frame with texts and gaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

TREES, FEATURES = 500, 50
_ROWS, _ASKED = 2_000, 100

Fitted: TypeAlias = tuple[Any, Any]
"""A fitted model, and rows to ask it."""


def forest() -> Fitted:
    from sklearn.ensemble import RandomForestRegressor

    x, y = _numbers()
    return RandomForestRegressor(TREES, max_depth=10, random_state=0, n_jobs=-1).fit(x, y).set_params(n_jobs=None), x[:_ASKED]


def boosting() -> Fitted:
    from sklearn.ensemble import GradientBoostingRegressor

    x, y = _numbers()
    model = GradientBoostingRegressor(n_estimators=TREES, max_depth=4, subsample=0.5, max_features=0.3, random_state=0)
    return model.fit(x, y), x[:_ASKED]


def xgboost() -> Fitted:
    import xgboost

    x, y = _numbers()
    return xgboost.XGBRegressor(n_estimators=TREES, max_depth=6, learning_rate=0.1, n_jobs=1).fit(x, y), x[:_ASKED]


def lightgbm() -> Fitted:
    import lightgbm

    x, y = _numbers()
    model = lightgbm.LGBMRegressor(n_estimators=TREES, learning_rate=0.1, n_jobs=1, verbose=-1)
    return model.fit(x, y), x[:_ASKED]


def pipeline() -> Fitted:
    """Numbers imputed and scaled, texts encoded, then a forest."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame, y = _frame()
    numbers = [name for name in frame.columns if name.startswith("n")]
    texts = [name for name in frame.columns if name.startswith("t")]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("texts", OneHotEncoder(handle_unknown="ignore"), texts),
        ]
    )
    model = make_pipeline(columns, RandomForestClassifier(100, max_depth=8, random_state=0)).fit(frame, y)
    return model, frame[:_ASKED]


MODELS: Mapping[str, Callable[[], Fitted]] = {
    "forest": forest,
    "boosting": boosting,
    "xgboost": xgboost,
    "lightgbm": lightgbm,
    "pipeline": pipeline,
}


def _numbers() -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    random = np.random.default_rng(3)
    x = random.normal(size=(_ROWS, FEATURES)).astype(np.float32)
    return x, np.sin(x[:, 0]) * 3 + x[:, 1] * x[:, 2] + random.normal(size=_ROWS) / 10


def _frame() -> tuple[Any, NDArray[np.int64]]:
    import pandas

    random = np.random.default_rng(4)
    numbers = random.normal(size=(_ROWS, 20))
    numbers[random.random(numbers.shape) < 0.05] = np.nan
    columns: dict[str, Any] = {f"n{place}": numbers[:, place] for place in range(20)}
    columns |= {f"t{place}": random.choice(["red", "green", "blue", "grey"], _ROWS) for place in range(5)}
    return pandas.DataFrame(columns), np.digitize(np.nan_to_num(numbers[:, 0]), [-0.5, 0.5])
