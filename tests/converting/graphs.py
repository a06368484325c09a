"""A graph in NumPy doubles, written from the nodes' own docstrings: readers are tried by it without a file, files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import numpy as np
import scipy.special

from mlpublish.converting.graph import algebra, columnwise, machines, node
from mlpublish.converting.graph.algebra import Reduction, Sign
from mlpublish.converting.graph.columnwise import MISSING_TEXT, Name
from mlpublish.converting.graph.machines import KernelName, Mode
from mlpublish.converting.graph.node import Node, walked

Rows = Any  # numbers (rows, width), or texts (rows, 1)


def values(end: Node, rows: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
    """What a node is for some rows: (rows, width).

    Args:
        rows: the one array, or column -> (rows,) by the library's names.
    """
    known: dict[int, Rows] = {}
    with np.errstate(all="ignore"):
        for each in walked(end):
            if isinstance(each, node.Array):
                known[id(each)] = np.asarray(rows, dtype=np.float64)
            elif isinstance(each, node.Column):
                known[id(each)] = np.asarray(rows[each.name])[:, np.newaxis]
            else:
                known[id(each)] = _made(each, *(known[id(part)] for part in each.reads))
            assert known[id(each)].shape[1] == each.width, each
    return known[id(end)]


@singledispatch
def _made(each: Node, *parts: Rows) -> Rows:
    raise NotImplementedError(type(each).__name__)


@_made.register
def _(each: node.Pick, x: Rows) -> Rows:
    return x[:, list(each.places)]


@_made.register
def _(each: node.Join, *parts: Rows) -> Rows:
    if any(part.dtype.kind in "OUST" for part in parts):
        return np.hstack([part.astype(object) for part in parts])
    return np.hstack([part.astype(np.float64) for part in parts])


@_made.register
def _(each: columnwise.Scaled, x: Rows) -> Rows:
    return (x + each.shift) * each.scale if each.exact is None else np.asarray(each.exact(x))


@_made.register
def _(each: columnwise.Clipped, x: Rows) -> Rows:
    return np.clip(x, each.low, each.high)


_FUNCTIONS: dict[Name, Any] = {
    Name.EXPIT: scipy.special.expit,
    Name.LOGIT: scipy.special.logit,
    Name.RELU: lambda x: np.where(x < 0, 0.0, x),
    Name.SOFTPLUS: lambda x: np.logaddexp(0, x),
    Name.POSITIVE: lambda x: (x > 0).astype(np.float64),
}


@_made.register
def _(each: columnwise.Function, x: Rows) -> Rows:
    return (_FUNCTIONS.get(each.name) or getattr(np, each.name))(x.astype(np.float64))


def _lost(x: Rows, missing: float) -> np.ndarray:
    numbers = x.astype(np.float64)
    return np.isnan(numbers) if np.isnan(missing) else numbers == missing


@_made.register
def _(each: columnwise.Imputed, x: Rows) -> Rows:
    return np.where(_lost(x, each.missing), each.values, x.astype(np.float64))


@_made.register
def _(each: columnwise.IsMissing, x: Rows) -> Rows:
    return _lost(x, each.missing).astype(np.float64)


def _texts(x: Rows) -> np.ndarray:
    """Texts, with the one text for whatever is missing: None, NaN, pandas.NA."""
    return np.vectorize(lambda value: value if isinstance(value, str) else MISSING_TEXT, otypes=[object])(x)


@_made.register
def _(each: columnwise.Filled, x: Rows) -> Rows:
    found = _texts(x)
    return np.where(found == MISSING_TEXT, np.asarray(each.values, dtype=object), found)


@_made.register
def _(each: columnwise.Lookup, x: Rows) -> Rows:
    made = np.full((len(x), each.width), np.nan) if each.unknown is None else np.tile(each.unknown, (len(x), 1))
    column = _texts(x)[:, 0] if each.of_texts else x[:, 0].astype(np.float64)
    for key, row in zip(each.keys, each.table, strict=True):
        made[np.isnan(column) if isinstance(key, float) and np.isnan(key) else column == key] = row
    return made


@_made.register
def _(each: algebra.Linear, x: Rows) -> Rows:
    return x.astype(np.float64) @ each.weights.T + each.offset


@_made.register
def _(each: algebra.Sum, *parts: Rows) -> Rows:
    return sum(weight * part for weight, part in zip(each.weights, parts, strict=True))


@_made.register
def _(each: algebra.Combined, left: Rows, right: Rows) -> Rows:
    if each.sign is Sign.TIMES:
        return left * right
    if each.sign is Sign.MINUS:
        return left - right
    return np.where((left == 0) & (right == 0), each.zero_over_zero, left / right)


_REDUCTIONS = {
    Reduction.SUM: np.sum,
    Reduction.MEAN: np.mean,
    Reduction.LARGEST: np.max,
    Reduction.SMALLEST: np.min,
    Reduction.PLACE_OF_LARGEST: np.argmax,
    Reduction.PLACE_OF_SMALLEST: np.argmin,
}


@_made.register
def _(each: algebra.Reduced, x: Rows) -> Rows:
    return _REDUCTIONS[each.by](x, axis=1)[:, np.newaxis].astype(np.float64)


@_made.register
def _(each: algebra.Chosen, x: Rows) -> Rows:
    return np.eye(each.width)[np.argmax(x, axis=1)]


@_made.register
def _(each: algebra.Softmax, x: Rows) -> Rows:
    return scipy.special.softmax(x, axis=1)


@_made.register
def _(each: algebra.Normalised, x: Rows) -> Rows:
    order = {"l1": 1, "l2": 2, "max": np.inf}[each.norm]
    norms = np.linalg.norm(x, ord=order, axis=1, keepdims=True)
    return x / np.where(norms == 0, 1, norms)


@_made.register
def _(each: algebra.Distances, x: Rows) -> Rows:
    gaps = np.abs(x[:, np.newaxis, :] - each.points)
    if np.isinf(each.power):
        return gaps.max(axis=2)
    return (gaps**each.power * (1 if each.weights is None else each.weights)).sum(axis=2)


@_made.register
def _(each: algebra.Nearest, x: Rows) -> Rows:
    order = np.argsort(x, axis=1, kind="stable")[:, : each.count]
    near = np.take_along_axis(x, order, axis=1) ** (1 / each.root)
    weights = np.ones_like(near)
    if each.inverse:
        weights = np.where((near == 0).any(axis=1, keepdims=True), near == 0, 1 / near).astype(np.float64)
    return (weights[:, :, np.newaxis] * each.targets[order]).sum(axis=1) / weights.sum(axis=1, keepdims=True)


@_made.register
def _(each: algebra.WeightedMedian, x: Rows) -> Rows:
    order = np.argsort(x, axis=1, kind="stable")
    reached = np.cumsum(each.weights[order], axis=1) >= 0.5 * each.weights.sum()
    first = np.argmax(reached, axis=1)[:, np.newaxis]
    return np.take_along_axis(x, np.take_along_axis(order, first, axis=1), axis=1)


@_made.register
def _(each: algebra.Interpolated, x: Rows) -> Rows:
    return np.interp(x, each.x, each.y)


_ASKED = {
    Mode.LESS_OR_EQUAL: np.less_equal,
    Mode.LESS: np.less,
    Mode.GREATER_OR_EQUAL: np.greater_equal,
    Mode.GREATER: np.greater,
    Mode.EQUAL: np.equal,
    Mode.NOT_EQUAL: np.not_equal,
}


@_made.register
def _(each: machines.Trees, x: Rows) -> Rows:
    rounded = x.astype(np.float32).astype(np.float64) if each.rounds else x.astype(np.float64)
    made = np.tile(np.asarray(each.base, dtype=np.float64), (len(x), 1))
    for tree in each.trees:
        for row, numbers in enumerate(rounded):
            place = 0
            while tree.feature[place] != machines.LEAF:
                value = numbers[tree.feature[place]]
                yes = (
                    tree.missing_goes_yes[place] if np.isnan(value) else _ASKED[tree.mode[place]](value, tree.threshold[place])
                )
                place = tree.yes[place] if yes else tree.no[place]
            made[row, list(tree.adds_to)] += tree.values[place]
    return made


@_made.register
def _(each: machines.SupportVectors, x: Rows) -> Rows:
    kernel, inner = each.kernel, x @ each.vectors.T
    if kernel.name is KernelName.RBF:
        inner = np.exp(-kernel.gamma * ((x[:, np.newaxis, :] - each.vectors) ** 2).sum(axis=2))
    elif kernel.name is KernelName.POLY:
        inner = (kernel.gamma * inner + kernel.coef0) ** kernel.degree
    elif kernel.name is KernelName.SIGMOID:
        inner = np.tanh(kernel.gamma * inner + kernel.coef0)
    if not each.counts:
        return inner @ each.coefficients.T - each.rho
    starts, made = np.concatenate([[0], np.cumsum(each.counts)]), []
    for one in range(len(each.counts)):
        for other in range(one + 1, len(each.counts)):
            ones, others = slice(starts[one], starts[one + 1]), slice(starts[other], starts[other + 1])
            made.append(inner[:, ones] @ each.coefficients[other - 1, ones] + inner[:, others] @ each.coefficients[one, others])
    return np.column_stack(made) - each.rho


def _pairs(classes: int) -> list[tuple[int, int]]:
    return [(one, other) for one in range(classes) for other in range(one + 1, classes)]


@_made.register
def _(each: machines.Votes, x: Rows) -> Rows:
    made = np.zeros((len(x), each.classes))
    for place, (one, other) in enumerate(_pairs(each.classes)):
        made[:, one] += x[:, place] > 0
        made[:, other] += ~(x[:, place] > 0)
    return made


@_made.register
def _(each: machines.Coupled, x: Rows) -> Rows:
    return np.array([_coupled(row, each.classes) for row in x])


def _coupled(row: np.ndarray, classes: int) -> np.ndarray:
    """The least sum of ``(r_ji p_i - r_ij p_j)²``, one class after the other until every gradient is near (Wu, Lin, Weng)."""
    r = np.zeros((classes, classes))
    for place, (one, other) in enumerate(_pairs(classes)):
        r[one, other], r[other, one] = row[place], 1 - row[place]
    q = -r.T * r
    np.fill_diagonal(q, (r.T**2).sum(axis=1))
    p = np.full(classes, 1 / classes)
    for _ in range(max(100, classes)):
        gradient = q @ p
        level = p @ gradient
        if np.abs(gradient - level).max() < 0.005 / classes:
            break
        for place in range(classes):
            step = (level - gradient[place]) / q[place, place]
            p[place] += step
            level = (level + step * (step * q[place, place] + 2 * gradient[place])) / (1 + step) ** 2
            gradient = (gradient + step * q[place]) / (1 + step)
            p /= 1 + step
    return p
