"""Move the splits of trees before the steps that come before the trees, exactly: the trees then read what comes in.

A scaler, an imputer or a rising function between the input and a tree would have to be computed on the phone to the last bit
as the library computed it, or a row beside a split goes the other way. So it is not computed at all: each split's number
is moved to before the steps, by bisection over all doubles with the library's own arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlpublish.converting.graph.columnwise import Clipped, Function, Imputed, IsMissing, Name, Scaled
from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.graph.node import Array, Column, Join, Node, Pick, Places, joined, part_of
from mlpublish.converting.writing.thresholds import Step, moved

_MONOTONE = {
    *(Name.EXP, Name.EXP2, Name.EXPM1, Name.CBRT, Name.SIGN, Name.FLOOR, Name.CEIL, Name.ROUND, Name.ARCTAN, Name.TANH),
    *(Name.EXPIT, Name.RELU, Name.SOFTPLUS, Name.POSITIVE, Name.NEGATIVE),
}
_OF_POSITIVES = {Name.LOG, Name.LOG1P, Name.LOG2, Name.LOG10, Name.SQRT}  # below their least number they are no number
_ORDERED = {Mode.LESS_OR_EQUAL, Mode.LESS, Mode.GREATER_OR_EQUAL, Mode.GREATER}  # a number, asked for by itself, is not moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where a feature of the trees comes from.

    Args:
        root, place: what cannot be moved past.
        steps: what is done on the way, the first step first.
    """

    root: Node
    place: int
    steps: tuple[Step, ...] = ()


def folded(node: Trees, inputs: Sequence[Node]) -> Trees:
    """Trees that look at what comes in, wherever their splits can be moved there.

    Args:
        inputs: nodes that shall stand in the trees' input as they are, whether a split asks them or not.
    """
    is_ordered = all({*tree.mode} <= _ORDERED for tree in node.trees)
    ways = [_way(node.of, place, takes_missing=node.takes_missing, moves=is_ordered) for place in range(node.of.width)]
    moves = any(way.steps for way in ways)
    node = node if node.takes_missing else replace(node, trees=tuple(_without_missing(tree) for tree in node.trees))
    trees = moved(node, [way.steps for way in ways]) if moves else node.trees
    roots = _roots(ways, inputs)
    starts = dict(zip(map(id, roots), np.cumsum([0, *(root.width for root in roots)]).tolist(), strict=False))
    place = np.asarray([starts[id(way.root)] + way.place for way in ways], dtype=np.int64)
    return replace(
        node,
        of=roots[0] if len(roots) == 1 else joined(tuple(roots)),
        trees=tuple(replace(tree, feature=_placed(tree.feature, place)) for tree in trees),
        rounds=node.rounds and not moves,
    )


def _without_missing(tree: Tree) -> Tree:
    """The tree without a way for what its library refuses: a yes takes bytes. An imputer before it gives it a way again."""
    return replace(tree, missing_goes_yes=np.zeros(len(tree.feature), dtype=np.bool_))


def _placed(feature: Places, place: Places) -> Places:
    return np.where(feature == LEAF, LEAF, place[np.maximum(feature, 0)])


def _roots(ways: Sequence[Way], inputs: Sequence[Node]) -> list[Node]:
    """The roots, each once; inputs in their order before all others."""
    found = {id(way.root): way.root for way in ways}
    asked = [each for each in inputs if isinstance(each, Array) and id(each) in found]
    columns = [each for each in inputs if isinstance(each, Column)]
    first = asked or (columns if any(isinstance(root, Column) for root in found.values()) else [])
    known = {id(each) for each in first}
    return [*first, *(root for key, root in found.items() if key not in known)]


def _way(of: Node, place: int, *, takes_missing: bool, moves: bool) -> Way:
    steps: list[Step] = []
    while True:
        match of:
            case Pick(of=inner, places=places):
                of, place = inner, places[place]
            case Join():
                of, place = part_of(of, place)
            case Scaled() | Clipped() | Imputed() | IsMissing() | Function() if moves and _can_move(
                of, takes_missing=takes_missing
            ):
                steps.append(Step(node=of, place=place))
                of = of.of
            case _:
                return Way(root=of, place=place, steps=tuple(reversed(steps)))


def _can_move(node: Node, *, takes_missing: bool) -> bool:
    match node:
        case Imputed() | IsMissing():
            return bool(np.isnan(node.missing))
        case Function():
            return node.name in _MONOTONE or (node.name in _OF_POSITIVES and not takes_missing)
    return True
