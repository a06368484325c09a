"""Run a saved Core ML model anywhere: the file alone, without Apple's runtime, without the library that trained it.

What this proves: the file says what the source model says, by our reading of Apple's format. It does not prove what a
phone's processors compute from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml import program
from mlpublish.coreml.answers import arrays, many, single, stacked
from mlpublish.coreml.backend import check_backend
from mlpublish.coreml.classic import run as classic
from mlpublish.coreml.classic.programs import Setting
from mlpublish.coreml.classic.stage import Rows
from mlpublish.coreml.control import NotFinite as NotFinite
from mlpublish.coreml.inputs import as_one_row, as_rows
from mlpublish.coreml.inputs import unsupported as unsupported_inputs
from mlpublish.coreml.package import SUFFIXES, Description, description_of, read, specification
from mlpublish.coreml.schema import Message
from mlpublish.coreml.sound import sound
from mlpublish.coreml.states import State as State
from mlpublish.coreml.states import checked
from mlpublish.coreml.weights import Weights
from mlpublish.errors import ConversionError, NotFound, RecipeError
from mlpublish.formats.interface import Feature
from mlpublish.version import __version__

if TYPE_CHECKING:
    from mlpublish.coreml.apple import AppleModel

EXECUTOR = f"mlpublish evaluator {__version__}"
"""How a parity report names this."""

EXECUTORS = ("mlpublish", "apple")
"""What ``load`` can run a model with: this evaluator, or on macOS Apple's runtime."""


class Model:
    """A saved model, ready to run.

    Args:
        path: the ``.mlmodel`` or ``.mlpackage``.
        mode: ``device`` rounds every result that the file declares float16; ``exact`` computes in float32. Only ML Programs
            differ in it.
        backend: ``numpy``; ``torch``, which runs the large operations of ML Programs; or ``auto``: torch if it is loaded
            already, or is installed and the program is large.
        function: which function of a model with several; by default the one that its description names.

    Raises:
        NotFound, FormatError: no model is there, or it is cut or altered.
        ConversionError: it needs something that is not evaluated here, or has no such function; the error names it.
        MissingExtra: the backend is torch, which is not installed.
        RecipeError: there is no such mode or backend.
    """

    classes: tuple[int | str, ...]
    """The labels in the order of the probabilities; empty where the model is no classifier."""

    not_finite: NotFinite | None = None
    """Of the last prediction in the mode ``device``: the first float16 variable that overflowed, or became no number."""

    def __init__(self, path: Path, *, mode: str = "device", backend: str = "auto", function: str | None = None) -> None:
        program.check_mode(mode)
        check_backend(backend)
        self.path = path
        self._halves = np.dtype(np.float16 if mode == "device" else np.float32)
        with sound(path):
            spec = read(path)
            self.description: Description = description_of(spec, path.name, function)
            _refuse_unsupported(path, _unsupported(spec, self.description))
            self._inside: program.Program | classic.Classic
            weights = Weights(specification(path).parent if path.is_dir() else None)
            if self.description.kind == "mlProgram":
                self._inside = program.Program(
                    spec.mlProgram,
                    weights,
                    function=self.description.function,
                    mode=mode,
                    backend=backend,
                )
                self.classes = self._inside.classes
            else:
                setting = Setting(weights=weights, mode=mode, backend=backend, tell=self._told)
                self._inside, self.classes = classic.Classic(spec, setting), classic.classes_of(spec)

    def predict(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[np.generic]]:
        """Run the model once, on inputs in the shapes of its interface.

        Args:
            inputs: feature -> array, number or text; an image also as a PIL image.

        Returns:
            Output -> its value: arrays in the model's shape, labels and doubles as arrays of rank 0, a dictionary of
            probabilities as an array in the order of ``classes``, any other dictionary as an array of rank 0 that holds it.
            float16 outputs are float32 arrays of the same numbers.

        Raises:
            ConversionError: an input is missing or unknown, or has a shape that the model does not take; or the model keeps a
                state.
        """
        self._refuse_forgetting()
        with sound(self.path):
            rows = as_one_row(self.description.interface.inputs, inputs)
            if isinstance(self._inside, program.Program):
                return arrays(self._ran(self._inside, rows, 0).outputs)
            return single(self._in_stages(self._inside, rows), self.description.interface.outputs)

    def predict_rows(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[np.generic]]:
        """Run the model on many rows of one shape.

        Args:
            inputs: feature -> (rows, …); a row has the feature's shape, with or without a leading 1; a single number may
                stand without any axis.

        Returns:
            Output -> (rows, …), a leading 1 of the model's shape left out; probabilities are (rows, classes).

        Raises:
            ConversionError: an input is missing or unknown, or a row has another shape; the numbers are named. Or the model
                keeps a state.
        """
        self._refuse_forgetting()
        with sound(self.path):
            rows = as_rows(self.description.interface.inputs, inputs)
            if not isinstance(self._inside, program.Program):
                return many(self._in_stages(self._inside, rows), self.description.interface.outputs)
            count = len(next(iter(rows.values()), ()))
            return stacked([self._ran(self._inside, rows, row).outputs for row in range(count)])

    def initial_state(self) -> State:
        """What a stateful model remembers before its first prediction: zeros; empty for a model without states."""
        with sound(self.path):
            return State.zeros(self._state_features())

    def predict_with_state(
        self, inputs: Mapping[str, Any], state: Mapping[str, NDArray[np.generic]]
    ) -> tuple[dict[str, NDArray[np.generic]], State]:
        """Run a stateful model once.

        Args:
            inputs: as for ``predict``.
            state: ``initial_state()``, or what the prediction before gave; it is not changed.

        Returns:
            The outputs, as ``predict`` gives them, and the state after it.

        Raises:
            ConversionError: the inputs or the state do not fit the model.
        """
        features = self._state_features()
        before = checked(features, state)
        with sound(self.path):
            rows = as_one_row(self.description.interface.inputs, inputs)
            if not isinstance(self._inside, program.Program):
                return single(self._in_stages(self._inside, rows), self.description.interface.outputs), before
            ran = self._ran(self._inside, rows, 0, before)
            after = {each.name: np.asarray(ran.states[each.name]).astype(each.dtype) for each in features}
            return arrays(ran.outputs), State(after)

    def _ran(self, inside: program.Program, rows: Rows, row: int, state: State | None = None) -> program.Ran:
        if row == 0:
            self.not_finite = None
        ran = inside.run({name: values[row] for name, values in rows.items()}, state)
        if self.not_finite is None and ran.not_finite is not None:
            self.not_finite = replace(ran.not_finite, row=row)
        return ran

    def _in_stages(self, inside: classic.Classic, rows: Rows) -> Rows:
        self.not_finite = None
        return inside.run(rows)

    def _told(self, found: NotFinite) -> None:
        self.not_finite = self.not_finite or found

    def _state_features(self) -> tuple[Feature, ...]:
        """The states, those of float16 as this mode keeps them."""
        states = self.description.interface.states
        return tuple(replace(each, dtype=str(self._halves)) if each.dtype == "float16" else each for each in states)

    def _refuse_forgetting(self) -> None:
        if self.description.interface.states:
            names = ", ".join(each.name for each in self.description.interface.states)
            raise ConversionError(
                f"{self.path.name} keeps a state ({names}), which a prediction needs and changes.",
                remedy="Use outputs, state = model.predict_with_state(inputs, state), beginning with model.initial_state().",
                field="state",
            )


