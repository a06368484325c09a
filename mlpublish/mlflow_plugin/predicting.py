"""What ``mlflow.pyfunc`` loads: a Core ML model that predicts, by our evaluator or, on macOS, by Apple's runtime."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpublish.coreml import evaluate
from mlpublish.coreml.apple import AppleModel
from mlpublish.errors import RecipeError
from mlpublish.mlflow_plugin.deployments_errors import told
from mlpublish.mlflow_plugin.frames import Runner, predict_frame

if TYPE_CHECKING:
    import pandas as pd

EXECUTORS = ("auto", "mlpublish", "apple")
"""``auto`` is Apple's runtime on macOS and our evaluator everywhere else."""

OUTPUTS = ("answer", "all")
"""``answer`` is a classifier's label, and every output of any other model."""


class CoreMLPredictor:
    """The implementation behind a loaded ``mlflow.pyfunc`` model; its errors are MLflow's, in one line."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame | pd.Series[Any]:
        """Answer rows; see ``predict_frame`` for what they may be, and ``answer`` for what comes back.

        Args:
            params: ``{"outputs": "all"}`` for a classifier's probabilities beside its label.
        """
        with told():
            return answer(self._runner, model_input, **(params or {}))

    def get_raw_model(self) -> Runner:
        """What runs the model."""
        return self._runner


def answer(runner: Runner, rows: Any, outputs: str = OUTPUTS[0]) -> pd.DataFrame | pd.Series[Any]:
    """Run a model on rows.

    Args:
        rows: see ``predict_frame``.
        outputs: one of ``OUTPUTS``.

    Returns:
        A classifier's labels as a Series, which is what ``mlflow.models.evaluate`` takes; else a DataFrame.

    Raises:
        ConversionError: the rows do not fit the model.
        RecipeError: ``outputs`` is none.
    """
    wanted = one_of(OUTPUTS, "outputs", outputs)
    frame, label = predict_frame(runner, rows), _label(runner)
    return frame if label is None or wanted == "all" else frame[label]


def runner_for(path: Path, executor: str = "auto") -> Runner:
    """Open a saved model.

    Args:
        executor: one of ``EXECUTORS``.

    Raises:
        RecipeError: the executor is none, or cannot run here.
        ConversionError, FormatError, NotFound: the model cannot be opened.
    """
    wanted = one_of(EXECUTORS, "executor", executor)
    if wanted == "apple" or (wanted == "auto" and platform.system() == "Darwin"):
        return AppleModel(path)
    return evaluate.load(path)


def _label(runner: Runner) -> str | None:
    """The output that is a classifier's label; None where the model is no classifier."""
    outputs = runner.description.interface.outputs if runner.classes else ()
    return next((each.name for each in outputs if each.kind in ("int64", "string")), None)


def one_of(known: tuple[str, ...], field: str, value: object) -> str:
    """A setting that is one of several.

    Raises:
        RecipeError: it is none of them.
    """
    if value not in known:
        raise RecipeError(f"{field}={value!r} is not known.", remedy=f"Use one of: {', '.join(known)}.", field=field)
    return str(value)
