"""Categories as numbers. What an encoder makes of each one is asked of the encoder itself, all of its settings included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.graph.columnwise import MISSING_TEXT, Empty, Filled, Lookup
from mlpublish.converting.graph.node import Column, Doubles, Node, Pick, joined, picked
from mlpublish.converting.of_sklearn.reading import Reader
from mlpublish.converting.quiet import silence
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_LARGEST = 2**24  # numbers of one column's table: 4096 categories, one-hot

_UNHEARD_OF = "\x00 none of the categories"


def _one_hot(step: Any, x: Node) -> Node:
    return _encoded(step, x, _one_hot_widths(step), refuses=step.handle_unknown == "error")


def _ordinal(step: Any, x: Node) -> Node:
    return _encoded(step, x, [1] * len(step.categories_), refuses=step.handle_unknown == "error")


def _by_target(step: Any, x: Node) -> Node:
    """A TargetEncoder."""
    each = len(step.classes_) if step.target_type_ == "multiclass" else 1
    return _encoded(step, x, [each] * len(step.categories_), refuses=False)


def _one_hot_widths(step: Any) -> list[int]:
    """How many columns each feature becomes."""
    merged = getattr(step, "infrequent_categories_", None) or [None] * len(step.categories_)
    dropped = [None] * len(step.categories_) if step.drop_idx_ is None else step.drop_idx_.tolist()
    return [
        len(categories) - (max(len(group) - 1, 0) if group is not None else 0) - (drop is not None)
        for categories, group, drop in zip(step.categories_, merged, dropped, strict=True)
    ]


def _encoded(step: Any, x: Node, widths: list[int], *, refuses: bool) -> Node:
    """Every column looked up in its own table.

    Args:
        widths: how many numbers each column becomes.
        refuses: whether the library refuses a category that it does not know.
    """
    columns = [_values(step, categories) for categories in step.categories_]
    _check_sizes(step, columns, widths)
    longest = max(len(categories) for categories in columns)
    rows = [[categories[min(row, len(categories) - 1)] for categories in columns] for row in range(longest)]
    tables = _asked(step, rows, widths)
    unknown = None if refuses else _asked(step, [[_stranger(categories) for categories in columns]], widths)
    parts = [
        _looked_up(
            step,
            picked(x, (place,)),
            categories,
            tables[place][: len(categories)],
            None if unknown is None else unknown[place][0],
        )
        for place, categories in enumerate(columns)
        if widths[place]
    ]
    return joined(tuple(parts))


def _values(step: Any, categories: NDArray[np.generic]) -> list[Any]:
    """One column's categories.

    Raises:
        ConversionError: they are neither texts nor numbers: dates, bytes.
    """
    if categories.dtype.kind not in "OUTbiuf":
        raise ConversionError(
            f"{class_name(type(step))} has categories of type {categories.dtype}; Core ML has numbers and texts.",
            remedy="Fit it on columns of texts or of numbers.",
            field="categories_",
        )
    return list(categories.tolist())


def _asked(step: Any, rows: list[list[Any]], widths: list[int]) -> list[Doubles]:
    """What the encoder makes of rows, a table per feature."""
    cells = np.empty((len(rows), len(rows[0])), dtype=object)
    for place, row in enumerate(rows):
        cells[place, :] = row
    with silence():  # it warns of names that an array has none of, and of categories that it does not know
        made = step.transform(cells)
    if made.shape[1] != sum(widths):
        raise ConversionError(
            f"{class_name(type(step))} gives {made.shape[1]} columns where its attributes tell of {sum(widths)}.",
            remedy="Fit it again with the installed scikit-learn.",
            field="categories_",
        )
    ends = np.cumsum(widths).tolist()
    whole = made.tocsc() if hasattr(made, "tocsc") else np.asarray(made)  # sparse: a table for each, never one of all
    parts = [whole[:, end - width : end] for width, end in zip(widths, ends, strict=True)]
    return [np.asarray(part.toarray() if hasattr(part, "toarray") else part, dtype=np.float64) for part in parts]


def _check_sizes(step: Any, columns: list[list[Any]], widths: list[int]) -> None:
    for place, (categories, width) in enumerate(zip(columns, widths, strict=True)):
        if len(categories) * width > _LARGEST:
            raise ConversionError(
                f"{class_name(type(step))} makes {width} columns of the {len(categories)} categories of column {place}, which "
                "is more than a phone should hold.",
                remedy="Fit it with max_categories= or min_frequency=, or use an OrdinalEncoder or a TargetEncoder.",
                field="categories_",
            )


def _stranger(categories: list[Any]) -> Any:
    """A value of the categories' kind that is none of them."""
    known = [value for value in categories if not _is_missing(value)]
    if not known or isinstance(known[0], str):
        return _UNHEARD_OF
    return max(float(value) for value in known) + 1


