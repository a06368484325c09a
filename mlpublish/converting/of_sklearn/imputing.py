"""Missing values, of numbers and of texts: replaced, and told of."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import numpy as np

from mlpublish.converting.graph.columnwise import MISSING_TEXT, Empty, Filled, Imputed, IsMissing, Lookup
from mlpublish.converting.graph.node import Column, Node, joined, picked
from mlpublish.converting.of_sklearn.reading import Reader
from mlpublish.converting.quiet import silence
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError


def _imputed(step: Any, x: Node) -> Node:
    """A SimpleImputer: columns that had no value at all are dropped, unless they are kept on demand."""
    if not isinstance(step.missing_values, str | int | float | np.number | None):
        raise _not_taken(step)
    learnt = step.statistics_.tolist()
    told_of = step.indicator_.features_.tolist() if step.add_indicator else []
    kept = tuple(place for place, fill in enumerate(learnt) if not _is_nan(fill))
    fills = dict(zip(kept, _filled_in(step, len(kept), len(told_of)), strict=True))
    parts = [
        (_filled_texts if of_texts else _filled_numbers)(step, picked(x, places), [fills[place] for place in places])
        for of_texts, places in _runs(kept, fills)
    ]
    return joined((*parts, *(_told_of(step, picked(x, (place,)), learnt[place]) for place in told_of)))


def _filled_in(step: Any, kept: int, told_of: int) -> list[Any]:
    """What stands in for a missing value, column by column: asked of the imputer, which may keep it in another type.

    Raises:
        ConversionError: it is no finite number and no text, or columns are dropped otherwise than is known.
    """
    kind = object if step.statistics_.dtype.kind == "O" else np.float64
    row = np.full((1, int(step.n_features_in_)), step.missing_values, dtype=kind)
    with silence():  # it warns of columns that it drops
        made = np.asarray(step.transform(row))[0].tolist()
    fills = made[: len(made) - told_of]
    strange = [fill for fill in fills if not (isinstance(fill, str) or (isinstance(fill, float | int) and np.isfinite(fill)))]
    if strange or len(fills) != kept:
        raise ConversionError(
            f"{class_name(type(step))} fills in {strange[0] if strange else 'other columns than its statistics_ tell'}.",
            remedy="Fill in a finite number or a text.",
            field="statistics_",
        )
    return list(fills)


def _runs(places: tuple[int, ...], fills: Mapping[int, Any]) -> list[tuple[bool, tuple[int, ...]]]:
    """Neighbouring columns of one kind: (whether they are texts, their places)."""
    return [(kind, tuple(run)) for kind, run in groupby(places, key=lambda place: isinstance(fills[place], str))]


def _filled_texts(step: Any, x: Node, fills: list[str]) -> Node:
    """Each column by itself, so that an encoder finds its own."""
    missing = step.missing_values
    text, empty = (missing, Empty.TEXT) if isinstance(missing, str) else (MISSING_TEXT, _marker(step))
    columns = [picked(x, (place,)) for place in range(x.width)]
    return joined(
        tuple(Filled(of=one, values=(fill,), missing=text, empty=empty) for one, fill in zip(columns, fills, strict=True))
    )


def _filled_numbers(step: Any, x: Node, fills: list[float]) -> Node:
    return Imputed(of=x, values=np.array(fills, dtype=np.float64), missing=_number(step))


def _told_of(step: Any, column: Node, fill: Any) -> Node:
    if not isinstance(fill, str):
        return IsMissing(of=column, missing=_number(step))
    if not isinstance(column, Column):
        raise ConversionError(
            f"{class_name(type(step))} tells where a text is missing that was filled in before.",
            remedy="Fit it with add_indicator=False.",
            field="add_indicator",
        )
    missing = step.missing_values
    text, empty = (missing, Empty.TEXT) if isinstance(missing, str) else (MISSING_TEXT, _marker(step))
    known = empty if text == MISSING_TEXT else None
    return Lookup(of=column, keys=(text,), table=np.ones((1, 1)), unknown=np.zeros(1), empty=known)


def _indicated(step: Any, x: Node) -> Node:
    """A MissingIndicator, of numbers."""
    places = tuple(int(place) for place in step.features_)
    return IsMissing(of=picked(x, places), missing=_number(step)) if places else joined(())


def _number(step: Any) -> float:
    """The number that means missing."""
    if _is_nan(step.missing_values):
        return float("nan")
    if isinstance(step.missing_values, int | float | np.number):
        return float(step.missing_values)
    raise _not_taken(step)


def _marker(step: Any) -> Empty:
    if step.missing_values is None:
        return Empty.NONE
    if _is_nan(step.missing_values):
        return Empty.NAN
    raise _not_taken(step)


def _not_taken(step: Any) -> ConversionError:
    return ConversionError(
        f"{class_name(type(step))} takes {step.missing_values!r} for a missing value.",
        remedy="Fit it with missing_values=numpy.nan.",
        field="missing_values",
    )


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and np.isnan(value)


READERS: Mapping[str, Reader] = {
    "sklearn.impute.SimpleImputer": Reader(transform=_imputed),
    "sklearn.impute.MissingIndicator": Reader(transform=_indicated),
}
