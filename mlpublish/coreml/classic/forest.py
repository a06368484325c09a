"""Walk all trees of an ensemble for all rows.

Every question is brought into one form, ``feature <= number``, so that a step is the same few array operations everywhere:

- ``x < t`` asks ``x <= t'`` with the double before ``t``; ``>`` and ``>=`` ask the same with the children changed over.
- ``x == t`` asks ``x <= t`` and below it ``x <= t'``.
- NaN is never less or equal, so it goes high. Where a node sends a missing value low, it asks a second copy of its feature, in
  which minus infinity stands for NaN.

The two nodes that a question leads to stand side by side, so the answer is added to the place of the first. A leaf compares
with NaN and leads to itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpublish.coreml.classic.nodes import EQUAL, GREATER, GREATER_OR_EQUAL, LEAF, LESS, NOT_EQUAL, Nodes
from mlpublish.coreml.classic.stage import CELLS, Doubles, Flags, Places
from mlpublish.coreml.mil_ops.tensor import room

_TOGETHER = 1 << 13  # walks at once, of one tree for many rows or of many trees for one: what is touched stays in the cache
_STRIDE = 12  # steps before the walks that have ended are set aside


class Forest:
    """The trees, laid out for walking.

    Args:
        nodes: what the file says.
        width: how many results the leaves add to.

    Raises:
        ValueError: a leaf adds to a result that is not there.
    """

    def __init__(self, nodes: Nodes, width: int) -> None:
        asked = _Questions.of(nodes)
        self.asked = int(nodes.feature.max(initial=-1))
        """The highest feature that is asked for; -1 where none is."""
        self._lay_out(nodes, asked)
        self._add_values(nodes, width)

    def _lay_out(self, nodes: Nodes, asked: _Questions) -> None:
        keys, column = np.unique(asked.feature * 2 + asked.nan_is_low, return_inverse=True)
        self._features, self._nan_is_low = keys // 2, keys % 2 == 1
        branches = np.flatnonzero(~asked.leaf)
        pairs = np.column_stack([asked.high[branches], asked.low[branches]]).ravel()
        self._node = np.concatenate([pairs, nodes.roots])  # place -> the node that stands there
        self._ends = asked.leaf[self._node]
        first = 2 * (np.cumsum(~asked.leaf) - 1)
        self._next = np.where(self._ends, np.arange(len(self._node)), first[self._node])
        self._number = np.where(self._ends, np.nan, asked.number[self._node])
        self._column = column[self._node]
        self._starts = len(pairs) + np.arange(len(nodes.roots))
        self._depths = nodes.depths * (2 if len(asked.leaf) > len(nodes.number) else 1)

    def _add_values(self, nodes: Nodes, width: int) -> None:
        held = nodes.values
        if held.results.size and not 0 <= held.results.min() <= held.results.max() < width:
            raise ValueError(f"a leaf adds to result {held.results.max()} of {width}")
        self._width, self._values, self._counts = width, held, np.diff(held.starts)
        self._table: Doubles | None = None
        if len(self._node) * width <= 8 * len(held.values) + CELLS // 64:  # few gaps, or a small one at all
            table = np.zeros((len(self._counts), width))
            np.add.at(table, (np.repeat(np.arange(len(self._counts)), self._counts), held.results), held.values)
            self._table = table[np.where(self._ends, self._node, 0)]

    def sums(self, rows: Doubles) -> Doubles:
        """(rows, features) -> what the leaves add, (rows, results)."""
        found = np.zeros(room(len(rows), self._width))
        most = max(1, self._width if self._table is not None else int(self._counts.max(initial=1)))
        together = max(1, min(_TOGETHER, CELLS // most))
        size = max(1, min(together, CELLS // max(1, len(self._features))))
        for start in range(0, len(rows), size):
            part = found[start : start + size]
            cells, offsets = self._cells(rows[start : start + size]), self._column * len(part)
            trees = max(1, together // len(part))
            for first in range(0, len(self._starts), trees):
                some = slice(first, first + trees)
                ends = self._walked(cells, offsets, self._starts[some], len(part), int(self._depths[some].max()))
                part += self._added(ends, len(part))
        return found

    def _cells(self, rows: Doubles) -> Doubles:
        """The features that are asked for, one after another, each as many numbers as there are rows."""
        columns = np.ascontiguousarray(rows.T[self._features])
        low = columns[self._nan_is_low]
        columns[self._nan_is_low] = np.where(np.isnan(low), -np.inf, low)
        return columns.ravel()

    def _walked(self, cells: Doubles, offsets: Places, starts: Places, rows: int, depth: int) -> Places:
        """The place where each walk ends, tree by tree: (trees * rows,)."""
        at, row = np.repeat(starts, rows), np.tile(np.arange(rows), len(starts))
        found, going = at, np.arange(len(at))
        for done in range(0, depth, _STRIDE):
            self._descend(cells, offsets, at, row, min(_STRIDE, depth - done))
            found[going] = at
            still = np.flatnonzero(~self._ends[at]) if done + _STRIDE < depth else going[:0]
            at, row, going = at[still], row[still], going[still]
        return found

    def _descend(self, cells: Doubles, offsets: Places, at: Places, row: Places, steps: int) -> None:
        """Go down so many steps, in place; "clip" never clips here, but numpy then writes without a copy in between."""
        place, value, number = np.empty_like(at), np.empty(len(at)), np.empty(len(at))
        low = np.empty(len(at), dtype=np.bool_)
        for _ in range(steps):
            np.add(offsets.take(at, out=place, mode="clip"), row, out=place)
            cells.take(place, out=value, mode="clip")
            self._number.take(at, out=number, mode="clip")
            np.less_equal(value, number, out=low)
            np.add(self._next.take(at, out=place, mode="clip"), low, out=at)

    def _added(self, ends: Places, rows: int) -> Doubles:
        """What the leaves at these places add, (rows, results)."""
        if self._table is not None:
            summed: Doubles = self._table.take(ends, axis=0).reshape(-1, rows, self._width).sum(axis=0)
            return summed
        nodes, row = self._node[ends], np.tile(np.arange(rows), len(ends) // rows)
        counts = self._counts[nodes]
        first = np.repeat(self._values.starts[nodes] - (np.cumsum(counts) - counts), counts)
        entries = np.arange(len(first)) + first
        cells = np.repeat(row, counts) * self._width + self._values.results[entries]
        added = np.bincount(cells, weights=self._values.values[entries], minlength=rows * self._width)
        return added.astype(np.float64, copy=False).reshape(rows, self._width)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Questions:
    """All nodes, and behind them the second questions of ``==`` and ``!=``: ``feature <= number``.

    Args:
        low, high: where yes and no lead.
        nan_is_low: whether a missing value goes low.
    """

    feature: Places
    number: Doubles
    low: Places
    high: Places
    nan_is_low: Flags
    leaf: Flags

    @classmethod
    def of(cls, nodes: Nodes) -> _Questions:
        turned = np.isin(nodes.behaviour, (GREATER_OR_EQUAL, GREATER, NOT_EQUAL))
        strict = np.isin(nodes.behaviour, (LESS, GREATER_OR_EQUAL))
        low, high = np.where(turned, nodes.no, nodes.yes), np.where(turned, nodes.yes, nodes.no)
        number, nan_is_low = np.where(strict, _before(nodes.number), nodes.number), nodes.missing != turned
        never = strict & np.isneginf(nodes.number)  # nothing is less: what is no number goes its way, all others high
        low, high = np.where(never, high, low), np.where(never, np.where(nodes.missing, nodes.yes, nodes.no), high)
        number, nan_is_low = np.where(never, np.inf, number), nan_is_low & ~never & (nodes.behaviour != LEAF)
        twice = np.flatnonzero(np.isin(nodes.behaviour, (EQUAL, NOT_EQUAL)) & ~np.isneginf(nodes.number))
        equal = low[twice]
        low[twice] = len(low) + np.arange(len(twice))
        return cls(
            feature=np.concatenate([nodes.feature, nodes.feature[twice]]),
            number=np.concatenate([number, _before(number[twice])]),
            low=np.concatenate([low, high[twice]]),
            high=np.concatenate([high, equal]),
            nan_is_low=np.concatenate([nan_is_low, np.zeros(len(twice), dtype=np.bool_)]),
            leaf=np.concatenate([nodes.behaviour == LEAF, np.zeros(len(twice), dtype=np.bool_)]),
        )


def _before(number: Doubles) -> Doubles:
    """The double that comes before each."""
    below: Doubles = np.nextafter(number, -np.inf)
    return below
