"""Layers in their order, wired by the names of blobs; branches and loops run networks of their own in the same names.

Source: NeuralNetwork.proto, ``NeuralNetwork``, ``BranchLayerParams``, ``LoopLayerParams``, ``CopyLayerParams``.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mlpublish.coreml.effort import PER_LAYER, TooMuch, spend, touch
from mlpublish.coreml.network.blob import Blob, Step, agreed, whole
from mlpublish.coreml.network.layers import LAYERS, nested
from mlpublish.coreml.schema import Message

Blobs: TypeAlias = dict[str, Blob]

_Control: TypeAlias = Callable[[Blobs], str]
"""Changes the blobs; tells ``break``, ``continue`` or nothing to the loop around it."""

_TRUE = 1e-6  # a condition's number is true beyond it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    run: Step | None
    control: _Control | None = None

    def on(self, blobs: Blobs) -> str:
        spend(PER_LAYER)
        if self.control is not None:
            return self.control(blobs)
        assert self.run is not None
        results = self.run([blobs[name] for name in self.inputs])
        if len(results) < len(self.outputs):
            raise ValueError(f"it gives {len(results)} results, {len(self.outputs)} are named")
        for name, result in zip(self.outputs, results, strict=False):
            touch(result.size)
            blobs[name] = np.asarray(result, dtype=np.float32)
        return ""


class Graph:
    """The layers of a network, opened.

    Args:
        layers: ``NeuralNetworkLayer`` messages, none of them unsupported.
        known: the blobs that exist before the first one.

    Raises:
        ValueError: a layer does not hold together, or takes a blob that no layer before it makes.
    """

    def __init__(self, layers: Iterable[Message], known: Mapping[str, None]) -> None:
        self.names: ChainMap[str, None] = ChainMap({}, known)  # type: ignore[arg-type]  # only the first is written to
        """Every blob that exists in the end; those of the networks around it are not copied."""
        self.last = ""
        """The first output of the last layer."""
        self._layers: list[_Layer] = []
        for layer in layers:
            with _told(layer.name):
                self._layers.append(self._opened(layer))
        controls = any(each.control is not None for each in self._layers)
        self._uses = {} if controls else {name: at for at, each in enumerate(self._layers) for name in each.inputs}

    def run(self, blobs: Blobs, keep: frozenset[str] | None = None) -> str:
        """Add every layer's blobs; with ``keep``, others are dropped after their last use.

        Returns:
            ``break``, ``continue``, or nothing.
        """
        for at, layer in enumerate(self._layers):
            with _told(layer.name):
                signal = layer.on(blobs)
            if signal:
                return signal
            if keep is not None and self._uses:
                for name in {*layer.inputs, *layer.outputs} - keep:
                    if self._uses.get(name, -1) <= at:
                        blobs.pop(name, None)
        return ""

    def _opened(self, layer: Message) -> _Layer:
        kind = layer.WhichOneof("layer")
        missing = [name for name in layer.input if name not in self.names]
        if missing:
            raise ValueError(f"the blob {missing[0]!r} is not there yet")
        control = self._control(layer, kind)
        again = [name for name in layer.output if name in self.names and kind != "copy"]
        if again:
            raise ValueError(f"the blob {again[0]!r} is there already")
        self.names.update(dict.fromkeys(layer.output))
        self.last = layer.output[0] if layer.output else self.last
        return _Layer(
            name=layer.name,
            inputs=tuple(layer.input),
            outputs=tuple(layer.output),
            run=None if control else LAYERS[kind](layer),
            control=control,
        )

    def _control(self, layer: Message, kind: str) -> _Control | None:
        if kind in ("loopBreak", "loopContinue"):
            return lambda _: {"loopBreak": "break", "loopContinue": "continue"}[kind]
        if kind not in ("branch", "loop"):
            return None
        first, second = nested(layer)
        one = Graph(first.layers, self.names)
        other = Graph(second.layers, one.names if kind == "loop" else self.names)
        self.names.update(one.names.maps[0])
        self.names.update(other.names.maps[0])
        if kind == "branch":
            (name,) = layer.input
            return lambda blobs: (one if _is_true(blobs[name]) else other).run(blobs)
        return _loop(layer, one, other)


def _loop(layer: Message, condition: Graph, body: Graph) -> _Control:
    """While the condition holds, so many times at most; without a condition exactly so many times."""
    held = layer.loop
    named = str(held.conditionVar)
    if named and named not in condition.names:
        raise ValueError(f"the condition {named!r} is made by no layer")
    endless = bool(named) and not held.maxLoopIterations and not layer.input

    def run(blobs: Blobs) -> str:
        (most,) = whole(blobs[layer.input[0]]) if layer.input else [int(held.maxLoopIterations)]
        done = 0
        while endless or done < most:
            spend(PER_LAYER)
            if named:
                condition.run(blobs)
                if not _is_true(blobs[named]):
                    break
            if body.run(blobs) == "break":
                break
            done += 1
        return ""

    return run


def _is_true(blob: Blob) -> bool:
    value = agreed(blob)
    if value.size != 1:
        raise ValueError(f"a condition has {value.size} numbers")
    return bool(abs(value.reshape(-1)[0]) > _TRUE)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Whatever numpy said, in one kind of error that names the layer."""
    try:
        yield
    except (ArithmeticError, AssertionError, LookupError, MemoryError, TypeError, ValueError) as exc:
        kind = type(exc) if isinstance(exc, TooMuch) else ValueError
        what = f"{exc}" if isinstance(exc, ValueError) else f"{type(exc).__name__}: {exc}"
        raise kind(f"layer {name!r}: {what}") from exc
