from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tests.coreml.network.building import ROWS, check, numbers

IN, OUT = 3, 4
FUNCTIONS = {
    "LINEAR": lambda x: x,
    "SIGMOID": lambda x: 1 / (1 + math.exp(-x)),
    "TANH": math.tanh,
    "RELU": lambda x: max(0.0, x),
    "SCALED_TANH": lambda x: 1.7159 * math.tanh(2 / 3 * x),
    "SIGMOID_HARD": lambda x: min(max(0.2 * x + 0.5, 0.0), 1.0),
}


def clip(x, limit=50.0):
    return min(max(x, -limit), limit)


def each(name, values):
    return np.asarray([FUNCTIONS[name](clip(float(value))) for value in values])


def weights(count, width, seed):
    return [numbers(OUT, width, seed=seed * 10 + at) for at in range(count)]


def vectors(count, seed):
    return [numbers(OUT, seed=seed * 10 + at) for at in range(count)]


def sequence(x):
    """(sequence, batch, IN, 1, 1) -> per batch the vectors one after another."""
    return [[x[s, b, :, 0, 0] for s in range(x.shape[0])] for b in range(x.shape[1])]


def blob(outputs):
    """Per batch a list of vectors -> (sequence, batch, size, 1, 1)."""
    return np.asarray(outputs).swapaxes(0, 1)[..., None, None]


def simple(xs, h, W, R, b, name):
    made = []
    for x in xs:
        h = each(name, W @ x + R @ h + b)
        made.append(h)
    return made, h


def gru(xs, h, W, R, b, names):
    made = []
    for x in xs:
        z = each(names[0], W[0] @ x + R[0] @ h + b[0])
        r = each(names[0], W[1] @ x + R[1] @ h + b[1])
        o = each(names[1], W[2] @ x + R[2] @ (h * r) + b[2])
        h = (1 - z) * o + z * h
        made.append(h)
    return made, h


def lstm(xs, h, c, W, R, b, p, names, *, coupled=False, limit=50.0):
    """W, R, b: input, forget, output, block input; p: input, forget, output."""
    made = []
    for x in xs:
        i = each(names[0], W[0] @ x + R[0] @ h + p[0] * c + b[0])
        f = each(names[0], W[1] @ x + R[1] @ h + p[1] * c + b[1])
        z = each(names[1], W[3] @ x + R[3] @ h + b[3])
        c = c * ((1 - i) if coupled else f) + i * z
        c = np.asarray([clip(float(value), limit) for value in c])
        o = each(names[0], W[2] @ x + R[2] @ h + p[2] * c + b[2])
        h = np.asarray([FUNCTIONS[names[2]](float(value)) for value in c]) * o
        made.append(h)
    return made, h, c


