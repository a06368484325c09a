"""Nodes that mix the numbers of a row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mlpublish.converting.graph.columnwise import OfOne
from mlpublish.converting.graph.node import Doubles, Node


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear(OfOne):
    """``x @ weights.T + offset``.

    Args:
        weights: (results, features).
        offset: (results,).
    """

    weights: Doubles
    offset: Doubles

    @property
    def width(self) -> int:
        return len(self.weights)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sum(Node):
    """Nodes of one width, each times its weight, added up."""

    parts: tuple[Node, ...]
    weights: tuple[float, ...]

    @property
    def width(self) -> int:
        return self.parts[0].width

    @property
    def reads(self) -> tuple[Node, ...]:
        return self.parts


class Sign(StrEnum):
    TIMES = "times"
    OVER = "over"
    MINUS = "minus"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Combined(Node):
    """Two nodes number by number; one of them may have the width 1 and meets every number of the other.

    Args:
        zero_over_zero: what 0 / 0 is.
    """

    left: Node
    sign: Sign
    right: Node
    zero_over_zero: float = float("nan")

    @property
    def width(self) -> int:
        return max(self.left.width, self.right.width)

    @property
    def reads(self) -> tuple[Node, ...]:
        return (self.left, self.right)


class Reduction(StrEnum):
    SUM = "sum"
    MEAN = "mean"
    LARGEST = "largest"
    SMALLEST = "smallest"
    PLACE_OF_LARGEST = "place of the largest"  # of equal ones the first
    PLACE_OF_SMALLEST = "place of the smallest"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduced(OfOne):
    """One number out of a row."""

    by: Reduction

    @property
    def width(self) -> int:
        return 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen(OfOne):
    """1 at the largest number (of equal ones the first), 0 elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Softmax(OfOne):
    """``exp(x)`` scaled to a sum of 1."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normalised(OfOne):
    """A row divided by its norm (``l1``, ``l2``, ``max``); a row of norm 0 stays as it is."""

    norm: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Distances(OfOne):
    """``sum(weights * |x - point| ** power)`` to each point, without the root; for an infinite power the largest gap.

    Args:
        points: (points, features).
        weights: (points, features); None for 1.
    """

    points: Doubles
    weights: Doubles | None = None
    power: float = 2.0

    @property
    def width(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nearest(OfOne):
    """The mean of what belongs to the ``count`` smallest numbers of a row (of equal ones the first).

    Args:
        of: distances.
        targets: (distances, results).
        inverse: weigh each by 1 / distance; where a distance is 0, those alone count.
        root: the distances' root to take before that: they stand to this power.
    """

    count: int
    targets: Doubles
    inverse: bool = False
    root: float = 1.0

    @property
    def width(self) -> int:
        return int(self.targets.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightedMedian(OfOne):
    """The first number in ascending order at which the sum of the weights reaches half of all of them.

    Args:
        weights: (numbers of a row,).
    """

    weights: Doubles

    @property
    def width(self) -> int:
        return 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interpolated(OfOne):
    """A line through points, for a node of width 1; before the first and after the last it stays level.

    Args:
        x: (points,), ascending, none twice.
        y: (points,).
    """

    x: Doubles
    y: Doubles


def of_two(second: Node) -> Node:
    """The probabilities of two classes, out of that of the second: ``(1 - p, p)``."""
    return Linear(of=second, weights=np.array([[-1.0], [1.0]]), offset=np.array([1.0, 0.0]))


def second_of(node: Node) -> Node | None:
    """The second class's probability that ``of_two`` made a node of; None if it did not."""
    if not isinstance(node, Linear):
        return None
    same = np.array_equal(node.weights, [[-1.0], [1.0]]) and np.array_equal(node.offset, [1.0, 0.0])
    return node.of if same else None


def shares(of: Node, *, zero_over_zero: float = 0.0) -> Node:
    """Each number's share of the row's sum.

    Args:
        of: numbers that are not negative.
        zero_over_zero: what each share is where all numbers are 0.
    """
    return Combined(left=of, sign=Sign.OVER, right=Reduced(of=of, by=Reduction.SUM), zero_over_zero=zero_over_zero)


def shared(node: Node) -> Combined | None:
    """A node that ``shares`` made, whose ``left`` are the numbers; None if it did not."""
    if not isinstance(node, Combined) or node.sign is not Sign.OVER:
        return None
    summed = isinstance(node.right, Reduced) and node.right.by is Reduction.SUM and node.right.of is node.left
    return node if summed else None
