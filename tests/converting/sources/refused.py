"""What of scikit-learn is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.converting.sources.data import NUMBERS, THREE, TWO, Data
from tests.converting.sources.entry import Refusal, fitted

_WORDS = ["a cat sat", "a dog ran", "the cat ran", "no dog sat"] * 5
WORDS = Data(x=_WORDS, y=[0, 1] * 10, held=_WORDS[:4])


class Doubled(TransformerMixin, BaseEstimator):
    """A transformer that somebody wrote."""

    def fit(self, rows: Any, targets: Any = None) -> Doubled:
        self.n_features_in_ = rows.shape[1]
        return self

    def transform(self, rows: Any) -> Any:
        return rows * 2


class Contrary(LogisticRegression):
    """A classifier that answers in its own way."""

    def predict(self, rows: Any) -> Any:
        return 1 - super().predict(rows)


def refusals() -> Iterator[Refusal]:
    for what, names, data, make in (
        ("GaussianProcessRegressor", "GaussianProcessRegressor", NUMBERS, GaussianProcessRegressor),
        ("CountVectorizer", "CountVectorizer", WORDS, lambda: make_pipeline(CountVectorizer(), LogisticRegression())),
        ("TfidfVectorizer", "TfidfVectorizer", WORDS, lambda: make_pipeline(TfidfVectorizer(), LogisticRegression())),
        ("A transformer of one's own", "Doubled", TWO, lambda: make_pipeline(Doubled(), LogisticRegression())),
        (
            "A function of one's own",
            "FunctionTransformer",
            TWO,
            lambda: make_pipeline(FunctionTransformer(_halved), LogisticRegression()),
        ),
        ("A subclass with its own predict", "Contrary", TWO, Contrary),
        ("HistGradientBoosting*, categorical splits", "categor", _places(), _by_places),
        ("Labels that are no integers, texts or booleans", "label", THREE.of(THREE.y + 0.5), None),
    ):
        yield Refusal(library="scikit-learn", what=what, names=names, data=data, fit=fitted(make) if make else _of_fractions)


def _halved(rows: Any) -> Any:
    return rows / 2


def _by_places() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=3, categorical_features=[0])


def _places() -> Data:
    def made(rows: np.ndarray) -> np.ndarray:
        return np.column_stack([rows[:, 1].round() // 10 % 4, rows[:, 0]])

    return Data(x=made(NUMBERS.x), y=TWO.y, held=made(NUMBERS.held))


def _of_fractions(data: Data) -> Any:
    """scikit-learn takes no fractions for labels, but numbers that were objects pass."""
    model = LogisticRegression().fit(NUMBERS.x, THREE.y)
    model.classes_ = np.asarray(sorted(set(data.y)))
    return model
