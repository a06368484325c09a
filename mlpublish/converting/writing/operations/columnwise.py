"""What treats each number by itself, picks and joins numbers, and looks a number up in a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.columnwise import Clipped, Function, Imputed, IsMissing, Lookup, Scaled
from mlpublish.converting.graph.node import Join, Node, Pick
from mlpublish.converting.writing.operations.constants import float32, in_two, row
from mlpublish.converting.writing.operations.functions import FUNCTIONS
from mlpublish.errors import ConversionError


def pick(mb: Any, node: Pick, x: Any) -> Any:
    first, count = node.places[0], len(node.places)
    if node.places == tuple(range(first, first + count)):
        return mb.slice_by_index(x=x, begin=[0, first], end=[1, first + count])
    return mb.gather(x=x, indices=np.array(node.places, dtype=np.int32), axis=1)


def join(mb: Any, node: Join, *parts: Any) -> Any:  # noqa: ARG001
    return parts[0] if len(parts) == 1 else mb.concat(values=parts, axis=1)


def scaled(mb: Any, node: Scaled, x: Any) -> Any:
    """The shift in two parts: a mean that is large beside the deviations from it loses nothing."""
    for shift in in_two(node.shift):
        x = mb.add(x=x, y=row(shift)) if shift.any() else x
    return mb.mul(x=x, y=row(node.scale)) if (node.scale != 1).any() else x


def clipped(mb: Any, node: Clipped, x: Any) -> Any:
    if math.isfinite(node.low):
        x = mb.maximum(x=x, y=float32(node.low))
    return mb.minimum(x=x, y=float32(node.high)) if math.isfinite(node.high) else x


def function(mb: Any, node: Function, x: Any) -> Any:
    return FUNCTIONS[node.name](mb, x)


def missing(mb: Any, x: Any, what: float) -> Any:
    """Where a number is missing; only NaN differs from itself."""
    return mb.not_equal(x=x, y=x) if math.isnan(what) else mb.equal(x=x, y=float32(what))


def imputed(mb: Any, node: Imputed, x: Any) -> Any:
    return mb.select(cond=missing(mb, x, node.missing), a=row(node.values), b=x)


def is_missing(mb: Any, node: IsMissing, x: Any) -> Any:
    return mb.cast(x=missing(mb, x, node.missing), dtype="fp32")


def lookup(mb: Any, node: Lookup, x: Any) -> Any:
    """A row taken by its place; sums of products would spread a NaN over the table."""
    keys = float32(node.keys)
    _check_apart(keys, node)
    hits = mb.cast(x=mb.equal(x=x, y=row(keys)), dtype="fp32")
    if np.isnan(keys).any():
        lost = mb.mul(x=mb.cast(x=missing(mb, x, math.nan), dtype="fp32"), y=row(np.isnan(keys)))
        hits = mb.add(x=hits, y=lost)
    behind = len(keys)  # the place of what is unknown
    back = mb.reduce_sum(x=mb.mul(x=hits, y=row(np.arange(behind) - behind)), axes=[1])
    place = mb.cast(x=mb.add(x=back, y=float32(behind)), dtype="int32")
    unknown = np.full(node.width, np.nan) if node.unknown is None else node.unknown
    return mb.gather(x=float32(np.vstack([node.table, unknown])), indices=place, axis=0)


def _check_apart(keys: np.ndarray[Any, np.dtype[np.float32]], node: Lookup) -> None:
    if len(np.unique(keys)) != len(node.keys):
        raise ConversionError(
            "Two categories of a column are numbers that are one and the same in float32.",
            remedy="Make the column one of texts before the model is fitted.",
            field="model",
        )


EMITTERS: Mapping[type[Node], Callable[..., Any]] = {
    Pick: pick,
    Join: join,
    Scaled: scaled,
    Clipped: clipped,
    Function: function,
    Imputed: imputed,
    IsMissing: is_missing,
    Lookup: lookup,
}
