"""Recurrent layers, step by step. Source: coremltools' MIL operation reference, ``rnn``, ``gru`` and ``lstm``.

Where the reference is silent or reads two ways, coremltools' tests of the operations decide:

- ``reverse`` walks from the end and gives its sequence in the order of its walk; the backward half of ``bidirectional``
  gives its sequence in the order of the input.
- ``gru`` resets the state before it is multiplied, ``W_ho (r h)``; ``reset_after`` resets the product, ``r (W_ho h + b)``.
- ``lstm`` clips the cell's state; the output gate's peephole looks at the new one, the others' at the old one.
- ``scaled_tanh`` stands at its defaults, where it is ``tanh``; ``hard_sigmoid`` is 0.2 x + 0.5 between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, room
from mlpublish.coreml.mil_ops.windows import bounded

_Step: TypeAlias = "Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]"
"""(what one time step's input contributes, the states) -> the new states, the one that is given out first."""

_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "tanh": np.tanh,
    "scaled_tanh": np.tanh,
    "sigmoid": lambda x: np.asarray(0.5 * np.tanh(0.5 * x) + 0.5),
    "hard_sigmoid": lambda x: np.clip(np.float32(0.2) * x + np.float32(0.5), 0, 1),
    "sigmoid_hard": lambda x: np.clip(np.float32(0.2) * x + np.float32(0.5), 0, 1),
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
}


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    found = _ACTIVATIONS.get(name.lower())
    if found is None:
        raise ValueError(f"there is no activation {name}")
    return found


def _checked(x: Tensor, states: tuple[Tensor, ...], w_ih: Tensor, w_hh: Tensor, gates: int, **vectors: Tensor | None) -> None:
    """Refuse shapes that do not fit each other; numpy would spread some of them."""
    hidden = w_hh.shape[-1]
    if x.ndim != 3 or w_ih.shape != (gates * hidden, x.shape[2]) or w_hh.shape != (gates * hidden, hidden):
        raise ValueError(f"weights {w_ih.shape} and {w_hh.shape} do not fit a sequence {x.shape} and {gates} gates")
    if any(state.shape != (x.shape[1], hidden) for state in states):
        raise ValueError(f"a state is not ({x.shape[1]}, {hidden})")
    for name, value in vectors.items():
        per = 3 if name.startswith("peephole") else gates
        if value is not None and value.shape != (per * hidden,):
            raise ValueError(f"{name} {value.shape} is not {per} x {hidden} numbers")
    if len(x) == 0:
        raise ValueError("a sequence of no steps leaves no state")
    room(*x.shape[:2], gates * hidden)
    bounded(x.shape[0] * x.shape[1] * gates * hidden * (x.shape[2] + hidden))
    bounded(len(x), each=1 << 20)  # a step takes its time, however small


