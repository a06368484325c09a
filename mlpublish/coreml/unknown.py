"""What of a program's blocks the evaluator does not know: operations, their parameters, and values of these."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from mlpublish.coreml.binding import MAX_DEPTH, parameters_of
from mlpublish.coreml.mil_ops import COVERED, EXCLUDED, IN_PROGRAM, convolution, handler_of, resizing
from mlpublish.coreml.mil_ops.tensor import Taken, Value
from mlpublish.coreml.schema import Message
from mlpublish.coreml.values import value_of
from mlpublish.coreml.weights import Weights
from mlpublish.errors import FormatError

TAKEN: Mapping[str, Mapping[str, Taken]] = {**resizing.TAKEN, **convolution.TAKEN}
"""MIL operation -> parameter -> the only values that its handler takes."""

_Constants: TypeAlias = ChainMap[str, Message | None]
"""The variables that a block sees -> the value of a constant; None of any other."""

_REMEDY = "Get the model again from where it was made; it may be cut or altered."


def unknown(block: Message, opset: int) -> list[str]:
    """What of a block and those in it is not known, in alphabetical order.

    Raises:
        FormatError: blocks are too deep in each other, or a constant cannot be read.
    """
    return sorted(set(_in_block(block, opset, ChainMap())))


def _in_block(block: Message, opset: int, outside: _Constants, depth: int = 0) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise FormatError(f"The program has blocks in blocks, {MAX_DEPTH} deep.", remedy=_REMEDY, field="mlProgram")
    constants = outside.new_child({each.name: None for each in block.inputs})
    for operation in block.operations:
        yield from _of(operation, opset, constants)
        for nested in operation.blocks:
            yield from _in_block(nested, opset, constants, depth + 1)
        is_const = operation.type == "const"
        constants.update({each.name: operation.attributes.get("val") if is_const else None for each in operation.outputs})


def _of(operation: Message, opset: int, constants: _Constants) -> Iterator[str]:
    kind = operation.type
    if kind in IN_PROGRAM:
        return
    handler = handler_of(kind, opset)
    if handler is None:
        yield f"{kind} ({EXCLUDED[kind]})" if kind in EXCLUDED else kind
        return
    if operation.blocks:
        yield f"{kind} with blocks"
    known = COVERED | parameters_of(handler)
    attributes = set(operation.attributes) - {"name"} if kind.startswith("constexpr_") else set()
    yield from (f"{kind}({name}=)" for name in {*operation.inputs, *attributes} - known)
    for name, taken in TAKEN.get(kind, {}).items():
        value = _constant(operation, name, constants)
        if value is not None and not takes(taken, value):
            yield f"{kind}({name}={value})"


def _constant(operation: Message, name: str, constants: _Constants) -> Value | None:
    """The value that an operation is given for a parameter, if it stands in the program itself."""
    if name not in operation.inputs or len(operation.inputs[name].arguments) != 1:
        return None
    (given,) = operation.inputs[name].arguments
    value = given.value if given.WhichOneof("binding") == "value" else constants.get(given.name)
    if value is None or value.WhichOneof("value") != "immediateValue":
        return None
    return value_of(value, Weights(None), f"{operation.type}({name}=)")


def takes(taken: Taken, value: Value) -> bool:
    """Whether a handler takes a value."""
    if isinstance(value, str):
        return value in taken or value.lower() in taken
    return not isinstance(value, tuple) and value.size == 1 and bool(value.reshape(-1)[0] in taken)
