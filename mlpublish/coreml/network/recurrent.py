"""Recurrent layers: simple, GRU, LSTM in one and in two directions.

Source: NeuralNetwork.proto, ``SimpleRecurrentLayerParams``, ``GRULayerParams``, ``LSTMParams``, ``LSTMWeightParams``,
``UniDirectionalLSTMLayerParams``, ``BiDirectionalLSTMLayerParams``.

What the reference leaves open, and is read here as coremltools' own tests of the layers have it: a layer with
``reverseInput`` gives its outputs in the order in which it made them, the last input's first; the states that a layer takes
and gives besides are (1, batch, size, 1, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mlpublish.coreml.effort import PER_LAYER, spend
from mlpublish.coreml.mil_ops.tensor import Tensor, room
from mlpublish.coreml.network.activations import Function, recurrent_activation
from mlpublish.coreml.network.blob import Blob, Opener, Step, rank
from mlpublish.coreml.network.weights import numbers
from mlpublish.coreml.schema import Message

_LIMIT = np.float32(50)  # clip() of the reference

_States: TypeAlias = list[Tensor]
_Cell: TypeAlias = Callable[[Tensor, _States], _States]
"""(what the input adds to all gates, (n, gates · size); the states) -> the states, the output first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Direction:
    """One pass over the sequence.

    Args:
        inputs: (gates · size, input size); ``bias`` one per row.
        states: how many states are kept: the output, and an LSTM's cell.
    """

    inputs: Tensor
    bias: Tensor
    cell: _Cell
    size: int
    states: int
    reverse: bool

    def run(self, x: Tensor, initial: Sequence[Tensor]) -> tuple[Tensor, _States]:
        """(sequence, n, input size) -> (sequence, n, size) in the order of making, the last states."""
        steps, count, width = x.shape
        if width != self.inputs.shape[1]:
            raise ValueError(f"vectors of {width} numbers came, {self.inputs.shape[1]} are taken")
        room(steps, count, len(self.inputs))
        spend(x.size * len(self.inputs) + steps * (PER_LAYER + count * self.size * len(self.inputs)))
        added = x @ self.inputs.T + self.bias
        states = list(initial) or [np.zeros((count, self.size), np.float32)] * self.states
        outputs = []
        for part in added[::-1] if self.reverse else added:
            states = self.cell(part, states)
            outputs.append(states[0])
        if not outputs:
            raise ValueError("the sequence is empty")
        return np.stack(outputs), states


def _limited(values: Tensor) -> Tensor:
    return np.clip(values, -_LIMIT, _LIMIT)


def _step(directions: Sequence[_Direction], all_outputs: bool) -> Step:
    """Inputs: the sequence, then every direction's states; outputs alike."""
    kept = directions[0].states

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        x, *given = inputs
        if len(given) not in (0, kept * len(directions)):
            raise ValueError(f"{len(given)} states are given, {kept * len(directions)} are kept")
        vectors = _vectors(x)
        parts, states = [], []
        for at, direction in enumerate(directions):
            own = [_state(each, x, direction.size) for each in given[at * kept : (at + 1) * kept]]
            made, last = direction.run(vectors, own)
            in_time = made[::-1] if all_outputs and len(directions) > 1 and direction.reverse else made
            parts.append(in_time if all_outputs else made[-1:])
            states += last
        rows = x.shape[0], x.shape[2]
        return [_blob(np.concatenate(parts, axis=-1), *rows), *(_blob(each[np.newaxis], *rows) for each in states)]

    return step


def _vectors(x: Blob) -> Tensor:
    """(rows, sequence, batch, size, 1, 1) -> (sequence, rows · batch, size)."""
    if rank(x) != 5 or x.shape[-2:] != (1, 1):
        raise ValueError(f"a blob of {x.shape[1:]} is no sequence of vectors")
    rows, steps, batch, size = x.shape[:4]
    return np.moveaxis(x.reshape(rows, steps, batch, size), 1, 0).reshape(steps, rows * batch, size)


