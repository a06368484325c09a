"""Ten classic models for the study of faults, fitted for a moment on tables that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpublish.errors import MissingExtra

Table = NDArray[np.float64] | pd.DataFrame
HELD_OUT = 64


def _linear() -> tuple[Any, Table]:
    return _fitted(LinearRegression(), *load_diabetes(return_X_y=True))


def _scaled_columns() -> tuple[Any, Table]:
    x, y = load_diabetes(return_X_y=True, as_frame=True)
    return _fitted(make_pipeline(StandardScaler(), LinearRegression()), x, y)


def _two_classes() -> tuple[Any, Table]:
    return _fitted(make_pipeline(StandardScaler(), LogisticRegression()), *load_breast_cancer(return_X_y=True))


def _two_texts() -> tuple[Any, Table]:
    x, y = load_breast_cancer(return_X_y=True)
    return _fitted(LogisticRegression(max_iter=5000), x[:, :8], np.asarray(["ill", "well"])[y])


def _three_classes() -> tuple[Any, Table]:
    return _fitted(make_pipeline(StandardScaler(), LogisticRegression()), *load_wine(return_X_y=True))


def _boosted(kind: str, data: str, *, missing: bool = False, **settings: Any) -> tuple[Any, Table]:
    try:
        import xgboost
    except ImportError as exc:
        raise MissingExtra("XGBoost is not installed.", remedy="Run: python -m pip install 'mlpublish[xgboost]'") from exc
    loaders = {"diabetes": load_diabetes, "cancer": load_breast_cancer, "wine": load_wine}
    x, y = loaders[data](return_X_y=True)
    if missing:
        x[np.random.default_rng(2).random(x.shape) < 0.2] = np.nan
    return _fitted(getattr(xgboost, kind)(n_estimators=20, max_depth=3, random_state=0, n_jobs=1, **settings), x, y)


def _fitted(model: Any, x: Any, y: Any) -> tuple[Any, Table]:
    order = np.random.default_rng(4).permutation(len(x))
    x, y = (each.iloc[order] if hasattr(each, "iloc") else each[order] for each in (x, y))
    return model.fit(x[:-HELD_OUT], y[:-HELD_OUT]), x[-HELD_OUT:]


CLASSIC_MODELS: Mapping[str, Callable[[], tuple[Any, Table]]] = MappingProxyType(
    {
        "linear": _linear,
        "scaled columns": _scaled_columns,
        "two classes": _two_classes,
        "two texts": _two_texts,
        "three classes": _three_classes,
        "boosted": lambda: _boosted("XGBRegressor", "diabetes"),
        "boosted, absolute error": lambda: _boosted("XGBRegressor", "diabetes", objective="reg:absoluteerror"),
        "boosted, missing values": lambda: _boosted("XGBRegressor", "diabetes", missing=True),
        "boosted, two classes": lambda: _boosted("XGBClassifier", "cancer"),
        "boosted, three classes": lambda: _boosted("XGBClassifier", "wine"),
    }
)
"""Name -> a fitted model, and rows that it has not seen."""
