"""Samples from a file: NumPy's own formats, never unpickled, and tables for models that were fitted on named columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from mlpublish.errors import RecipeError
from mlpublish.shown import fact

if TYPE_CHECKING:
    from numpy import ndarray
    from pandas import DataFrame


def read_samples(file: Path) -> ndarray | dict[str, ndarray] | DataFrame:
    """Read held-out samples.

    Args:
        file: an ``.npy`` with one array; an ``.npz`` with one array (of any name) or one per input; a ``.csv`` whose first line
            names the columns (an empty field is a missing value, and digits are a number: a column of texts such as 007
            needs a ``.parquet``); or a ``.parquet``.

    Returns:
        The array, input name -> array, or the table; the first axis is the row.

    Raises:
        RecipeError: the file holds no such arrays.
    """
    return _table(file) if file.suffix.lower() in (".csv", ".parquet") else _arrays(file)


def _table(file: Path) -> DataFrame:
    import pandas as pd

    try:
        found = pd.read_parquet(file) if file.suffix.lower() == ".parquet" else pd.read_csv(file)
    except (ValueError, OSError) as exc:
        raise RecipeError(
            f"{file} holds no table: {fact(exc)}.", remedy="Write it with DataFrame.to_csv(F, index=False).", field="samples"
        ) from exc
    return found


def _arrays(file: Path) -> ndarray | dict[str, ndarray]:
    import numpy as np

    try:
        with np.load(file, allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except TypeError:  # an .npy gives an array, which is no context manager
        return np.asarray(np.load(file, allow_pickle=False))
    except (ValueError, OSError, EOFError, BadZipFile) as exc:
        raise RecipeError(
            f"{file} holds no arrays that can be read without unpickling.",
            remedy="Write numbers or fixed-width texts with numpy.savez(F, input=rows).",
            field="samples",
        ) from exc
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays
