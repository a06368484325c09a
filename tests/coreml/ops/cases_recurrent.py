from __future__ import annotations

import numpy as np

from tests.coreml.ops import reference_recurrent as reference
from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers

N = Numbers(45)
CLOSE = {"rtol": 1e-5, "atol": 3e-6}
SINCE_18 = (18, 26)
YES = np.bool_(True)
NAMES = ("tanh", "sigmoid", "hard_sigmoid", "relu", "scaled_tanh", "linear")


def layer(op, note, gates, *, steps=4, batch=2, inputs=3, hidden=2, bias=True, opsets=(), **more):
    given = {"x": N.f(steps, batch, inputs), "initial_h": N.f(batch, hidden)}
    if op == "lstm":
        given["initial_c"] = N.f(batch, hidden)
    given |= {"weight_ih": N.f(gates * hidden, inputs) / 2, "weight_hh": N.f(gates * hidden, hidden) / 2}
    if bias:
        given["bias"] = N.f(gates * hidden)
    given |= {name: value(hidden) if callable(value) else value for name, value in more.items()}
    return Case(op=op, given=given, want=getattr(reference, op), opsets=opsets, note=note, **CLOSE)


def rnn(note, **more):
    return layer("rnn", note, 1, **more)


def gru(note, **more):
    return layer("gru", note, 3, **more)


def lstm(note, **more):
    return layer("lstm", note, 4, **more)


def both_ways(note, *, steps=4, batch=2, inputs=3, hidden=2, **more):
    """Bidirectional: the states of both directions side by side, and weights for the way back."""
    back = {"weight_ih_back": N.f(4 * hidden, inputs) / 2, "weight_hh_back": N.f(4 * hidden, hidden) / 2}
    states = {"initial_h": N.f(batch, 2 * hidden), "initial_c": N.f(batch, 2 * hidden)}
    sizes = {"steps": steps, "batch": batch, "inputs": inputs, "hidden": hidden}
    return layer("lstm", f"bidirectional, {note}", 4, **sizes, **{**back, **more}, **states, direction="bidirectional")


def peephole(hidden):
    return N.f(3 * hidden)


CASES = [
    rnn("defaults", bias=False),
    rnn("sequence", output_sequence=YES),
    rnn("reverse", output_sequence=YES, direction="reverse"),
    rnn("reverse, the last", direction="reverse"),
    rnn("one step", steps=1, batch=1, output_sequence=YES),
    *[rnn(name, activation=name, output_sequence=YES) for name in (*NAMES, "sigmoid_hard")],
    gru("defaults", bias=False),
    gru("sequence", output_sequence=YES),
    gru("reverse", output_sequence=YES, direction="reverse"),
    gru("reverse, the last", direction="reverse", hidden=3),
    gru("one step", steps=1, batch=1, output_sequence=YES),
    *[gru(f"{name} on the output", activation=name, output_sequence=YES) for name in NAMES],
    *[gru(f"{name} on the gates", recurrent_activation=name, output_sequence=YES) for name in NAMES],
    *[
        gru(
            f"reset after {after}, {note}", opsets=SINCE_18, bias=bias, output_sequence=YES, reset_after=np.bool_(after), **more
        )
        for after in (True, False)
        for note, bias, more in (
            ("no bias", False, {}),
            ("one bias", True, {}),
            ("two biases", True, {"input_bias": lambda hidden: N.f(3 * hidden)}),
            ("the input's bias", False, {"input_bias": lambda hidden: N.f(3 * hidden)}),
        )
    ],
    gru("reset after, reverse", opsets=SINCE_18, direction="reverse", reset_after=YES, output_sequence=YES),
    lstm("defaults", bias=False),
    lstm("sequence", output_sequence=YES),
    lstm("reverse", output_sequence=YES, direction="reverse"),
    lstm("reverse, the last", direction="reverse", hidden=3),
    lstm("one step", steps=1, batch=1, output_sequence=YES),
    lstm("peephole", peephole=peephole, output_sequence=YES),
    lstm("peephole, reverse, clipped", peephole=peephole, output_sequence=YES, direction="reverse", clip=np.float32(0.2)),
    lstm("clip", clip=np.float32(0.1), output_sequence=YES),
    lstm("clip, the last", clip=np.float32(0.3)),
    *[lstm(f"{name} on the gates", recurrent_activation=name, output_sequence=YES) for name in NAMES],
    *[lstm(f"{name} on the cell", cell_activation=name, output_sequence=YES) for name in NAMES],
    *[lstm(f"{name} on the output", activation=name, output_sequence=YES) for name in NAMES],
    lstm("batch", batch=3, inputs=1),
    both_ways("no bias", bias=False, output_sequence=YES),
    both_ways("biases", bias_back=lambda hidden: N.f(4 * hidden), output_sequence=YES),
    both_ways("the last", bias_back=lambda hidden: N.f(4 * hidden)),
    both_ways("one step", steps=1, batch=1, output_sequence=YES),
    both_ways("peepholes, clipped", peephole=peephole, peephole_back=peephole, clip=np.float32(0.4), output_sequence=YES),
    both_ways("a peephole there alone", peephole=peephole, output_sequence=YES, activation="relu"),
]
