"""Run an ML Program that is one stage among others (``mlProgram`` in a pipeline), a row at a time.

Source of the rules: Model.proto (``Pipeline``). Its inputs come in the types that its description declares; what a classic
stage gives in doubles is rounded to them here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mlpublish.coreml import program
from mlpublish.coreml.answers import stacked
from mlpublish.coreml.classic.stage import Label, Rows, Run, given
from mlpublish.coreml.control import NotFinite
from mlpublish.coreml.interface import MAIN, function_of, interface_of
from mlpublish.coreml.schema import Message
from mlpublish.coreml.weights import Weights

KIND = "mlProgram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How programs are run.

    Args:
        weights: the package's.
        mode, backend: as ``program.Program``.
        tell: is called with each float16 result that is not finite, the first of each row.
    """

    weights: Weights
    mode: str
    backend: str
    tell: Callable[[NotFinite], None]


def unsupported(stage: Message) -> list[str]:
    """What of a program is not evaluated; a state inside of a pipeline is not."""
    name = function_of(stage.description, KIND)
    states = interface_of(stage.description, KIND, name).states
    return [*(f"the state {each.name} in a pipeline" for each in states), *program.unsupported(stage.mlProgram, name)]


def opened(stage: Message, setting: Setting) -> Run:
    """Read a program for which ``unsupported`` is empty."""
    name = function_of(stage.description, KIND)
    features = interface_of(stage.description, KIND, name)
    inside = program.Program(stage.mlProgram, setting.weights, function=name, mode=setting.mode, backend=setting.backend)
    outputs = [each.name for each in features.outputs]

    def one(fed: Rows, row: int) -> program.Ran:
        ran = inside.run({each.name: fed[each.name][row].reshape(each.shape) for each in features.inputs})
        if ran.not_finite is not None:
            setting.tell(replace(ran.not_finite, row=row))
        return ran

    def run(known: Rows) -> Rows:
        fed = {each.name: given(known, each.name) for each in features.inputs}
        rows = stacked([one(fed, row).outputs for row in range(len(next(iter(fed.values()), ())))])
        return {each: rows[each] for each in outputs}

    return run


def labels_of(held: Message, name: str) -> tuple[Label, ...]:
    """The ``classes`` of a function's last ``classify``, which coremltools writes as a constant list."""
    function = held.functions.get(name, held.functions.get(MAIN))
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
    value = constants.get(argument.name)
    return () if value is None or "val" not in value.attributes else _constant(value.attributes["val"])


def _constant(value: Message) -> tuple[Label, ...]:
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
