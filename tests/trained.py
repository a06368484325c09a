"""A small model of every source, really trained on digits, for tests of what becomes of it in MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

CHAMPION = "models:/kept@champion"
ROWS = 40


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model that was really trained, rows as its user holds them, and what it says to them."""

    model: Any
    rows: Any
    says: np.ndarray


def scaled(kind: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), kind)


def binary(digits, cnn) -> Trained:
    from sklearn.linear_model import LogisticRegression

    model = scaled(LogisticRegression()).fit(digits.rows, digits.labels % 2)
    return Trained(model=model, rows=digits.rows[:ROWS], says=model.predict(digits.rows[:ROWS]))


def multinomial(digits, cnn) -> Trained:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=300).fit(digits.rows, [f"digit {label}" for label in digits.labels])
    return Trained(model=model, rows=digits.rows[:ROWS], says=model.predict(digits.rows[:ROWS]))


def regression(digits, cnn) -> Trained:
    from sklearn.linear_model import LinearRegression

    frame = pd.DataFrame(digits.rows[:, 20:24], columns=["a", "b", "c", "d"])
    model = LinearRegression().fit(frame, digits.labels)
    return Trained(model=model, rows=frame[:ROWS], says=model.predict(frame[:ROWS]))


def boosted(digits, cnn) -> Trained:
    xgboost = pytest.importorskip("xgboost", reason="needs xgboost: pip install 'mlpublish[xgboost]'")
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=3).fit(digits.rows, digits.labels)
    return Trained(model=model, rows=digits.rows[:ROWS], says=model.predict(digits.rows[:ROWS]))


def network(digits, cnn) -> Trained:
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    model, images = cnn(), digits.rows[:ROWS].reshape(-1, 1, 8, 8).astype(np.float32)
    return Trained(model=model, rows=images, says=model(torch.from_numpy(images)).detach().numpy())


SOURCES = [binary, multinomial, regression, boosted, network]
