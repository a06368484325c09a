"""Rows on and beside the splits of a saved file: where a threshold that is off by one bit sends a row the other way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mlpublish.coreml.package import read
from mlpublish.coreml.schema import Message

_HUGE = 1e38
"""From here on, nearly the largest float32, a split only parts numbers from missing values."""

MOST = 40
"""Splits of one file that are tried; each makes three rows."""


def beside_splits(path: Path, rows: np.ndarray) -> np.ndarray:
    """Rows like the given ones with one number put on a split, and the numbers next to it on both sides.

    Args:
        rows: of floats; what is next is next in their type.
    """
    splits = sorted({each for each in _splits(read(path)) if each[0] < rows.shape[1]})
    chosen = [splits[place] for place in np.unique(np.linspace(0, len(splits) - 1, MOST).astype(int))] if splits else []
    made = []
    for number, (feature, value) in enumerate(chosen):
        on = rows.dtype.type(value)
        for put in (on, np.nextafter(on, rows.dtype.type(np.inf)), np.nextafter(on, rows.dtype.type(-np.inf))):
            row = rows[number % len(rows)].copy()
            row[feature] = put
            made.append(row)
    return np.asarray(made, dtype=rows.dtype).reshape(-1, rows.shape[1])


def _splits(spec: Message) -> Iterator[tuple[int, float]]:
    kind = spec.WhichOneof("Type")
    if kind.startswith("pipeline"):
        held = getattr(spec, kind)
        for model in (held.pipeline if kind != "pipeline" else held).models:
            yield from _splits(model)
    elif kind.startswith("treeEnsemble"):
        for node in getattr(spec, kind).treeEnsemble.nodes:
            if node.nodeBehavior != node.LeafNode and abs(node.branchFeatureValue) < _HUGE:
                yield node.branchFeatureIndex, node.branchFeatureValue
