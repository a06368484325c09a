"""Bind a block of a saved program once: names to slots, operations to handlers, constants to their arrays."""

from __future__ import annotations

import inspect
from collections import ChainMap
from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import TypeAlias

import numpy as np

from mlpublish.coreml.backend import Backend
from mlpublish.coreml.control import Block, Cond, Operation, ReadState, Result, Step, While, WriteState
from mlpublish.coreml.declared import Declared
from mlpublish.coreml.mil_ops import COVERED
from mlpublish.coreml.mil_ops.tensor import Handler, Value
from mlpublish.coreml.schema import Message
from mlpublish.coreml.values import value_of
from mlpublish.coreml.weights import Weights
from mlpublish.errors import ConversionError, FormatError

MAX_DEPTH = 32
"""Of blocks in blocks."""

_SMALL = 1 << 12  # elements of a float16 constant that is widened at once
_REMEDY = "Get the model again from where it was made; it may be cut or altered."

_MOVED = frozenset({
    "abs", "band_part", "batch_to_space", "clip", "concat", "cond", "coreml_update_state", "crop", "depth_to_space",
    "expand_dims", "fill", "fill_like", "flatten2d", "gather", "gather_along_axis", "gather_nd", "identity", "list_gather",
    "list_read", "max_pool", "maximum", "minimum", "pad", "pixel_shuffle", "pixel_unshuffle", "read_state",
    "reduce_max", "reduce_min", "relu", "reshape", "reshape_like", "reverse", "reverse_sequence", "select", "sign",
    "slice_by_index", "slice_by_size", "slice_update", "sliding_windows", "space_to_batch", "space_to_depth", "split",
    "squeeze", "stack", "tile", "topk", "transpose", "while_loop", "write_state",
})  # fmt: skip
"""Operations that give no number which is not among their arguments: what was float16 before needs no rounding after."""

Names: TypeAlias = ChainMap[str, int]
"""The variables that a block sees -> their slots."""

Arguments: TypeAlias = Mapping[str, tuple[int, ...]]
"""The parameters of an operation -> the slots of what it is given; several for a list."""


