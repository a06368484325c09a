"""What layers pass to each other: a blob, an array of float32 with the caller's rows on a first axis of its own.

A layer of the specification speaks of one prediction. Here all rows are predicted at once: a blob of the specification's
shape (C, H, W) is held as (rows, C, H, W), and one that no row's numbers went into, such as a constant, as (1, C, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.mil_ops.tensor import room
from mlpublish.coreml.schema import Message

Blob: TypeAlias = NDArray[Any]
"""float32, (rows or 1, *the shape that the specification speaks of)."""

Step: TypeAlias = Callable[[Sequence[Blob]], Sequence[Blob]]
"""A layer that was opened: its inputs -> its outputs, in the order of the specification."""

Opener: TypeAlias = Callable[[Message], Step]
"""Reads a ``NeuralNetworkLayer``, weights and all, once."""


class RowsDiffer(ValueError):
    """A layer would give every row another shape, or take another branch; such rows are run one by one."""


def rank(blob: Blob) -> int:
    """The number of dimensions that the specification counts."""
    return blob.ndim - 1


def axis_of(axis: int, dimensions: int) -> int:
    """Where an axis of the specification (negative from the end) stands in an array with rows.

    Raises:
        ValueError: there are only ``dimensions`` of them.
    """
    if not -dimensions <= axis < dimensions:
        raise ValueError(f"there is no axis {axis} among {dimensions}")
    return axis % dimensions + 1


def at_least(dimensions: int, blob: Blob) -> Blob:
    """The blob, if it has so many dimensions or more.

    Raises:
        ValueError: it has fewer.
    """
    if rank(blob) < dimensions:
        raise ValueError(f"a blob of {rank(blob)} dimensions came, {dimensions} or more are needed")
    return blob


def aligned(blobs: Sequence[Blob]) -> list[Blob]:
    """The blobs with ones before their dimensions, so that they broadcast from the last one on, as numpy does."""
    most = max(rank(blob) for blob in blobs)
    same = [blob.reshape(blob.shape[0], *[1] * (most - rank(blob)), *blob.shape[1:]) for blob in blobs]
    room(*np.broadcast_shapes(*(blob.shape for blob in same)))
    return same


def same_rows(blobs: Sequence[Blob]) -> list[Blob]:
    """The blobs, each with as many rows as the most."""
    count = max(len(blob) for blob in blobs)
    return [np.broadcast_to(blob, (count, *blob.shape[1:])) for blob in blobs]


def each_row(run: Callable[..., Blob], *blobs: Blob) -> Blob:
    """A function of arrays without rows, for every row.

    Raises:
        RowsDiffer: the results have several shapes.
    """
    results = [run(*row) for row in zip(*same_rows(blobs), strict=True)]
    if len({result.shape for result in results}) > 1:
        raise RowsDiffer("the rows ask for several shapes")
    return np.stack(results)


def agreed(blob: Blob) -> Blob:
    """The one value that all rows have, without rows.

    Raises:
        RowsDiffer: they have several.
    """
    if len(blob) > 1 and (blob != blob[:1]).any():
        raise RowsDiffer("the rows ask for several things")
    first: Blob = blob[0]
    return first


def whole(blob: Blob) -> list[int]:
    """A blob of whole numbers that all rows agree in, such as a shape.

    Raises:
        ValueError: a number is none.
    """
    return [int(number) for number in agreed(blob).reshape(-1)]


def indices(blob: Blob, size: int) -> Blob:
    """Numbers as positions from 0 to size - 1; negative ones count from the end.

    Raises:
        ValueError: one is outside.
    """
    found = np.where(np.isfinite(blob), blob, size).astype(np.int64)
    if found.size and not (-size <= found.min() and found.max() < size):
        raise ValueError(f"an index is outside of the {size} there are")
    return np.where(found < 0, found + size, found)


def one(run: Callable[[Blob], Blob]) -> Step:
    """A layer of one input and one output."""

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        (x,) = inputs
        return (run(x),)

    return step


def two(run: Callable[[Blob, Blob], Blob]) -> Step:
    """A layer of two inputs and one output."""

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        x, y = inputs
        return (run(x, y),)

    return step


def filled(blob: Blob) -> Blob:
    """A result without dimensions as one with a single one: a blob of the specification has at least one."""
    return blob.reshape(len(blob), 1) if blob.ndim == 1 else blob


def sized(values: Sequence[int], default: int, count: int = 2) -> list[int]:
    """A repeated field such as ``kernelSize``: not set means the default for each axis.

    Raises:
        ValueError: it has another length, or a size is none.
    """
    if not values:
        return [default] * count
    if len(values) != count or min(values) < 1:
        raise ValueError(f"{list(values)} are not {count} sizes")
    return [int(value) for value in values]
