"""Pools: torch as a second judge, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.coreml.mil_ops import OPS
from tests.coreml.ops.numbers import Numbers, i
from tests.coreml.ops.test_convolution import backends, placed

N = Numbers(420)


@settings(deadline=None, max_examples=120)
@given(placed(), st.sampled_from(["max", "avg"]), st.booleans(), st.booleans())
def test_a_pool_is_torchs(window, kind, excluded, ceiled):
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    kernel, step, _, pads, sizes = window
    pad = [min(pair[0], size // 2) for pair, size in zip(pads, kernel, strict=True)]
    x = N.f(1, 2, *sizes)
    # Where a stride jumps over the end and nothing is padded, torch drops the last window and MIL's rule does not.
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


@settings(deadline=None, max_examples=60)
@given(placed(), st.sampled_from(["max_pool", "avg_pool", "l2_pool"]))
def test_a_pool_does_not_change_what_it_is_given(window, op):
    kernel, step, _, pads, sizes = window
    x = N.f(1, 2, *sizes)
    before = x.copy()
    OPS[op](x=x, kernel_sizes=i(*kernel), strides=i(*step), pad_type="custom", pad=i(*np.ravel(pads)))
    np.testing.assert_array_equal(x, before)


X = np.zeros((1, 2, 5, 6), np.float32)
YES = np.bool_(True)
REFUSED = {
    "a window of another rank": {"kernel_sizes": i(2), "pad_type": "valid"},
    "a window beyond the input": {"kernel_sizes": i(6, 1), "pad_type": "valid"},
    "a window far beyond the input, in ceil mode": {"kernel_sizes": i(9, 1), "pad_type": "valid", "ceil_mode": YES},
    "an empty window": {"kernel_sizes": i(0, 1), "pad_type": "valid"},
    "an unknown padding": {"kernel_sizes": i(2, 2), "pad_type": "half"},
    "ceil mode with same": {"kernel_sizes": i(2, 2), "pad_type": "same", "ceil_mode": YES},
    "ceil mode, padded unevenly": {"kernel_sizes": i(2, 2), "pad_type": "custom", "pad": i(1, 0, 0, 0), "ceil_mode": YES},
    "a last window that holds nothing": {"kernel_sizes": i(1, 1), "strides": i(3, 5), "pad_type": "valid", "ceil_mode": YES},
    "a huge padding": {"kernel_sizes": i(2, 2), "pad_type": "custom", "pad": i(0, 2**30, 0, 2**30)},
}


@pytest.mark.parametrize("handlers", backends())
@pytest.mark.parametrize("op", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("what", sorted(REFUSED))
def test_what_does_not_fit_is_refused(handlers, op, what):
    with pytest.raises(ValueError, match=r"."):
        handlers[op](x=X, **REFUSED[what])


@pytest.mark.parametrize("op", ["max_pool", "avg_pool", "l2_pool"])
def test_many_long_windows_are_refused(op):
    x = np.broadcast_to(np.float32(1), (1, 1, 1 << 28))
    with pytest.raises(ValueError, match="multiplications"):
        OPS[op](x=x, kernel_sizes=i(1 << 27), pad_type="valid")
