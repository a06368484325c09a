"""Each operation against somebody else's reading of it: coremltools' own value inference, or torch."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.coreml.mil_ops import COVERED, OPS

_R = np.random.default_rng(7)


def f(*shape: int) -> np.ndarray:
    return _R.normal(size=shape).astype(np.float32)


def positive(*shape: int) -> np.ndarray:
    return _R.uniform(0.5, 2, size=shape).astype(np.float32)


def i(*values: int) -> np.ndarray:
    return np.asarray(values, np.int32)


X, Y = f(2, 3, 4), f(2, 3, 4)
FLAGS = np.asarray([True, False, True, False])

# operation, its arguments: what coremltools can work out by itself
BY_COREMLTOOLS = [
    *[(name, {"x": X, "y": Y}) for name in ("add", "sub", "mul", "real_div", "maximum", "minimum")],
    *[(name, {"x": X, "y": X.round()}) for name in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")],
    ("floor_div", {"x": X * 9, "y": positive(2, 3, 4)}),
    ("floor_div", {"x": i(7, -7, 8), "y": i(2, 2, 3)}),
    ("mod", {"x": i(7, -7, 8), "y": i(2, 3, 3)}),
    ("pow", {"x": positive(2, 3), "y": f(2, 3)}),
    *[(name, {"x": FLAGS, "y": FLAGS[::-1]}) for name in ("logical_and", "logical_or", "logical_xor")],
    ("logical_not", {"x": FLAGS}),
    *[(name, {"x": X}) for name in ("identity", "abs", "sign", "exp", "exp2", "square", "floor", "ceil", "sin", "cos", "tan")],
    *[(name, {"x": X * 3}) for name in ("round", "atan", "erf", "relu", "relu6", "sigmoid", "tanh", "softplus", "softsign")],
    *[(name, {"x": positive(3, 2)}) for name in ("log", "sqrt", "rsqrt", "inverse")],
    ("log", {"x": positive(3), "epsilon": np.float32(0.5)}),
    ("inverse", {"x": positive(3), "epsilon": np.float32(0.5)}),
    ("rsqrt", {"x": positive(3), "epsilon": np.float32(0.5)}),
    ("clip", {"x": X, "alpha": np.float32(-0.5), "beta": np.float32(0.3)}),
    ("threshold", {"x": X, "alpha": np.float32(0.2)}),
    ("cast", {"x": X * 3, "dtype": "int32"}),
    ("cast", {"x": i(0, 1, 2), "dtype": "bool"}),
    ("cast", {"x": i(0, 1, 2), "dtype": "fp32"}),
    ("select", {"cond": X > 0, "a": X, "b": Y}),
    ("leaky_relu", {"x": X, "alpha": np.float32(0.1)}),
    ("prelu", {"x": f(2, 3, 4, 1), "alpha": positive(3)}),
    ("elu", {"x": X, "alpha": np.float32(0.7)}),
    *[("gelu", {"x": X, "mode": mode}) for mode in ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")],
    ("sigmoid_hard", {"x": X, "alpha": np.float32(0.3), "beta": np.float32(0.4)}),
    ("scaled_tanh", {"x": X, "alpha": np.float32(0.3), "beta": np.float32(0.4)}),
    ("linear_activation", {"x": X, "alpha": np.float32(0.3), "beta": np.float32(0.4)}),
    ("clamped_relu", {"x": X * 3, "alpha": np.float32(0.3), "beta": np.float32(1.1)}),
    ("thresholded_relu", {"x": X, "alpha": np.float32(0.3)}),
    ("softmax", {"x": X * 9, "axis": np.int32(1)}),
    ("linear", {"x": f(2, 4), "weight": f(3, 4), "bias": f(3)}),
    ("matmul", {"x": f(2, 3, 4), "y": f(4, 5)}),
    ("matmul", {"x": f(4, 3), "y": f(5, 4), "transpose_x": np.bool_(True), "transpose_y": np.bool_(True)}),
    ("layer_norm", {"x": X, "axes": i(-1), "gamma": f(4), "beta": f(4), "epsilon": np.float32(1e-3)}),
    ("layer_norm", {"x": X, "axes": i(1, 2), "gamma": f(3, 4), "beta": f(3, 4)}),
    ("reshape", {"x": X, "shape": i(4, -1)}),
    ("reshape", {"x": X, "shape": i(0, 4, -1)}),
    ("transpose", {"x": X, "perm": i(2, 0, 1)}),
    ("concat", {"values": (X, Y), "axis": np.int32(1)}),
    ("stack", {"values": (X, Y), "axis": np.int32(1)}),
    ("split", {"x": X, "num_splits": np.int32(2), "axis": np.int32(2)}),
    ("split", {"x": X, "split_sizes": i(1, 2), "axis": np.int32(1)}),
    ("squeeze", {"x": f(1, 3, 1), "axes": i(0)}),
    ("squeeze", {"x": f(1, 3, 1)}),
    ("expand_dims", {"x": X, "axes": i(0, 2)}),
    ("slice_by_index", {"x": X, "begin": i(0, 1, 0), "end": i(2, 3, 4), "stride": i(1, 1, 2)}),
    (
        "slice_by_index",
        {
            "x": X,
            "begin": i(1, 1, 3),
            "end": i(9, 2, 0),
            "stride": i(1, 1, -1),
            "begin_mask": np.asarray([True, False, False]),
            "end_mask": np.asarray([True, False, True]),
            "squeeze_mask": np.asarray([False, True, False]),
        },
    ),
    ("slice_by_size", {"x": X, "begin": i(0, 1, 1), "size": i(2, 2, -1)}),
    ("gather", {"x": X, "indices": i(2, 0), "axis": np.int32(1)}),
    ("gather_along_axis", {"x": X, "indices": _R.integers(0, 3, (2, 3, 4)).astype(np.int32), "axis": np.int32(1)}),
    ("pad", {"x": X, "pad": i(1, 2, 0, 1), "constant_val": np.float32(3)}),
    ("pad", {"x": X, "pad": i(0, 0, 1, 2, 2, 1), "mode": "reflect"}),
    ("pad", {"x": X, "pad": i(1, 2), "mode": "replicate"}),
    ("tile", {"x": X, "reps": i(1, 2, 3)}),
    ("reverse", {"x": X, "axes": i(0, 2)}),
    ("flatten2d", {"x": X, "axis": np.int32(2)}),
    ("shape", {"x": X}),
    *[
        (f"reduce_{how}", {"x": X, "axes": i(0, 2), "keep_dims": keep})
        for how in ("sum", "mean", "max", "min", "prod", "l1_norm", "l2_norm", "sum_square", "log_sum_exp")
        for keep in (True, False)
    ],
    *[
        (f"reduce_{how}", {"x": X, "axis": np.int32(1), "keep_dims": keep})
        for how in ("argmax", "argmin")
        for keep in (True, False)
    ],
    ("topk", {"x": X, "k": np.int32(2), "axis": np.int32(-1)}),
    ("topk", {"x": X, "k": np.int32(2), "axis": np.int32(2), "ascending": np.bool_(True)}),
    ("cumsum", {"x": X, "axis": np.int32(1)}),
    ("cumsum", {"x": X, "axis": np.int32(2), "reverse": np.bool_(True)}),
]
BY_TORCH = {"conv", "max_pool", "avg_pool", "batch_norm", "instance_norm", "silu"}
BY_ITSELF = {"classify"}


@pytest.mark.parametrize(("name", "arguments"), BY_COREMLTOOLS, ids=[name for name, _ in BY_COREMLTOOLS])
def test_an_operation_gives_what_coremltools_infers(ct, name, arguments):
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import Function

    with Function({"unused": mb.placeholder(shape=(1,))}, opset_version=ct.target.iOS16):
        inferred = getattr(mb, name)(**arguments)
    wanted = inferred if isinstance(inferred, list | tuple) else (inferred,)
    got = OPS[name](**arguments)
    for ours, theirs in zip(got if isinstance(got, tuple) else (got,), wanted, strict=True):
        assert theirs.val is not None, "coremltools cannot say; check it by torch"
        assert ours.shape == np.shape(theirs.val)
        np.testing.assert_allclose(ours, theirs.val, rtol=2e-6, atol=1e-6)


def test_every_operation_is_checked_by_somebody_else():
    assert {name for name, _ in BY_COREMLTOOLS} | BY_TORCH | BY_ITSELF == set(OPS)


@pytest.mark.parametrize("name", sorted(OPS))
def test_an_operation_takes_the_parameters_that_coremltools_declares(ct, name):
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    declared = {}
    for version in SSAOpRegistry.core_ops[name].values():
        declared |= version.input_spec.input_types
    ours = inspect.signature(OPS[name]).parameters
    assert set(ours) | COVERED >= set(declared)
    assert set(ours) <= set(declared)
    for parameter, kind in declared.items():
        if parameter in ours and not kind.optional:
            assert ours[parameter].default is inspect.Parameter.empty, parameter


@st.composite
def windows(draw):
    """A sample and a window over it, on one to three spatial axes."""
    spatial = draw(st.integers(1, 3))
    each = st.lists(st.integers(1, 3), min_size=spatial, max_size=spatial)
    kernel, step, spread = draw(each), draw(each), draw(each)
    pad = draw(st.lists(st.integers(0, 2), min_size=spatial, max_size=spatial))
    pad = [min(side, size // 2) for side, size in zip(pad, kernel, strict=True)]
    reach = [(size - 1) * gap + 1 for size, gap in zip(kernel, spread, strict=True)]
    sizes = [size + draw(st.integers(0, 4)) for size in reach]
    return kernel, step, spread, pad, sizes


@settings(deadline=None, max_examples=150)
@given(windows(), st.sampled_from([(4, 6, 1), (4, 6, 2), (4, 8, 4)]), st.booleans())
def test_a_convolution_is_torchs(window, channels, biased):
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    kernel, step, spread, pad, sizes = window
    taken, given_out, groups = channels
    x, weight = f(2, taken, *sizes), f(given_out, taken // groups, *kernel)
    bias = f(given_out) if biased else None
    got = OPS["conv"](
        x=x, weight=weight, bias=bias, strides=i(*step), dilations=i(*spread), groups=np.int32(groups),
        pad_type="custom", pad=i(*(side for each in pad for side in (each, each))),
    )  # fmt: skip
    run = getattr(torch.nn.functional, f"conv{len(kernel)}d")
    tensors = [None if each is None else torch.from_numpy(each) for each in (x, weight, bias)]
    wanted = run(*tensors, stride=step, padding=pad, dilation=spread, groups=groups).numpy()
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=150)
@given(windows(), st.sampled_from(["max", "avg"]), st.booleans(), st.booleans())
def test_a_pool_is_torchs(window, kind, excluded, ceiled):
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    kernel, step, _, pad, sizes = window
    x = f(1, 2, *sizes)
    # Where a stride jumps over the end, torch drops the last window and MIL's rule does not; parity would show that.
    step = [min(pair) for pair in zip(step, kernel, strict=True)] if ceiled else step
    ours, theirs = {"ceil_mode": np.bool_(ceiled)}, {"ceil_mode": ceiled}
    if kind == "avg":
        ours["exclude_padding_from_average"], theirs["count_include_pad"] = np.bool_(excluded), not excluded
    got = OPS[f"{kind}_pool"](
        x=x, kernel_sizes=i(*kernel), strides=i(*step), pad_type="custom",
        pad=i(*(side for each in pad for side in (each, each))), **ours,
    )  # fmt: skip
    run = getattr(torch.nn.functional, f"{kind}_pool{len(kernel)}d")
    wanted = run(torch.from_numpy(x), kernel, stride=step, padding=pad, **theirs).numpy()
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("pad_type", "before"), [("same", 0), ("same_lower", 1)])
def test_same_padding_puts_the_odd_one_behind_or_before(pad_type, before):
    x, weight = f(1, 1, 6), f(1, 1, 4)
    custom = {"pad_type": "custom", "pad": i(before + 1, 2 - before)}
    np.testing.assert_array_equal(OPS["conv"](x=x, weight=weight, pad_type=pad_type), OPS["conv"](x=x, weight=weight, **custom))


def test_normalisations_and_silu_are_torchs():
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    x, mean, variance, gamma, beta = f(2, 3, 4, 5), f(3), positive(3), f(3), f(3)
    t = {name: torch.from_numpy(value) for name, value in locals().items() if isinstance(value, np.ndarray)}
    scaled = {"gamma": gamma, "beta": beta, "epsilon": np.float32(1e-3)}
    pairs = [
        (
            OPS["batch_norm"](x=x, mean=mean, variance=variance, **scaled),
            torch.nn.functional.batch_norm(t["x"], t["mean"], t["variance"], t["gamma"], t["beta"], eps=1e-3),
        ),
        (
            OPS["instance_norm"](x=x, **scaled),
            torch.nn.functional.instance_norm(t["x"], weight=t["gamma"], bias=t["beta"], eps=1e-3),
        ),
        (OPS["silu"](x=x), torch.nn.functional.silu(t["x"])),
    ]
    for got, wanted in pairs:
        np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_concat_interleaves_and_cumsum_excludes_as_their_reference_says():
    """coremltools' own inference leaves the first out and fails on the second."""
    ones, twos = np.ones((1, 2)), np.full((1, 2), 2)
    got = OPS["concat"](values=(ones, twos), axis=np.int32(-1), interleave=np.bool_(True))
    np.testing.assert_array_equal(got, [[1, 2, 1, 2]])
    x = np.asarray([1.0, 2, 3])
    for reverse, wanted in ((False, [0, 1, 3]), (True, [5, 3, 0])):
        got = OPS["cumsum"](x=x, axis=np.int32(0), exclusive=np.bool_(True), reverse=np.bool_(reverse))
        np.testing.assert_array_equal(got, wanted)


def test_classify_names_the_first_of_the_largest():
    label, scores = OPS["classify"](probabilities=np.asarray([[0.2, 0.4, 0.4]], np.float32), classes=("a", "b", "c"))
    assert label == "b"
    np.testing.assert_array_equal(scores, np.asarray([0.2, 0.4, 0.4], np.float32))


@given(st.floats(-1e4, 1e4, width=32), st.integers(1, 6))
def test_softmax_sums_to_one_whatever_is_added(shift, size):
    x = f(size) * 10
    p = OPS["softmax"](x=x)
    assert p.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(OPS["softmax"](x=x + np.float32(shift)), p, atol=5e-3)
