"""Which classic model, if any, can say the end of a graph: the patterns that Core ML has a specification of its own for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from mlpublish.converting.graph.algebra import Linear, Softmax, Sum, second_of, shared
from mlpublish.converting.graph.answer import Answer, Classified, Labels, Predicted
from mlpublish.converting.graph.columnwise import Function, Name, Scaled, times
from mlpublish.converting.graph.machines import SupportVectors, Trees, Votes
from mlpublish.converting.graph.node import Join, Node
from mlpublish.converting.writing import machines, trees
from mlpublish.converting.writing.features import Kind, Value
from mlpublish.converting.writing.trees import Transform
from mlpublish.coreml.schema import Message

Classifies: TypeAlias = Callable[..., Message]
"""Features, ``label=``, ``probabilities=`` -> a stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A classic regression.

    Args:
        of: what it reads.
        make: features, and the one to write -> a stage.
        writes: what it gives.
        in_floats: whether an ML Program says the same as well.
    """

    of: Node
    make: Callable[[Sequence[Value], Value], Message]
    writes: Value
    in_floats: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """A classic classifier.

    Args:
        of: what it reads.
        make: features, ``label=`` and ``probabilities=`` -> a stage.
        in_floats: whether an ML Program says the same as well.
    """

    of: Node
    make: Classifies
    in_floats: bool = False


def number_of(node: Node, name: str) -> Regression | None:
    """The regression that gives a node; None if an ML Program has to."""
    value = Value(name=name, kind=Kind.DOUBLE if node.width == 1 else Kind.DOUBLES, width=node.width)
    inner = _expit_of(node)
    of, is_logistic = (node, False) if inner is None else (inner, True)
    forest = trees_of(of)
    if forest is not None and (forest.width == 1 or not is_logistic):
        transform = Transform.LOGISTIC if is_logistic else Transform.NONE
        return Regression(of=forest.of, make=partial(_forest, forest, transform), writes=value, in_floats=False)
    if isinstance(of, Linear) and of.width == 1:
        return Regression(of=of.of, make=partial(_line, of, is_logistic), writes=value)
    if isinstance(node, SupportVectors) and not node.counts:
        return Regression(of=node.of, make=partial(_machine, node), writes=value, in_floats=False)
    return None


def probabilities_of(node: Node, classes: Labels) -> Classification | None:
    """The classifier whose probabilities a node is; None if an ML Program has to."""
    second = second_of(node)
    inner = None if second is None else _expit_of(second)
    if isinstance(inner, Linear):
        return Classification(of=inner.of, make=partial(_logistic, inner, classes), in_floats=True)
    for sums, transform in ((inner, Transform.LOGISTIC), (second, Transform.NONE), (node, Transform.NONE)):
        forest = None if sums is None else trees_of(sums)
        if forest is not None:
            return _classes_of_trees(forest, transform, classes)
    forest = trees_of(node.of) if isinstance(node, Softmax) else None
    if forest is not None:
        return _classes_of_trees(forest, Transform.SOFTMAX, classes)
    scores = _one_against_rest(node)
    return None if scores is None else Classification(of=scores.of, make=partial(_logistic, scores, classes))


def label_of(node: Node, classes: Labels) -> Classification | None:
    """The classifier that gives the label of the largest score; None if an ML Program has to."""
    if isinstance(node, Votes) and isinstance(node.of, SupportVectors) and node.of.counts:
        return Classification(of=node.of.of, make=partial(_votes, node.of, classes))
    if isinstance(node, Linear) and second_of(node) is None:
        make = _logistic if node.width == 1 else _largest
        return Classification(of=node.of, make=partial(make, node, classes))
    forest = trees_of(node)
    if forest is not None:
        return _classes_of_trees(forest, Transform.LOGISTIC if forest.width == 1 else Transform.NONE, classes)
    return probabilities_of(node, classes)


def same_label(answer: Classified) -> bool:
    """Whether the most probable class is always the label."""
    chances, scores = answer.probabilities, answer.scores
    if chances is scores:
        return True
    second = None if chances is None else second_of(chances)
    inner = None if second is None else _expit_of(second)
    return inner is scores or (isinstance(chances, Softmax) and chances.of is scores)


def wide(scores: Node) -> Node:
    """A score per class, of two classes' one number too."""
    if scores.width > 1:
        return scores
    return Join(parts=(times(scores, -1), scores))


