"""Tables of texts, in the words of ``categoricalMapping`` and ``oneHotEncoder`` wherever they have some for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlpublish.converting.graph.algebra import Linear
from mlpublish.converting.graph.columnwise import Lookup
from mlpublish.converting.graph.node import Doubles, Join, Node

_MOST_NUMBERS = 16  # per text, each a stage of its own; of more an ML Program makes one


def of_texts(node: Lookup) -> Node:
    """A table of texts, as tables that Core ML has a specification for; else as numbers of texts, and a table of those.

    Args:
        node: its keys are texts.
    """
    table = _table(node)
    if is_one_hot(node) or _is_whole(table):
        return node
    if _is_indicator(table):
        return _places(node, np.where(table.any(axis=1), table.argmax(axis=1), node.width))
    if node.width <= _MOST_NUMBERS and np.isfinite(table).all():
        return _numbers(node, table)
    count = len(node.keys)
    of = _places(node, np.arange(len(table)), encoded=False)
    return Lookup(of=of, keys=tuple(map(float, range(count))), table=node.table, unknown=node.unknown)


def is_one_hot(node: Lookup) -> bool:
    """Whether a table is what a ``oneHotEncoder`` says: one place per key, nothing for what is unknown."""
    return np.array_equal(node.table, np.eye(len(node.keys))) and (node.unknown is None or not node.unknown.any())


def is_of_one_hot(node: Linear) -> bool:
    """Whether a linear number picks one weight: exactly, so that it may stand in front of splits."""
    of = node.of
    return node.width == 1 and isinstance(of, Lookup) and is_one_hot(of) and isinstance(of.of, Lookup) and of.of.of_texts


def _table(node: Lookup) -> Doubles:
    """All rows, that of what is unknown last."""
    return node.table if node.unknown is None else np.vstack([node.table, node.unknown])


def _is_whole(table: Doubles) -> bool:
    """Whether a table is what a ``categoricalMapping`` says: one whole number per key."""
    held = table.reshape(len(table), -1)
    whole = np.isfinite(held) & (held == np.rint(held)) & (np.abs(held) < 2.0**53)
    return held.shape[1] <= 1 and bool(whole.all())


def _is_indicator(table: Doubles) -> bool:
    """Whether each row is one 1 among zeros, or zeros alone; rows may be the same."""
    return bool(np.isin(table, (0, 1)).all() and (table.sum(axis=1) <= 1).all())


def _mapped(node: Lookup, numbers: Doubles) -> Lookup:
    """A whole number for each text."""
    count = len(node.keys)
    unknown = None if node.unknown is None else numbers[count:]
    return replace(node, table=numbers[:count, np.newaxis], unknown=unknown)


def _places(node: Lookup, places: np.ndarray, *, encoded: bool = True) -> Lookup:
    """The place that each text stands for, and 1 there; a place behind all others is none."""
    mapped = _mapped(node, places.astype(np.float64))
    if not encoded:
        return mapped
    width = node.width
    return Lookup(of=mapped, keys=tuple(map(float, range(width))), table=np.eye(width), unknown=np.zeros(width))


def _numbers(node: Lookup, table: Doubles) -> Node:
    """Any numbers: the weights of the texts' places."""
    rows, which = np.unique(table, axis=0, return_inverse=True)
    of = _places(replace(node, table=np.zeros((len(node.keys), len(rows)))), which.reshape(-1))
    parts = tuple(Linear(of=of, weights=rows[:, [column]].T, offset=np.zeros(1)) for column in range(node.width))
    return parts[0] if len(parts) == 1 else Join(parts=parts)
