"""Run a saved model in Apple's own runtime, through coremltools, on macOS; with the same surface as our evaluator's.

Here stand the mapping between our arrays and the dictionaries that ``MLModel.predict`` takes and gives, and the opening of a
model. The mapping is tested everywhere, with a stand-in for ``MLModel``; that ``MLModel`` itself behaves so needs a Mac.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.answers import without_leading_one
from mlpublish.coreml.classic.stage import Rows
from mlpublish.coreml.images import as_picture, is_picture, planes_of
from mlpublish.coreml.inputs import as_one_row, as_rows
from mlpublish.coreml.labels import labels_of
from mlpublish.coreml.package import Description, description_of, read
from mlpublish.coreml.states import State, checked
from mlpublish.errors import ConversionError, RecipeError
from mlpublish.formats.interface import Feature

COMPUTE_UNITS = ("ALL", "CPU_AND_GPU", "CPU_AND_NE", "CPU_ONLY")
"""coremltools' names: which processors Apple's runtime may use."""

_Array = NDArray[np.generic]


class Runtime(Protocol):
    """What is used of coremltools' ``MLModel``."""

    def predict(self, data: Any, state: Any = None) -> Any:
        """Answer a dictionary with one, or a list of them with a list."""

    def make_state(self) -> Any:
        """A state, with ``read_state(name)`` and ``write_state(name, value)``."""


Opener = Callable[[Path, str, str | None], Runtime]
"""(path, compute units, function) -> what runs the model."""


class AppleModel:
    """A saved model in Apple's runtime.

    Args:
        path: the ``.mlmodel`` or ``.mlpackage``.
        function: which function of a model with several; by default the one that its description names.
        compute_units: one of ``COMPUTE_UNITS``.
        opener: opens the model; by default coremltools on macOS.

    Raises:
        RecipeError: this is no macOS, or there are no such compute units.
        NotFound, FormatError: no model is there, or it is cut or altered.
        ConversionError: the model has no such function, or Apple's runtime does not open it.
    """

    classes: tuple[int | str, ...]
    """The labels in the order of the probabilities; where the file tells none, sorted, from the first answer."""

    def __init__(
        self, path: Path, *, function: str | None = None, compute_units: str = "ALL", opener: Opener | None = None
    ) -> None:
        if compute_units not in COMPUTE_UNITS:
            raise RecipeError(
                f"compute_units={compute_units!r} is not known.",
                remedy=f"Use one of: {', '.join(COMPUTE_UNITS)}.",
                field="compute_units",
            )
        opened = opener or _opener()
        spec = read(path)
        self.path = path
        self.description: Description = description_of(spec, path.name, function)
        self.classes = labels_of(spec, function)
        several = len(self.description.functions) > 1
        self._runtime = opened(path, compute_units, self.description.function if several else None)

    def predict(self, inputs: Mapping[str, Any]) -> dict[str, _Array]:
        """Run the model once; as the evaluator's ``Model.predict``."""
        rows = as_one_row(self.description.interface.inputs, inputs)
        return self._alone(self._answers(rows, 1)[0])

    def predict_rows(self, inputs: Mapping[str, Any]) -> dict[str, _Array]:
        """As the evaluator's: feature -> (rows, …) becomes output -> (rows, …)."""
        rows = as_rows(self.description.interface.inputs, inputs)
        answers = self._answers(rows, len(next(iter(rows.values()))))
        self.classes, collected = collect(answers, self.description.interface.outputs, self.classes)
        return collected

    def initial_state(self) -> State:
        """What a stateful model remembers before its first prediction: zeros; empty for a model without states."""
        return State.zeros(self.description.states)

    def predict_with_state(self, inputs: Mapping[str, Any], state: Mapping[str, _Array]) -> tuple[dict[str, _Array], State]:
        """Run a stateful model once; as the evaluator's. Apple's runtime keeps a state of its own: it is written before, and
        read after (macOS 15 and newer).
        """
        before = checked(self.description.states, state)
        rows = as_one_row(self.description.interface.inputs, inputs)
        kept = self._runtime.make_state()
        for name, value in before.items():
            kept.write_state(name, value)
        (given,) = _dictionaries(self.description.interface.inputs, rows, 1)
        answer = self._alone(self._runtime.predict(given, state=kept))
        return answer, State({name: np.asarray(kept.read_state(name)) for name in before})

    def _answers(self, rows: Rows, count: int) -> Sequence[Mapping[str, Any]]:
        answers: Sequence[Mapping[str, Any]] = self._runtime.predict(
            _dictionaries(self.description.interface.inputs, rows, count)
        )
        if len(answers) != count:
            raise ConversionError(
                f"Apple's runtime gave {len(answers)} answers to {count} rows.", remedy="Ask row by row.", field="samples"
            )
        return answers

    def _alone(self, answer: Mapping[str, Any]) -> dict[str, _Array]:
        """One answer, arrays in the model's shape."""
        outputs = self.description.interface.outputs
        self.classes = self.classes or _classes((answer,))
        found: dict[str, _Array] = {}
        for each in outputs:
            value = _array(answer[each.name], self.classes, each)
            fixed = each.kind == "multiArray" and each.shape and each.flexible is None
            found[each.name] = value.reshape(each.shape) if fixed else value
        return found


