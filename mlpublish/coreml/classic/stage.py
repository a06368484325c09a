"""What a stage of a classic specification is: opened once, run on all rows at once; and what all stages have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.schema import Message

Rows: TypeAlias = dict[str, NDArray[np.generic]]
"""Feature -> array whose first axis is the row: numbers (rows, …), texts (rows,), dictionaries as objects (rows,); a
classifier's probabilities are (rows, classes). An optional input that was not given has no entry."""

Run: TypeAlias = Callable[[Rows], Rows]
"""What is known so far -> what the stage adds to it."""

Label: TypeAlias = "int | str"
Doubles: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
Array: TypeAlias = NDArray[Any]
"""Of any type; ``NDArray[np.generic]`` has no arithmetic."""

CELLS = 1 << 21
"""Numbers of an intermediate result at once (16 MiB of doubles); more rows are done in parts."""


class Family(Protocol):
    """A module of stages of some kinds."""

    @property
    def KINDS(self) -> tuple[str, ...]:  # a constant of the module
        """The specification types that it runs, as ``WhichOneof("Type")`` names them."""

    def unsupported(self, stage: Message, /) -> list[str]:
        """What the stage asks for that is not evaluated here."""

    def opened(self, stage: Message, /) -> Run:
        """Read a stage for which ``unsupported`` is empty.

        Raises:
            ValueError, KeyError, IndexError: it does not hold together.
        """

    def classes(self, stage: Message, /) -> tuple[Label, ...]:
        """The labels in the order of the probabilities; empty where the stage is no classifier."""


def held_by(stage: Message) -> Message:
    """The message of a stage's own type."""
    return getattr(stage, stage.WhichOneof("Type"))


def labels_of(classifier: Message) -> tuple[Label, ...]:
    """A classifier's labels (the ``ClassLabels`` of its message), in the order of its probabilities."""
    if classifier.WhichOneof("ClassLabels") == "stringClassLabels":
        return tuple(str(each) for each in classifier.stringClassLabels.vector)
    return tuple(int(each) for each in classifier.int64ClassLabels.vector)


def input_of(stage: Message, known: Rows) -> Array:
    """The values of a stage's one input.

    Raises:
        ValueError: it has none or several, or the caller left it out.
    """
    if len(stage.description.input) != 1:
        raise ValueError(f"it has {len(stage.description.input)} inputs, not one")
    return given(known, str(stage.description.input[0].name))


def given(known: Rows, name: str) -> Array:
    """The values of a feature.

    Raises:
        ValueError: the caller left it out, or no stage makes it.
    """
    if name not in known:
        raise ValueError(f"its input {name!r} is not given")
    return known[name]


def answer(stage: Message, values: Array) -> Rows:
    """The values as a stage's one output.

    Raises:
        ValueError: it has none or several.
    """
    if len(stage.description.output) != 1:
        raise ValueError(f"it has {len(stage.description.output)} outputs, not one")
    return {str(stage.description.output[0].name): values}


def vector(stage: Message, known: Rows) -> Doubles:
    """All inputs one after another in the order of the description, as doubles: (rows, numbers).

    Raises:
        ValueError: an input is not given or not numeric.
    """
    parts = [flat(given(known, str(each.name)), str(each.name)) for each in stage.description.input]
    if not parts:
        raise ValueError("it has no inputs")
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def flat(values: Array, name: str) -> Doubles:
    """One row per sample, as doubles: (rows, …) -> (rows, numbers).

    Raises:
        ValueError: they are not numbers.
    """
    if values.dtype.kind not in "fiub":
        raise ValueError(f"its input {name!r} holds no numbers")
    return values.astype(np.float64, copy=False).reshape(len(values), -1)


def kind_of(feature: Message) -> str:
    """A feature's type, such as ``multiArrayType``; empty where there is none."""
    return str(feature.type.WhichOneof("Type") or "")


def doubles(values: Any, what: str) -> Doubles:
    """A file's list of parameters.

    Raises:
        ValueError: one is not a number.
    """
    read = np.asarray(list(values), dtype=np.float64)
    if np.isnan(read).any():
        raise ValueError(f"{what} holds a value that is not a number")
    return read


def matrix(rows: list[Any], what: str) -> Doubles:
    """A file's lists of parameters, each one row.

    Raises:
        ValueError: they differ in length, or one value is not a number.
    """
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(f"{what} have {min(widths)} to {max(widths)} numbers")
    return doubles([value for row in rows for value in row], what).reshape(len(rows), *(widths or {0}))


def chosen(stage: Message, labels: tuple[Label, ...], probabilities: Doubles) -> Rows:
    """A classifier's outputs: the label of each row's largest probability (of equal ones the first) and the probabilities.

    Raises:
        ValueError: there are not as many labels as probabilities.
    """
    if probabilities.shape[1] != len(labels) or not labels:
        raise ValueError(f"{len(labels)} labels for {probabilities.shape[1]} probabilities")
    return named(stage, np.asarray(labels)[np.argmax(probabilities, axis=1)], probabilities)


def named(stage: Message, label: Array, probabilities: Doubles | None) -> Rows:
    """A classifier's outputs under the names that its description gives them."""
    found: Rows = {str(stage.description.predictedFeatureName): label}
    if probabilities is not None and stage.description.predictedProbabilitiesName:
        found[str(stage.description.predictedProbabilitiesName)] = probabilities
    return found


def parts(rows: int, width: int) -> Iterator[slice]:
    """So many rows at once that ``width`` numbers for each stay within ``CELLS``."""
    size = max(1, CELLS // max(1, width))
    yield from (slice(start, start + size) for start in range(0, rows, size))


def sigmoid(scores: Doubles) -> Doubles:
    """The inverse of the logit link."""
    return 1 / (1 + np.exp(-scores))  # exp(800) is inf and the quotient 0, as it should be


def normal(scores: Doubles) -> Doubles:
    """The inverse of the probit link: the normal distribution's share below each score."""
    from math import erfc

    flat_scores = (0.5 * erfc(-score / 2**0.5) for score in scores.ravel().tolist())
    return np.fromiter(flat_scores, dtype=np.float64, count=scores.size).reshape(scores.shape)


def softmax(scores: Doubles) -> Doubles:
    """Per row exp(score), scaled to a sum of one."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    scaled: Doubles = raised / raised.sum(axis=1, keepdims=True)
    return scaled
