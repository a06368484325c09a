"""Run a MIL program as it is saved, one operation after the other, in numpy or torch.

In the mode ``device`` every result is rounded to the type that the file declares for it, so a float16 program is measured as
float16; inside one operation the numbers are float32, as on a device that accumulates in float32. In the mode ``exact``
nothing is rounded to float16. Every result's shape is held against the declared one. What a phone's Neural Engine or GPU
does inside an operation is not modelled.
"""

from __future__ import annotations

import threading
from collections import ChainMap
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mlpublish.coreml.backend import backend_for
from mlpublish.coreml.binding import Binder, read_by, settle
from mlpublish.coreml.control import Block, NotFinite, Operation, Run
from mlpublish.coreml.declared import Declared
from mlpublish.coreml.effort import allowed_once
from mlpublish.coreml.mil_ops import OPSETS
from mlpublish.coreml.mil_ops.tensor import Tensor, Value
from mlpublish.coreml.schema import Message
from mlpublish.coreml.unknown import unknown
from mlpublish.coreml.weights import Weights
from mlpublish.errors import FormatError, RecipeError


class Ran(NamedTuple):
    """What one run gave: the outputs, the states after it, and the first float16 result that is not finite."""

    outputs: dict[str, Value]
    states: dict[str, Value]
    not_finite: NotFinite | None


MODES = ("device", "exact")
"""``device`` rounds what the file declares float16; ``exact`` computes in float32."""

MAX_KEPT = 1 << 31
"""Bytes of widened and decompressed weights that a program keeps between runs; what is beyond is made again in each."""

_REMEDY = "Get the model again from where it was made; it may be cut or altered."


def check_mode(mode: str) -> None:
    """Refuse a mode that is none of ``MODES``.

    Raises:
        RecipeError: the modes are named.
    """
    if mode not in MODES:
        raise RecipeError(f"mode={mode!r} is not known.", remedy=f"Use one of: {', '.join(MODES)}.", field="mode")


def main_block(program: Message, function: str = "main") -> Message:
    """The block of a function that its operation set selects.

    Raises:
        FormatError: there is none.
    """
    found = program.functions.get(function)
    block = None if found is None else found.block_specializations.get(found.opset)
    if block is None:
        raise FormatError(f"The ML Program has no function {function!r}.", remedy=_REMEDY, field="mlProgram.functions")
    return block


def unsupported(program: Message, function: str = "main") -> list[str]:
    """What of a program the evaluator does not know, nested blocks included, in alphabetical order.

    Returns:
        Operations, those that are left out on purpose with the reason; parameters of operations, and constant values of them
        that are not evaluated; the operation set, if it is none of ``OPSETS``.
    """
    block, opset = main_block(program, function), program.functions[function].opset
    if opset not in OPSETS:
        return [f"operation set {opset}"]
    return unknown(block, OPSETS[opset])


class Program:
    """A program with its constants, ready to run.

    Args:
        program: the saved ``Program`` message, for which ``unsupported`` is empty.
        weights: its weight files.
        function: which of its functions is run.
        mode: one of ``MODES``.
        backend: one of ``backend.BACKENDS``.

    Raises:
        RecipeError: the mode or the backend is none.
        FormatError, ConversionError: the program does not hold together.
    """

    def __init__(
        self, program: Message, weights: Weights, *, function: str = "main", mode: str = "device", backend: str = "auto"
    ) -> None:
        check_mode(mode)
        block, message = main_block(program, function), program.functions[function]
        declared = {each.name: Declared.of(each) for each in message.inputs}
        self._backend = backend_for(backend, block, declared)
        self._rounds = mode == "device"
        binder = Binder(weights, self._backend, OPSETS[message.opset], rounds=self._rounds)
        names: ChainMap[str, int] = ChainMap()
        self._inputs = {each.name: binder.result(each, names) for each in message.inputs}
        self._states = {each.name for each in message.inputs if each.type.WhichOneof("type") == "stateType"}
        self._block = binder.block(block, names)
        self._block.inputs = tuple(each for name, each in self._inputs.items() if name not in self._states)
        self._outputs = dict(zip(block.outputs, self._block.outputs, strict=True))
        self._slots, self._once = binder.slots, binder.once
        self._constants: frozenset[int] | None = None
        self._lock = threading.Lock()
        self.classes = self._labels()
        """The labels of the last ``classify``, in the order of its probabilities; empty where there is none."""

    def _labels(self) -> tuple[int | str, ...]:
        for step in reversed(self._block.steps):
            if step.kind == "classify" and isinstance(step, Operation):
                labels = self._slots[dict(step.single)["classes"]]
                return tuple(each if isinstance(each, str) else int(each) for each in labels)  # type: ignore[arg-type,union-attr]
        return ()

    def run(self, inputs: Mapping[str, Tensor], states: Mapping[str, Tensor] | None = None) -> Ran:
        """Compute the outputs for one set of inputs, in the shapes that the program declares.

        Args:
            states: what its states are before; as many as the program has.

        Raises:
            ConversionError: an operation cannot be run on what it is given, or gives another shape than declared.
        """
        fed = {**inputs, **(states or {})}
        if fed.keys() != self._inputs.keys():
            names = ", ".join(self._inputs)
            raise FormatError(f"The program reads {names}, its description says else.", remedy=_REMEDY, field="description")
        constants = self._prepared()
        slots = list(self._slots)
        run = Run(slots, constants, self._backend.rounded, self._backend.is_finite)
        with (
            allowed_once(),
            np.errstate(all="ignore"),
        ):  # an overflow shows as inf or nan in the result, and parity refuses those
            for name, value in fed.items():
                slots[self._inputs[name].slot] = self._fed(np.asarray(value), self._inputs[name].declared)
            run.block(self._block)
        return Ran(
            {name: slots[slot] for name, slot in self._outputs.items()},  # type: ignore[misc]
            {name: slots[self._inputs[name].slot] for name in self._states},  # type: ignore[misc]
            run.not_finite,
        )

    def _fed(self, value: Tensor, declared: Declared) -> Value:
        held = declared.held(value)
        return self._backend.rounded(held) if declared.half and self._rounds and value.dtype != np.float16 else held  # type: ignore[arg-type]

    def _prepared(self) -> frozenset[int]:
        with self._lock:
            if self._constants is None:
                self._constants = self._prepare()
            return self._constants

    def _prepare(self) -> frozenset[int]:
        """Widen and decompress the weights, as many as may be kept, and settle the blocks on them."""
        constants = {slot for slot, value in enumerate(self._slots) if value is not None}
        run = Run(self._slots, frozenset(constants), self._backend.rounded, self._backend.is_finite)
        done, kept = set(), 0
        for step in self._once:
            made = sum(each.declared.nbytes for each in step.results)
            if constants.issuperset(step.reads) and kept + made <= MAX_KEPT:
                with allowed_once(), np.errstate(all="ignore"):
                    run.block(Block(steps=[step]))
                constants |= {each.slot for each in step.results}
                done.add(id(step))
                kept += made
        settle(self._block, frozenset(constants), self._slots, frozenset(done))
        self._once = []
        self._let_go(frozenset(read_by(self._block)))
        return frozenset(constants)

    def _let_go(self, needed: frozenset[int]) -> None:
        """Forget what only the making of the weights needed."""
        self._slots = [value if slot in needed else None for slot, value in enumerate(self._slots)]
