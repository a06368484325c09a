"""What a graph ends in: classes, or numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mlpublish.converting.graph.node import Node, walked

Labels: TypeAlias = tuple[int, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classified:
    """A label, and the classes' probabilities if the library tells any.

    Args:
        classes: the labels, as Core ML has them.
        scores: the label is that of the largest (of equal ones the first). (classes,); for two classes also one number: above
            0 it is the second class.
        probabilities: (classes,), or None. One and the same node as ``scores`` where the most probable class is the label.
    """

    classes: Labels
    scores: Node
    probabilities: Node | None = None

    @property
    def ends(self) -> tuple[Node, ...]:
        return (self.scores,) if self.probabilities is None else (self.scores, self.probabilities)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One output that is no class: a number for a node of width 1, else an array.

    Args:
        name: the Core ML output, such as ``prediction``.
        whole: whether it is a whole number: the number of a cluster, 1 or -1.
    """

    name: str
    node: Node
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predicted:
    """Numbers; the first is the prediction."""

    numbers: tuple[Number, ...]

    @property
    def ends(self) -> tuple[Node, ...]:
        return tuple(each.node for each in self.numbers)


Answer: TypeAlias = Classified | Predicted


def nodes_of(answer: Answer) -> list[Node]:
    """Every node of a graph, each once, none before what it reads."""
    return list(walked(*answer.ends))
