from __future__ import annotations

import math

import numpy as np
import pytest

from tests.coreml.network.building import ROWS, check, numbers

CHANNELS = np.asarray([0.5, -0.25, 2.0], np.float32)
SIGMOID = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
ACTIVATIONS = [
    ("LINEAR", [2.0, -0.5], lambda x: 2 * x - 0.5),
    ("RELU", None, lambda x: max(0.0, x)),
    ("LEAKYRELU", [0.3], lambda x: x if x >= 0 else 0.3 * x),
    ("THRESHOLDEDRELU", 0.7, lambda x: x if x >= 0.7 else 0.0),
    ("TANH", None, math.tanh),
    ("SCALED_TANH", [1.5, 0.5], lambda x: 1.5 * math.tanh(0.5 * x)),
    ("SIGMOID", None, SIGMOID),
    ("SIGMOID_HARD", [0.3, 0.4], lambda x: min(max(0.3 * x + 0.4, 0.0), 1.0)),
    ("ELU", 0.8, lambda x: x if x >= 0 else 0.8 * (math.exp(x) - 1)),
    ("SOFTSIGN", None, lambda x: x / (1 + abs(x))),
    ("SOFTPLUS", None, lambda x: math.log(1 + math.exp(x))),
]


@pytest.mark.parametrize(("kind", "params", "formula"), ACTIVATIONS, ids=[kind for kind, *_ in ACTIVATIONS])
@pytest.mark.parametrize("exact", [True, False])
def test_a_formula_is_applied_to_every_number(tmp_path, kind, params, formula, exact):
    def add(made):
        made.add_activation("act", kind, "x", "y", params=params)

    check(tmp_path, add, np.vectorize(formula), exact=exact, x=numbers(ROWS, 7) * 3)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("alpha", [CHANNELS, CHANNELS[:1]], ids=["one each", "one for all"])
def test_a_channel_has_its_own_slope(tmp_path, alpha, exact):
    def add(made):
        made.add_activation("act", "PRELU", "x", "y", params=alpha)

    def want(x):
        y = np.array(x)
        for place in np.ndindex(*x.shape):
            y[place] *= 1 if x[place] >= 0 else alpha[place[-3] % len(alpha)]
        return y

    check(tmp_path, add, want, exact=exact, x=numbers(ROWS, 3, 4, 2))


@pytest.mark.parametrize("size", [3, 1])
def test_a_channel_has_its_own_softplus(tmp_path, size):
    alpha, beta = CHANNELS[:size], numbers(size, seed=4)

    def add(made):
        made.add_activation("act", "PARAMETRICSOFTPLUS", "x", "y", params=[alpha, beta])

    def want(x):
        y = np.array(x)
        for place in np.ndindex(*x.shape):
            at = place[-3] % size
            y[place] = alpha[at] * math.log(1 + math.exp(beta[at] * x[place]))
        return y

    check(tmp_path, add, want, x=numbers(ROWS, 2, 3, 4, 2))


@pytest.mark.parametrize(
    ("mode", "formula"),
    [
        ("EXACT", lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2)))),
        ("TANH_APPROXIMATION", lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
        ("SIGMOID_APPROXIMATION", lambda x: x * SIGMOID(1.702 * x)),
    ],
)
def test_gelu_in_its_three_ways(tmp_path, mode, formula):
    check(tmp_path, lambda made: made.add_gelu("act", "x", "y", mode), np.vectorize(formula), x=numbers(ROWS, 7))


def test_a_clamped_relu_has_a_ceiling(tmp_path):
    def formula(x):
        return min(1.0, x) if x >= 0 else min(1.0, -2 * x)

    check(tmp_path, lambda made: made.add_clamped_relu("act", "x", "y", -2.0, 1.0), np.vectorize(formula), x=numbers(ROWS, 9))