def _walked(
    contributions: Tensor, states: tuple[Tensor, ...], step: _Step, *, backwards: bool, whole: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Take the steps of a sequence; give what the first state was after each (or at last), in the order of the walk."""
    walk = contributions[::-1] if backwards else contributions
    given = np.empty((len(walk) if whole else 1, *states[0].shape), states[0].dtype)
    for number, contribution in enumerate(walk):
        states = step(contribution, states)
        if whole:
            given[number] = states[0]
    given[-1] = states[0]
    return given, states


def _contributed(x: Tensor, w_ih: Tensor, bias: Tensor | None) -> Tensor:
    """What the inputs of all time steps contribute, in one matrix product."""
    made: Tensor = np.matmul(x.reshape(-1, x.shape[2]), w_ih.T).reshape(*x.shape[:2], -1)
    return made if bias is None else np.asarray(made + bias)


def _backwards(direction: str) -> bool:
    if direction not in ("forward", "reverse"):
        raise ValueError(f"there is no direction {direction}")
    return direction == "reverse"


def _rnn(
    x: Tensor,
    initial_h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    direction: str = "forward",
    output_sequence: Tensor | bool = False,
    activation: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """``x`` (steps, batch, inputs) -> the states (steps or 1, batch, hidden), and the last state."""
    _checked(x, (initial_h,), weight_ih, weight_hh, 1, bias=bias)
    act, turned = _activation(activation), weight_hh.T

    def step(given: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (act(given + states[0] @ turned),)

    made = _contributed(x, weight_ih, bias)
    out, last = _walked(made, (initial_h,), step, backwards=_backwards(direction), whole=bool(output_sequence))
    return out, last[0]


def _gru(
    x: Tensor,
    initial_h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    direction: str = "forward",
    output_sequence: Tensor | bool = False,
    recurrent_activation: str = "sigmoid",
    activation: str = "tanh",
    reset_after: Tensor | bool = False,
    input_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Gates stand in the order reset, output, update; with ``reset_after`` the ``bias`` is the state's, inside of the reset."""
    _checked(x, (initial_h,), weight_ih, weight_hh, 3, bias=bias, input_bias=input_bias)
    gate, act, size = _activation(recurrent_activation), _activation(activation), weight_hh.shape[1]
    own = np.zeros(3 * size, x.dtype) if bias is None else bias
    # Reset and update together, so that one product serves both.
    both, middle = np.r_[0:size, 2 * size : 3 * size], slice(size, 2 * size)
    for_gates, for_out = weight_hh[both].T, weight_hh[middle].T
    gates_own, out_own = own[both], own[middle]

    def step(given: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (h,) = states
        gates = gate(given[:, : 2 * size] + h @ for_gates + gates_own)
        reset, update = gates[:, :size], gates[:, size:]
        inner = reset * (h @ for_out + out_own) if reset_after else (reset * h) @ for_out + out_own
        return ((1 - update) * act(given[:, 2 * size :] + inner) + update * h,)

    order = np.r_[both, size : 2 * size]
    made = _contributed(x, weight_ih[order], None if input_bias is None else input_bias[order])
    out, last = _walked(made, (initial_h,), step, backwards=_backwards(direction), whole=bool(output_sequence))
    return out, last[0]


def _lstm_step(
    w_hh: Tensor, peephole: Tensor | None, gate: str, cell: str, activation: str, clip: Tensor | float | None
) -> _Step:
    """Gates stand in the order input, forget, output, cell; the peephole's in the order input, forget, output."""
    on_gates, on_cell, on_output = _activation(gate), _activation(cell), _activation(activation)
    turned = w_hh.T
    looks = None if peephole is None else np.split(peephole, 3)

    def step(given: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, c = states
        i, f, o, z = np.split(given + h @ turned, 4, axis=1)
        if looks is not None:
            i, f = i + looks[0] * c, f + looks[1] * c
        c = on_gates(f) * c + on_gates(i) * on_cell(z)
        if clip is not None:
            c = np.clip(c, -clip, clip)
        if looks is not None:
            o = o + looks[2] * c
        return on_gates(o) * on_output(c), c

    return step


def _lstm(
    x: Tensor,
    initial_h: Tensor,
    initial_c: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    peephole: Tensor | None = None,
    weight_ih_back: Tensor | None = None,
    weight_hh_back: Tensor | None = None,
    bias_back: Tensor | None = None,
    peephole_back: Tensor | None = None,
    direction: str = "forward",
    output_sequence: Tensor | bool = False,
    recurrent_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    activation: str = "tanh",
    clip: Tensor | float | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The states (steps or 1, batch, directions * hidden), the last state and the last cell (batch, directions * hidden)."""
    how = (recurrent_activation, cell_activation, activation, clip)
    whole = bool(output_sequence)
    if direction != "bidirectional":
        weights = (weight_ih, weight_hh, bias, peephole)
        return _one_way(x, initial_h, initial_c, *weights, *how, backwards=_backwards(direction), whole=whole)
    if weight_ih_back is None or weight_hh_back is None:
        raise ValueError("a bidirectional lstm has weights for both directions")
    size = weight_hh.shape[-1]
    there = (weight_ih, weight_hh, bias, peephole)
    back = (weight_ih_back, weight_hh_back, bias_back, peephole_back)
    first = _one_way(x, initial_h[:, :size], initial_c[:, :size], *there, *how, backwards=False, whole=whole)
    second = _one_way(x, initial_h[:, size:], initial_c[:, size:], *back, *how, backwards=True, whole=whole)
    out = np.concatenate([first[0], second[0][::-1]], axis=-1)
    return out, np.concatenate([first[1], second[1]], axis=-1), np.concatenate([first[2], second[2]], axis=-1)


def _one_way(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    bias: Tensor | None,
    peephole: Tensor | None,
    gate: str,
    cell: str,
    activation: str,
    clip: Tensor | float | None,
    *,
    backwards: bool,
    whole: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    _checked(x, (h, c), w_ih, w_hh, 4, bias=bias, peephole=peephole)
    step = _lstm_step(w_hh, peephole, gate, cell, activation, clip)
    out, last = _walked(_contributed(x, w_ih, bias), (h, c), step, backwards=backwards, whole=whole)
    return out, last[0], last[1]


OPS: Mapping[str, Handler] = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}