def _state(given: Blob, x: Blob, size: int) -> Tensor:
    """(rows · batch, size); in the file (1, batch, size, 1, 1), or in a simple layer of coremltools (batch, size, 1, 1, 1)."""
    batch = x.shape[2]
    if tuple(each for each in given.shape[1:] if each > 1) != tuple(each for each in (batch, size) if each > 1):
        raise ValueError(f"a state of {given.shape[1:]} for a batch of {batch} and {size} numbers")
    return np.broadcast_to(given.reshape(len(given), 1, -1), (len(given), len(x) // len(given), batch * size)).reshape(-1, size)


def _blob(values: Tensor, rows: int, batch: int) -> Blob:
    """(sequence, rows · batch, size) -> (rows, sequence, batch, size, 1, 1)."""
    steps, _, size = values.shape
    return np.moveaxis(values.reshape(steps, rows, batch, size, 1, 1), 0, 1)


def _simple(layer: Message) -> Step:
    held = layer.simpleRecurrent
    size = int(held.outputVectorSize)
    recursion = numbers(held.recursionMatrix, size, size).T
    act = recurrent_activation(held.activation)

    def cell(part: Tensor, states: _States) -> _States:
        return [act(_limited(part + states[0] @ recursion))]

    bias = numbers(held.biasVector, size) if held.hasBiasVector else np.zeros(size, np.float32)
    inputs = numbers(held.weightMatrix, size, held.inputVectorSize)
    direction = _Direction(inputs=inputs, bias=bias, cell=cell, size=size, states=1, reverse=held.reverseInput)
    return _step([direction], held.sequenceOutput)


def _gru(layer: Message) -> Step:
    held = layer.gru
    size = int(held.outputVectorSize)
    gates = [f"{gate}Gate" for gate in ("update", "reset", "output")]
    inputs = np.concatenate([numbers(getattr(held, f"{gate}WeightMatrix"), size, held.inputVectorSize) for gate in gates])
    update, reset, output = (numbers(getattr(held, f"{gate}RecursionMatrix"), size, size).T for gate in gates)
    bias = [numbers(getattr(held, f"{gate}BiasVector"), size) for gate in gates] if held.hasBiasVectors else []
    inner, outer = _activations(held.activations, 2)

    def cell(part: Tensor, states: _States) -> _States:
        (before,) = states
        to_update, to_reset, to_output = np.split(part, 3, axis=-1)
        z = inner(_limited(to_update + before @ update))
        r = inner(_limited(to_reset + before @ reset))
        o = outer(_limited(to_output + (before * r) @ output))
        return [(1 - z) * o + z * before]

    flat = np.concatenate(bias) if bias else np.zeros(3 * size, np.float32)
    direction = _Direction(inputs=inputs, bias=flat, cell=cell, size=size, states=1, reverse=held.reverseInput)
    return _step([direction], held.sequenceOutput)


def _activations(params: Sequence[Message], count: int) -> list[Function]:
    if len(params) != count:
        raise ValueError(f"{len(params)} activations where {count} are needed")
    return [recurrent_activation(each) for each in params]


def _uni_lstm(layer: Message) -> Step:
    held = layer.uniDirectionalLSTM
    sizes = int(held.inputVectorSize), int(held.outputVectorSize)
    functions = _activations(held.activations, 3)
    return _step([_lstm(held.weightParams, held.params, sizes, functions, held.reverseInput)], held.params.sequenceOutput)


def _bi_lstm(layer: Message) -> Step:
    held = layer.biDirectionalLSTM
    if len(held.weightParams) != 2:
        raise ValueError(f"{len(held.weightParams)} sets of weights for two directions")
    sizes = int(held.inputVectorSize), int(held.outputVectorSize)
    functions = [_activations(each, 3) for each in (held.activationsForwardLSTM, held.activationsBackwardLSTM)]
    directions = [
        _lstm(weights, held.params, sizes, each, reverse)
        for weights, each, reverse in zip(held.weightParams, functions, (False, True), strict=True)
    ]
    return _step(directions, held.params.sequenceOutput)


def _lstm(weights: Message, params: Message, sizes: tuple[int, int], functions: list[Function], reverse: bool) -> _Direction:
    """The equations of ``LSTMParams``; gates stand in the order input, forget, block input, output."""
    width, size = sizes
    gates = ("inputGate", "forgetGate", "blockInput", "outputGate")
    inputs = np.concatenate([numbers(getattr(weights, f"{gate}WeightMatrix"), size, width) for gate in gates])
    recursion = np.concatenate([numbers(getattr(weights, f"{gate}RecursionMatrix"), size, size) for gate in gates]).T
    bias = np.zeros((4, size), np.float32)
    if params.hasBiasVectors:
        bias += [numbers(getattr(weights, f"{gate}BiasVector"), size) for gate in gates]
    bias[1] += params.forgetBias
    peep = [
        numbers(getattr(weights, f"{gate}PeepholeVector"), size) if params.hasPeepholeVectors else np.float32(0)
        for gate in ("inputGate", "forgetGate", "outputGate")
    ]
    inner, block, outer = functions
    most = np.float32(params.cellClipThreshold or 50)

    def cell(part: Tensor, states: _States) -> _States:
        output, memory = states
        to_input, to_forget, to_block, to_output = np.split(part + output @ recursion, 4, axis=-1)
        i = inner(_limited(to_input + peep[0] * memory))
        f = 1 - i if params.coupledInputAndForgetGate else inner(_limited(to_forget + peep[1] * memory))
        now = np.clip(memory * f + i * block(_limited(to_block)), -most, most)
        o = inner(_limited(to_output + peep[2] * now))
        return [outer(now) * o, now]

    return _Direction(inputs=inputs, bias=bias.reshape(-1), cell=cell, size=size, states=2, reverse=reverse)


LAYERS: Mapping[str, Opener] = {
    "simpleRecurrent": _simple,
    "gru": _gru,
    "uniDirectionalLSTM": _uni_lstm,
    "biDirectionalLSTM": _bi_lstm,
}
