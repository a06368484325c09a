"""A table of samples as a model was fitted on it: columns by name or an array, checked, and as Core ML features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.source import LABEL, PREDICTION, PROBABILITIES
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import feature_name
from mlpublish.shown import cut, fact

if TYPE_CHECKING:
    from pandas import DataFrame


def table(samples: object, *, names: tuple[str, ...] | None, features: int) -> DataFrame | NDArray[np.generic]:
    """Samples as the model was fitted: a frame with its columns in order, or an array.

    Args:
        samples: a frame, a mapping of columns, or an array of (rows, features).
        names: the columns; None for a model that was fitted on an array.
        features: how many columns the model takes.

    Raises:
        ConversionError: a column is missing, or the shape is another.
    """
    if names is not None:
        return frame(samples, names)
    array = _array(samples)
    _check_shape(array.shape, features)
    return array


def numbers(rows: DataFrame | NDArray[np.generic], *, missing: bool = False) -> NDArray[np.float64]:
    """A table's numbers, (rows, features).

    Args:
        missing: whether NaN is allowed and means a missing value.

    Raises:
        ConversionError: a cell is no real number, infinite, or NaN where that is not allowed.
    """
    kind = _no_numbers(rows)
    if kind:
        raise ConversionError(f"The samples are not numeric: they hold {kind}.", remedy="Give numbers.", field="samples")
    try:
        found = np.asarray(rows if isinstance(rows, np.ndarray) else rows.to_numpy(dtype=np.float64, na_value=np.nan))
        found = found.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as exc:
        fact = str(exc).rstrip(".")
        raise ConversionError(f"The samples are not numeric: {fact}.", remedy="Give numbers.", field="samples") from exc
    bad = np.flatnonzero((np.isinf(found) if missing else ~np.isfinite(found)).any(axis=1))
    if bad.size:
        held = "infinity" if missing else "NaN or infinity"
        raise ConversionError(f"Row {bad[0]} of the samples holds {held}.", remedy="Give finite samples.", field="samples")
    return found


def _no_numbers(rows: DataFrame | NDArray[np.generic]) -> str:
    """What numpy would make numbers of, and a model takes for none: nothing is said of what it loses."""
    types = {rows.dtype.kind} if isinstance(rows, np.ndarray) else {kind.kind for kind in rows.dtypes}
    return next((named for kinds, named in (("c", "complex numbers"), ("mM", "dates or times")) if types & set(kinds)), "")


def feature_names(columns: tuple[str, ...], *, field: str, outputs: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Columns as Core ML features.

    Args:
        field: the model's attribute that holds the columns, for errors.
        outputs: further ones than those that every kind of model may have.

    Raises:
        ConversionError: two columns would be one feature, or one would be called like an output.
    """
    names = tuple(feature_name(column) for column in columns)
    taken = {LABEL, PROBABILITIES, PREDICTION, *outputs, ""}
    for place, name in enumerate(names):
        if name in taken or name in names[:place]:
            raise ConversionError(
                f"The column {columns[place]!r} would be the feature {name!r}, which {_taken_by(columns, names, place)}.",
                remedy="Rename the column and fit again.",
                field=field,
            )
    return names


def _taken_by(columns: tuple[str, ...], names: tuple[str, ...], place: int) -> str:
    before = names[:place]
    if not names[place]:
        return "is no name: Core ML takes the letters a to z, digits and _"
    return f"{columns[before.index(names[place])]!r} is already" if names[place] in before else "is the name of an output"


def frame(samples: object, names: tuple[str, ...], *, needed: tuple[str, ...] | None = None) -> DataFrame:
    """Samples as a frame with the columns that a model was fitted on, in order.

    Args:
        needed: the columns that must be there; all by default.

    Raises:
        ConversionError: one of them is missing, a column is there twice, or the shape is another.
    """
    import pandas as pd

    if not isinstance(samples, Mapping | pd.DataFrame):
        array = _array(samples)
        _check_shape(array.shape, len(names))
        return pd.DataFrame(array, columns=list(names))
    with _of_samples():
        found = pd.DataFrame(samples)
    found = found.set_axis([_called(column) for column in found.columns], axis=1)
    for name in names:
        held = list(found.columns).count(name)
        if held > 1 or (held == 0 and (needed is None or name in needed)):
            raise ConversionError(
                f"The samples {'hold' if held else 'lack'} the column {name!r}{f' {held} times' if held else ''}.",
                remedy=f"Give the columns {cut(', '.join(needed or names), 500)}.",
                field="samples",
            )
    _check_shape((len(found), len(names)), len(names))
    return found[[name for name in names if name in found.columns]]


def _called(column: object) -> str:
    """A column as XGBoost calls it, which takes columns without a text for a name too."""
    return " ".join(map(str, column)) if isinstance(column, tuple) else str(column)


def _array(samples: object) -> NDArray[np.generic]:
    import pandas as pd

    if hasattr(samples, "toarray"):  # numpy makes one object of it
        raise ConversionError("The samples are sparse.", remedy="Give samples.toarray().", field="samples")
    with _of_samples():
        if isinstance(samples, pd.DataFrame) and samples.isna().to_numpy().any():
            return samples.to_numpy(na_value=np.nan)  # numpy knows no pandas.NA
        array = np.asarray(samples)
    if array.ndim == 0 and array.dtype.kind in "OU":  # a path, a mapping, a generator
        raise ConversionError(
            f"The samples are a {type(samples).__name__}, and no table.",
            remedy="Give a DataFrame or an array, one row per sample.",
            field="samples",
        )
    return array


@contextmanager
def _of_samples() -> Iterator[None]:
    """What pandas, numpy or torch say of samples that are no table leaves the block as our error."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError) as exc:
        raise ConversionError(
            f"The samples are no table: {fact(exc)}.",
            remedy="Give a DataFrame or an array, one row per sample.",
            field="samples",
        ) from exc


def _check_shape(shape: tuple[int, ...], features: int) -> None:
    if len(shape) != 2 or shape[1] != features or shape[0] == 0:
        raise ConversionError(
            f"The samples have the shape {shape}, the model takes (rows, {features}).",
            remedy=f"Give a table of one or more rows with {features} columns.",
            field="samples",
        )
