"""Which handler runs an operation: numpy's, or torch's for what is large."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlpublish.coreml import halves
from mlpublish.coreml.declared import Declared
from mlpublish.coreml.mil_ops import OPS, key_of
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor
from mlpublish.coreml.schema import Message
from mlpublish.errors import MissingExtra, RecipeError

BACKENDS = ("auto", "torch", "numpy")
"""``auto`` is torch if it is loaded already, or if it is installed and the program is worth its import."""

WORTH_TORCH = 1_000_000_000
"""Multiply-adds of one run. A rough choice: in a few runs on one thread numpy took 59 ms for about 1.8e9 of them, and importing
torch took two seconds."""

_LARGE = 4096
"""Elements of an operation's largest value; below, handing arrays over costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Backend:
    """What runs the operations of a program.

    Args:
        handlers: of large operations, by the same names as ``mil_ops.OPS``; what is not here runs in numpy.
        rounded, widened, is_finite: as in ``halves``.
    """

    name: str = "numpy"
    handlers: Mapping[str, Handler] = field(default_factory=dict)
    rounded: Callable[[Tensor], Tensor] = halves.rounded
    widened: Callable[[Tensor], Tensor] = halves.widened
    is_finite: Callable[[Tensor], bool] = halves.is_finite

    def handler(self, kind: str, opset: int, elements: int) -> Handler:
        """What runs an operation whose largest value has so many elements, and is known to ``mil_ops.handler_of``."""
        key = key_of(kind, opset)
        return self.handlers.get(key, OPS[key]) if elements >= _LARGE else OPS[key]


def check_backend(name: str) -> None:
    """Refuse a backend that is none of ``BACKENDS``.

    Raises:
        RecipeError: the backends are named.
    """
    if name not in BACKENDS:
        raise RecipeError(f"backend={name!r} is not known.", remedy=f"Use one of: {', '.join(BACKENDS)}.", field="backend")


def backend_for(name: str, block: Message, inputs: Mapping[str, Declared]) -> Backend:
    """The backend that was asked for.

    Args:
        name: one of ``BACKENDS``.
        block: the block that it is to run.
        inputs: of the block.

    Raises:
        RecipeError: there is no such backend.
        MissingExtra: it is torch, which is not installed.
    """
    check_backend(name)
    if name == "numpy" or (name == "auto" and not _is_worth_torch(block, inputs)):
        return Backend()
    if importlib.util.find_spec("torch") is None:
        raise MissingExtra("torch is not installed.", remedy="Run: python -m pip install torch  (or use backend='numpy')")
    from mlpublish.coreml.mil_torch import every, rounding

    return Backend("torch", every.OPS, rounding.rounded, rounding.widened, rounding.is_finite)


def _is_worth_torch(block: Message, inputs: Mapping[str, Declared]) -> bool:
    if "torch" in sys.modules:
        return True
    return multiply_adds(block, inputs) >= WORTH_TORCH and importlib.util.find_spec("torch") is not None


def multiply_adds(block: Message, inputs: Mapping[str, Declared]) -> int:
    """About how many multiplications one run of a block takes, by the shapes that it declares; nested blocks count once."""
    shapes = {name: _closed(each.shape) for name, each in inputs.items()}
    total, blocks = 0, [block]
    while blocks:
        for operation in blocks.pop().operations:
            for each in operation.outputs:
                shapes[each.name] = _closed(Declared.of(each).shape)
            total += _of_one(operation, shapes)
            blocks.extend(operation.blocks)
    return total


def _of_one(operation: Message, shapes: Mapping[str, tuple[int, ...]]) -> int:
    given, out = _shape_of(operation, shapes), shapes[operation.outputs[0].name] if operation.outputs else ()
    match operation.type:
        case "const":
            return 0
        case "conv" | "linear" if len(weight := given("weight")) > 1:
            return math.prod(out) * math.prod(weight[1:])
        case "conv_transpose" if len(weight := given("weight")) > 1:
            return math.prod(given("x")) * math.prod(weight[1:])
        case "matmul" if x := given("x"):
            return math.prod(out) * x[-1]
        case "scaled_dot_product_attention" if len(query := given("query")) > 1 and (key := given("key")):
            return 2 * math.prod(query) * key[-2]
        case "lstm" | "gru" | "rnn" if weight := given("weight_ih"):
            return 2 * math.prod(weight) * math.prod(given("x")[:2])
    return math.prod(out)


def _shape_of(operation: Message, shapes: Mapping[str, tuple[int, ...]]) -> Callable[[str], tuple[int, ...]]:
    def given(parameter: str) -> tuple[int, ...]:
        if parameter not in operation.inputs or not operation.inputs[parameter].arguments:
            return ()
        return shapes.get(operation.inputs[parameter].arguments[0].name, ())

    return given


def _closed(shape: tuple[int | None, ...] | None) -> tuple[int, ...]:
    return tuple(1 if size is None else size for size in shape or ())
