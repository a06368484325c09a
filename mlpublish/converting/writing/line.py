"""The stages of a file, in the making: what is known so far under which name, and what gives the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mlpublish.converting.graph.algebra import Linear, Normalised
from mlpublish.converting.graph.answer import Answer, Number, Predicted
from mlpublish.converting.graph.columnwise import Imputed, Lookup, Scaled
from mlpublish.converting.graph.machines import SupportVectors, Trees
from mlpublish.converting.graph.node import Array, Join, Node, Pick, walked
from mlpublish.converting.source import LABEL, PROBABILITIES
from mlpublish.converting.writing import columns, machines, trees
from mlpublish.converting.writing.features import Kind, Value
from mlpublish.converting.writing.rewriting import changed, with_ends
from mlpublish.converting.writing.texts import is_of_one_hot, is_one_hot
from mlpublish.coreml.schema import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One model of a file.

    Args:
        weights: the folder that holds an ML Program's ``weight.bin``.
    """

    spec: Message
    weights: Path | None = None


Build = Callable[[str], Built]
"""A deployment target -> a stage."""


class Line:
    """Stages one after the other.

    Args:
        known: what comes in, by the id of the node.
        reserved: names that no feature between two stages may have.
    """

    def __init__(self, known: dict[int, Value], reserved: Iterable[str]) -> None:
        self.stages: list[Build] = []
        self.has_program = False
        self._known = {key: (value,) for key, value in known.items()}
        self._arrays: dict[tuple[tuple[Value, ...], Kind], Value] = {}
        self._names = {*reserved, *(value.name for value in known.values())}

    def fresh(self, name: str) -> str:
        """A name that nothing has yet."""
        number, found = 1, name
        while found in self._names:
            number, found = number + 1, f"{name}{number}"
        self._names.add(found)
        return found

    def is_classic(self, node: Node) -> bool:
        """Whether classic stages give a node, of what is known so far."""
        if id(node) in self._known:
            return True
        match node:
            case Lookup():
                return node.of_texts or (is_one_hot(node) and isinstance(node.of, Lookup) and node.of.of_texts)
            case Linear():
                return is_of_one_hot(node)
            case Normalised():
                return node.norm in ("l1", "l2") and self.is_classic(node.of)
            case SupportVectors():
                return not node.counts and self.is_classic(node.of)
            case Join() | Pick() | Scaled() | Imputed() | Trees():
                return all(self.is_classic(each) for each in node.reads)
        return False

    def values(self, node: Node, name: str | None = None) -> tuple[Value, ...]:
        """Features that hold a node's numbers, in their order.

        Args:
            node: one for which ``is_classic`` holds.
            name: what to call it where it is the answer; it is one feature then.
        """
        if name is None and id(node) in self._known:
            return self._known[id(node)]
        if name is None and isinstance(node, Join):
            return tuple(value for part in node.parts for value in self.values(part))
        found = (self._made(node, name),)
        if name is None:
            self._known[id(node)] = found
        return found

    def array(self, node: Node) -> Value:
        """One array with a node's numbers."""
        values = self.values(node)
        return values[0] if len(values) == 1 and values[0].is_array else self._joined(values, Kind.DOUBLES)

    def add(self, stage: Callable[[], Message]) -> None:
        """A classic stage."""
        self.stages.append(lambda _target: Built(spec=stage()))

    def make_known(self, ends: Sequence[Node]) -> None:
        """Add what it takes before classic stages give the ends: of programs as few as there can be."""
        while not all(self.is_classic(end) for end in ends):
            found = self._outermost(ends)
            floats = tuple(Number(name=self.fresh("computed"), node=node) for node in found)
            self.add_program(Predicted(numbers=floats))
            for each in floats:
                self._known[id(each.node)] = (Value(name=each.name, kind=Kind.FLOATS, width=each.node.width),)

    def _outermost(self, ends: Sequence[Node]) -> list[Node]:
        """The nodes that a program can give now, and that something else than this program reads."""
        found: dict[int, Node] = {}
        waiting = list(ends)
        while waiting:
            node = waiting.pop(0)
            if self.is_classic(node):
                continue
            if isinstance(node, Join) or is_machine(node) or not self._can_compute(node):
                waiting.extend(node.reads)
            else:
                found[id(node)] = node
        return list(found.values())

    def _can_compute(self, node: Node) -> bool:
        return all(self.is_classic(each) for each in walked(node) if is_machine(each))

    def add_program(self, answer: Answer, *, label: str = LABEL, probabilities: str = PROBABILITIES) -> None:
        """An ML Program that reads one array of what classic stages and inputs give."""
        border = self._border(answer.ends)
        self.make_known(border)
        values = {value: None for each in border for value in self.values(each)}  # each once
        source = self._floats(list(values))
        leaf = Array(size=source.width)
        starts, start = {}, 0
        for value in values:
            starts[value], start = start, start + value.width
        instead: dict[int, Node] = {}
        for each in border:
            places = [at for value in self.values(each) for at in range(starts[value], starts[value] + value.width)]
            instead[id(each)] = leaf if places == list(range(leaf.size)) else Pick(of=leaf, places=tuple(places))
        inner = with_ends(answer, changed(answer.ends, instead=instead))
        self.has_program = True
        self.stages.append(partial(_program, inner, leaf, source.name, label, probabilities))

    def _border(self, ends: Sequence[Node]) -> list[Node]:
        """The nodes that a program reads: known ones, and those that only a classic stage gives; each once."""
        found: dict[int, Node] = {}
        seen: set[int] = set()
        waiting = list(ends)
        while waiting:
            node = waiting.pop(0)
            if id(node) in seen:
                continue
            seen.add(id(node))
            if id(node) in self._known or is_machine(node) or (isinstance(node, Lookup) and node.of_texts):
                found[id(node)] = node
            else:
                waiting.extend(node.reads)
        return list(found.values())

    def _floats(self, values: Sequence[Value]) -> Value:
        if len(values) == 1 and values[0].kind is Kind.FLOATS:
            return values[0]
        return self._joined(values, Kind.FLOATS)

    def _joined(self, values: Sequence[Value], kind: Kind, name: str | None = None) -> Value:
        """One array; where several read the same one, it is made once."""
        key = (tuple(values), kind)
        if name is None and key in self._arrays:
            return self._arrays[key]
        writes = Value(name=name or self.fresh("columns"), kind=kind, width=sum(value.width for value in values))
        self._arrays[key] = writes
        self.add(partial(columns.vectorizer, values, writes))
        return writes

    def _made(self, node: Node, name: str | None) -> Value:
        """One feature that a new stage writes."""
        match node:
            case Trees():
                make = partial(trees.regressor, self.values(node.of), node)
                return self._stage(make, name or self.fresh("sums"), Kind.DOUBLE if node.width == 1 else Kind.DOUBLES, node)
            case SupportVectors():
                make = partial(machines.support_vectors, self.values(node.of), node)
                return self._stage(make, name or self.fresh("decision"), Kind.DOUBLE, node)
            case Linear():
                make = partial(machines.linear, self.values(node.of), node)
                return self._stage(make, name or self.fresh("found"), Kind.DOUBLE, node)
            case Lookup():
                return self._looked_up(node, name or self.fresh("encoded"))
            case Scaled():
                reads = self._one(node.of)
                make = partial(columns.scaler, reads, node.shift, node.scale)
                return self._stage(make, name or self.fresh("scaled"), reads.doubled, node)
            case Imputed():
                reads = self._one(node.of)
                make = partial(columns.imputer, reads, node.values, node.missing)
                return self._stage(make, name or self.fresh("imputed"), reads.doubled, node)
            case Normalised():
                make = partial(columns.normalizer, self.array(node.of), node.norm)
                return self._stage(make, name or self.fresh("normalised"), Kind.DOUBLES, node)
            case Pick():
                reads = self.array(node.of)
                make = partial(columns.extractor, reads, node.places)
                return self._stage(make, name or self.fresh("picked"), reads.kind, node)
        return self._joined(self.values(node), Kind.DOUBLES, name)

    def _one(self, node: Node) -> Value:
        """One feature of doubles, a number or an array."""
        values = self.values(node)
        return values[0] if len(values) == 1 and values[0].kind is not Kind.WHOLE else self._joined(values, Kind.DOUBLES)

    def _looked_up(self, node: Lookup, name: str) -> Value:
        (reads,) = self.values(node.of)
        if is_one_hot(node):
            keys = [key if isinstance(key, str) else int(key) for key in node.keys]
            make = partial(columns.one_hot, reads, keys, node.unknown is None)
            return self._stage(make, name, Kind.DOUBLES, node)
        numbers = {str(key): int(number) for key, number in zip(node.keys, node.table[:, 0].tolist(), strict=True)}
        unknown = None if node.unknown is None else int(node.unknown[0])
        return self._stage(partial(columns.mapping, reads, numbers, unknown), name, Kind.WHOLE, node)

    def _stage(self, make: Callable[[Value], Message], name: str, kind: Kind, node: Node) -> Value:
        writes = Value(name=name, kind=kind, width=node.width)
        self.add(partial(make, writes))
        return writes


def is_machine(node: Node) -> bool:
    """Whether only a classic stage gives a node: splits are exact in doubles alone, and so are sums of kernels."""
    return isinstance(node, Trees) or (isinstance(node, SupportVectors) and not node.counts)


def program_alone(answer: Answer, leaves: tuple[Node, ...], target: str) -> Built:
    """An ML Program that is the whole file."""
    from mlpublish.converting.writing import program

    made = program.build(answer, leaves=leaves, alone=True, target=target)
    return Built(spec=made.spec, weights=made.weights)


def _program(answer: Answer, leaf: Array, feature: str, label: str, probabilities: str, target: str) -> Built:
    from mlpublish.converting.writing import program

    made = program.build(
        answer, leaves=(leaf,), alone=False, target=target, feature=feature, label=label, probabilities=probabilities
    )
    return Built(spec=made.spec, weights=made.weights)