class Binder:
    """The slots of a program while its blocks are bound.

    Args:
        rounds: whether float16 results are rounded (mode ``device``).
    """

    def __init__(self, weights: Weights, backend: Backend, opset: int, *, rounds: bool) -> None:
        self.slots: list[Value | None] = []
        self.declared: list[Declared | None] = []
        self.once: list[Step] = []
        """What is the same in every run: constants that are widened or decompressed; they stand in their blocks too."""
        self._weights = weights
        self._backend = backend
        self._opset = opset
        self._rounds = rounds

    def variable(self, declared: Declared | None, value: Value | None = None) -> int:
        """A new slot."""
        self.slots.append(value)
        self.declared.append(declared)
        return len(self.slots) - 1

    def block(self, message: Message, names: Names, depth: int = 0) -> Block:
        """A block and all blocks in it.

        Raises:
            ConversionError, FormatError: it reads what nobody wrote, or does not hold together.
        """
        if depth > MAX_DEPTH:
            raise FormatError(f"The program has blocks in blocks, {MAX_DEPTH} deep.", remedy=_REMEDY, field="mlProgram")
        inputs = tuple(self.result(each, names) for each in message.inputs)
        block = Block(inputs=inputs)
        for operation in message.operations:
            if operation.type == "const":
                name = operation.outputs[0].name
                value = value_of(operation.attributes["val"], self._weights, name)
                names[name] = self._constant(value, name, block)
            else:
                self._append(operation, names, depth, block)
        block.outputs = tuple(_slot(name, names, "A block") for name in message.outputs)
        return block

    def _constant(self, value: Value, name: str, block: Block) -> int:
        """The slot of a constant; a large float16 one is widened when it is needed first."""
        if not isinstance(value, np.ndarray) or value.dtype != np.float16:
            return self.variable(None, value)
        declared = Declared(name, np.dtype(np.float32), value.shape, half=True)
        if value.size <= _SMALL:
            return self.variable(declared, value.astype(np.float32))
        narrow, wide = self.variable(None, value), self.variable(declared)
        step = Operation(
            kind="const",
            name=name,
            results=(Result(wide, declared),),
            reads=(narrow,),
            handler=self._backend.widened,
            single=(("x", narrow),),
            lists=(),
        )
        block.steps.append(step)
        self.once.append(step)
        return wide

    def _append(self, operation: Message, names: Names, depth: int, block: Block) -> None:
        step = self._step(operation, names, depth, block)
        for message, result in zip(operation.outputs, step.results, strict=True):
            names[message.name] = result.slot  # only now: an operation does not see its own results
        block.steps.append(step)
        if operation.type.startswith("constexpr_"):
            self.once.append(step)

    def _step(self, operation: Message, names: Names, depth: int, block: Block) -> Step:
        kind, arguments = operation.type, self._arguments(operation, names, block)
        blocks = tuple(self.block(each, names.new_child(), depth + 1) for each in operation.blocks)
        given = tuple(slot for slots in arguments.values() for slot in slots)
        inside = [slot for each in blocks for slot in each.outputs] if kind == "cond" else given
        results = self._results(operation, (*inside, *(slot for each in blocks[1:] for slot in each.outputs)))
        name = operation.outputs[0].name if operation.outputs else kind
        match kind:
            case "cond":
                _fit(name, blocks, (0, 0), (len(results), len(results)))
                pred = arguments["pred"][0]
                return Cond(kind=kind, name=name, results=results, reads=given, blocks=blocks, pred=pred)
            case "while_loop":
                _fit(name, blocks, (len(given), len(given)), (1, len(given)))
                variables = arguments["loop_vars"]
                return While(kind=kind, name=name, results=results, reads=given, blocks=blocks, variables=variables)
            case "read_state":
                return ReadState(kind=kind, name=name, results=results, reads=given, state=arguments["input"][0])
            case "write_state" | "coreml_update_state":
                return self._write(kind, name, results, arguments)
        return self._operation(operation, results, arguments)

    def _write(self, kind: str, name: str, results: tuple[Result, ...], arguments: Arguments) -> Step:
        state, data = (arguments[each][0] for each in (("input", "data") if kind == "write_state" else ("state", "value")))
        declared = self.declared[state]
        if declared is None:
            raise FormatError(f"{kind} ({name}) writes what is no state.", remedy=_REMEDY, field=kind)
        return WriteState(kind=kind, name=name, results=results, reads=(state, data), state=state, data=data, declared=declared)

    def _operation(self, operation: Message, results: tuple[Result, ...], arguments: Arguments) -> Step:
        reads = tuple(slot for slots in arguments.values() for slot in slots)
        largest = max([self._size(slot) for slot in (*reads, *[each.slot for each in results])], default=0)
        handler = self._backend.handler(operation.type, self._opset, largest)
        if not COVERED.isdisjoint(arguments):
            known = parameters_of(handler)
            arguments = {name: slots for name, slots in arguments.items() if name not in COVERED or name in known}
        return Operation(
            kind=operation.type,
            name=operation.outputs[0].name,
            results=results,
            reads=reads,
            handler=handler,
            single=tuple((name, slots[0]) for name, slots in arguments.items() if len(slots) == 1),
            lists=tuple((name, slots) for name, slots in arguments.items() if len(slots) != 1),
        )

    def _arguments(self, operation: Message, names: Names, block: Block) -> Arguments:
        """Parameter -> slots. ``constexpr_*`` of iOS16 have theirs as attributes, beside the operation's name."""
        where = f"The operation {operation.type}"
        found: dict[str, tuple[int, ...]] = {}
        if operation.type.startswith("constexpr_"):
            for name, value in operation.attributes.items():
                if name != "name":
                    found[name] = (self._value(value, f"{operation.type}({name}=)", block),)
        for name, argument in operation.inputs.items():
            found[name] = tuple(
                self._value(each.value, f"{operation.type}({name}=)", block)
                if each.WhichOneof("binding") == "value"
                else _slot(each.name, names, where)
                for each in argument.arguments
            )
        return found

    def _value(self, value: Message, where: str, block: Block) -> int:
        return self._constant(value_of(value, self._weights, where), where, block)

    def _results(self, operation: Message, sources: Iterable[int]) -> tuple[Result, ...]:
        declared = [Declared.of(each) for each in operation.outputs]
        moved = operation.type in _MOVED and all(self._holds_halves(slot) for slot in sources)
        rounds = (self._rounds or operation.type.startswith("constexpr_")) and not moved
        return tuple(Result(self.variable(each), each, rounds and each.half) for each in declared)

    def _holds_halves(self, slot: int) -> bool:
        """Whether rounding what is there to float16 would change nothing."""
        declared, value = self.declared[slot], self.slots[slot]
        if declared is not None and declared.dtype is not None:
            return declared.half or declared.dtype.kind != "f"
        return not (isinstance(value, np.ndarray) and value.dtype.kind == "f")

    def _size(self, slot: int) -> int:
        declared, value = self.declared[slot], self.slots[slot]
        return value.size if isinstance(value, np.ndarray) else 0 if declared is None else declared.size

    def result(self, named: Message, names: Names) -> Result:
        """The slot of an input, of the program or of a block."""
        declared = Declared.of(named)
        names[named.name] = self.variable(declared)
        return Result(names[named.name], declared)


