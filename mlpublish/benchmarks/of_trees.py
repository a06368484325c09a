"""Tree ensembles beside scikit-learn: 500 trees, 50 features, 10,000 rows at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor

from mlpublish.benchmarks.speed import Speed
from mlpublish.benchmarks.timing import medians
from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.coreml import evaluate
from mlpublish.errors import ConversionError

TREES, FEATURES, ROWS = 500, 50, 10_000
_FITTED = 3_000  # rows


def works(bar: float) -> dict[str, Callable[[Path, int], Iterator[Speed]]]:
    """Name -> what measures it, given a folder to write into and the rounds."""
    return {"forest": partial(_measured, "forest", bar), "boosting": partial(_measured, "boosting", bar)}


def _measured(name: str, bar: float, folder: Path, rounds: int) -> Iterator[Speed]:
    random = np.random.default_rng(3)
    x, asked = random.normal(size=(_FITTED, FEATURES)), random.normal(size=(ROWS, FEATURES)).astype(np.float32)
    y = np.sin(x[:, 0]) * 3 + x[:, 1] * x[:, 2] + random.normal(size=_FITTED) / 10
    fitted = _fitted(name, x.astype(np.float32), y)
    saved = SklearnSource(fitted).write(folder, name, samples=asked, precision="float32", target="iOS16")
    model = evaluate.load(saved)
    want, got = fitted.predict(asked), model.predict_rows({"input": asked})["prediction"]
    if not np.allclose(got, want, rtol=1e-4, atol=1e-6):
        raise ConversionError(f"{name} does not answer as scikit-learn's does.", remedy="Report this: it is a defect.")
    theirs, ours = medians(lambda: fitted.predict(asked), lambda: model.predict_rows({"input": asked}), rounds=rounds)
    yield Speed(name=f"{name}, {TREES} trees, {ROWS} rows", source=theirs, ours=ours, bar=bar)


def _fitted(name: str, x: NDArray[np.float32], y: NDArray[np.float64]) -> Any:
    if name == "forest":
        return RandomForestRegressor(TREES, max_depth=10, random_state=0, n_jobs=-1).fit(x, y).set_params(n_jobs=None)
    return GradientBoostingRegressor(n_estimators=TREES, max_depth=4, subsample=0.5, random_state=0).fit(x, y)
