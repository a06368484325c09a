"""Run a MIL program as it is saved, one operation after the other, in numpy.

Every result is rounded to the type that the file declares for it, so a float16 program is measured as float16; inside one
operation the numbers are float32, as on a device that accumulates in float32. Every result's shape is held against the
declared one. What a phone's Neural Engine or GPU does inside an operation is not modelled.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mlpublish.coreml.mil_ops import COVERED, OPS
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, Value
from mlpublish.coreml.schema import Message
from mlpublish.coreml.values import DTYPES, dimensions, dtype_name, value_of
from mlpublish.coreml.weights import Weights
from mlpublish.errors import ConversionError, FormatError

_REMEDY = "Get the model again from where it was made; it may be cut or altered."


@dataclass(frozen=True, slots=True)
class _Result:
    """A declared result; ``dtype`` is None for labels and dictionaries, which are kept as they come."""

    name: str
    dtype: type[np.generic] | None
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """One operation, bound to its handler; an argument is a name or a constant."""

    kind: str
    run: Handler
    named: Mapping[str, tuple[str, ...]]
    constant: Mapping[str, Value]
    results: tuple[_Result, ...]


def main_block(program: Message) -> Message:
    """The block of the function ``main`` that its operation set selects.

    Raises:
        FormatError: there is none.
    """
    function = program.functions.get("main")
    block = None if function is None else function.block_specializations.get(function.opset)
    if block is None:
        raise FormatError("The ML Program has no function 'main'.", remedy=_REMEDY, field="mlProgram.functions")
    return block


def unsupported(program: Message) -> list[str]:
    """What of a program the evaluator does not know: operations, or parameters of them, in alphabetical order."""
    found: set[str] = set()
    for operation in main_block(program).operations:
        if operation.type == "const":
            continue
        handler = OPS.get(operation.type)
        if handler is None or operation.blocks:
            found.add(operation.type)
        else:
            known = COVERED | inspect.signature(handler).parameters.keys()
            found |= {f"{operation.type}({name}=)" for name in operation.inputs if name not in known}
    return sorted(found)


class Program:
    """A program with its constants, ready to run.

    Args:
        program: the saved ``Program`` message, for which ``unsupported`` is empty.
        weights: its weight files.
    """

    def __init__(self, program: Message, weights: Weights) -> None:
        block = main_block(program)
        self._inputs = {each.name: _result(each) for each in program.functions["main"].inputs}
        self._outputs = tuple(block.outputs)
        self._constants: dict[str, Value] = {}
        self._steps: list[_Step] = []
        for operation in block.operations:
            if operation.type == "const":
                name = operation.outputs[0].name
                self._constants[name] = _wide(value_of(operation.attributes["val"], weights, name))
            else:
                self._steps.append(_step(operation, weights))

    @property
    def classes(self) -> tuple[int | str, ...]:
        """The labels of the last ``classify``, in the order of its probabilities; empty where there is none."""
        for step in reversed(self._steps):
            if step.kind == "classify":
                named = step.named.get("classes")
                labels = step.constant["classes"] if named is None else self._constants[named[0]]
                return tuple(each if isinstance(each, str) else int(each) for each in labels)  # type: ignore[arg-type]
        return ()

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Value]:
        """Compute the outputs for one set of inputs, in the shapes that the program declares.

        Raises:
            ConversionError: an operation cannot be run on what it is given, or gives another shape than declared.
        """
        known: dict[str, Value] = dict(self._constants)
        for name, declared in self._inputs.items():
            known[name] = _stored(inputs[name], declared)
        with np.errstate(all="ignore"):  # an overflow shows as inf or nan in the result, and parity refuses those
            for step in self._steps:
                known.update(_results(step, known))
        return {name: known[name] for name in self._outputs}


def _step(operation: Message, weights: Weights) -> _Step:
    named: dict[str, tuple[str, ...]] = {}
    constant: dict[str, Value] = {}
    for parameter, argument in operation.inputs.items():
        if parameter in COVERED:
            continue
        bindings = argument.arguments
        if len(bindings) == 1 and bindings[0].WhichOneof("binding") == "value":
            constant[parameter] = _wide(value_of(bindings[0].value, weights, f"{operation.type}({parameter}=)"))
        else:
            named[parameter] = tuple(binding.name for binding in bindings)
    return _Step(operation.type, OPS[operation.type], named, constant, tuple(_result(each) for each in operation.outputs))


def _results(step: _Step, known: Mapping[str, Value]) -> dict[str, Value]:
    where = f"The operation {step.kind} ({step.results[0].name})"
    try:
        arguments = {
            parameter: known[names[0]] if len(names) == 1 else tuple(known[name] for name in names)
            for parameter, names in step.named.items()
        }
        got = step.run(**arguments, **step.constant)
        found = got if len(step.results) > 1 and isinstance(got, tuple) else (got,)
        return {result.name: _stored(value, result) for result, value in zip(step.results, found, strict=True)}
    except (ValueError, TypeError, IndexError, KeyError, ArithmeticError) as exc:
        raise ConversionError(f"{where} cannot be run: {exc}.", remedy=_REMEDY, field=step.kind) from exc


def _stored(value: Value, declared: _Result) -> Value:
    """A value as the file's type holds it."""
    if declared.dtype is None or isinstance(value, str | tuple):
        return value
    array = np.asarray(value)
    if len(array.shape) != len(declared.shape) or any(
        want is not None and want != got for want, got in zip(declared.shape, array.shape, strict=True)
    ):
        raise ValueError(f"{declared.name} has the shape {array.shape}, declared is {declared.shape}")
    return _wide(array.astype(declared.dtype))


def _wide(value: Value) -> Value:
    """float16 as float32: the same number, in a type that numpy computes with quickly and that accumulates as wide."""
    return value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype == np.float16 else value


def _result(declared: Message) -> _Result:
    tensor = declared.type.tensorType
    is_tensor = declared.type.WhichOneof("type") == "tensorType"
    dtype = DTYPES.get(dtype_name(tensor)) if is_tensor else None
    return _Result(declared.name, dtype, dimensions(tensor) if is_tensor else ())
