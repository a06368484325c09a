"""Run a saved Core ML model anywhere: the file alone, without Apple's runtime, without the library that trained it.

What this proves: the file says what the source model says, by our reading of Apple's format. It does not prove what a
phone's processors compute from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml import program
from mlpublish.coreml.classic import run as classic
from mlpublish.coreml.classic.stage import Rows
from mlpublish.coreml.inputs import as_rows
from mlpublish.coreml.mil_ops.tensor import Value
from mlpublish.coreml.package import SUFFIXES, Description, description_of, read, specification
from mlpublish.coreml.schema import Message
from mlpublish.coreml.weights import Weights
from mlpublish.errors import ConversionError, FormatError, NotFound
from mlpublish.version import __version__

EXECUTOR = f"mlpublish evaluator {__version__}"
"""How a parity report names this."""


class Model:
    """A saved model, ready to run.

    Args:
        path: the ``.mlmodel`` or ``.mlpackage``.

    Raises:
        NotFound, FormatError: no model is there, or it is cut or altered.
        ConversionError: it needs something that is not evaluated here; the error names it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _sound(path):
            self._open(path)

    def _open(self, path: Path) -> None:
        spec = read(path)
        self.description: Description = description_of(spec, path.name)
        _refuse_unsupported(path, _unsupported(spec, self.description))
        self._inside: program.Program | classic.Classic
        self.classes: tuple[int | str, ...]
        """The labels in the order of the probabilities; empty where the model is no classifier."""
        if self.description.kind == "mlProgram":
            self._inside = program.Program(spec.mlProgram, Weights(specification(path).parent if path.is_dir() else None))
            self.classes = self._inside.classes
        else:
            self._inside, self.classes = classic.Classic(spec), classic.classes_of(spec)

    def predict(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run the model once, on inputs in the shapes of its interface.

        Returns:
            Output -> its value: arrays in the model's shape, labels and doubles as arrays of rank 0, a dictionary of
            probabilities as an array in the order of ``classes``.
        """
        rows = self.predict_rows({name: np.asarray(value)[np.newaxis] for name, value in inputs.items()})
        shapes = {each.name: each.shape for each in self.description.interface.outputs if each.kind == "multiArray"}
        return {name: value[0].reshape(shapes.get(name) or value[0].shape) for name, value in rows.items()}

    def predict_rows(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run the model on many rows.

        Args:
            inputs: feature -> (rows, …); a row has the feature's shape, with or without a leading 1; a single number may
                stand without any axis.

        Returns:
            Output -> (rows, …), a leading 1 of the model's shape left out; probabilities are (rows, classes).

        Raises:
            ConversionError: an input is missing or unknown, or a row has another shape; the numbers are named.
        """
        rows = as_rows(self.description.interface.inputs, inputs)
        with _sound(self.path):
            if isinstance(self._inside, classic.Classic):
                return self._inside.run(rows)
            count = len(next(iter(rows.values())))
            return _stacked([self._inside.run({name: rows[name][row] for name in rows}) for row in range(count)])


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    """A file that lies about itself ends in one error of ours, whatever it made Python or numpy say."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as exc:
        raise FormatError(
            f"{path.name} is not a model that holds together ({type(exc).__name__}).",
            remedy="Get it again from where it was made; it may be cut or altered.",
            field=path.name,
        ) from exc


def load(path: Path) -> Model:
    """Open a model: a file, a package, or an unpacked bundle that holds exactly one.

    Raises:
        ConversionError: a bundle holds several models; the error names them.
    """
    if path.suffix in SUFFIXES or not (path / "models").is_dir():
        return Model(path)
    found = sorted(each for each in (path / "models").iterdir() if each.suffix in SUFFIXES)
    if not found:
        raise NotFound(f"There is no model in {path}.", remedy="Name the folder of an unpacked bundle.", field="path")
    if len(found) > 1:
        names = ", ".join(f"models/{each.name}" for each in found)
        raise ConversionError(f"{path} holds several models: {names}.", remedy="Name one of them.", field="path")
    return Model(found[0])


def unsupported(path: Path) -> list[str]:
    """What a saved model needs that is not evaluated here, in alphabetical order; empty if nothing."""
    spec = read(path)
    return _unsupported(spec, description_of(spec, path.name))


def _unsupported(spec: Message, description: Description) -> list[str]:
    images = [f"image input {each.name}" for each in description.interface.inputs if each.kind == "image"]
    inside = program.unsupported(spec.mlProgram) if description.kind == "mlProgram" else classic.unsupported(spec)
    return images + inside


def _refuse_unsupported(path: Path, found: list[str]) -> None:
    if found:
        raise ConversionError(
            f"{path.name} needs what the evaluator does not know: {', '.join(found)}.",
            remedy="Change the model so that it does without, or ask for it in mlpublish's issue tracker.",
            field=found[0],
        )


def _stacked(results: list[dict[str, Value]]) -> Rows:
    return {name: np.stack([_without_leading_one(each[name]) for each in results]) for name in results[0]}


def _without_leading_one(value: Value) -> NDArray[np.generic]:
    array = np.asarray(value)
    return array[0] if array.ndim > 1 and array.shape[0] == 1 else array
