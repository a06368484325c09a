"""Whether a saved file says what the estimator says, on held-out rows and beside its splits, in both precisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from mlpublish.converting.convert import convert
from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.coreml.evaluate import load
from tests.converting.of_sklearn.agreeing import HELD_OUT, asked
from tests.converting.thresholds import beside, splits_of

BEFORE_1_6 = tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < (1, 6)


def assert_filed(model: Any, folder: Path, *, rows: np.ndarray = HELD_OUT, within: float = 1e-12) -> str:
    """Convert, and ask the file and the estimator.

    Args:
        rows: held out; rows beside the splits are made of them.
        within: the largest relative difference of a number; labels must be the same.

    Returns:
        The file's kind.
    """
    splits = [split for split in splits_of(model) if np.isfinite(split[1])]
    tried = np.vstack([rows, beside(rows, splits, most=12)]) if splits else rows
    converted = convert(model, samples=rows, out=folder, progress=False)
    saved, source = load(converted.path), SklearnSource(model)
    for kind in (np.float64, np.float32):
        given = tried.astype(kind)
        got = saved.predict_rows(source.inputs(given))
        wanted = _wanted(model, given)
        assert set(got) == set(wanted)
        for name, want in wanted.items():
            _assert_same(name, got[name], want, within)
    return str(converted.kind)


def _wanted(model: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
    labels = asked(model.predict, rows)
    if hasattr(model, "classes_"):
        return {"classLabel": labels, "classProbability": asked(model.predict_proba, rows)}
    if hasattr(model, "offset_"):
        return {"prediction": labels, "score": asked(model.decision_function, rows)}
    return {"prediction": labels}


def _assert_same(name: str, got: np.ndarray, want: np.ndarray, within: float) -> None:
    assert got.size == want.size, name
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got.reshape(want.shape), want, err_msg=name)
    else:
        apart = np.abs(got.reshape(want.shape) - want).max() / (np.abs(want).max() or 1.0)
        assert apart <= within, f"{name}: {apart}"
