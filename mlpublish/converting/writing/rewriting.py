"""A graph as the writers want it: splits of trees moved to what comes in, tables of texts in two parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from mlpublish.converting.graph.algebra import Combined, Sum
from mlpublish.converting.graph.answer import Answer, Classified
from mlpublish.converting.graph.columnwise import Lookup
from mlpublish.converting.graph.machines import SupportVectors, Trees, Votes
from mlpublish.converting.graph.node import Join, Node, walked
from mlpublish.converting.writing import lookups
from mlpublish.converting.writing.folding import folded
from mlpublish.converting.writing.pairs import in_pairs, voting
from mlpublish.converting.writing.texts import of_texts

Change = Callable[[Node], Node]

_NOTHING: Mapping[int, Node] = MappingProxyType({})


def _same(node: Node) -> Node:
    return node


def changed(ends: Sequence[Node], change: Change = _same, instead: Mapping[int, Node] = _NOTHING) -> dict[int, Node]:
    """Every node below some ends, by the id of what it was, after a change from the inputs on.

    Args:
        change: a node that reads changed nodes already -> what stands in its place.
        instead: what stands in the place of some nodes, by their ids; what those read is left out.
    """
    made: dict[int, Node] = dict(instead)
    waiting = list(reversed(ends))
    while waiting:
        node = waiting[-1]
        missing = [] if id(node) in made else [each for each in node.reads if id(each) not in made]
        if missing:
            waiting.extend(missing)
            continue
        waiting.pop()
        if id(node) not in made:
            made[id(node)] = change(_reading(node, [made[id(each)] for each in node.reads]))
    return made


def with_ends(answer: Answer, made: dict[int, Node]) -> Answer:
    """The answer with its ends replaced."""
    if isinstance(answer, Classified):
        chances = answer.probabilities
        return replace(
            answer,
            scores=made[id(answer.scores)],
            probabilities=None if chances is None else made[id(chances)],
        )
    return replace(answer, numbers=tuple(replace(each, node=made[id(each.node)]) for each in answer.numbers))


def has_tables(answer: Answer) -> bool:
    """Whether a graph has tables of numbers that a tree can be."""
    return any(isinstance(each, Lookup) and lookups.can_be_tree(each) for each in walked(*answer.ends))


def rewritten(answer: Answer, inputs: Sequence[Node], *, tables_as_trees: bool = False) -> Answer:
    """The graph that is written.

    Args:
        inputs: the columns of numbers, or the one array.
        tables_as_trees: write every table of numbers as a tree, not only those that float32 would not tell apart.
    """

    def change(node: Node) -> Node:
        if isinstance(node, Trees):
            return folded(node, inputs)
        if isinstance(node, SupportVectors):
            return in_pairs(node)
        node = of_texts(node) if isinstance(node, Lookup) and node.of_texts else node
        if isinstance(node, Lookup) and lookups.can_be_tree(node) and (tables_as_trees or lookups.needs_doubles(node)):
            return folded(lookups.as_tree(node), inputs)
        return node

    made = changed(answer.ends, change)
    machine = voting(answer)
    if machine is not None:
        here = replace(machine, of=made[id(machine.of)])
        made[id(answer.ends[0])] = Votes(of=here, classes=len(machine.counts))
    return with_ends(answer, made)


def _reading(node: Any, reads: Sequence[Node]) -> Node:
    """The node with others in place of what it reads."""
    made: Node = node
    if any(mine is not theirs for mine, theirs in zip(made.reads, reads, strict=True)):
        if isinstance(node, Join | Sum):
            made = replace(node, parts=tuple(reads))
        elif isinstance(node, Combined):
            made = replace(node, left=reads[0], right=reads[1])
        else:
            made = replace(node, of=reads[0])
    return made