def trees_of(node: Node) -> Trees | None:
    """A node as one ensemble, scaled and added up in its leaves; None if it is none."""
    match node:
        case Trees():
            return node
        case Scaled(of=of):
            inner = trees_of(of)
            return None if inner is None else _scaled(inner, node.scale, node.shift)
        case Sum(parts=parts, weights=weights):
            inside = [trees_of(part) for part in parts]
            known = [each for each in inside if each is not None]
            if len(known) == len(inside) and len({(id(each.of), each.rounds, each.takes_missing) for each in known}) == 1:
                return _added([_scaled(each, np.full(each.width, w)) for each, w in zip(known, weights, strict=True)])
    return None


def only_number(answer: Answer) -> Node | None:
    """The only number of an answer without classes; None if there are several, or it is whole."""
    if isinstance(answer, Predicted) and len(answer.numbers) == 1 and not answer.numbers[0].whole:
        return answer.numbers[0].node
    return None


def _scaled(node: Trees, scale: np.ndarray, shift: np.ndarray | float = 0.0) -> Trees:
    base = (np.asarray(node.base) + shift) * scale
    grown = tuple(replace(each, values=each.values * scale[list(each.adds_to)]) for each in node.trees)
    return replace(node, trees=grown, base=tuple(base.tolist()))


def _added(nodes: Sequence[Trees]) -> Trees:
    base = np.sum([each.base for each in nodes], axis=0)
    return replace(nodes[0], trees=tuple(tree for each in nodes for tree in each.trees), base=tuple(base.tolist()))


def _expit_of(node: Node) -> Node | None:
    return node.of if isinstance(node, Function) and node.name is Name.EXPIT else None


def _one_against_rest(node: Node) -> Linear | None:
    """The linear numbers of ``shares`` of their logistic functions."""
    share = shared(node)
    if share is None or share.width < 3 or share.zero_over_zero != 0:  # Core ML's classifier leaves them 0
        return None
    inner = _expit_of(share.left)
    return inner if isinstance(inner, Linear) else None


def _classes_of_trees(forest: Trees, transform: Transform, classes: Labels) -> Classification:
    return Classification(of=forest.of, make=partial(_forest_classes, forest, transform, classes))


def _forest(node: Trees, transform: Transform, reads: Sequence[Value], writes: Value) -> Message:
    return trees.regressor(reads, node, writes, transform)


def _line(node: Linear, logistic: bool, reads: Sequence[Value], writes: Value) -> Message:
    return machines.linear(reads, node, writes, logistic=logistic)


def _machine(node: SupportVectors, reads: Sequence[Value], writes: Value) -> Message:
    return machines.support_vectors(reads, node, writes)


def _forest_classes(
    node: Trees, transform: Transform, classes: Labels, reads: Sequence[Value], *, label: str, probabilities: str | None
) -> Message:
    return trees.classifier(reads, node, transform, classes, label=label, probabilities=probabilities)


def _logistic(node: Linear, classes: Labels, reads: Sequence[Value], *, label: str, probabilities: str | None) -> Message:
    return machines.logistic(reads, node, classes, label=label, probabilities=probabilities)


def _largest(node: Linear, classes: Labels, reads: Sequence[Value], *, label: str, probabilities: str | None) -> Message:
    assert probabilities is None
    return machines.largest(reads, node, classes, label=label)


def _votes(node: SupportVectors, classes: Labels, reads: Sequence[Value], *, label: str, probabilities: str | None) -> Message:
    assert probabilities is None
    return machines.votes(reads, node, classes, label=label)