@cache
def parameters_of(handler: Handler) -> frozenset[str]:
    """The parameters of a handler."""
    return frozenset(inspect.signature(handler).parameters)


def settle(block: Block, constants: frozenset[int], slots: list[Value | None], done: frozenset[int]) -> frozenset[int]:
    """Make a block ready to run: constants go into the handlers, and every step learns what nothing needs after it.

    Args:
        constants: the slots whose values are the same in every run.
        slots: where these are.
        done: the steps, by ``id``, that need not be run again.

    Returns:
        The slots of blocks around it that it reads.
    """
    block.steps = [step for step in block.steps if id(step) not in done]
    own = {result.slot for result in block.inputs} | {result.slot for step in block.steps for result in step.results}
    kept, outer = set(block.outputs), set(block.outputs)
    for step in block.steps:
        inner = [settle(each, constants, slots, done) for each in step.blocks]
        step.reads = tuple({*step.reads, *(slot for each in inner for slot in each)})
        outer |= set(step.reads)
        if isinstance(step, Operation):
            _bake(step, constants, slots)
    for step in reversed(block.steps):
        touched = {*step.reads, *(result.slot for result in step.results)} & own
        step.free = tuple(touched - kept)
        kept |= touched
    return frozenset(outer - own)


def read_by(block: Block) -> set[int]:
    """Every slot that something in a settled block reads."""
    return {*block.outputs, *(slot for step in block.steps for slot in step.reads)}


def _bake(step: Operation, constants: frozenset[int], slots: list[Value | None]) -> None:
    fixed = {name: slots[slot] for name, slot in step.single if slot in constants}
    if fixed:
        step.handler = partial(step.handler, **fixed)
        step.single = tuple((name, slot) for name, slot in step.single if slot not in constants)


def _slot(name: str, names: Names, where: str) -> int:
    try:
        return names[name]  # half the work of ChainMap.get, which looks twice
    except KeyError:
        raise ConversionError(f"{where} reads {name!r}, which nothing wrote.", remedy=_REMEDY, field=name) from None


def _fit(name: str, blocks: tuple[Block, ...], inputs: tuple[int, int], outputs: tuple[int, int]) -> None:
    found = tuple(len(each.inputs) for each in blocks), tuple(len(each.outputs) for each in blocks)
    if found != (inputs, outputs):
        raise FormatError(f"The blocks of {name} do not fit it.", remedy=_REMEDY, field=name)
