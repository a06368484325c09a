"""The MIL operations that the evaluator knows, one module per family; numpy alone.

A handler's parameters are the MIL operation's, by name, with its defaults; the operation's other parameters are unknown to
us, and a program that uses one is refused before it runs (``program.unsupported``). A handler serves every opset unless a
family names another one for later ones: ``"crop_resize@17"`` is crop_resize as of iOS17.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mlpublish.coreml.mil_ops import (
    activation,
    classification,
    compressed,
    convolution,
    elementwise,
    gathering,
    joining,
    linear,
    lists,
    making,
    normalization,
    pooling,
    quantization,
    rearranging,
    recurrent,
    reduction,
    resizing,
    scattering,
    shape,
    slicing,
    suppression,
)
from mlpublish.coreml.mil_ops.tensor import Handler

_FAMILIES = (
    elementwise,
    activation,
    linear,
    normalization,
    shape,
    joining,
    slicing,
    rearranging,
    gathering,
    scattering,
    making,
    suppression,
    reduction,
    convolution,
    pooling,
    resizing,
    recurrent,
    quantization,
    compressed,
    lists,
    classification,
)

OPS: Mapping[str, Handler] = MappingProxyType({name: run for family in _FAMILIES for name, run in family.OPS.items()})
"""MIL operation, or operation@opset -> what runs it."""

OPSETS: Mapping[str, int] = MappingProxyType({"CoreML5": 15, "CoreML6": 16, "CoreML7": 17, "CoreML8": 18, "CoreML9": 26})
"""An opset as a program names it -> the iOS that it came with."""

COVERED = frozenset({"validate_indices", "output_dtype", "output_indices_dtype", "sort"})
"""Parameters that no handler needs: the declared type of the result says the same, or numpy always does it."""

IN_PROGRAM = frozenset({"const", "cond", "while_loop", "read_state", "write_state", "coreml_update_state"})
"""Operations with blocks or states, which the program itself runs."""

_RANDOM = "its numbers come from the device's own generator; no file says which"
EXCLUDED: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("random_bernoulli", "random_categorical", "random_normal", "random_uniform"), _RANDOM)
    | {"_const_symbolic": "coremltools uses it while it converts; no saved program holds it"}
)
"""MIL operations that are not evaluated, each with the reason."""


_CHANGED: Mapping[str, Mapping[int, str]] = {
    name: {since: f"{name}@{since}" for since in sorted(OPSETS.values(), reverse=True) if f"{name}@{since}" in OPS}
    for name in {key.partition("@")[0] for key in OPS if "@" in key}
}
"""Operation -> the opsets that changed it, the newest first, and the keys of these."""


def key_of(name: str, opset: int) -> str:
    """Under what ``OPS`` keeps an operation of an opset (15, 16, 17, 18, 26): the newest ``name@…`` up to it, or its name."""
    changed = _CHANGED.get(name)
    return next((key for since, key in changed.items() if since <= opset), name) if changed else name


def handler_of(name: str, opset: int, handlers: Mapping[str, Handler] = OPS) -> Handler | None:
    """What runs an operation of an opset; None where nothing does."""
    return handlers.get(key_of(name, opset))
