"""What ``mlflow.pyfunc`` loads: a Core ML model that predicts, by our evaluator or, on macOS, by Apple's runtime."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml import evaluate
from mlpublish.coreml.inputs import as_rows
from mlpublish.coreml.package import describe
from mlpublish.errors import RecipeError
from mlpublish.formats.evidence import Feature
from mlpublish.mlflow_plugin.deployments_errors import told
from mlpublish.mlflow_plugin.frames import Rows, Runner, predict_frame

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


class AppleModel:
    """A saved model in Apple's runtime, through coremltools.

    Raises:
        RecipeError: this is no macOS.
    """

    classes: tuple[int | str, ...] = ()
    """In alphabetical order, known from the first answer: Apple's dictionaries have no order."""

    def __init__(self, path: Path) -> None:
        if platform.system() != "Darwin":
            raise RecipeError(
                f"Apple's runtime is part of macOS, and this is {platform.system()}.",
                remedy="Leave out the executor, or use 'mlpublish'.",
                field="executor",
            )
        from coremltools.models import MLModel

        self.description = describe(path)
        self._model = MLModel(str(path))

    def predict_rows(self, inputs: Rows) -> dict[str, NDArray[np.generic]]:
        """As the evaluator's: feature -> (rows, …) becomes output -> (rows, …)."""
        rows = as_rows(self.description.interface.inputs, inputs)
        count = len(next(iter(rows.values())))
        answers = self._model.predict([{name: _given(values[row]) for name, values in rows.items()} for row in range(count)])
        self.classes, collected = collect(answers, self.description.interface.outputs)
        return collected


def collect(
    answers: Sequence[Mapping[str, Any]], outputs: Sequence[Feature]
) -> tuple[tuple[int | str, ...], dict[str, NDArray[np.generic]]]:
    """Apple's answers, one dictionary a row, as arrays: the classes in their order, and output -> (rows, …).

    Args:
        answers: output -> its value: a number, a text, an array, or label -> probability.
        outputs: the model's.
    """
    classes = tuple(next((sorted(value) for value in answers[0].values() if isinstance(value, dict)), ()))
    collected = {each.name: np.stack([_array(answer[each.name], classes, each) for answer in answers]) for each in outputs}
    return classes, collected


def _array(value: Any, classes: tuple[int | str, ...], feature: Feature) -> NDArray[np.generic]:
    array = np.asarray([value[label] for label in classes] if isinstance(value, dict) else value)
    without_batch = feature.shape[1:] if len(feature.shape) > 1 and feature.shape[0] == 1 else array.shape
    return array.reshape(without_batch)


def _given(value: NDArray[np.generic]) -> Any:
    return value if value.ndim else value.item()


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
