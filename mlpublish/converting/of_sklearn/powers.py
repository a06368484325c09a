"""Products and powers of features: PolynomialFeatures and PowerTransformer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Combined, Linear, Sign
from mlpublish.converting.graph.columnwise import Function, Name, Scaled, times
from mlpublish.converting.graph.node import Doubles, Node, joined, picked
from mlpublish.converting.of_sklearn.reading import Reader, finite
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError


def _polynomial(step: Any, x: Node) -> Node:
    """Products, by ``powers_``: neighbours of one degree are made together, factor by factor."""
    terms = [tuple(int(place) for place in np.repeat(np.arange(x.width), row)) for row in step.powers_]
    return joined(tuple(_products(list(same), x) for _, same in groupby(terms, key=len)))


def _products(terms: list[tuple[int, ...]], x: Node) -> Node:
    if not terms[0]:
        return Linear(of=x, weights=np.zeros((len(terms), x.width)), offset=np.ones(len(terms)))
    first, *others = (picked(x, places) for places in zip(*terms, strict=True))
    for factor in others:
        first = Combined(left=first, sign=Sign.TIMES, right=factor)
    return first


def _powered(step: Any, x: Node) -> Node:
    """PowerTransformer: with logarithms and exponential functions, which stay precise near 0 and near the power 0."""
    lambdas = finite(step.lambdas_, step, "lambdas_")
    if step.method == "box-cox":
        node = _power(Function(of=x, name=Name.LOG), lambdas)
    elif step.method == "yeo-johnson":
        above = _power(_log_above(x), lambdas)
        below = _power(_log_above(times(x, -1)), 2 - lambdas)
        node = Combined(left=above, sign=Sign.MINUS, right=below)
    else:
        raise ConversionError(
            f"{class_name(type(step))} with method={step.method!r} is not converted.",
            remedy="Use method='yeo-johnson' or method='box-cox'.",
            field="method",
        )
    return _standardised(step, node) if step.standardize else node


def _standardised(step: Any, node: Node) -> Node:
    scaler = step._scaler  # no public attribute has these numbers
    mean, scale = finite(scaler.mean_, scaler, "mean_"), finite(scaler.scale_, scaler, "scale_")
    return Scaled(of=node, shift=-mean, scale=1 / scale)


def _log_above(x: Node) -> Node:
    """``log(1 + x)`` where x is above 0, else 0."""
    return Function(of=Function(of=x, name=Name.RELU), name=Name.LOG1P)


def _power(log: Node, exponents: Doubles) -> Node:
    """``(exp(exponent * log) - 1) / exponent``; for an exponent of 0 the logarithm itself."""
    flat = np.abs(exponents) < np.spacing(1.0)  # where the library takes the logarithm
    curved, straight = np.flatnonzero(~flat), np.flatnonzero(flat)
    if not len(curved):
        return log
    grown = Function(of=times(picked(log, tuple(curved.tolist())), exponents[curved]), name=Name.EXPM1)
    made = times(grown, 1 / exponents[curved])
    if not len(straight):
        return made
    both = joined((made, picked(log, tuple(straight.tolist()))))
    return picked(both, tuple(np.argsort(np.concatenate([curved, straight])).tolist()))


READERS: Mapping[str, Reader] = {
    "sklearn.preprocessing.PolynomialFeatures": Reader(transform=_polynomial),
    "sklearn.preprocessing.PowerTransformer": Reader(transform=_powered),
}
