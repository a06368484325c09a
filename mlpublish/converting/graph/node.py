"""The nodes of a graph: each is a vector of numbers per row, made from other nodes; and what the graph begins with.

Readers (``of_sklearn``, ``of_boosters``) make nodes out of a fitted model, writers (``writing``) make a Core ML file
out of nodes. A node says what is computed, in doubles, as the training library computes it; how it is written is not its
business. Nodes are compared by identity: what two nodes read may be one and the same node, and is then written once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Node:
    """A vector of ``width`` numbers per row, made out of what it ``reads``."""

    __slots__ = ()

    @property
    def width(self) -> int:
        raise NotImplementedError

    @property
    def reads(self) -> tuple[Node, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Array(Node):
    """The one array input of a model that was not fitted on named columns."""

    size: int

    @property
    def width(self) -> int:
        return self.size


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column(Node):
    """One named column. A ``Lookup`` with texts for keys makes it a column of texts; anything else, of numbers.

    Args:
        name: as the training library knows it.
        feature: the Core ML input.
    """

    name: str
    feature: str

    @property
    def width(self) -> int:
        return 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pick(Node):
    """Some numbers of a vector, in an order."""

    of: Node
    places: tuple[int, ...]

    @property
    def width(self) -> int:
        return len(self.places)

    @property
    def reads(self) -> tuple[Node, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Join(Node):
    """Vectors one after the other."""

    parts: tuple[Node, ...]

    @property
    def width(self) -> int:
        return sum(part.width for part in self.parts)

    @property
    def reads(self) -> tuple[Node, ...]:
        return self.parts


def picked(node: Node, places: tuple[int, ...]) -> Node:
    """Some numbers of a node, by as few nodes as it takes: columns that were joined are named one by one."""
    if places == tuple(range(node.width)):
        return node
    if isinstance(node, Pick):
        return picked(node.of, tuple(node.places[place] for place in places))
    if isinstance(node, Join):
        parts = [part_of(node, place) for place in places]
        return joined(tuple(picked(part, (place,)) for part, place in parts))
    return Pick(of=node, places=places)


def joined(parts: tuple[Node, ...]) -> Node:
    """Nodes one after the other; neighbours that pick from one node become one."""
    flat: list[Node] = []
    for part in [each for whole in parts for each in (whole.parts if isinstance(whole, Join) else (whole,))]:
        last = flat[-1] if flat else None
        if isinstance(last, Pick) and isinstance(part, Pick) and last.of is part.of:
            flat[-1] = picked(last.of, last.places + part.places)
        else:
            flat.append(part)
    return flat[0] if len(flat) == 1 else Join(parts=tuple(flat))


def walked(*ends: Node) -> Iterator[Node]:
    """Every node that the ends are made of, each once, none before what it reads."""
    seen: set[int] = set()
    waiting: list[tuple[Node, bool]] = [(end, False) for end in reversed(ends)]
    while waiting:
        node, ready = waiting.pop()
        if ready:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((node, True))
            waiting.extend((each, False) for each in reversed(node.reads))


def part_of(node: Join, place: int) -> tuple[Node, int]:
    """The part that a number of the whole belongs to, and its place there."""
    for part in node.parts:
        if place < part.width:
            return part, place
        place -= part.width
    raise IndexError(place)
