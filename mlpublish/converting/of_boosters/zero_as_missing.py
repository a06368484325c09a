"""LightGBM's splits as nodes of a graph's trees, which send NaN their own way, but no zero.

A number as near to zero as ``NEAREST`` is zero for LightGBM, whatever a split asks. What is missing differs by split: nothing
(then NaN is 0), NaN, or zero (then NaN is 0 too). A split that sends zeros away from the numbers around them cannot be said by
one node. Then the numbers are counted first: trees of one result per feature tell how many thresholds lie below a number, a
missing one at the end that its splits send it to; and the model's own trees ask for that count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.graph.node import Doubles, Flags, Node, Places

NEAREST = float(np.float32(1e-35))


class Missing(IntEnum):
    """What a split takes as missing, as LightGBM numbers it."""

    NOTHING = 0
    ZERO = 1
    NAN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """The splits of a tree in columns: ``x[feature] <= threshold`` goes left.

    Args:
        missing: as ``Missing`` numbers it.
        goes_left: where a missing value goes.
    """

    feature: Places
    threshold: Doubles
    missing: Places
    goes_left: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The same splits as a ``Tree`` has them."""

    feature: Places
    threshold: Doubles
    mode: tuple[Mode, ...]
    missing_goes_yes: Flags


def asked(trees: Sequence[Splits], x: Node) -> tuple[Node, list[Asked]]:
    """How trees ask, and what: x itself, or counts of it."""
    if not any(_apart(splits).any() for splits in trees):
        return x, [_at_once(splits) for splits in trees]
    counts = _Counts(trees)
    return counts.node(x), [counts.asked(splits) for splits in trees]


def _apart(splits: Splits) -> Flags:
    """Where zeros do not go the way of the numbers on either side of them that would make it one comparison."""
    left = splits.goes_left & (splits.threshold < -NEAREST)
    right = ~splits.goes_left & (splits.threshold > NEAREST)
    found: Flags = (splits.missing == Missing.ZERO) & (left | right)
    return found


def _at_once(splits: Splits) -> Asked:
    """One comparison each: a threshold among the zeros moves to that end of them which leaves them where they go."""
    among = np.abs(splits.threshold) <= NEAREST
    below = among & ~np.where(splits.missing == Missing.ZERO, splits.goes_left, splits.threshold >= 0)
    return Asked(
        feature=splits.feature,
        threshold=np.where(among, np.where(below, -NEAREST, NEAREST), splits.threshold),
        mode=tuple(Mode.LESS if each else Mode.LESS_OR_EQUAL for each in below.tolist()),
        missing_goes_yes=np.where(splits.missing == Missing.NOTHING, splits.threshold >= 0, splits.goes_left),
    )


class _Counts:
    """Per feature, and per way of missing values, the thresholds that splits compare it with."""

    def __init__(self, trees: Sequence[Splits]) -> None:
        found: dict[tuple[int, int, bool], set[float]] = {}
        for splits in trees:
            for key, threshold in _keyed(splits):
                found.setdefault(key, set()).add(threshold)
        self._cuts = {key: np.array(sorted(found[key])) for key in sorted(found)}
        self._places = {key: place for place, key in enumerate(self._cuts)}

    def node(self, x: Node) -> Trees:
        """The counts of a row."""
        trees = tuple(_counting(key, cuts, self._places[key]) for key, cuts in self._cuts.items())
        return Trees(of=x, trees=trees, base=(0.0,) * len(trees), rounds=False, takes_missing=True)

    def asked(self, splits: Splits) -> Asked:
        keyed = list(_keyed(splits))
        counts = [np.searchsorted(self._cuts[key], threshold) for key, threshold in keyed]
        return Asked(
            feature=np.array([self._places[key] for key, _ in keyed], dtype=np.int64),
            threshold=np.array(counts, dtype=np.float64),
            mode=(Mode.LESS_OR_EQUAL,) * len(keyed),
            missing_goes_yes=splits.goes_left,
        )


def _keyed(splits: Splits) -> Iterator[tuple[tuple[int, int, bool], float]]:
    ways = splits.goes_left & (splits.missing != Missing.NOTHING)
    keys = zip(splits.feature.tolist(), splits.missing.tolist(), ways.tolist(), strict=True)
    return zip(keys, splits.threshold.tolist(), strict=True)


def _counting(key: tuple[int, int, bool], cuts: Doubles, result: int) -> Tree:
    """A tree that tells how many of the cuts are below a number: a search among the ends of the intervals between them."""
    feature, missing, left = key
    ends = np.unique(np.concatenate([cuts, (np.nextafter(-NEAREST, -np.inf), NEAREST)]))
    counts = np.append(np.searchsorted(cuts, ends), len(cuts)).astype(np.float64)
    of_zero = np.searchsorted(cuts, 0.0) if missing != Missing.ZERO else 0 if left else len(cuts)
    counts[:-1][np.abs(ends) <= NEAREST] = of_zero
    order, yes, no = _search(len(ends))
    nan_left = np.full(len(ends), left) if missing == Missing.NAN else ends >= 0
    nothing = np.zeros(len(counts))
    nowhere = np.full(len(counts), LEAF)
    return Tree(
        feature=np.concatenate([np.full(len(ends), feature), nowhere]),
        threshold=np.concatenate([ends[order], nothing]),
        mode=(Mode.LESS_OR_EQUAL,) * (len(ends) + len(counts)),
        yes=np.concatenate([yes, nowhere]),
        no=np.concatenate([no, nowhere]),
        missing_goes_yes=np.concatenate([nan_left[order], nothing > 0]),
        values=np.concatenate([np.zeros(len(ends)), counts])[:, np.newaxis],
        adds_to=(result,),
    )


def _search(ends: int) -> tuple[Places, Places, Places]:
    """A search by halves: the ends in the order of their nodes, and each node's children; the leaves follow the nodes."""
    order: list[int] = []
    children: list[list[int]] = []

    def placed(first: int, last: int) -> int:
        if first == last:
            return ends + first
        here, middle = len(order), (first + last) // 2
        order.append(middle)
        children.append([])
        children[here] += [placed(first, middle), placed(middle + 1, last)]
        return here

    placed(0, ends)
    yes, no = np.array(children, dtype=np.int64).T
    return np.array(order, dtype=np.int64), yes, no
