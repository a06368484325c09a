"""Recurrent layers: torch's own layers as a second judge, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml.mil_ops import OPS
from tests.coreml.ops.numbers import Numbers

N = Numbers(450)
STEPS, BATCH, INPUTS, HIDDEN = 6, 3, 4, 5
YES = np.bool_(True)


@pytest.fixture
def torch():
    found = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    found.manual_seed(3)
    return found


def ordered(tensor, *order):
    """The gates of a weight or bias in another order."""
    parts = np.split(tensor.detach().numpy(), len(order))
    return np.concatenate([parts[place] for place in order])


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_an_rnn_is_torchs(torch, direction):
    layer, x, h = torch.nn.RNN(INPUTS, HIDDEN), N.f(STEPS, BATCH, INPUTS), N.f(BATCH, HIDDEN)
    walked = x[::-1].copy() if direction == "reverse" else x
    wanted, last = (each.detach().numpy() for each in layer(torch.from_numpy(walked), torch.from_numpy(h[None])))
    w_ih, w_hh, b_ih, b_hh = (each.detach().numpy() for each in layer.parameters())
    got = OPS["rnn"](x, h, w_ih, w_hh, b_ih + b_hh, direction=direction, output_sequence=YES)
    np.testing.assert_allclose(got[0], wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got[1], last[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_a_gru_that_resets_after_is_torchs(torch, direction):
    layer, x, h = torch.nn.GRU(INPUTS, HIDDEN), N.f(STEPS, BATCH, INPUTS), N.f(BATCH, HIDDEN)
    walked = x[::-1].copy() if direction == "reverse" else x
    wanted, last = (each.detach().numpy() for each in layer(torch.from_numpy(walked), torch.from_numpy(h[None])))
    w_ih, w_hh, b_ih, b_hh = (ordered(each, 0, 2, 1) for each in layer.parameters())
    how = {"direction": direction, "output_sequence": YES, "reset_after": YES}
    got = OPS["gru"](x, h, w_ih, w_hh, bias=b_hh, input_bias=b_ih, **how)
    np.testing.assert_allclose(got[0], wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got[1], last[0], rtol=1e-4, atol=1e-5)


def test_a_bidirectional_lstm_is_torchs(torch):
    layer, x = torch.nn.LSTM(INPUTS, HIDDEN, bidirectional=True), N.f(STEPS, BATCH, INPUTS)
    h, c = N.f(2, BATCH, HIDDEN), N.f(2, BATCH, HIDDEN)
    out, last = layer(torch.from_numpy(x), (torch.from_numpy(h), torch.from_numpy(c)))
    parts = [ordered(each, 0, 1, 3, 2) for each in layer.parameters()]
    there, back = parts[:4], parts[4:]
    got = OPS["lstm"](
        x, *(np.concatenate(list(state), axis=-1) for state in (h, c)), there[0], there[1], there[2] + there[3],
        weight_ih_back=back[0], weight_hh_back=back[1], bias_back=back[2] + back[3], direction="bidirectional",
        output_sequence=YES,
    )  # fmt: skip
    np.testing.assert_allclose(got[0], out.detach().numpy(), rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(got[1:], last, strict=True):
        np.testing.assert_allclose(ours, np.concatenate(list(theirs.detach().numpy()), axis=-1), rtol=1e-4, atol=1e-5)


def zeros(*shape):
    return np.zeros(shape, np.float32)


RNN = {"x": zeros(2, 1, 3), "initial_h": zeros(1, 4), "weight_ih": zeros(4, 3), "weight_hh": zeros(4, 4)}
GRU = {**RNN, "weight_ih": zeros(12, 3), "weight_hh": zeros(12, 4)}
LSTM = {**RNN, "initial_c": zeros(1, 4), "weight_ih": zeros(16, 3), "weight_hh": zeros(16, 4)}
REFUSED = {
    "an unknown direction": ("rnn", {**RNN, "direction": "bidirectional"}),
    "an unknown activation": ("rnn", {**RNN, "activation": "gelu"}),
    "inputs of another size": ("rnn", {**RNN, "weight_ih": zeros(4, 2)}),
    "no sequence": ("rnn", {**RNN, "x": zeros(2, 3)}),
    "an empty sequence": ("rnn", {**RNN, "x": zeros(0, 1, 3)}),
    "a state of another batch": ("rnn", {**RNN, "initial_h": zeros(2, 4)}),
    "a state that would spread": ("rnn", {**RNN, "x": zeros(2, 3, 3), "initial_h": zeros(1, 4)}),
    "a bias of another size": ("rnn", {**RNN, "bias": zeros(1)}),
    "a step too many": ("rnn", {**RNN, "x": np.broadcast_to(np.float32(0), ((1 << 20) + 1, 1, 3))}),
    "gates of another number": ("gru", {**GRU, "weight_hh": zeros(16, 4)}),
    "a gru's bias": ("gru", {**GRU, "bias": zeros(4)}),
    "a gru's input bias": ("gru", {**GRU, "input_bias": zeros(4)}),
    "a cell of another size": ("lstm", {**LSTM, "initial_c": zeros(1, 3)}),
    "a peephole of another size": ("lstm", {**LSTM, "peephole": zeros(16)}),
    "no weights for the way back": ("lstm", {**LSTM, "direction": "bidirectional"}),
    "states of one direction": (
        "lstm",
        {**LSTM, "direction": "bidirectional", "weight_ih_back": zeros(16, 3), "weight_hh_back": zeros(16, 4)},
    ),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_what_does_not_fit_is_refused(what):
    op, given = REFUSED[what]
    with pytest.raises(ValueError, match=r"."):
        OPS[op](**given)
