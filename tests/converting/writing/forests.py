"""Small trees to write, and what they say, node by node."""

from __future__ import annotations

import numpy as np

from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.graph.node import Node


def split(feature: int, threshold: float, mode: Mode = Mode.LESS_OR_EQUAL, *, missing: bool = False, values=(1.0, 2.0)) -> Tree:
    """A tree of one split; its leaves add ``values``, that of yes first."""
    return Tree(
        feature=np.array([feature, LEAF, LEAF]),
        threshold=np.array([threshold, 0.0, 0.0]),
        mode=(mode, mode, mode),
        yes=np.array([1, LEAF, LEAF]),
        no=np.array([2, LEAF, LEAF]),
        missing_goes_yes=np.array([missing, False, False]),
        values=np.array([0.0, *values])[:, np.newaxis],
    )


def grown(random: np.random.Generator, features: int, depth: int, *, adds_to=(0,), modes=tuple(Mode)[:4], places=None) -> Tree:
    """A tree that splits at random, at one of some places (or anywhere)."""
    columns: list[list] = [[], [], [], [], [], [], []]

    def grow(left: int) -> int:
        at = len(columns[0])
        is_leaf = left == 0 or random.random() < 0.15
        numbers = random.normal(size=8).round(2) if places is None else places
        row = (
            LEAF if is_leaf else int(random.integers(features)),
            float(random.choice(numbers)),
            modes[random.integers(len(modes))],
            LEAF,
            LEAF,
            bool(random.integers(2)) and not is_leaf,
            random.normal(size=len(adds_to)) * (random.random(len(adds_to)) < 0.7),
        )
        for column, value in zip(columns, row, strict=True):
            column.append(value)
        if not is_leaf:
            columns[3][at] = grow(left - 1)
            columns[4][at] = grow(left - 1)
        return at

    grow(depth)
    feature, threshold, mode, yes, no, missing, values = columns
    return Tree(
        feature=np.array(feature),
        threshold=np.array(threshold),
        mode=tuple(mode),
        yes=np.array(yes),
        no=np.array(no),
        missing_goes_yes=np.array(missing),
        values=np.array(values).reshape(len(feature), len(adds_to)),
        adds_to=adds_to,
    )


def forest(of: Node, *trees: Tree, base=(0.0,), rounds: bool = False, takes_missing: bool = True) -> Trees:
    return Trees(of=of, trees=trees, base=base, rounds=rounds, takes_missing=takes_missing)
