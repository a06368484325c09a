"""The numbers of splits, before steps that come before the trees, and for inputs of another precision than the library's."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.graph.columnwise import Clipped, Function, Imputed, IsMissing, Name, Scaled
from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.graph.node import Doubles, Flags, Node, Places

_MODES = tuple(Mode)
_OF: dict[Mode, int] = {mode: number for number, mode in enumerate(_MODES)}
_LARGEST = np.finfo(np.float64).max
_BEYOND = 2.0**128  # what would follow the largest float32
_TOGETHER = 1 << 12  # splits of one feature at once

Chain = Callable[[Doubles], Doubles]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One node on the way from what comes in to a feature of the trees, and the feature's place there."""

    node: Node
    place: int


def moved(node: Trees, ways: Sequence[Sequence[Step]]) -> tuple[Tree, ...]:
    """The trees with every split before the steps, for doubles.

    Args:
        ways: the steps of each feature of the trees, the first one first.
    """
    splits = _Splits.of(node.trees)
    for chain, features in _chains(ways):
        for some in _blocks(splits, features):
            _move(splits, some, chain, rounds=node.rounds)
    return splits.trees(node.trees)


def for_doubles(trees: Sequence[Tree]) -> tuple[Tree, ...]:
    """The same trees for double inputs, where their library rounds every value to float32 before it compares.

    ``float32(x) < t`` holds exactly for the doubles below the midpoint of ``t`` and the float32 before it, and for the
    midpoint itself if rounding to even takes it away from ``t``. The midpoint is a double, so the comparison is exact; and
    rounded to float32 it asks the same again, should a runtime keep its thresholds in float32.
    """
    splits = _Splits.of(trees)
    above = splits.next_float32().astype(np.float32)
    with np.errstate(over="ignore"):
        below = np.nextafter(above, np.float32(-np.inf)).astype(np.float64)
    odd = (above.view(np.uint32) & 1).astype(bool)
    middle = (np.clip(above.astype(np.float64), -_BEYOND, _BEYOND) + np.maximum(below, -_BEYOND)) / 2
    less = np.where(odd, _OF[Mode.LESS_OR_EQUAL], _OF[Mode.LESS])
    more = np.where(odd, _OF[Mode.GREATER], _OF[Mode.GREATER_OR_EQUAL])
    ordered = splits.is_ordered
    splits.threshold = np.where(ordered, middle, splits.threshold)
    splits.mode = np.where(ordered, np.where(splits.is_less, less, more), splits.mode)
    return splits.trees(trees)


def for_floats(trees: Sequence[Tree]) -> tuple[Tree, ...]:
    """The same trees for float32 inputs, every number a float32: a runtime that keeps them so asks the same."""
    splits = _Splits.of(trees)
    above = splits.next_float32()
    with np.errstate(over="ignore"):
        below = np.nextafter(above.astype(np.float32), np.float32(-np.inf)).astype(np.float64)
    strict = np.isin(splits.mode, (_OF[Mode.LESS], _OF[Mode.GREATER_OR_EQUAL]))
    splits.threshold = np.where(splits.is_ordered, np.where(strict, above, below), splits.threshold)
    return splits.trees(trees)


class _Splits:
    """The nodes of all trees in columns; leaves among them, which mean nothing."""

    def __init__(self, feature: Places, threshold: Doubles, mode: Places, missing: Flags) -> None:
        self.feature, self.threshold, self.mode, self.missing = feature, threshold, mode, missing

    @classmethod
    def of(cls, trees: Sequence[Tree]) -> _Splits:
        return cls(
            np.concatenate([tree.feature for tree in trees]),
            np.concatenate([tree.threshold for tree in trees]),
            np.fromiter((_OF[mode] for tree in trees for mode in tree.mode), dtype=np.int64),
            np.concatenate([tree.missing_goes_yes for tree in trees]),
        )

    @property
    def is_less(self) -> Flags:
        return np.isin(self.mode, (_OF[Mode.LESS], _OF[Mode.LESS_OR_EQUAL]))

    @property
    def is_ordered(self) -> Flags:
        ordered: Flags = (self.feature != LEAF) & ~np.isin(self.mode, (_OF[Mode.EQUAL], _OF[Mode.NOT_EQUAL]))
        return ordered

    def next_float32(self) -> Doubles:
        """The least float32 that stands on the upper side of each number."""
        with np.errstate(over="ignore", invalid="ignore"):
            near = self.threshold.astype(np.float32)
            strict = np.isin(self.mode, (_OF[Mode.LESS], _OF[Mode.GREATER_OR_EQUAL]))
            short = np.where(strict, near.astype(np.float64) < self.threshold, near.astype(np.float64) <= self.threshold)
            far = np.nextafter(near, np.float32(np.inf))
        return np.where(short, far, near).astype(np.float64)

    def trees(self, like: Sequence[Tree]) -> tuple[Tree, ...]:
        """The trees with these numbers in place of theirs."""
        made, start = [], 0
        for tree in like:
            some = slice(start, start := start + len(tree.feature))
            modes = tuple(_MODES[mode] for mode in self.mode[some].tolist())
            made.append(replace(tree, threshold=self.threshold[some], mode=modes, missing_goes_yes=self.missing[some]))
        return tuple(made)


