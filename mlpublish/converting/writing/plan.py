"""Which Core ML models a graph becomes: one, or a pipeline of them; and what stands at the file's border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.graph.algebra import Normalised
from mlpublish.converting.graph.answer import Answer, Classified, Labels, Predicted
from mlpublish.converting.graph.columnwise import Imputed, Lookup, Scaled
from mlpublish.converting.graph.machines import Trees
from mlpublish.converting.graph.node import Array, Column, Join, Node, Pick, walked
from mlpublish.converting.source import INPUT, LABEL, PREDICTION, PROBABILITIES
from mlpublish.converting.writing import heads
from mlpublish.converting.writing.features import Kind, Value
from mlpublish.converting.writing.line import Build, Line, is_machine, program_alone
from mlpublish.converting.writing.pipelines import is_whole, pipeline, shown
from mlpublish.converting.writing.rewriting import has_tables, rewritten
from mlpublish.converting.writing.saving import in_own_file, save
from mlpublish.errors import ConversionError

_DTYPES: Mapping[Kind, type[np.generic]] = {
    Kind.FLOATS: np.float32,
    Kind.FLOAT_ROW: np.float32,
    Kind.DOUBLES: np.float64,
    Kind.DOUBLE: np.float64,
    Kind.TEXT: np.str_,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of the file.

    Args:
        column: the column that the library knows it as; None for the one array.
    """

    value: Value
    column: str | None

    @property
    def feature(self) -> str:
        return self.value.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A graph with everything decided but the target.

    Args:
        inputs: in the order in which the file declares them.
        stages: the models, in their order.
        has_program: whether one of them is an ML Program.
    """

    answer: Answer
    inputs: tuple[Input, ...]
    stages: tuple[Build, ...]
    has_program: bool

    @property
    def libraries(self) -> tuple[str, ...]:
        """What writes the file."""
        return ("mlpublish", "coremltools" if self.has_program else "protobuf")

    def features(self, columns: Mapping[str, NDArray[np.generic]] | NDArray[np.float64]) -> Mapping[str, NDArray[np.generic]]:
        """Rows as the file takes them: input -> (rows, …).

        Args:
            columns: column -> (rows,), doubles or texts; or the one array, (rows, features).
        """
        found = {}
        with np.errstate(over="ignore"):
            for each in self.inputs:
                held = columns[each.column] if isinstance(columns, Mapping) and each.column is not None else columns
                found[each.feature] = np.asarray(held).astype(_DTYPES[each.value.kind])
        return found

    def write(self, folder: Path, name: str, *, target: str) -> Path:
        """Write ``<name>.mlmodel``, or ``<name>.mlpackage`` where an ML Program is needed.

        Raises:
            ConversionError: the target has no such operation.
        """
        built = [stage(target) for stage in self.stages]
        weights = [each.weights for each in built] if self.has_program else []
        inputs = [each.value for each in self.inputs]
        if len(built) == 1 and is_whole(built[0].spec, inputs, self.answer):
            return save(built[0].spec, folder, name, weights=weights)
        specs = [in_own_file(each, number) for number, each in enumerate(built)]
        return save(pipeline(specs, inputs, self.answer), folder, name, weights=weights, in_pipeline=True)


def planned(answer: Answer, order: Sequence[str] = ()) -> Plan:
    """Decide how a graph is written: as classic models wherever Core ML has one, with ML Programs for the arithmetic between.

    Args:
        order: columns, as the library knows them, in the order in which the file shall declare them.

    Raises:
        ConversionError: a column is read as texts and as numbers.
    """
    leaves = _leaves(answer, order)
    texts = _texts(answer)
    numbers = [each for each in leaves if id(each) not in texts]
    plan = _Planner(rewritten(answer, numbers), leaves).plan()
    if plan.has_program and has_tables(answer):
        classic = _Planner(rewritten(answer, numbers, tables_as_trees=True), leaves).plan()
        return plan if classic.has_program else classic
    return plan


class _Planner:
    """What is decided about one graph."""

    def __init__(self, answer: Answer, leaves: Sequence[Node]) -> None:
        self._answer, self._leaves = answer, leaves
        self._texts = _texts(answer)
        kind = Kind.DOUBLES if any(_needs_doubles(each) for each in walked(*answer.ends)) else Kind.FLOATS
        known = {id(leaf): _value(leaf, kind, is_text=id(leaf) in self._texts) for leaf in leaves}
        self._line = Line(known, shown(answer))
        self._known = known

    def plan(self) -> Plan:
        if self._is_one_program():
            self._known = {id(leaf): replace(self._known[id(leaf)], kind=Kind.FLOAT_ROW) for leaf in self._leaves}
            self._line.stages.append(partial(program_alone, _of_one_node(self._answer), tuple(self._leaves)))
            self._line.has_program = True
        elif isinstance(self._answer, Classified):
            self._add_classes(self._answer)
        else:
            self._add_numbers(self._answer)
        columns = {id(leaf): leaf.name if isinstance(leaf, Column) else None for leaf in self._leaves}
        return Plan(
            answer=self._answer,
            inputs=tuple(Input(value=self._known[key], column=column) for key, column in columns.items()),
            stages=tuple(self._line.stages),
            has_program=self._line.has_program,
        )

    def _is_one_program(self) -> bool:
        """Whether an ML Program, alone, is the whole file."""
        if self._texts or _cannot_be_called(self._leaves) or any(is_machine(each) for each in walked(*self._answer.ends)):
            return False
        if isinstance(self._answer, Predicted):
            node = heads.only_number(self._answer)
            return node is None or not (self._line.is_classic(node) or self._fits(heads.number_of(node, PREDICTION)))
        chances = self._answer.probabilities
        if chances is None or not heads.same_label(self._answer):
            return False
        return not self._fits(heads.probabilities_of(chances, self._answer.classes))

    def _fits(self, head: heads.Regression | heads.Classification | None) -> bool:
        """Whether a classic model is the end; where a program is needed anyway it says the end as well, if it can."""
        return head is not None and (not head.in_floats or self._line.is_classic(head.of))

    def _add_classes(self, answer: Classified) -> None:
        if answer.probabilities is None:
            self._add_label(answer)
        elif heads.same_label(answer):
            head = heads.probabilities_of(answer.probabilities, answer.classes)
            self._add_classifier(answer.classes, head, answer.probabilities)
        else:
            self._add_label(answer)
            head = heads.probabilities_of(answer.probabilities, answer.classes)
            self._add_classifier(answer.classes, head, answer.probabilities, label=self._line.fresh("mostProbable"))

    def _add_label(self, answer: Classified) -> None:
        head = heads.label_of(answer.scores, answer.classes)
        self._add_classifier(answer.classes, head, heads.wide(answer.scores), probabilities=None)

    def _add_classifier(
        self,
        classes: Labels,
        head: heads.Classification | None,
        node: Node,
        *,
        label: str = LABEL,
        probabilities: str | None = PROBABILITIES,
    ) -> None:
        if head is None or not self._fits(head):
            inner = Classified(classes=classes, scores=node, probabilities=node)
            self._line.add_program(inner, label=label, probabilities=probabilities or self._line.fresh("scores"))
            return
        self._line.make_known([head.of])
        reads = self._line.values(head.of)
        self._line.add(partial(head.make, reads, label=label, probabilities=probabilities))

    def _add_numbers(self, answer: Predicted) -> None:
        node = heads.only_number(answer)
        head = None if node is None else heads.number_of(node, answer.numbers[0].name)
        if head is not None and self._fits(head):
            self._line.make_known([head.of])
            self._line.add(partial(head.make, self._line.values(head.of), head.writes))
        elif node is not None and self._line.is_classic(node):
            self._line.values(node, answer.numbers[0].name)
        else:
            self._line.add_program(answer)


def _of_one_node(answer: Answer) -> Answer:
    """As a program tells it: the label is that of its largest output, and its outputs are the probabilities."""
    if isinstance(answer, Classified) and answer.probabilities is not None:
        return replace(answer, scores=answer.probabilities)
    return answer


def _leaves(answer: Answer, order: Sequence[str]) -> list[Node]:
    found = [each for each in walked(*answer.ends) if isinstance(each, Array | Column)]
    places = {name: place for place, name in enumerate(order)}
    return sorted(found, key=lambda each: places.get(each.name, len(places)) if isinstance(each, Column) else 0)


def _texts(answer: Answer) -> set[int]:
    """The columns that are read as texts.

    Raises:
        ConversionError: one is read as numbers too.
    """
    nodes = list(walked(*answer.ends))
    found = {id(each.of) for each in nodes if isinstance(each, Lookup) and each.of_texts}
    for node in nodes:
        for each in node.reads:
            if id(each) in found and isinstance(each, Column) and not (isinstance(node, Lookup) and node.of_texts):
                raise ConversionError(
                    f"The column {each.name!r} is read as texts and as numbers.",
                    remedy="Give it as two columns, one of texts and one of numbers, and fit again.",
                    field="model",
                )
    return found


def _cannot_be_called(leaves: Sequence[Node]) -> bool:
    """Whether a column has a name that no input of a program can have."""
    from mlpublish.converting.writing.program import RESERVED

    return any(isinstance(leaf, Column) and leaf.feature in RESERVED for leaf in leaves)


def _needs_doubles(node: Node) -> bool:
    """Whether a split tells two values of the one array apart that are one float32."""
    if not isinstance(node, Trees):
        return False
    waiting = [(node.of, node.rounds)]
    while waiting:
        each, is_as_given = waiting.pop()
        if isinstance(each, Array) and not is_as_given:
            return True
        if isinstance(each, Join | Pick | Scaled | Imputed | Normalised):
            waiting.extend((inner, is_as_given and isinstance(each, Join | Pick)) for inner in each.reads)
    return False


def _value(leaf: Node, kind: Kind, *, is_text: bool) -> Value:
    if isinstance(leaf, Column):
        return Value(name=leaf.feature, kind=Kind.TEXT if is_text else Kind.DOUBLE)
    return Value(name=INPUT, kind=kind, width=leaf.width)
