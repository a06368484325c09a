"""Which of the answers a parity plot shows, and which two stand furthest apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.compare import Answers, Pair, numbers_apart, paired
from mlpublish.formats.parity import Apart, Points

MOST = 200
"""Points of one output in a plot; more are no more readable."""

_GOLDEN = (5**0.5 - 1) / 2


def points_of(got: Answers, want: Answers) -> tuple[Points, ...]:
    """What a plot needs of each wanted output; the same answers give the same points.

    Args:
        got: the saved file's answers.
        want: the source model's, to the same samples.

    Raises:
        ConversionError: an output is missing or has another shape.
    """
    return tuple(_numbers(pair, want.classes) if pair.is_numbers else _labels(pair) for pair in paired(got, want))


def _numbers(pair: Pair, classes: tuple[int | str, ...]) -> Points:
    got, want = (side.reshape(-1).astype(np.float64) for side in (pair.got, pair.want))
    with np.errstate(invalid="ignore"):  # an infinity less an infinity
        gaps = np.abs(got - want)
    worst = int(np.argmax(gaps))  # a NaN before any number
    differs = bool(gaps[worst] != 0)
    chosen = _chosen(len(gaps), worst)
    row, *inside = (int(each) for each in np.unravel_index(worst, pair.want.shape))
    apart = Apart(row=row, place=_place(inside, pair, classes), want=float(want[worst]), got=float(got[worst]))
    return Points(
        output=pair.name,
        numbers=len(gaps),
        rel=numbers_apart(pair)[1],
        want=tuple(want[chosen].tolist()),
        got=tuple(got[chosen].tolist()),
        worst=apart if differs else None,
        marked=int(np.searchsorted(chosen, worst)) if differs else None,
    )


def _labels(pair: Pair) -> Points:
    got, want = pair.got.reshape(-1), pair.want.reshape(-1)
    differ = np.flatnonzero(got != want)
    worst = None
    if len(differ):
        first = int(differ[0])
        row, *inside = (int(each) for each in np.unravel_index(first, pair.want.shape))
        worst = Apart(row=row, place=_place(inside, pair, ()), want=want[first].item(), got=got[first].item())
    return Points(output=pair.name, numbers=len(want), rel=None, worst=worst)


def _place(inside: list[int], pair: Pair, classes: tuple[int | str, ...]) -> str:
    if len(inside) == 1 and len(classes) == pair.want.shape[1]:
        return f"class {classes[inside[0]]}"
    return str(inside) if pair.want[0].size > 1 else ""


def _chosen(count: int, worst: int) -> NDArray[np.int64]:
    """At most MOST places out of so many, in order, the worst among them.

    The others are spread by the golden ratio: evenly, and never in step with an output's columns.
    """
    if count <= MOST:
        return np.arange(count)
    spread = (np.arange(MOST - 1) * _GOLDEN % 1 * count).astype(np.int64)
    return np.unique(np.append(spread, worst))