@overload
def load(
    path: Path | str, *, mode: str = ..., backend: str = ..., function: str | None = ..., executor: Literal["mlpublish"] = ...
) -> Model: ...
@overload
def load(
    path: Path | str, *, mode: str = ..., backend: str = ..., function: str | None = ..., executor: str
) -> Model | AppleModel: ...
def load(
    path: Path | str,
    *,
    mode: str = "device",
    backend: str = "auto",
    function: str | None = None,
    executor: str = "mlpublish",
) -> Model | AppleModel:
    """Open a model: a file, a package, or an unpacked bundle that holds exactly one.

    Args:
        mode, backend, function: as ``Model``; Apple's runtime knows neither mode nor backend.
        executor: one of ``EXECUTORS``.

    Raises:
        ConversionError: a bundle holds several models; the error names them.
        RecipeError: there is no such executor, or it cannot run here.
    """
    if executor not in EXECUTORS:
        raise RecipeError(
            f"executor={executor!r} is not known.", remedy=f"Use one of: {', '.join(EXECUTORS)}.", field="executor"
        )
    chosen = _model_in(Path(path))
    if executor == "apple":
        from mlpublish.coreml.apple import AppleModel

        return AppleModel(chosen, function=function)
    return Model(chosen, mode=mode, backend=backend, function=function)


def _model_in(path: Path) -> Path:
    if path.suffix in SUFFIXES or not (path / "models").is_dir():
        return path
    found = sorted(each for each in (path / "models").iterdir() if each.suffix in SUFFIXES)
    if not found:
        raise NotFound(f"There is no model in {path}.", remedy="Name the folder of an unpacked bundle.", field="path")
    if len(found) > 1:
        names = ", ".join(f"models/{each.name}" for each in found)
        raise ConversionError(f"{path} holds several models: {names}.", remedy="Name one of them.", field="path")
    return found[0]


def unsupported(path: Path | str, function: str | None = None) -> list[str]:
    """What a saved model needs that is not evaluated here, in alphabetical order; empty if nothing.

    Args:
        path: as for ``load``.
        function: which function of a model with several; by default the one that its description names.
    """
    chosen = _model_in(Path(path))
    with sound(chosen):
        spec = read(chosen)
        return _unsupported(spec, description_of(spec, chosen.name, function))


def _unsupported(spec: Message, description: Description) -> list[str]:
    is_program = description.kind == "mlProgram"
    inside = program.unsupported(spec.mlProgram, description.function) if is_program else classic.unsupported(spec)
    return sorted(unsupported_inputs(description.interface) + inside)


def _refuse_unsupported(path: Path, found: list[str]) -> None:
    if found:
        raise ConversionError(
            f"{path.name} needs what the evaluator does not know: {', '.join(found)}.",
            remedy="Change the model so that it does without, or ask for it in mlpublish's issue tracker.",
            field=found[0],
        )
