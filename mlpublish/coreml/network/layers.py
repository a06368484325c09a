"""Every layer that is evaluated, and what of a layer is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from mlpublish.coreml.network import (
    activations,
    arithmetic,
    convolution,
    dense,
    gathering,
    making,
    normalizing,
    pooling,
    rearranging,
    recurrent,
    reducing,
    resizing,
    shaping,
)
from mlpublish.coreml.network.blob import Opener
from mlpublish.coreml.schema import Message

_FAMILIES = (
    convolution,
    pooling,
    dense,
    activations,
    normalizing,
    arithmetic,
    reducing,
    shaping,
    rearranging,
    resizing,
    recurrent,
    gathering,
    making,
)

LAYERS: Mapping[str, Opener] = MappingProxyType({kind: run for family in _FAMILIES for kind, run in family.LAYERS.items()})
"""Layer, as ``NeuralNetworkLayer.layer`` names it -> what opens it."""

CONTROL = ("branch", "loop", "loopBreak", "loopContinue")
"""Layers that run others: see ``graph``."""

_RANDOM = "its numbers come from the device's own generator; no file says which"
_GENERATORS = ("randomNormal", "randomUniform", "randomBernoulli")

EXCLUDED: Mapping[str, str] = MappingProxyType(
    {f"{kind}{form}": _RANDOM for kind in _GENERATORS for form in ("Like", "Static", "Dynamic")}
    | {
        "categoricalDistribution": _RANDOM,
        "custom": "its code is in the app, not in the file",
        "NonMaximumSuppression": "the order among equal scores is not written down",
    }
)
"""Layers that are not evaluated, each with the reason."""


def unsupported(layers: Iterator[Message]) -> set[str]:
    """The layers, or settings of them, that are not evaluated; also inside of branches and loops."""
    found: set[str] = set()
    for layer in layers:
        kind = layer.WhichOneof("layer")
        if kind not in LAYERS and kind not in CONTROL:
            found.add(f"layer {kind or 'of an unknown kind'}")
        elif kind in ("innerProduct", "batchedMatmul") and getattr(layer, kind).int8DynamicQuantize:
            found.add(f"layer {kind} with int8DynamicQuantize")
        elif kind in ("branch", "loop"):
            for inner in nested(layer):
                found |= unsupported(iter(inner.layers))
    return found


def nested(layer: Message) -> tuple[Message, ...]:
    """The networks inside of a branch or loop."""
    held = getattr(layer, layer.WhichOneof("layer"))
    if layer.WhichOneof("layer") == "branch":
        return held.ifBranch, held.elseBranch
    return held.conditionNetwork, held.bodyNetwork
