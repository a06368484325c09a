"""How far a model's answers stand from the ones wanted: the one measure of the parity gate and of golden data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpublish.errors import ConversionError

TIE = 1e-6
"""Scores that stand so near, relatively, are equal: the order of a sum decides between them, and float32 cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a model says to some samples.

    Args:
        outputs: output -> (rows, …).
        classes: the labels, in the order of the probabilities' columns; empty where there are none.
        scores: the outputs whose largest column is the model's choice (probabilities, a classifying network's scores).
    """

    outputs: Mapping[str, NDArray[np.generic]]
    classes: tuple[int | str, ...] = ()
    scores: tuple[str, ...] = ()

    def in_order_of(self, classes: tuple[int | str, ...], output: str) -> NDArray[np.generic]:
        """An output's columns in another order of the classes; a class that is missing here answers NaN."""
        values = self.outputs[output]
        if values.ndim != 2 or not classes or values.shape[1] != len(self.classes):
            return values
        columns = {label: values[:, place] for place, label in enumerate(self.classes)}
        return np.column_stack([columns.get(label, np.full(len(values), np.nan)) for label in classes])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One output of both sides, in one shape and in the wanted order of the classes."""

    name: str
    got: NDArray[np.generic]
    want: NDArray[np.generic]

    @property
    def is_numbers(self) -> bool:
        """Whether it is compared by distance; labels (whole numbers too) are by equality."""
        return self.want.dtype.kind == "f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far two sets of answers stand apart.

    Args:
        max_abs: the largest absolute difference of any output.
        max_rel: per output over all samples max|got − want| / max|want|, the largest of the outputs.
        labels: share of samples with the same label or choice, or None where the model gives none.
    """

    max_abs: float
    max_rel: float
    labels: float | None


def difference(got: Answers, want: Answers, *, only: str | None = None) -> Difference:
    """Compare two sets of answers to the same samples.

    Labels are compared by equality, scores also by their largest column; of wanted scores that are equal but for ``TIE``, any
    may be the choice. The columns of probabilities are brought into the wanted order of the classes first. A NaN anywhere makes
    a difference of NaN.

    Args:
        only: the one output that is compared; by default all that are wanted.

    Raises:
        ConversionError: an output is missing or has another shape.
    """
    pairs = paired(got, want) if only is None else (_pair(got, want, only),)
    agreed = [float(np.mean(_same_label(each, want))) for each in pairs if not each.is_numbers]
    agreed += [_same_choice(each.got, each.want) for each in pairs if each.name in want.scores]
    worst = [numbers_apart(each) for each in pairs if each.is_numbers]
    return Difference(
        max_abs=float(np.max([each[0] for each in worst], initial=0.0)),
        max_rel=float(np.max([each[1] for each in worst], initial=0.0)),
        labels=min(agreed, default=None),
    )


def paired(got: Answers, want: Answers) -> tuple[Pair, ...]:
    """Every wanted output with the one that answers it.

    Raises:
        ConversionError: an output is missing or has another shape.
    """
    return tuple(_pair(got, want, name) for name in want.outputs)


def _pair(got: Answers, want: Answers, name: str) -> Pair:
    wanted = want.outputs[name]
    if name not in got.outputs:
        raise ConversionError(f"The file has no output {name!r}.", remedy="Convert the model again.", field=name)
    found = got.in_order_of(want.classes, name)
    if found.size != wanted.size or len(found) != len(wanted):
        raise ConversionError(
            f"The output {name!r} has the shape {found.shape}, the source model's {wanted.shape}.",
            remedy="Convert the model again.",
            field=name,
        )
    return Pair(name=name, got=found.reshape(wanted.shape), want=wanted)


def numbers_apart(pair: Pair) -> tuple[float, float]:
    """The largest absolute and the largest relative difference of an output of numbers."""
    got, want = pair.got.astype(np.float64), pair.want.astype(np.float64)
    apart = float(np.max(np.abs(got - want)))
    largest = float(np.max(np.abs(want)))
    if apart == 0.0:
        return 0.0, 0.0
    return apart, apart / largest if largest else float("inf")


def _same_label(pair: Pair, want: Answers) -> NDArray[np.bool_]:
    """Per place whether the label is the wanted one, or one whose wanted score is as large."""
    same: NDArray[np.bool_] = np.asarray(pair.got == pair.want).reshape(-1)
    told = [want.outputs[name] for name in want.scores if name in want.outputs]
    if len(told) != 1 or told[0].shape != (len(same), len(want.classes)) or same.all():
        return same
    scores = told[0].astype(np.float64)
    places = {label: place for place, label in enumerate(want.classes)}
    for row in np.flatnonzero(~same):
        got, wanted = (places.get(side.reshape(-1)[row].item()) for side in (pair.got, pair.want))
        if got is not None and wanted is not None:
            same[row] = _as_large(scores[row, got], scores[row, wanted])
    return same


def _same_choice(got: NDArray[np.generic], want: NDArray[np.generic]) -> float:
    """The share of rows whose largest column is a largest one of the other side too, which may have several."""
    chosen = np.take_along_axis(want, np.argmax(got, axis=1, keepdims=True), axis=1)
    return float(np.mean(_as_large(chosen, want.max(axis=1, keepdims=True))))


def _as_large(score: NDArray[np.generic], largest: NDArray[np.generic]) -> NDArray[np.bool_]:
    one, other = np.asarray(score, dtype=np.float64), np.asarray(largest, dtype=np.float64)
    close: NDArray[np.bool_] = np.abs(one - other) <= TIE * np.abs(other)
    return close