def _looked_up(step: Any, x: Node, categories: list[Any], table: Doubles, unknown: Doubles | None) -> Lookup:
    known = [value for value in categories if not _is_missing(value)]
    source = _texts_of(x)
    if all(isinstance(value, str) for value in known) and (known or source is not None):
        return _texts(step, x, categories, table, unknown)
    numbers = [_number(step, value) for value in categories]
    return Lookup(of=x, keys=tuple(numbers), table=table, unknown=unknown)


def _texts(step: Any, x: Node, categories: list[Any], table: Doubles, unknown: Doubles | None) -> Lookup:
    """A lookup of texts, with a key for every text that is filled in and for whatever is missing."""
    column = _texts_of(x)
    if column is None:
        raise ConversionError(
            f"{class_name(type(step))} takes texts from an array; Core ML has no arrays of texts.",
            remedy="Fit the model on a DataFrame whose columns have names, the encoder before anything else than an imputer.",
            field="categories_",
        )
    rows: dict[str, Doubles] = {}
    empty: Empty | None = None
    for value, row in zip(categories, table, strict=True):
        key, means = _key(value)
        if means is not None and empty is not None and not np.array_equal(rows[MISSING_TEXT], row, equal_nan=True):
            raise _ambiguous(column, empty, means)
        rows[key], empty = row, empty or means
    own = empty
    for fill in reversed(_fills(x)):
        filled = rows.get(fill.values[0], unknown)
        if filled is None:
            continue  # the library refuses what it fills in
        if fill.missing == MISSING_TEXT:
            if own not in (None, fill.empty) and not np.array_equal(rows[MISSING_TEXT], filled, equal_nan=True):
                continue  # an empty text is a category of its own, and stays what it is
            empty = fill.empty
        rows[fill.missing] = filled
    return Lookup(of=column, keys=tuple(rows), table=np.array(list(rows.values())), unknown=unknown, empty=empty)


def _key(value: Any) -> tuple[str, Empty | None]:
    """A category as a text, and what an empty one is."""
    if isinstance(value, str):
        return value, Empty.TEXT if value == MISSING_TEXT else None
    return MISSING_TEXT, Empty.NONE if value is None else Empty.NAN


def _ambiguous(column: Column, one: Empty, other: Empty) -> ConversionError:
    return ConversionError(
        f"The column {column.name!r} has both {one} and {other} for a category; Core ML has one empty text for them.",
        remedy="Replace one of them before the model is fitted.",
        field="categories_",
    )


def _texts_of(x: Node) -> Column | None:
    """The column that texts come from; only what is filled in may stand between."""
    while isinstance(x, Filled | Pick) and x.reads[0].width == 1:
        x = x.reads[0]
    return x if isinstance(x, Column) else None


def _fills(x: Node) -> list[Filled]:
    """What is filled into a column, in order."""
    found: list[Filled] = []
    while x.reads:
        if isinstance(x, Filled):
            found.insert(0, x)
        x = x.reads[0]
    return found


def _number(step: Any, value: Any) -> float:
    """A category that is a number.

    Raises:
        ConversionError: it is not, or no double has its value.
    """
    if isinstance(value, float | bool | int) and (value != value or float(value) == value):
        return float(value)
    raise ConversionError(
        f"{class_name(type(step))} has the category {value!r} ({type(value).__name__}) among others of a column.",
        remedy="Fit it on columns of texts alone or of numbers alone; numpy.nan stands for a missing number.",
        field="categories_",
    )


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


READERS: Mapping[str, Reader] = {
    "sklearn.preprocessing.OneHotEncoder": Reader(transform=_one_hot),
    "sklearn.preprocessing.OrdinalEncoder": Reader(transform=_ordinal),
    "sklearn.preprocessing.TargetEncoder": Reader(transform=_by_target),
}
