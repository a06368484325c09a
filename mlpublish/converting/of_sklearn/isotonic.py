"""Isotonic regressions: lines through points, level before the first and after the last."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Combined, Interpolated, Linear, Sign, Sum
from mlpublish.converting.graph.columnwise import Function, Name, Scaled
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn.reading import finite
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_MIDDLE = 0.5
_CLOSE = 1e-3
"""Points that are farther apart than this are told apart well enough by float32 near 1."""


def line(step: Any, score: Node) -> Node:
    """What an isotonic regression says to a score."""
    return _level_or_line(*_points(step), score)


def line_of_probability(step: Any, score: Node, rest: Node) -> Node:
    """What an isotonic regression says to a probability.

    Near 1 its points may lie closer to each other than float32 can tell, while what a probability lacks of 1 has all of its
    digits: so above a half that is looked up. One side alone is taken, and unchanged: levels that tie with others must stay.

    Args:
        rest: ``1 - score``, as the sum of the other classes' probabilities.
    """
    x, y = _points(step)
    if len(x) == 1 or np.diff(x[x > _MIDDLE]).min(initial=np.inf) > _CLOSE:
        return _level_or_line(x, y, score)
    middle = np.interp(_MIDDLE, x, y)
    low, high = x < _MIDDLE, x > _MIDDLE
    above = Interpolated(of=rest, x=np.append(1 - x[high][::-1], _MIDDLE), y=np.append(y[high][::-1], middle))
    if not low.any():
        return above
    below = Interpolated(of=score, x=np.append(x[low], _MIDDLE), y=np.append(y[low], middle))
    is_above = Function(of=Scaled(of=score, shift=np.array([-_MIDDLE]), scale=np.ones(1)), name=Name.POSITIVE)
    is_below = Scaled(of=is_above, shift=-np.ones(1), scale=-np.ones(1))
    sides = (Combined(left=below, sign=Sign.TIMES, right=is_below), Combined(left=above, sign=Sign.TIMES, right=is_above))
    return Sum(parts=sides, weights=(1.0, 1.0))


def _points(step: Any) -> tuple[Doubles, Doubles]:
    if step.out_of_bounds != "clip":
        raise ConversionError(
            f"{class_name(type(step))} with out_of_bounds={step.out_of_bounds!r} is not converted.",
            remedy="Use out_of_bounds='clip'.",
            field="out_of_bounds",
        )
    return finite(step.X_thresholds_, step, "X_thresholds_"), finite(step.y_thresholds_, step, "y_thresholds_")


def _level_or_line(x: Doubles, y: Doubles, score: Node) -> Node:
    if len(x) == 1:
        return Linear(of=score, weights=np.zeros((1, 1)), offset=y)
    return Interpolated(of=score, x=x, y=y)
