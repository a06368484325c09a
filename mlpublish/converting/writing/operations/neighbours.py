"""Distances to points, what belongs to the nearest of them, and lines through points."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Distances, Interpolated, Nearest
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.writing.operations.constants import float32, in_two, row

_LEAST = float(np.finfo(np.float32).tiny)


def gaps(mb: Any, x: Any, points: Doubles) -> Any:
    """``x - point`` for each point: (points, features).

    Both are taken relative to the points' mean first. Numbers that are large beside the gaps between them (years, timestamps)
    keep the digits that tell them apart: ``x - mean`` is exact, and ``point - mean`` is rounded when it is small already.
    """
    middle = float32(points.mean(axis=0))
    return mb.sub(x=mb.sub(x=x, y=middle.reshape(1, -1)), y=float32(points - middle))


def distances(mb: Any, node: Distances, x: Any) -> Any:
    found = gaps(mb, x, node.points)
    if math.isinf(node.power):
        return _laid(mb, mb.reduce_max(x=mb.abs(x=found), axes=[1]))
    powers = _power(mb, found, node.power)
    if node.weights is not None:
        powers = mb.mul(x=powers, y=float32(node.weights))
    return _laid(mb, mb.reduce_sum(x=powers, axes=[1]))


def _power(mb: Any, x: Any, power: float) -> Any:
    if power == 2:
        return mb.square(x=x)
    return mb.abs(x=x) if power == 1 else mb.pow(x=mb.abs(x=x), y=float32(power))


def _laid(mb: Any, x: Any) -> Any:
    """(numbers,) as a row."""
    return mb.expand_dims(x=x, axes=[0])


def nearest(mb: Any, node: Nearest, x: Any) -> Any:
    values, places = mb.topk(x=x, k=node.count, axis=1, ascending=True)
    targets = mb.gather(x=float32(node.targets), indices=mb.squeeze(x=places, axes=[0]), axis=0)
    if not node.inverse:
        return _laid(mb, mb.reduce_mean(x=targets, axes=[0]))
    weights = _inverses(mb, _root(mb, values, node.root))
    sums = mb.matmul(x=weights, y=targets)
    return mb.real_div(x=sums, y=mb.reduce_sum(x=weights, axes=[1], keep_dims=True))


def _root(mb: Any, x: Any, root: float) -> Any:
    if root == 2:
        return mb.sqrt(x=x)
    return x if root == 1 or math.isinf(root) else mb.pow(x=x, y=float32(1 / root))


def _inverses(mb: Any, x: Any) -> Any:
    """``1 / x`` up to a factor: the least by each, which does not overflow; where that is 0, those that are 0 alone."""
    least = mb.reduce_min(x=x, axes=[1], keep_dims=True)
    zero = mb.cast(x=mb.equal(x=x, y=float32(0)), dtype="fp32")
    return mb.add(x=zero, y=mb.real_div(x=least, y=mb.add(x=x, y=zero)))


def interpolated(mb: Any, node: Interpolated, x: Any) -> Any:
    """The height of the last point that x has reached, and the next rise times how far x has come through it.

    Heights are picked, not added up: on a level, and at a point, they are what they are, so that equal ones stay equal.
    """
    first, rest = in_two(node.x)
    if len(first) == 1:
        return mb.add(x=mb.minimum(x=mb.relu(x=x), y=float32(0)), y=row(node.y))
    past = mb.sub(x=mb.sub(x=x, y=row(first[:-1])), y=row(rest[:-1]))
    widths = np.maximum(float32(np.diff(node.x)), np.float32(_LEAST))
    come = mb.minimum(x=mb.maximum(x=mb.real_div(x=past, y=row(widths)), y=float32(0)), y=float32(1))
    beyond = mb.sub(x=mb.sub(x=x, y=row(first[1:])), y=row(rest[1:]))
    reached = mb.cast(x=mb.greater_equal(x=beyond, y=float32(0)), dtype="fp32")
    no, yes = row(np.zeros(1)), row(np.ones(1))
    last = mb.sub(x=mb.concat(values=[yes, reached], axis=1), y=mb.concat(values=[reached, no], axis=1))
    rise = mb.mul(x=last, y=mb.concat(values=[come, no], axis=1))
    height = mb.linear(x=last, weight=row(node.y), bias=float32(np.zeros(1)))
    return mb.add(x=height, y=mb.linear(x=rise, weight=row(np.append(np.diff(node.y), 0)), bias=float32(np.zeros(1))))


EMITTERS: Mapping[type[Node], Callable[..., Any]] = {
    Distances: distances,
    Nearest: nearest,
    Interpolated: interpolated,
}
