"""What mixes the numbers of a row: products, sums, shares, norms, the largest of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import (
    Chosen,
    Combined,
    Linear,
    Normalised,
    Reduced,
    Reduction,
    Sign,
    Softmax,
    Sum,
)
from mlpublish.converting.graph.node import Node
from mlpublish.converting.writing.operations.constants import float32, row


def linear(mb: Any, node: Linear, x: Any) -> Any:
    return mb.linear(x=x, weight=float32(node.weights), bias=float32(node.offset))


def added(mb: Any, node: Sum, *parts: Any) -> Any:
    found = None
    for part, weight in zip(parts, node.weights, strict=True):
        term = part if weight == 1 else mb.mul(x=part, y=float32(weight))
        found = term if found is None else mb.add(x=found, y=term)
    return found


def combined(mb: Any, node: Combined, left: Any, right: Any) -> Any:
    if node.sign is Sign.TIMES:
        return mb.mul(x=left, y=right)
    if node.sign is Sign.MINUS:
        return mb.sub(x=left, y=right)
    return _over(mb, node, left, right)


def _over(mb: Any, node: Combined, left: Any, right: Any) -> Any:
    found = mb.real_div(x=left, y=right)
    if math.isnan(node.zero_over_zero):
        return found
    both = mb.logical_and(x=mb.equal(x=left, y=float32(0)), y=mb.equal(x=right, y=float32(0)))
    return mb.select(cond=both, a=np.full((1, node.width), node.zero_over_zero, dtype=np.float32), b=found)


def softmax(mb: Any, x: Any) -> Any:
    return mb.softmax(x=mb.sub(x=x, y=mb.reduce_max(x=x, axes=[1], keep_dims=True)), axis=1)


def reduced(mb: Any, node: Reduced, x: Any) -> Any:
    if node.by is Reduction.PLACE_OF_LARGEST:
        return _first(mb, x, mb.reduce_max, node.of.width)
    if node.by is Reduction.PLACE_OF_SMALLEST:
        return _first(mb, x, mb.reduce_min, node.of.width)
    by = {
        Reduction.SUM: mb.reduce_sum,
        Reduction.MEAN: mb.reduce_mean,
        Reduction.LARGEST: mb.reduce_max,
        Reduction.SMALLEST: mb.reduce_min,
    }
    return by[node.by](x=x, axes=[1], keep_dims=True)


def _first(mb: Any, x: Any, reduce: Callable[..., Any], width: int) -> Any:
    """The first place of the largest or smallest number; MIL's ``reduce_argmax`` does not say which of equal ones it finds."""
    hits = mb.equal(x=x, y=reduce(x=x, axes=[1], keep_dims=True))
    places = mb.select(cond=hits, a=row(np.arange(width)), b=np.full((1, width), width, dtype=np.float32))
    return mb.reduce_min(x=places, axes=[1], keep_dims=True)


def chosen(mb: Any, node: Chosen, x: Any) -> Any:
    place = _first(mb, x, mb.reduce_max, node.width)
    return mb.cast(x=mb.equal(x=place, y=row(np.arange(node.width))), dtype="fp32")


def normalised(mb: Any, node: Normalised, x: Any) -> Any:
    """Divided by the largest first: squares neither overflow nor vanish."""
    x = _by(mb, x, mb.reduce_max(x=mb.abs(x=x), axes=[1], keep_dims=True))
    if node.norm == "max":
        return x
    if node.norm == "l1":
        return _by(mb, x, mb.reduce_sum(x=mb.abs(x=x), axes=[1], keep_dims=True))
    return _by(mb, x, mb.sqrt(x=mb.reduce_sum(x=mb.square(x=x), axes=[1], keep_dims=True)))


def _by(mb: Any, x: Any, norm: Any) -> Any:
    """Divided by a norm; by 1 where it is 0."""
    return mb.real_div(x=x, y=mb.add(x=norm, y=mb.cast(x=mb.equal(x=norm, y=float32(0)), dtype="fp32")))


EMITTERS: Mapping[type[Node], Callable[..., Any]] = {
    Linear: linear,
    Sum: added,
    Combined: combined,
    Reduced: reduced,
    Chosen: chosen,
    Softmax: lambda mb, _, x: softmax(mb, x),
    Normalised: normalised,
}
