"""Run the blocks of a program: one operation after the other, branches and loops, states.

Every variable has a slot of its own, also in nested blocks: these see the names of the blocks around them, and no block
runs inside itself. What a run computes is held in the slots and let go after its last use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mlpublish.coreml.declared import Declared
from mlpublish.coreml.effort import touch
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, Value
from mlpublish.coreml.sound import FAILURES
from mlpublish.errors import ConversionError

MAX_EFFORT = 1_000_000
"""Operations that one run may execute in nested blocks; each MiB that the run makes counts as one operation more."""

MAX_BYTES = 1 << 32
"""Of everything that a run holds at a time (4 GiB)."""

_LOOK_AT_ALL = ("reduce_", "non_zero", "argsort", "topk")
"""How the operations begin that give little for much: what they look at is counted, beside what they give."""

_SORT = ("argsort", "topk")
"""What they look at is counted as often as a sort compares it."""

_WEIGHED_EVERY = 1 << 28  # bytes made; between two of these nothing is added up
_REMEDY = "Give inputs whose values it takes; if they are, get the model again: it may be cut or altered."


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFinite:
    """The first float16 result of a run that is not finite although everything it was computed from is.

    Args:
        name: the variable, as the program names it.
        operation: the MIL operation that gave it.
        kind: ``overflow`` where a number is infinite, ``nan`` where none is but one is no number.
        row: the row of the inputs, from 0.
    """

    name: str
    operation: str
    kind: str
    row: int = 0

    @property
    def told(self) -> str:
        """In one sentence, without its full stop."""
        what = "overflows float16 (65504)" if self.kind == "overflow" else "is no number (NaN)"
        return f"The first of its variables that {what} is {self.name!r}, which {self.operation} gives, in sample {self.row}"


@dataclass(frozen=True, slots=True)
class Result:
    """Where a result goes, and as what; ``rounds`` says that it is rounded to float16."""

    slot: int
    declared: Declared
    rounds: bool = False


@dataclass(slots=True, kw_only=True)
class Step:
    """One operation of a block.

    Args:
        kind: the MIL operation.
        name: of its first result, for errors.
        reads: every slot that it reads, once settled those of its blocks included.
        free: the slots that nothing needs after it.
    """

    kind: str
    name: str
    results: tuple[Result, ...]
    reads: tuple[int, ...]
    blocks: tuple[Block, ...] = ()
    free: tuple[int, ...] = ()

    def values(self, run: Run) -> Value:
        """What it gives: a value, or a tuple of several."""
        raise NotImplementedError


@dataclass(slots=True)
class Block:
    """Steps in their order, the slots that its inputs come in, and those of its outputs."""

    inputs: tuple[Result, ...] = ()
    steps: list[Step] = field(default_factory=list)
    outputs: tuple[int, ...] = ()


@dataclass(slots=True, kw_only=True)
class Operation(Step):
    """An operation that a handler runs: parameter -> slot, or slots where it takes a list."""

    handler: Handler
    single: tuple[tuple[str, int], ...]
    lists: tuple[tuple[str, tuple[int, ...]], ...]

    def values(self, run: Run) -> Value:
        slots = run.slots
        arguments = {name: slots[slot] for name, slot in self.single}
        for name, several in self.lists:
            arguments[name] = tuple(slots[slot] for slot in several)  # type: ignore[misc]  # what is read was written
        if self.kind.startswith(_LOOK_AT_ALL):
            size = np.size(arguments.get("x", getattr(self.handler, "keywords", {}).get("x", ())))
            touch(size * (size.bit_length() if self.kind in _SORT else 1))
        return self.handler(**arguments)


@dataclass(slots=True, kw_only=True)
class Cond(Step):
    """``cond``: the first block if ``pred`` is true, else the second; both give the results."""

    pred: int

    def values(self, run: Run) -> Value:
        return run.nested(self.blocks[0 if _truth(run.slots[self.pred]) else 1], ())


@dataclass(slots=True, kw_only=True)
class While(Step):
    """``while_loop``: as long as the first block says so, the second makes new ``loop_vars`` of the old ones."""

    variables: tuple[int, ...]

    def values(self, run: Run) -> Value:
        condition, body = self.blocks
        values = tuple(run.slots[slot] for slot in self.variables)
        while _truth(run.nested(condition, values)[0]):
            values = run.nested(body, values)
        return values  # type: ignore[return-value]  # what is read was written


@dataclass(slots=True, kw_only=True)
class ReadState(Step):
    """``read_state``: the state as it is now."""

    state: int

    def values(self, run: Run) -> Value:
        return run.slots[self.state]  # type: ignore[return-value]  # states are there from the beginning


@dataclass(slots=True, kw_only=True)
class WriteState(Step):
    """``write_state``, or ``coreml_update_state``, which also gives what it wrote.

    coremltools writes the latter as the former and a ``read_state``.
    """

    state: int
    data: int
    declared: Declared

    def values(self, run: Run) -> Value:
        value = self.declared.held(run.slots[self.data])  # type: ignore[arg-type]  # what is read was written
        run.slots[self.state] = value
        return value


class Run:
    """One run of a program.

    Args:
        slots: a value for every slot that has one before the first step: constants, inputs and states.
        constants: the slots that are not this run's own.
        rounded, is_finite: the backend's.
    """

    def __init__(
        self,
        slots: list[Value | None],
        constants: frozenset[int],
        rounded: Callable[[Tensor], Tensor],
        is_finite: Callable[[Tensor], bool],
    ) -> None:
        self.slots = slots
        self.not_finite: NotFinite | None = None
        self._constants = constants
        self._rounded = rounded
        self._is_finite = is_finite
        self._executed = 0  # in nested blocks
        self._made = 0  # bytes
        self._weighed = 0  # of them

    def block(self, block: Block) -> None:
        """Run a block whose inputs are in their slots.

        Raises:
            ConversionError: an operation cannot be run on what it is given, or gives another shape than declared.
        """
        slots, step = self.slots, None
        try:
            for step in block.steps:
                got, results = step.values(self), step.results
                if len(results) == 1:
                    slots[results[0].slot] = self._stored(got, results[0], step)
                elif results:
                    self._store_several(got, step)
                for slot in step.free:
                    slots[slot] = None
        except FAILURES as exc:
            assert step is not None
            told = str(exc) or type(exc).__name__
            raise ConversionError(
                f"The operation {step.kind} ({step.name}) cannot be run: {told}.", remedy=_REMEDY, field=step.kind
            ) from exc

    def nested(self, block: Block, inputs: tuple[Value | None, ...]) -> tuple[Value, ...]:
        """Run a branch, or a turn of a loop.

        Raises:
            ValueError: there were too many of them.
        """
        self._executed += 1 + len(block.steps)
        if self._executed + (self._made >> 20) > MAX_EFFORT:
            raise ValueError(f"its blocks execute more than {MAX_EFFORT} operations")
        for result, value in zip(block.inputs, inputs, strict=True):
            self.slots[result.slot] = result.declared.held(value)  # type: ignore[arg-type]  # what is read was written
        self.block(block)
        return tuple(self.slots[slot] for slot in block.outputs)  # type: ignore[misc]  # its steps wrote them

    def _store_several(self, got: Value, step: Step) -> None:
        found = got if isinstance(got, tuple) else (got,)
        for result, value in zip(step.results, found, strict=True):
            self.slots[result.slot] = self._stored(value, result, step)

    def _stored(self, value: Value, result: Result, step: Step) -> Value:
        held = result.declared.held(value)
        if isinstance(held, np.ndarray):
            touch(held.size)
            if result.rounds:
                held = self._rounded(held)
                if self.not_finite is None and not self._is_finite(held):
                    self._note(held, result, step)
            self._made += held.nbytes
        else:
            self._made += 8 * len(held)
        if self._made - self._weighed > _WEIGHED_EVERY:
            self._weigh(held)
        return held

    def _note(self, held: Tensor, result: Result, step: Step) -> None:
        """An infinity that was put in, such as a mask's, is meant."""
        if all(_is_all_finite(self.slots[slot]) for slot in step.reads):
            kind = "overflow" if np.isinf(held).any() else "nan"
            self.not_finite = NotFinite(name=result.declared.name, operation=step.kind, kind=kind)

    def _weigh(self, newest: Value) -> None:
        self._weighed = self._made
        values = [value for slot, value in enumerate(self.slots) if slot not in self._constants]
        held = {id(each): each for value in [*values, newest] for each in (value if isinstance(value, tuple) else (value,))}
        size = sum(each.nbytes for each in held.values() if isinstance(each, np.ndarray))
        if size > MAX_BYTES:
            raise ValueError(f"it would hold {size} bytes at a time, at most {MAX_BYTES} are")


def _truth(value: Value | None) -> bool:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biu":
        raise ValueError("its condition is no single truth value")
    return bool(array.reshape(-1)[0])


def _is_all_finite(value: Value | None) -> bool:
    return not (isinstance(value, np.ndarray) and value.dtype.kind == "f") or bool(np.isfinite(value).all())
