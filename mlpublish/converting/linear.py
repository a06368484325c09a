"""A linear model as numbers: what the writers need, and nothing of the library that trained it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """``(x + shift) * scale``, one number per feature."""

    shift: Doubles
    scale: Doubles


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearModel:
    """Scalings, then ``x @ weights.T + offset``; with classes, a probability per class.

    Args:
        columns: one input per column, by these names; None for one array ``input``.
        scalings: in the order in which they are applied.
        weights: (results, features).
        offset: (results,).
        classes: the labels; empty for a regression. Two classes have one row of weights, which speaks for the second
            (logistic function); more have one row each (softmax).
    """

    columns: tuple[str, ...] | None
    scalings: tuple[Scaling, ...]
    weights: Doubles
    offset: Doubles
    classes: tuple[int, ...] | tuple[str, ...] = ()

    @property
    def features(self) -> int:
        return int(self.weights.shape[1])

    @property
    def is_classic(self) -> bool:
        """Whether a classic specification can say it: it has neither softmax nor, for arrays of results, a home."""
        return len(self.weights) == 1
