"""Convolutions: torch as a second judge, small pieces against one piece, what is refused and how much is held."""

from __future__ import annotations

import tracemalloc
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.coreml.mil_ops import OPS, convolution, windows
from tests.coreml.ops.numbers import Numbers, i

N = Numbers(410)


@st.composite
def placed(draw):
    """A window on one to three spatial axes, and sizes into which it fits."""
    spatial = draw(st.integers(1, 3))
    each = st.lists(st.integers(1, 3), min_size=spatial, max_size=spatial)
    kernel, step, spread = draw(each), draw(each), draw(each)
    pads = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=spatial, max_size=spatial))
    reach = [(size - 1) * gap + 1 for size, gap in zip(kernel, spread, strict=True)]
    sizes = [size + draw(st.integers(0, 4)) for size in reach]
    return kernel, step, spread, pads, sizes


def torchs_pads(pads):
    """The last axis first."""
    return [side for pair in reversed(pads) for side in pair]


CHANNELS = st.sampled_from([(4, 6, 1), (4, 6, 2), (4, 8, 4), (1, 3, 1), (6, 6, 3)])


@settings(deadline=None, max_examples=120)
@given(placed(), CHANNELS, st.booleans())
def test_a_convolution_is_torchs(window, channels, biased):
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    kernel, step, spread, pads, sizes = window
    taken, made, groups = channels
    x, weight, bias = N.f(2, taken, *sizes), N.f(made, taken // groups, *kernel), N.f(made) if biased else None
    got = OPS["conv"](
        x=x, weight=weight, bias=bias, strides=i(*step), dilations=i(*spread), groups=np.int32(groups),
        pad_type="custom", pad=i(*np.ravel(pads)),
    )  # fmt: skip
    run = getattr(torch.nn.functional, f"conv{len(kernel)}d")
    tensors = [None if each is None else torch.from_numpy(each) for each in (weight, bias)]
    wide = torch.nn.functional.pad(torch.from_numpy(x), torchs_pads(pads))
    wanted = run(wide, *tensors, stride=step, dilation=spread, groups=groups).numpy()
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=120)
@given(placed(), CHANNELS, st.booleans())
def test_a_transposed_convolution_is_torchs(window, channels, biased):
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    kernel, step, spread, pads, sizes = window
    made, taken, groups = channels
    pad = [min(pair[0], (k - 1) * gap // 2) for pair, k, gap in zip(pads, kernel, spread, strict=True)]
    x, weight, bias = N.f(2, taken, *sizes), N.f(taken, made // groups, *kernel), N.f(made) if biased else None
    got = OPS["conv_transpose"](
        x=x, weight=weight, bias=bias, strides=i(*step), dilations=i(*spread), groups=np.int32(groups),
        pad_type="custom", pad=i(*(side for each in pad for side in (each, each))),
    )  # fmt: skip
    run = getattr(torch.nn.functional, f"conv_transpose{len(kernel)}d")
    tensors = [None if each is None else torch.from_numpy(each) for each in (x, weight, bias)]
    wanted = run(*tensors, stride=step, padding=pad, dilation=spread, groups=groups).numpy()
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("pad_type", "before"), [("same", 0), ("same_lower", 1)])
def test_same_padding_puts_the_odd_one_behind_or_before(pad_type, before):
    x, weight = N.f(1, 1, 6), N.f(1, 1, 4)
    custom = {"pad_type": "custom", "pad": i(before + 1, 2 - before)}
    np.testing.assert_array_equal(OPS["conv"](x=x, weight=weight, pad_type=pad_type), OPS["conv"](x=x, weight=weight, **custom))


@pytest.mark.parametrize("limit", [1, 40, 700, 5000])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_pieces_make_the_same_as_all_at_once(monkeypatch, limit, groups):
    given = {"x": N.f(3, 4, 7, 6), "weight": N.f(8, 4 // groups, 3, 2), "groups": np.int32(groups), "strides": i(2, 1)}
    whole = OPS["conv"](**given)
    monkeypatch.setattr(convolution, "CHUNK", limit)
    monkeypatch.setattr(convolution, "_IN_CACHE", limit)
    np.testing.assert_allclose(OPS["conv"](**given), whole, rtol=1e-5, atol=1e-5)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 40))
def test_blocks_cover_a_grid_once_and_keep_the_limit(sizes, limit):
    seen = np.zeros(sizes, int)
    for block in windows.blocks(sizes, limit):
        assert seen[block].size <= max(1, limit)
        seen[block] += 1
    assert np.all(seen == 1)


def test_overlapping_windows_are_not_held_all_at_once():
    x, weight = N.f(1, 8, 200, 200), N.f(8, 8, 7, 7)
    tracemalloc.start()
    try:
        OPS["conv"](x=x, weight=weight)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * 2**20  # all windows side by side are 56 MiB, in float32


def backends():
    """The handlers of numpy, and of torch where it is installed."""
    found = [pytest.param(OPS, id="numpy")]
    if find_spec("torch") is not None:
        from mlpublish.coreml.mil_torch.spatial import OPS as BY_TORCH

        found.append(pytest.param(BY_TORCH, id="torch"))
    return found


X, W = np.zeros((1, 4, 5, 5), np.float32), np.zeros((2, 4, 3, 3), np.float32)
B = np.zeros((4, 2, 3, 3), np.float32)
HUGE = i(2**30, 2**30, 2**30, 2**30)
REFUSED = {
    "channels": ("conv", {"x": X, "weight": np.zeros((2, 3, 3, 3), np.float32)}),
    "groups that do not divide": ("conv", {"x": X, "weight": W, "groups": np.int32(3)}),
    "groups of none": ("conv", {"x": X, "weight": W, "groups": np.int32(0)}),
    "ranks": ("conv", {"x": X, "weight": np.zeros((2, 4, 3), np.float32)}),
    "too many axes": ("conv", {"x": np.zeros((1,) * 6, np.float32), "weight": np.zeros((1,) * 6, np.float32)}),
    "an empty kernel": ("conv", {"x": X, "weight": np.zeros((2, 4, 0, 3), np.float32)}),
    "a kernel beyond the input": ("conv", {"x": X, "weight": np.zeros((2, 4, 6, 3), np.float32)}),
    "a step of none": ("conv", {"x": X, "weight": W, "strides": i(0, 1)}),
    "steps of another rank": ("conv", {"x": X, "weight": W, "strides": i(1)}),
    "a dilation below none": ("conv", {"x": X, "weight": W, "dilations": i(1, -1)}),
    "a padding below none": ("conv", {"x": X, "weight": W, "pad_type": "custom", "pad": i(1, 1, -1, 1)}),
    "a padding of another rank": ("conv", {"x": X, "weight": W, "pad_type": "custom", "pad": i(1, 1)}),
    "an unknown padding": ("conv", {"x": X, "weight": W, "pad_type": "half"}),
    "a bias of another size": ("conv", {"x": X, "weight": W, "bias": np.zeros(3, np.float32)}),
    "a bias that would spread": ("conv", {"x": X, "weight": W, "bias": np.zeros(1, np.float32)}),
    "a huge padding": ("conv", {"x": X, "weight": W, "pad_type": "custom", "pad": HUGE}),
    "a huge padding, few windows": ("conv", {"x": X, "weight": W, "pad_type": "custom", "pad": HUGE, "strides": HUGE[:2]}),
    "a transposed bias": ("conv_transpose", {"x": X, "weight": B, "bias": np.zeros(3, np.float32)}),
    "transposed channels": ("conv_transpose", {"x": X, "weight": W}),
    "transposed groups": ("conv_transpose", {"x": X, "weight": B, "groups": np.int32(3)}),
    "huge steps": ("conv_transpose", {"x": X, "weight": B, "strides": i(2**20, 2**20)}),
    "a huge size": ("conv_transpose", {"x": X, "weight": B, "pad_type": "same", "output_shape": i(1, 2, 2**30, 4)}),
    "a size of other channels": ("conv_transpose", {"x": X, "weight": B, "output_shape": i(1, 3, 7, 7)}),
    "a size below none": ("conv_transpose", {"x": X, "weight": B, "output_shape": i(1, 2, -7, 7)}),
    "nothing left": ("conv_transpose", {"x": X, "weight": B, "pad_type": "custom", "pad": i(4, 4, 0, 0)}),
    "same_lower back": ("conv_transpose", {"x": X, "weight": B, "pad_type": "same_lower"}),
}
QUANTIZED = {"x": X, "weight": W.astype(np.uint8), "quant_scale": np.float32(1), "quant_bias": np.float32(0)}
REFUSED |= {
    "a look-up table": ("conv_quantized", {**QUANTIZED, "quantization_type": "lut"}),
    "bits": ("conv_quantized", {**QUANTIZED, "quantization_type": "linear", "nbits": np.int32(9)}),
    "scales": ("conv_quantized", {**QUANTIZED, "quantization_type": "linear", "quant_scale": np.ones(3, np.float32)}),
    "numbers beyond the bits": (
        "conv_quantized",
        {**QUANTIZED, "weight": QUANTIZED["weight"] + np.uint8(9), "quantization_type": "linear", "nbits": np.int32(3)},
    ),
}


@pytest.mark.parametrize("handlers", backends())
@pytest.mark.parametrize("what", sorted(REFUSED))
def test_what_does_not_fit_is_refused(handlers, what):
    op, given = REFUSED[what]
    with pytest.raises(ValueError, match=r"."):
        handlers[op](**given)


def test_a_product_that_nobody_would_wait_for_is_refused():
    x = np.broadcast_to(np.float32(1), (1, 1, 16384, 16384))
    with pytest.raises(ValueError, match="multiplications"):
        OPS["conv"](x=x, weight=np.broadcast_to(np.float32(1), (1, 1, 8192, 8192)))
