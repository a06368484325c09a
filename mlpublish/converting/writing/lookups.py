"""Tables of numbers as one tree: numbers are compared in doubles, where an ML Program would take two ids for one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mlpublish.converting.graph.columnwise import Lookup
from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.graph.node import Doubles

_LARGEST = float(np.finfo(np.float64).max)
_FLOAT32_WHOLE = 2.0**24  # up to it float32 holds every whole number


def can_be_tree(node: Lookup) -> bool:
    """Whether a table of numbers can stand in leaves, which hold no NaN."""
    return not node.of_texts and bool(
        np.isfinite(node.table).all() and (node.unknown is None or np.isfinite(node.unknown).all())
    )


def needs_doubles(node: Lookup) -> bool:
    """Whether two numbers that the table tells apart may be one float32."""
    keys = [float(key) for key in node.keys]
    return not all(math.isnan(key) or (abs(key) < _FLOAT32_WHOLE and key == round(key)) for key in keys)


def as_tree(node: Lookup) -> Trees:
    """The table as a search tree: halves by less than, and at its end the one key by equality."""
    grown = _Grown(unknown=np.zeros(node.width) if node.unknown is None else node.unknown)
    every = [float(key) for key in node.keys]
    pairs = sorted((key, row) for row, key in enumerate(every) if not math.isnan(key))
    missing = [row for row, key in enumerate(every) if math.isnan(key)]
    keys, rows = [key for key, _ in pairs], [node.table[row] for _, row in pairs]
    if missing:  # every number is less or equal
        grown.branch(_LARGEST, Mode.LESS_OR_EQUAL, lambda: grown.search(keys, rows), lambda: grown.leaf(node.table[missing[0]]))
    else:
        grown.search(keys, rows)
    return Trees(of=node.of, trees=(grown.tree(),), base=(0.0,) * node.width, rounds=False, takes_missing=True)


@dataclass
class _Grown:
    """Nodes in the making."""

    unknown: Doubles
    threshold: list[float] = field(default_factory=list)
    mode: list[Mode] = field(default_factory=list)
    yes: list[int] = field(default_factory=list)
    no: list[int] = field(default_factory=list)
    values: list[Doubles] = field(default_factory=list)

    def search(self, keys: list[float], rows: list[Doubles]) -> int:
        """The tree that finds one of some keys."""
        if not keys:
            return self.leaf(self.unknown)
        half = len(keys) // 2
        if half == 0:
            return self.branch(keys[0], Mode.EQUAL, lambda: self.leaf(rows[0]), lambda: self.leaf(self.unknown))
        return self.branch(
            keys[half],
            Mode.LESS,
            lambda: self.search(keys[:half], rows[:half]),
            lambda: self.search(keys[half:], rows[half:]),
        )

    def branch(self, threshold: float, mode: Mode, yes: Callable[[], int], no: Callable[[], int]) -> int:
        at = self._node(threshold, mode, np.zeros(len(self.unknown)))
        self.yes[at] = yes()
        self.no[at] = no()
        return at

    def leaf(self, values: Doubles) -> int:
        return self._node(0.0, Mode.LESS, values)

    def _node(self, threshold: float, mode: Mode, values: Doubles) -> int:
        self.threshold.append(threshold)
        self.mode.append(mode)
        self.yes.append(LEAF)
        self.no.append(LEAF)
        self.values.append(values)
        return len(self.values) - 1

    def tree(self) -> Tree:
        yes = np.asarray(self.yes)
        return Tree(
            feature=np.where(yes == LEAF, LEAF, 0),
            threshold=np.asarray(self.threshold),
            mode=tuple(self.mode),
            yes=yes,
            no=np.asarray(self.no),
            missing_goes_yes=np.zeros(len(yes), dtype=np.bool_),
            values=np.asarray(self.values).reshape(len(yes), -1),
            adds_to=tuple(range(len(self.unknown))),
        )
