"""Golden data: a few inputs with the source model's answers, kept beside a model so that a device can ask it again.

A folder with ``golden.json`` and one ``.npy`` file (NumPy format 1.0, no pickle) per feature. Same data, same bytes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.compare import Answers, Difference, difference
from mlpublish.errors import FormatError
from mlpublish.formats.wire import Reader, dump

GOLDEN_FORMAT = 1
MAX_SAMPLES = 8
MAX_BYTES = 1024 * 1024  # of all arrays together

_INDEX = "golden.json"
_HEADROOM = 4096  # bytes of a .npy header
_KINDS = "fiU"
# numpy leaves these three without types
_write_array: Callable[..., None] = np.lib.format.write_array
_read_magic: Callable[[BinaryIO], tuple[int, int]] = np.lib.format.read_magic
_read_header: Callable[[BinaryIO], tuple[tuple[int, ...], bool, np.dtype[np.generic]]] = np.lib.format.read_array_header_1_0
_REMEDY = "Get the golden data again from where it was made; it may be cut or altered."


class Asked(Protocol):
    """What golden data asks: a saved model, opened by our evaluator or by Apple's runtime."""

    classes: tuple[int | str, ...]

    def predict_rows(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Feature -> (rows, …) becomes output -> (rows, …)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Inputs, feature -> (rows, …), and the answers that are wanted to them."""

    inputs: Mapping[str, NDArray[np.generic]]
    answers: Answers

    @property
    def samples(self) -> int:
        return len(next(iter(self.inputs.values())))

    def ask(self, model: Asked, before_row: Callable[[], None] = lambda: None) -> Answers:
        """What a model says to the inputs, asked row by row.

        Args:
            before_row: called before each; what it raises ends the work.

        Raises:
            FormatError, ConversionError: the model cannot be run, or not on these inputs.
        """
        rows: list[Mapping[str, NDArray[np.generic]]] = []
        for row in range(self.samples):
            before_row()
            rows.append(model.predict_rows({name: values[row : row + 1] for name, values in self.inputs.items()}))
        outputs = {name: np.concatenate([each[name] for each in rows]) for name in rows[0]}
        return Answers(outputs=outputs, classes=model.classes)

    def differences(self, got: Answers) -> dict[str, Difference]:
        """Hold answers against the wanted ones, output by output.

        Raises:
            ConversionError: an output is missing or has another shape.
        """
        return {name: difference(got, self.answers, only=name) for name in self.answers.outputs}

    def replay(self, model: Asked) -> Difference:
        """Ask a model again and compare."""
        return difference(self.ask(model), self.answers)


def write(folder: Path, inputs: Mapping[str, NDArray[np.generic]], answers: Answers) -> Golden | None:
    """Keep the first samples: at most ``MAX_SAMPLES``, in at most ``MAX_BYTES``.

    Returns:
        What was written, or None (and no folder) if one sample alone is larger than that.
    """
    arrays = {name: np.asarray(values) for name, values in {**inputs, **answers.outputs}.items()}
    per_sample = sum(values[:1].nbytes for values in arrays.values())
    count = min(MAX_SAMPLES, MAX_BYTES // max(1, per_sample), *(len(values) for values in arrays.values()))
    if count == 0:
        return None
    folder.mkdir()
    kept_inputs = {name: values[:count] for name, values in inputs.items()}
    kept_outputs = {name: values[:count] for name, values in answers.outputs.items()}
    document = {
        "format": GOLDEN_FORMAT,
        "samples": count,
        "inputs": _write_arrays(folder, "inputs", kept_inputs),
        "outputs": _write_arrays(folder, "outputs", kept_outputs),
        "classes": list(answers.classes),
        "scores": list(answers.scores),
    }
    (folder / _INDEX).write_bytes(dump(document))
    return Golden(inputs=kept_inputs, answers=replace(answers, outputs=kept_outputs))


def read(folder: Path) -> Golden:
    """Read golden data back, with every size checked before anything is loaded.

    Raises:
        FormatError: it is not golden data.
    """
    index = folder / _INDEX
    if not index.is_file():
        raise FormatError(f"There is no golden data in {folder.name}.", remedy=_REMEDY, field=_INDEX)
    reader = Reader.parse(index.read_bytes(), what=_INDEX)
    reader.version("format", known=GOLDEN_FORMAT)
    samples = reader.whole_number("samples", least=1, most=MAX_SAMPLES)
    for side in ("inputs", "outputs"):
        if not reader.inner(side).values:
            reader.refuse(side, "an object with at least one array")
    inputs, outputs = (_read_arrays(folder, reader.inner(side), samples) for side in ("inputs", "outputs"))
    answers = Answers(outputs=outputs, classes=_classes(reader), scores=reader.texts("scores"))
    if any(outputs[name].ndim < 2 for name in answers.scores if name in outputs):
        reader.refuse("scores", "names of outputs with columns")
    return Golden(inputs=inputs, answers=answers)


def _write_arrays(folder: Path, side: str, arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, str]:
    names = {name: f"{side}-{place}.npy" for place, name in enumerate(arrays)}
    for name, file in names.items():
        with (folder / file).open("wb") as stream:
            _write_array(stream, np.ascontiguousarray(arrays[name]), version=(1, 0), allow_pickle=False)
    return names


def _read_arrays(folder: Path, side: Reader, samples: int) -> dict[str, NDArray[np.generic]]:
    found: dict[str, NDArray[np.generic]] = {}
    for name in side.values:
        relative = side.relative_path(name)
        values = _read_array(folder / relative.name, side.place(name))
        if len(values) != samples:
            raise FormatError(f"{relative} holds {len(values)} samples, not {samples}.", remedy=_REMEDY, field=side.place(name))
        found[name] = values
    return found


def _read_array(file: Path, field: str) -> NDArray[np.generic]:
    if not file.is_file() or file.is_symlink() or file.stat().st_size > MAX_BYTES + _HEADROOM:
        raise FormatError(f"{file.name} is missing, or larger than {MAX_BYTES} bytes.", remedy=_REMEDY, field=field)
    with file.open("rb") as stream:
        try:
            if _read_magic(stream) != (1, 0):
                raise ValueError("not in NumPy's format 1.0")
            shape, column_major, dtype = _read_header(stream)
            data = stream.read()
            if dtype.kind not in _KINDS or column_major or not _holds(shape, dtype.itemsize, len(data)):
                raise FormatError(f"{file.name} is cut, or of a kind that is not read ({dtype}).", remedy=_REMEDY, field=field)
            values = np.frombuffer(data, dtype=dtype).reshape(shape)
            if dtype.kind == "U" and np.frombuffer(data, dtype=f"{dtype.byteorder}u4").max() > sys.maxunicode:
                raise ValueError("what it holds are no characters")
        except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError) as exc:
            raise FormatError(f"{file.name} is not an array: {exc}.", remedy=_REMEDY, field=field) from exc
    return values


def _holds(shape: tuple[int, ...], itemsize: int, length: int) -> bool:
    """Whether that many bytes are an array of this shape; the header may say anything, also numbers that wrap."""
    whole = bool(shape) and itemsize > 0 and all(type(each) is int and each > 0 for each in shape)
    return whole and math.prod(shape) * itemsize == length


def _classes(reader: Reader) -> tuple[int | str, ...]:
    values = reader.values.get("classes")
    if not isinstance(values, list) or not all(type(each) in (int, str) for each in values):
        reader.refuse("classes", "a list of labels")
    return tuple(values)
