"""Recurrent layers, one number at a time, from the operations' documentation."""

from __future__ import annotations

import math

import numpy as np

ACTIVATIONS = {
    "tanh": math.tanh,
    "scaled_tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "hard_sigmoid": lambda x: min(max(0.2 * x + 0.5, 0.0), 1.0),
    "sigmoid_hard": lambda x: min(max(0.2 * x + 0.5, 0.0), 1.0),
    "relu": lambda x: max(0.0, x),
    "linear": lambda x: x,
}


def _dot(row, vector):
    return sum(float(a) * float(b) for a, b in zip(row, vector, strict=True))


def _sequence(x, states, step, direction, output_sequence):
    """Walk each sample's steps; -> the sequence in the order of the walk, and the last states."""
    out = np.zeros((len(x) if output_sequence else 1, *states[0].shape))
    last = [np.zeros(state.shape) for state in states]
    for b in range(x.shape[1]):
        now = [[float(each) for each in state[b]] for state in states]
        order = range(len(x)) if direction == "forward" else range(len(x) - 1, -1, -1)
        for number, t in enumerate(order):
            now = step(x[t, b], *now)
            if output_sequence:
                out[number, b] = now[0]
        out[-1, b] = now[0]
        for state, value in zip(last, now, strict=True):
            state[b] = value
    return (out, *last)


def rnn(x, initial_h, weight_ih, weight_hh, bias=None, direction="forward", output_sequence=False, activation="tanh"):
    act = ACTIVATIONS[activation]
    b = np.zeros(len(weight_hh)) if bias is None else bias

    def step(given, h):
        return [[act(_dot(weight_ih[k], given) + _dot(weight_hh[k], h) + float(b[k])) for k in range(len(h))]]

    return _sequence(x, [initial_h], step, direction, output_sequence)


def gru(
    x,
    initial_h,
    weight_ih,
    weight_hh,
    bias=None,
    direction="forward",
    output_sequence=False,
    recurrent_activation="sigmoid",
    activation="tanh",
    reset_after=False,
    input_bias=None,
):
    gate, act, size = ACTIVATIONS[recurrent_activation], ACTIVATIONS[activation], weight_hh.shape[1]
    b_h, b_i = (np.zeros(3 * size) if each is None else each for each in (bias, input_bias))

    def step(given, h):
        def at(part, k, state):
            row = part * size + k
            return _dot(weight_ih[row], given) + float(b_i[row]), _dot(weight_hh[row], state), float(b_h[row])

        r = [gate(sum(at(0, k, h))) for k in range(size)]
        z = [gate(sum(at(2, k, h))) for k in range(size)]
        o = []
        for k in range(size):
            if reset_after:
                from_x, from_h, b = at(1, k, h)
                o.append(act(from_x + r[k] * (from_h + b)))
            else:
                o.append(act(sum(at(1, k, [one * other for one, other in zip(r, h, strict=True)]))))
        return [[(1 - z[k]) * o[k] + z[k] * h[k] for k in range(size)]]

    return _sequence(x, [initial_h], step, direction, output_sequence)


def lstm(
    x,
    initial_h,
    initial_c,
    weight_ih,
    weight_hh,
    bias=None,
    peephole=None,
    weight_ih_back=None,
    weight_hh_back=None,
    bias_back=None,
    peephole_back=None,
    direction="forward",
    output_sequence=False,
    **how,
):
    size = weight_hh.shape[1]
    there = _lstm_step(weight_ih, weight_hh, bias, peephole, **how)
    if direction != "bidirectional":
        return _sequence(x, [initial_h, initial_c], there, direction, output_sequence)
    back = _lstm_step(weight_ih_back, weight_hh_back, bias_back, peephole_back, **how)
    first = _sequence(x, [initial_h[:, :size], initial_c[:, :size]], there, "forward", output_sequence)
    second = _sequence(x, [initial_h[:, size:], initial_c[:, size:]], back, "reverse", output_sequence)
    out = np.concatenate([first[0], second[0][::-1]], axis=2)
    return (out, *(np.concatenate(pair, axis=1) for pair in zip(first[1:], second[1:], strict=True)))


def _lstm_step(
    w_ih, w_hh, bias, peephole, recurrent_activation="sigmoid", cell_activation="tanh", activation="tanh", clip=None
):
    gate, cell, act = ACTIVATIONS[recurrent_activation], ACTIVATIONS[cell_activation], ACTIVATIONS[activation]
    size = w_hh.shape[1]
    b = np.zeros(4 * size) if bias is None else bias
    p = np.zeros(3 * size) if peephole is None else peephole

    def step(given, h, c):
        def raw(part, k):
            row = part * size + k
            return _dot(w_ih[row], given) + _dot(w_hh[row], h) + float(b[row])

        new_h, new_c = [], []
        for k in range(size):
            i = gate(raw(0, k) + float(p[k]) * c[k])
            f = gate(raw(1, k) + float(p[size + k]) * c[k])
            state = f * c[k] + i * cell(raw(3, k))
            if clip is not None:
                state = min(max(state, -float(clip)), float(clip))
            o = gate(raw(2, k) + float(p[2 * size + k]) * state)
            new_c.append(state)
            new_h.append(o * act(state))
        return [new_h, new_c]

    return step
