"""Samples from a file: NumPy's own formats, never unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from mlpublish.errors import RecipeError

if TYPE_CHECKING:
    from numpy import ndarray


def read_samples(file: Path) -> ndarray | dict[str, ndarray]:
    """Read held-out samples.

    Args:
        file: an ``.npy`` with one array, or an ``.npz`` with one array (of any name) or one per input.

    Returns:
        The array, or input name -> array; the first axis is the row.

    Raises:
        RecipeError: the file holds no such arrays.
    """
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
