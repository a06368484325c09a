"""What a run gave, by our evaluator or Apple's runtime, as the caller gets it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.classic.stage import Rows
from mlpublish.coreml.mil_ops.tensor import Value
from mlpublish.formats.interface import Feature


def arrays(outputs: Mapping[str, Value]) -> dict[str, NDArray[np.generic]]:
    """A program's outputs, as the caller's own: nothing in them is the model's memory."""
    return {name: np.array(value) for name, value in outputs.items()}


def single(rows: Rows, outputs: tuple[Feature, ...]) -> dict[str, NDArray[np.generic]]:
    """The one row of a classic model's answer, arrays in the shape that the interface says, where it says one."""
    shapes = {each.name: each.shape for each in outputs if each.kind == "multiArray" and each.flexible is None}
    return {name: value[:1].reshape(shapes.get(name) or value.shape[1:]) for name, value in rows.items()}


def many(rows: Rows, outputs: tuple[Feature, ...]) -> Rows:
    """A classic model's answer, row after row; a leading 1 of an array's shape is left out."""
    arrays_of = {each.name for each in outputs if each.kind == "multiArray"}
    return {
        name: value[:, 0] if name in arrays_of and value.ndim > 2 and value.shape[1] == 1 else value
        for name, value in rows.items()
    }


def stacked(results: list[dict[str, Value]]) -> Rows:
    """A program's outputs, row after row; a leading 1 of the model's shape is left out."""
    return {name: np.stack([without_leading_one(each[name]) for each in results]) for name in results[0]}


def without_leading_one(value: Value) -> NDArray[np.generic]:
    """One row's value, as it stands among many rows: a leading 1 of the model's shape is left out."""
    array = np.asarray(value)
    return array[0] if array.ndim > 1 and array.shape[0] == 1 else array
