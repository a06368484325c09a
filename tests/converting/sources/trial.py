"""One entry of the catalogue, converted, and its saved file held against its library, number by number."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlpublish.converting.convert import convert
from mlpublish.converting.source import source_for
from mlpublish.coreml import evaluate
from mlpublish.coreml.package import read
from tests.converting.sources.beside import beside_splits
from tests.converting.sources.entry import Entry, Said
from tests.converting.writing.validating import check

ALLOWED = 1e-4
"""The parity gate's: max|got - want| / max|want| of an output."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was found.

    Args:
        rows: how many were asked, each type of number counted.
        worst: the largest relative difference of any output that is a number.
    """

    rows: int
    worst: float


def tried(entry: Entry, folder: Path) -> Outcome:
    """Convert, and ask held-out rows and rows on and beside the file's splits, in float32 and float64.

    Raises:
        AssertionError: a label differs, a number differs by more than ``ALLOWED``, the outputs are others, or the file
            breaks a rule of Apple's own validator.
        MlpublishError: it is not converted.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a library's own advice about its settings
        model = entry.fit(entry.data)
        converted = convert(model, name="m", samples=entry.data.held, out=folder, progress=False)
        check(read(converted.path))
        source, saved = source_for(model), evaluate.load(converted.path)
        asked = 0
        worst = 0.0
        for rows in _all_rows(entry, converted.path):
            worst = max(worst, _apart(saved.predict_rows(source.inputs(rows)), entry.asked(model, _in_doubles(rows))))
            asked += len(rows)
    return Outcome(rows=asked, worst=worst)


def _all_rows(entry: Entry, path: Path) -> Iterator[Any]:
    held = entry.data.held
    if isinstance(held, pd.DataFrame):
        numbers = [name for name in held.columns if pd.api.types.is_float_dtype(held[name])]
        yield from (held, held.astype(dict.fromkeys(numbers, np.float32)))
        return
    for kind in (np.float32, np.float64):
        yield held.astype(kind)
        at_splits = beside_splits(path, held.astype(kind))
        if len(at_splits):
            yield at_splits


def _in_doubles(rows: Any) -> Any:
    """The same numbers: a scaler that is given float32 computes in it, which no Core ML file tells from float64 input."""
    if not isinstance(rows, pd.DataFrame):
        return rows.astype(np.float64)
    return rows.astype({name: np.float64 for name in rows.columns if pd.api.types.is_float_dtype(rows[name])})


def _apart(got: Said, want: Said) -> float:
    """The largest relative difference."""
    assert set(got) == set(want)
    return max([_numbers_apart(name, got[name], want[name]) for name in want if name != "classLabel"] + [_labels(got, want)])


def _labels(got: Said, want: Said) -> float:
    if "classLabel" in want:
        np.testing.assert_array_equal(got["classLabel"], want["classLabel"])
    return 0.0


def _numbers_apart(name: str, got: np.ndarray, want: np.ndarray) -> float:
    numbers = np.asarray(want, dtype=np.float64)
    assert np.isfinite(numbers).all(), name
    gap = np.abs(np.asarray(got, dtype=np.float64).reshape(numbers.shape) - numbers).max()
    apart = float(gap / max(np.abs(numbers).max(), np.finfo(np.float64).tiny))
    assert apart <= ALLOWED, f"{name} differs by {apart:.1e}"
    return apart