SHAPE = (5, 2, IN, 1, 1)
STATE = (1, 2, OUT, 1, 1)
NO = np.zeros(OUT)


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("states", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_a_simple_recurrent_layer(tmp_path, every, reverse, states, bias):
    (W,), (R,), (b,) = weights(1, IN, 1), weights(1, OUT, 2), vectors(1, 3)

    def add(made):
        made.add_simple_rnn(
            "r", R, W, b if bias else None, OUT, IN, "TANH", ["x", "h"] if states else ["x"],
            ["y", "hn"] if states else ["y"], every, reverse,
        )  # fmt: skip

    def want(x, h=None):
        start = [h[0, at, :, 0, 0] if states else NO for at in range(2)]
        runs = [
            simple(xs[::-1] if reverse else xs, first, W, R, b if bias else 0, "TANH")
            for xs, first in zip(sequence(x), start, strict=True)
        ]
        y = blob([made if every else made[-1:] for made, _ in runs])
        return (y, blob([[last] for _, last in runs])) if states else y

    given = {"x": numbers(ROWS, *SHAPE)} | ({"h": numbers(ROWS, *STATE, seed=7)} if states else {})
    check(tmp_path, add, want, outputs=("y", "hn") if states else ("y",), rtol=1e-4, **given)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_activation_of_a_recurrent_layer(tmp_path, name):
    (W,), (R,), (b,) = weights(1, IN, 1), weights(1, OUT, 2), vectors(1, 3)
    check(
        tmp_path,
        lambda made: made.add_simple_rnn("r", R * 5, W * 5, b, OUT, IN, name, ["x"], ["y"], True),
        lambda x: blob([simple(xs, NO, W * 5, R * 5, b, name)[0] for xs in sequence(x)]),
        rtol=1e-3,
        atol=1e-4,
        x=numbers(ROWS, *SHAPE),
    )


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("states", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_a_gru(tmp_path, every, reverse, states, bias):
    W, R, b = weights(3, IN, 1), weights(3, OUT, 2), vectors(3, 3)

    def add(made):
        made.add_gru(
            "g", R, W, b if bias else None, OUT, IN, ["x", "h"] if states else ["x"], ["y", "hn"] if states else ["y"],
            "TANH", "SIGMOID_HARD", every, reverse,
        )  # fmt: skip

    def want(x, h=None):
        runs = []
        for at, xs in enumerate(sequence(x)):
            first = h[0, at, :, 0, 0] if states else NO
            runs.append(gru(xs[::-1] if reverse else xs, first, W, R, b if bias else [NO] * 3, ("SIGMOID_HARD", "TANH")))
        y = blob([made if every else made[-1:] for made, _ in runs])
        return (y, blob([[last] for _, last in runs])) if states else y

    given = {"x": numbers(ROWS, *SHAPE)} | ({"h": numbers(ROWS, *STATE, seed=7)} if states else {})
    check(tmp_path, add, want, outputs=("y", "hn") if states else ("y",), rtol=1e-4, **given)


SETTINGS = list(itertools.product([True, False], repeat=3))  # peephole, coupled, forget bias


@pytest.mark.parametrize(("peephole", "coupled", "forget"), SETTINGS)
@pytest.mark.parametrize(("every", "reverse"), [(True, False), (True, True), (False, True)])
@pytest.mark.parametrize("states", [True, False])
def test_an_lstm(tmp_path, peephole, coupled, forget, every, reverse, states):
    W, R, b, p = weights(4, IN, 1), weights(4, OUT, 2), vectors(4, 3), vectors(3, 4)

    def add(made):
        made.add_unilstm(
            "l", R, W, b, OUT, IN, ["x", "h", "c"] if states else ["x"], ["y", "hn", "cn"] if states else ["y"],
            "SIGMOID", "TANH", "SCALED_TANH", p if peephole else None, every, forget, coupled, 0.8, reverse,
        )  # fmt: skip

    def want(x, h=None, c=None):
        own = [b[0], b[1] + (1 if forget else 0), b[2], b[3]]
        runs = []
        for at, xs in enumerate(sequence(x)):
            first = [each_[0, at, :, 0, 0] if states else NO for each_ in (h, c)]
            names = ("SIGMOID", "TANH", "SCALED_TANH")
            order = xs[::-1] if reverse else xs
            runs.append(lstm(order, *first, W, R, own, p if peephole else [NO] * 3, names, coupled=coupled, limit=0.8))
        y = blob([made if every else made[-1:] for made, *_ in runs])
        return (y, *(blob([[run[which]] for run in runs]) for which in (1, 2))) if states else y

    given = {"x": numbers(ROWS, *SHAPE)}
    given |= {"h": numbers(ROWS, *STATE, seed=7), "c": numbers(ROWS, *STATE, seed=8)} if states else {}
    check(tmp_path, add, want, outputs=("y", "hn", "cn") if states else ("y",), rtol=1e-4, **given)


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("states", [True, False])
def test_an_lstm_in_two_directions(tmp_path, every, states):
    W, R, b = weights(4, IN, 1), weights(4, OUT, 2), vectors(4, 3)
    V, S, a = weights(4, IN, 4), weights(4, OUT, 5), vectors(4, 6)
    names = ["h", "c", "hb", "cb"]

    def add(made):
        made.add_bidirlstm(
            "l", R, W, b, S, V, a, OUT, IN, ["x", *names] if states else ["x"],
            ["y", *(f"{name}n" for name in names)] if states else ["y"],
            "SIGMOID", "TANH", "TANH", None, None, every, False, False, 50.0,
        )  # fmt: skip

    def want(x, *given):
        there, back = [], []
        for at, xs in enumerate(sequence(x)):
            h, c, hb, cb = [each_[0, at, :, 0, 0] for each_ in given] if states else [NO] * 4
            three = ("SIGMOID", "TANH", "TANH")
            there.append(lstm(xs, h, c, W, R, b, [NO] * 3, three))
            back.append(lstm(xs[::-1], hb, cb, V, S, a, [NO] * 3, three))
        joined = []
        for forward, backward in zip(there, back, strict=True):
            if every:
                joined.append([np.concatenate(pair) for pair in zip(forward[0], backward[0][::-1], strict=True)])
            else:
                joined.append([np.concatenate([forward[0][-1], backward[0][-1]])])
        last = [[[run[which]] for run in runs] for runs in (there, back) for which in (1, 2)]
        return (blob(joined), *map(blob, last)) if states else blob(joined)

    given = {"x": numbers(ROWS, *SHAPE)} | {n: numbers(ROWS, *STATE, seed=7 + at) for at, n in enumerate(names) if states}
    outputs = ("y", *(f"{name}n" for name in names)) if states else ("y",)
    check(tmp_path, add, want, outputs=outputs, rtol=1e-4, **given)


def test_a_vector_of_the_old_mapping_is_a_sequence_of_one(tmp_path):
    W, R, b = weights(4, IN, 1), weights(4, OUT, 2), vectors(4, 3)
    check(
        tmp_path,
        lambda made: made.add_unilstm("l", R, W, b, OUT, IN, ["x"], ["y"]),
        lambda x: blob([lstm(xs, NO, NO, W, R, b, [NO] * 3, ("SIGMOID", "TANH", "TANH"))[0] for xs in sequence(x)]),
        exact=False,
        rtol=1e-4,
        x=numbers(ROWS, IN),
    )
