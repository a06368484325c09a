"""A classifier's labels, as its specification holds them, without running anything."""

from __future__ import annotations

from mlpublish.coreml.classic.run import classes_of
from mlpublish.coreml.interface import MAIN, function_of
from mlpublish.coreml.schema import Message


def labels_of(spec: Message, function: str | None = None) -> tuple[int | str, ...]:
    """The labels in the order of the probabilities; empty where the model is no classifier, or a program computes them.

    Args:
        function: of an ML Program with several; by default its own default.

    Raises:
        ConversionError, FormatError: as ``function_of`` and ``classes_of``.
    """
    if spec.WhichOneof("Type") == "mlProgram":
        return _of_program(spec.mlProgram, function_of(spec.description, "The model", function))
    return classes_of(spec)


def _of_program(program: Message, name: str) -> tuple[int | str, ...]:
    """The ``classes`` of the last ``classify``, which coremltools writes as a constant list."""
    function = program.functions.get(name, program.functions.get(MAIN))
    block = None if function is None else function.block_specializations.get(function.opset)
    found: Message = None
    constants: dict[str, Message] = {}
    for operation in () if block is None else block.operations:
        if operation.type == "const" and operation.outputs:
            constants[operation.outputs[0].name] = operation
        elif operation.type == "classify":
            found = operation
    if found is None or "classes" not in found.inputs or not found.inputs["classes"].arguments:
        return ()
    argument = found.inputs["classes"].arguments[0]
    if argument.WhichOneof("binding") == "value":
        return _constant(argument.value)
    held = constants.get(argument.name)
    return () if held is None or "val" not in held.attributes else _constant(held.attributes["val"])


def _constant(value: Message) -> tuple[int | str, ...]:
    """A list of texts or whole numbers, or a tensor of them."""
    immediate = value.immediateValue
    if immediate.WhichOneof("value") == "list":
        return tuple(label for each in immediate.list.values for label in _constant(each))
    tensor = immediate.tensor
    match tensor.WhichOneof("value"):
        case "strings":
            return tuple(str(each) for each in tensor.strings.values)
        case "ints" | "longInts":
            return tuple(int(each) for each in getattr(tensor, tensor.WhichOneof("value")).values)
    return ()
