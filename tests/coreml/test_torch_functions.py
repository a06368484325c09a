"""What people write in torch, function by function: converted by coremltools, read from the saved file, held against torch."""

from __future__ import annotations

import gc
from functools import cache

import numpy as np
import pytest

from mlpublish.coreml import backend, evaluate

torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")

from tests.coreml import torch_functions  # noqa: E402  # it needs torch

OPSETS = (15, 16, 17, 18, 26)
RUNS = [
    pytest.param(name, OPSETS[(k + shift) % 5], precision, id=f"{name}-iOS{OPSETS[(k + shift) % 5]}-{precision}")
    for k, name in enumerate(torch_functions.FUNCTIONS)
    for shift, precision in ((0, "FLOAT32"), (2, "FLOAT16"))
]
"""Every function in two of the opsets, in turn."""

ALLOWED = {"FLOAT32": 1e-5, "FLOAT16": 2e-2}
"""Relative to the largest number; of float16 each result is rounded."""

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's tracer and coremltools warn of much


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """coremltools collects garbage after each conversion; all that is alive now need not be looked through each time."""
    gc.freeze()
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused operations are not converted
    yield
    torch.backends.mha.set_fastpath_enabled(before)
    gc.unfreeze()


@cache
def traced(name):
    """A function as a traced network, its inputs, and what torch answers."""
    torch.manual_seed(5)
    net, *shapes = torch_functions.FUNCTIONS[name]
    net = torch_functions.network(net)
    given = [torch_functions.drawn(shape) for shape in shapes]
    with torch.no_grad():
        wanted = torch_functions.flat(net(*given))
        return torch.jit.trace(net, tuple(given), check_trace=False), given, [each.numpy() for each in wanted]


def converted(ct, net, given, **settings):
    types = {torch.int32: np.int32, torch.float32: np.float32}
    inputs = [ct.TensorType(name=f"in{k}", shape=each.shape, dtype=types[each.dtype]) for k, each in enumerate(given)]
    return ct.convert(net, inputs=inputs, skip_model_load=True, **settings)


def apart(got, wanted):
    """How far answers are from torch's, relative to the largest number; infinite ones must be the same."""
    assert got.shape == wanted.shape or got.size == wanted.size == 1  # coremltools has no outputs of rank 0 before iOS 16
    if not wanted.size:
        return 0.0
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(got.reshape(wanted.shape)[~finite], wanted[~finite])
    difference = np.abs(got.reshape(wanted.shape)[finite].astype(float) - wanted[finite])
    return difference.max() / max(np.abs(wanted[finite]).max(), 1e-30)


@pytest.mark.parametrize(("name", "opset", "precision"), RUNS)
def test_a_function_answers_as_in_torch(ct, tmp_path, monkeypatch, name, opset, precision):
    net, given, wanted = traced(name)
    target = {"minimum_deployment_target": getattr(ct.target, f"iOS{opset}")}
    model = converted(ct, net, given, convert_to="mlprogram", compute_precision=getattr(ct.precision, precision), **target)
    path = tmp_path / "net.mlpackage"
    model.save(str(path))
    assert evaluate.unsupported(path) == []
    monkeypatch.setattr(backend, "_LARGE", 0)  # torch's handlers, though the arrays are small
    names = [each.name for each in model.get_spec().description.output]
    for chosen in ("numpy", "torch"):
        for mode in ("exact", "device"):
            answer = evaluate.load(path, backend=chosen, mode=mode).predict(
                {f"in{k}": each.numpy() for k, each in enumerate(given)}
            )
            for name, want in zip(names, wanted, strict=True):
                assert apart(answer[name], want) <= ALLOWED[precision], (chosen, mode, name)