def _chains(ways: Sequence[Sequence[Step]]) -> Iterator[tuple[Chain, Places]]:
    """What is done to features that go the same way, each through places of its own."""
    groups: dict[tuple[int, ...], list[list[int]]] = defaultdict(list)
    for feature, steps in enumerate(ways):
        same = groups[tuple(id(step.node) for step in steps)]
        for group in same:
            if not any(_meet(steps, ways[other]) for other in group):
                group.append(feature)
                break
        else:
            same.append([feature])
    for group in (each for same in groups.values() for each in same):
        nodes = [step.node for step in ways[group[0]]]
        places = [np.asarray([ways[feature][at].place for feature in group]) for at in range(len(nodes))]
        yield partial(_through, nodes, places), np.asarray(group)


def _meet(one: Sequence[Step], other: Sequence[Step]) -> bool:
    return any(mine.place == theirs.place for mine, theirs in zip(one, other, strict=True))


def _through(nodes: Sequence[Node], places: Sequence[Places], values: Doubles) -> Doubles:
    """Values through all steps: (rows, features) -> the same shape."""
    for node, place in zip(nodes, places, strict=True):
        values = np.clip(_done(node, place, values), -_LARGEST, _LARGEST)  # libraries refuse infinity; no number stays none
    return values


def _done(node: Any, place: Places, values: Doubles) -> Doubles:
    match node:
        case Scaled() if node.exact is None:
            return (values + node.shift[place]) * node.scale[place]
        case Scaled(exact=exact) if exact is not None:
            rows = np.zeros((len(values), node.width))
            rows[:, place] = values
            return np.asarray(exact(rows), dtype=np.float64)[:, place]
        case Clipped():
            return np.clip(values, node.low, node.high)
        case Imputed():
            return np.where(np.isnan(values), node.values[place], values)
        case IsMissing():
            return np.isnan(values).astype(np.float64)
        case Function():
            return np.asarray(function_of(node.name)(values), dtype=np.float64)
    raise TypeError(type(node).__name__)


def function_of(name: Name) -> Callable[[Doubles], Doubles]:
    """What a ``Function`` applies, in doubles."""
    match name:
        case Name.RELU:
            return lambda x: np.maximum(x, 0)
        case Name.SOFTPLUS:
            return lambda x: np.logaddexp(0, x)
        case Name.POSITIVE:
            return lambda x: (x > 0).astype(np.float64)
        case Name.EXPIT | Name.LOGIT:
            found: Callable[[Doubles], Doubles] = getattr(importlib.import_module("scipy.special"), name)
            return found
    plain: Callable[[Doubles], Doubles] = getattr(np, name)
    return plain


def _blocks(splits: _Splits, features: Places) -> Iterator[NDArray[np.int64]]:
    """The splits that ask some features, as tables of (some, features) of their places; -1 where a feature has fewer."""
    asking = [np.flatnonzero(splits.feature == feature) for feature in features]
    for start in range(0, max(map(len, asking), default=0), _TOGETHER):
        parts = [each[start : start + _TOGETHER] for each in asking]
        table = np.full((max(map(len, parts)), len(parts)), -1)
        for column, part in enumerate(parts):
            table[: len(part), column] = part
        yield table


def _move(splits: _Splits, some: Places, chain: Chain, *, rounds: bool) -> None:
    threshold, mode, missing = splits.threshold[some], splits.mode[some], splits.missing[some]

    def asks(values: Doubles) -> Flags:
        held = values.astype(np.float32).astype(np.float64) if rounds else values
        less, equal = held < threshold, held == threshold
        answers = (less | equal, less, ~less, ~(less | equal), equal, ~equal)
        chosen: Flags = np.choose(mode, answers) & ~np.isnan(held)
        return chosen

    with np.errstate(all="ignore"):
        number, below = _boundary(asks, chain, some.shape)
        instead = chain(np.full(some.shape, np.nan))
        goes = np.where(np.isnan(instead), missing, asks(instead))
    held = some >= 0
    splits.threshold[some[held]] = number[held]
    splits.mode[some[held]] = np.where(below, _OF[Mode.LESS_OR_EQUAL], _OF[Mode.GREATER])[held]
    splits.missing[some[held]] = goes[held]


def _boundary(asks: Callable[[Doubles], Flags], chain: Chain, shape: tuple[int, ...]) -> tuple[Doubles, Flags]:
    """The last double on the lower side of each split, and whether that side is its yes."""
    low = np.full(shape, _order(np.asarray(-_LARGEST)))
    high = -low
    for end, other, inwards in ((low, high, 1), (high, low, -1)):  # where a logarithm is no number, nothing is asked
        nothing = np.isnan(chain(_double(end)))
        if nothing.any():
            edge = _last(lambda at: np.isnan(chain(_double(at))), end, other)
            end[nothing] = edge[nothing] + inwards
    below, above = asks(chain(_double(low))), asks(chain(_double(high)))
    last = _last(lambda at: asks(chain(_double(at))), low, high)
    return np.where(below == above, _LARGEST, _double(last)), below


def _last(holds: Callable[[Places], Flags], start: Places, end: Places) -> Places:
    """On the way from start to end, the last place that answers as the start does; there is one place where it changes."""
    first, low, high = holds(start), start.copy(), end.copy()
    for _ in range(65):
        middle = low // 2 + high // 2 + (low % 2 + high % 2) // 2
        middle = np.where(middle == high, low, middle)
        same = holds(middle) == first
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return low


def _order(values: Doubles) -> Places:
    """Doubles by their order: whole numbers, neighbours for neighbours."""
    bits = np.asarray(values, dtype=np.float64).view(np.int64)
    return np.where(bits < 0, -(bits & np.int64(np.iinfo(np.int64).max)), bits)


def _double(order: Places) -> Doubles:
    values: Doubles = np.abs(order).view(np.float64)
    signed: Doubles = np.copysign(values, np.where(order < 0, -1.0, 1.0))
    return signed
