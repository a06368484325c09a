"""coremltools' converters and ours, of one model, each as a saved file that our evaluator runs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpublish.converting.convert import convert
from mlpublish.converting.source import source_for
from mlpublish.coreml import evaluate

COLUMNS = [f"f{number}" for number in range(5)]

in_the_lowest_run = pytest.mark.skipif(
    not version("scikit-learn").startswith("1.5.") and os.environ.get("LOWEST") != "true",
    reason="coremltools reads estimators of scikit-learn up to 1.5 only: the run of the lowest versions has it",
)


class Judge:
    """Answers of both files to the same rows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def theirs(self, model: Any, rows: np.ndarray, **settings: Any) -> Mapping[str, np.ndarray]:
        """What coremltools' file says.

        Args:
            settings: of its converter for XGBoost; none for an estimator of scikit-learn.
        """
        path = self._folder / "theirs.mlmodel"
        converted(model, **settings).save(str(path))
        saved = evaluate.load(path)
        if [each.name for each in saved.description.interface.inputs] == ["input"]:
            return saved.predict_rows({"input": rows})
        return saved.predict_rows({name: rows[:, place] for place, name in enumerate(COLUMNS)})

    def ours(self, model: Any, rows: np.ndarray) -> Mapping[str, np.ndarray]:
        """What our file says."""
        made = convert(model, name="ours", samples=rows, out=self._folder / "ours", progress=False)
        said = evaluate.load(made.path).predict_rows(source_for(model).inputs(rows))
        return {name: values[:, 0] if values.shape[1:] == (1,) else values for name, values in said.items()}


def converted(model: Any, **settings: Any) -> Any:
    """What coremltools makes of a model."""
    import coremltools

    library = coremltools.converters.xgboost if type(model).__module__.startswith("xgboost") else coremltools.converters.sklearn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return library.convert(model, COLUMNS, "target", **settings)
