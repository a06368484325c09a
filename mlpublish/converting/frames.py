"""Frames of numbers and texts, as a model that was fitted on named columns reads them, and as its file does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting import tables
from mlpublish.converting.graph.answer import Answer, Predicted, nodes_of
from mlpublish.converting.graph.columnwise import MISSING_TEXT, Empty, Lookup
from mlpublish.converting.graph.node import Column
from mlpublish.errors import ConversionError
from mlpublish.shown import cut, fact

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Columns: TypeAlias = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One column that a model was fitted on.

    Args:
        used: whether its answer depends on it.
        texts: whether it holds texts; numbers otherwise.
        empty: what an empty text is for the model; None where it is a text like any other.
    """

    name: str
    used: bool
    texts: bool
    empty: Empty | None


def columns_of(answer: Answer, names: tuple[str, ...]) -> tuple[Known, ...]:
    """The columns that a graph's model was fitted on.

    Raises:
        ConversionError: two of the used ones would be one feature; or an empty text means two things.
    """
    nodes = nodes_of(answer)
    used = {each.name for each in nodes if isinstance(each, Column)}
    outputs = tuple(each.name for each in answer.numbers) if isinstance(answer, Predicted) else ()
    tables.feature_names(tuple(name for name in names if name in used), field="feature_names_in_", outputs=outputs)
    lookups = [each for each in nodes if isinstance(each, Lookup) and each.of_texts]
    return tuple(_known(name, used, [each for each in lookups if _named(each, name)]) for name in names)


def _named(lookup: Lookup, name: str) -> bool:
    return isinstance(lookup.of, Column) and lookup.of.name == name


def _known(name: str, used: set[str], lookups: list[Lookup]) -> Known:
    meanings = sorted({each.empty for each in lookups if each.empty is not None})
    if len(meanings) > 1:
        raise ConversionError(
            f"In the column {name!r} {meanings[0]} and {meanings[1]} mean two things; Core ML has one empty text for them.",
            remedy="Replace one of them before the model is fitted.",
            field="feature_names_in_",
        )
    return Known(name=name, used=name in used, texts=bool(lookups), empty=next(iter(meanings), None))


def fitted(samples: object, columns: tuple[Known, ...]) -> DataFrame:
    """Samples as the model takes them: numbers in doubles, missing texts as it was fitted on them.

    Columns that its answer does not depend on stay as they are; lacking ones are there too, as it may count its columns.

    Raises:
        ConversionError: a column is lacking, or holds something else than it was fitted on.
    """
    import pandas as pd

    used = tuple(each.name for each in columns if each.used)
    frame = tables.frame(samples, tuple(each.name for each in columns), needed=used)
    made: dict[str, Any] = {}
    for each in columns:
        if not each.used:
            made[each.name] = frame.get(each.name, 0.0)
        elif each.texts:
            made[each.name] = pd.Series(_texts(frame[each.name], each), index=frame.index, dtype=object)
        else:
            made[each.name] = tables.numbers(frame[[each.name]], missing=True)[:, 0]
    return pd.DataFrame(made, index=frame.index)


def border(frame: DataFrame, columns: tuple[Known, ...]) -> Columns:
    """The columns of ``fitted`` as the file takes them: doubles, and texts with ``MISSING_TEXT`` for missing ones."""
    return {each.name: _shown(frame[each.name], each) for each in columns if each.used}


def _shown(column: Series[Any], known: Known) -> NDArray[np.generic]:
    if not known.texts:
        return column.to_numpy(dtype=np.float64)
    return np.where(column.isna().to_numpy(), MISSING_TEXT, column.to_numpy(dtype=object)).astype(str)


def _texts(column: Series[Any], known: Known) -> NDArray[np.generic]:
    values, missing = column.to_numpy(dtype=object), column.isna().to_numpy()
    for row in np.flatnonzero(~missing):
        if not isinstance(values[row], str):
            raise ConversionError(
                f"Row {row} of the column {known.name!r} is {cut(repr(values[row]), 100)}; the model takes texts there.",
                remedy="Give texts, as the model was fitted on.",
                field="samples",
            )
    if missing.any() and known.empty is Empty.TEXT:
        raise ConversionError(
            f"Row {np.flatnonzero(missing)[0]} of the column {known.name!r} is missing; Core ML has only the empty text for "
            "that, which is one of the model's categories.",
            remedy="Leave such rows out, or fit the model without empty texts.",
            field="samples",
        )
    if known.empty in _MISSING:
        missing = missing | (np.where(missing, MISSING_TEXT, values) == MISSING_TEXT)
    return np.where(missing, np.array(_MISSING.get(known.empty, np.nan), dtype=object), values)


_MISSING: Mapping[Empty | None, float | None] = {Empty.NAN: np.nan, Empty.NONE: None}


@contextmanager
def refusing(table: DataFrame | NDArray[np.float64]) -> Iterator[None]:
    """What a library says of samples that it does not take leaves the block as our error, with the row if it can be told."""
    try:
        yield
    except Exception as exc:  # a model that another release saved lacks attributes
        raise ConversionError(
            f"The model does not take the samples: {fact(exc)}.{_first_missing(table)}",
            remedy="Give rows that the model itself answers.",
            field="samples",
        ) from exc


def _first_missing(table: DataFrame | NDArray[np.float64]) -> str:
    import pandas as pd

    rows = np.flatnonzero(pd.DataFrame(table).isna().to_numpy().any(axis=1))
    return f" Row {rows[0]} of the samples holds NaN." if rows.size else ""