def collect(
    answers: Sequence[Mapping[str, Any]], outputs: Sequence[Feature], classes: tuple[int | str, ...] = ()
) -> tuple[tuple[int | str, ...], dict[str, _Array]]:
    """Apple's answers, one dictionary a row, as arrays: the classes in their order, and output -> (rows, …).

    Args:
        answers: output -> its value: a number, a text, an array, a picture, or label -> probability.
        outputs: the model's.
        classes: the labels in the order of the probabilities; by default in alphabetical order, from the first answer.
    """
    known = classes or _classes(answers)
    collected = {
        each.name: np.stack([without_leading_one(_array(answer[each.name], known, each)) for answer in answers])
        for each in outputs
    }
    return known, collected


def _opener() -> Opener:
    if platform.system() != "Darwin":
        raise RecipeError(
            f"Apple's runtime is part of macOS, and this is {platform.system()}.",
            remedy="Leave out the executor, or use 'mlpublish'.",
            field="executor",
        )
    return _opened_by_coremltools


def _opened_by_coremltools(path: Path, compute_units: str, function: str | None) -> Runtime:
    import coremltools

    try:
        opened: Runtime = coremltools.models.MLModel(
            str(path), compute_units=coremltools.ComputeUnit[compute_units], function_name=function
        )
    except Exception as exc:  # Apple's runtime has errors of many kinds; each means the same here
        raise ConversionError(
            f"Apple's runtime does not open {path.name}: {exc}.",
            remedy="See that this macOS is new enough for the model: mlpublish inspect tells.",
            field="model",
        ) from exc
    return opened


def _dictionaries(features: Sequence[Feature], rows: Rows, count: int) -> list[dict[str, Any]]:
    """Rows as ``MLModel.predict`` takes them; what was left out stays out."""
    given = [each for each in features if each.name in rows]
    return [{each.name: _given(each, rows[each.name][row]) for each in given} for row in range(count)]


def _given(feature: Feature, value: Any) -> Any:
    match feature.kind:
        case "image":
            return as_picture(feature, value)
        case "dictionary":
            return dict(value)
        case "multiArray":  # coremltools takes float16 arrays as float32 ones
            return value.astype(np.float32) if value.dtype == np.float16 else value
    return value.item()


def _array(value: Any, classes: tuple[int | str, ...], feature: Feature) -> _Array:
    if isinstance(value, dict):
        if value.keys() == set(classes):
            return np.asarray([value[label] for label in classes])
        kept = np.empty((), dtype=object)
        kept[()] = value
        return kept
    if is_picture(value):
        return planes_of(feature, value).astype(np.float32)[np.newaxis]
    return np.asarray(value)


def _classes(answers: Sequence[Mapping[str, Any]]) -> tuple[int | str, ...]:
    return tuple(next((sorted(value) for value in answers[0].values() if isinstance(value, dict)), ()))
