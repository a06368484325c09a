from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpublish.coreml.network.weights import numbers
from mlpublish.coreml.schema import schema
from tests.coreml.network.building import ROWS, check
from tests.coreml.network.building import numbers as normal


def _params():
    return schema("NeuralNetwork").WeightParams()


def _packed(codes, bits):
    """Bit after bit, the highest first, as one long text."""
    text = "".join(f"{code:0{bits}b}" for code in codes)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


def _quantised(codes, bits, scale=(), bias=(), table=()):
    params = _params()
    params.rawValue = _packed(codes, bits)
    params.quantization.numberOfBits = bits
    params.quantization.linearQuantization.scale.extend(scale)
    params.quantization.linearQuantization.bias.extend(bias)
    if table:
        params.quantization.lookupTableQuantization.floatValue.extend(table)
    return params


def test_floats_and_halves():
    params = _params()
    params.floatValue.extend([1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(numbers(params, 2, 3), [[1, 2, 3], [4, 5, 6]])
    halves = _params()
    halves.float16Value = np.asarray([0.1, -2], "<f2").tobytes()
    np.testing.assert_array_equal(numbers(halves, 2), np.asarray([0.1, -2], np.float16).astype(np.float32))


@given(st.integers(1, 8), st.data())
def test_numbers_of_few_bits_stand_one_after_another(bits, data):
    codes = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=40))
    table = [float(code) - 3 for code in range(2**bits)]
    got = numbers(_quantised(codes, bits, table=table), len(codes))
    np.testing.assert_array_equal(got, [code - 3 for code in codes])


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_a_scale_and_a_bias_per_channel_or_for_all(bits, per_channel, bias):
    codes = np.random.default_rng(bits).integers(0, 2**bits, (3, 5))
    scale, shift = ([0.5, 2, -1], [1, 0, 7]) if per_channel else ([0.5], [1])
    got = numbers(_quantised(codes.reshape(-1), bits, scale, shift if bias else ()), 3, 5)
    for row in range(3):
        at = row if per_channel else 0
        np.testing.assert_allclose(got[row], codes[row] * scale[at] + (shift[at] if bias else 0))


def test_channels_may_stand_on_another_axis():
    """Of a transposed convolution: (groups, in, out, …); a scale per output, or per output of a group."""
    codes = np.random.default_rng(0).integers(0, 256, (2, 3, 2, 1, 1))
    four, two = [1.0, 2.0, 3.0, 4.0], [5.0, 6.0]
    each = numbers(_quantised(codes.reshape(-1), 8, four), 2, 3, 2, 1, 1, channels=(0, 2))
    shared = numbers(_quantised(codes.reshape(-1), 8, two), 2, 3, 2, 1, 1, channels=(0, 2))
    for g, i, o in np.ndindex(2, 3, 2):
        assert each[g, i, o, 0, 0] == codes[g, i, o, 0, 0] * four[g * 2 + o]
        assert shared[g, i, o, 0, 0] == codes[g, i, o, 0, 0] * two[o]


def _no_way(params):
    params.quantization.ClearField("linearQuantization")


BROKEN = {
    "too few floats": lambda p: p.floatValue.extend([1.0] * 5),
    "too many floats": lambda p: p.floatValue.extend([1.0] * 7),
    "nothing": lambda p: None,
    "two ways": lambda p: (p.floatValue.extend([1.0] * 6), setattr(p, "float16Value", b"\0" * 12)),
    "half a half": lambda p: setattr(p, "float16Value", b"\0" * 11),
    "too few bytes": lambda p: p.CopyFrom(_quantised([1] * 5, 8, [1.0])),
    "nine bits": lambda p: p.CopyFrom(_quantised([1] * 12, 9, [1.0])),
    "no bits": lambda p: (p.CopyFrom(_quantised([1] * 6, 8, [1.0])), setattr(p.quantization, "numberOfBits", 0)),
    "scales of no shape": lambda p: p.CopyFrom(_quantised([1] * 6, 8, [1.0] * 4)),
    "more biases than scales": lambda p: p.CopyFrom(_quantised([1] * 6, 8, [1.0], [1.0] * 2)),
    "no scale": lambda p: p.CopyFrom(_quantised([1] * 6, 8)),
    "a table that is too short": lambda p: p.CopyFrom(_quantised([1] * 6, 4, table=[1.0] * 15)),
    "signed bytes": lambda p: setattr(p, "int8RawValue", b"\0" * 6),
    "no way that is named": lambda p: (p.CopyFrom(_quantised([1] * 6, 8, [1.0])), _no_way(p)),
}


@pytest.mark.parametrize("what", BROKEN)
def test_weights_that_lie_are_refused(what):
    params = _params()
    BROKEN[what](params)
    with pytest.raises(ValueError, match=r"\d|no way"):
        numbers(params, 2, 3)


def test_a_huge_shape_is_refused_before_anything_is_made():
    with pytest.raises(ValueError, match="not made"):
        numbers(_quantised([1], 1, [1.0]), 1 << 40, 1 << 40)


@pytest.mark.parametrize(
    ("bits", "mode"), [(8, "linear"), (4, "linear"), (2, "linear_lut"), (8, "linear_symmetric"), (16, "linear")]
)
def test_what_coremltools_quantises_answers_as_what_it_takes_back(tmp_path, bits, mode, ct):
    """Its own dequantised file is the other judge."""
    from coremltools.models.neural_network.quantization_utils import quantize_weights

    from mlpublish.coreml.evaluate import load
    from tests.coreml.network.building import builder

    made = builder({"x": (1, 4, 6, 6)})
    made.add_convolution(
        "c", 4, 6, 3, 3, 1, 1, "valid", 1, normal(3, 3, 4, 6), normal(6), True, input_name="x", output_name="a"
    )
    made.add_convolution("d", 6, 2, 2, 2, 2, 2, "valid", 1, normal(2, 2, 6, 2), None, False, True, None, "a", "b")
    made.add_inner_product("i", normal(3, 2 * 8 * 8), normal(3), 2 * 8 * 8, 3, True, "b", "y")
    model = ct.models.MLModel(made.spec, skip_model_load=True)
    small = quantize_weights(model, bits, mode)
    spec = small if not hasattr(small, "get_spec") else small.get_spec()
    (tmp_path / "small.mlmodel").write_bytes(spec.SerializeToString())
    back = quantize_weights(ct.models.MLModel(spec, skip_model_load=True), None, "dequantization") if bits < 16 else model
    spec = back if not hasattr(back, "get_spec") else back.get_spec()
    (tmp_path / "back.mlmodel").write_bytes(spec.SerializeToString())
    x = normal(ROWS, 1, 4, 6, 6)
    ours, theirs = (load(tmp_path / f"{name}.mlmodel").predict_rows({"x": x})["y"] for name in ("small", "back"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4 if bits < 16 else 1e-2, atol=1e-4 if bits < 16 else 1e-1)


def test_quantised_weights_of_a_layer(tmp_path):
    codes = np.random.default_rng(0).integers(0, 16, (3, 4))

    def add(made):
        made.add_inner_product(
            "i", _packed(codes.reshape(-1), 4), None, 4, 3, False, "x", "y",
            quantization_type="linear", nbits=4, quant_scale=np.asarray([1.0, 2, 3]), quant_bias=np.asarray([0.0, 1, 2]),
        )  # fmt: skip

    def want(x):
        return (codes * np.asarray([[1], [2], [3]]) + np.asarray([[0], [1], [2]])) @ x

    check(tmp_path, add, want, x=normal(ROWS, 4))
