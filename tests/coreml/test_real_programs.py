"""Whole networks: converted by coremltools for each iOS, saved, read from the file and held against torch."""

from __future__ import annotations

import gc
from functools import cache

import numpy as np
import pytest

from mlpublish.coreml import evaluate

torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")

from tests.coreml import attention_nets  # noqa: E402  # it needs torch

NETS = {"Encoder": 15, "Decoder": 15, "Windows": 15, "Pixels": 16}
"""Network -> the first opset that has its operations."""

RUNS = [(name, opset) for name, since in NETS.items() for opset in (15, 16, 17, 18) if opset >= since]
ALLOWED = {"FLOAT32": 1e-5, "FLOAT16": 2e-2}
"""Relative to the largest number; of float16 each result is rounded."""


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """coremltools collects garbage after each conversion; all that is alive now need not be looked through each time."""
    gc.freeze()
    yield
    gc.unfreeze()


@cache
def traced(name):
    """A network, drawn once and always the same; its inputs, and what torch answers."""
    torch.manual_seed(5)
    net = getattr(attention_nets, name)().eval()
    inputs = net.inputs()
    with torch.no_grad():
        return torch.jit.trace(net, tuple(inputs.values())), inputs, net(*inputs.values()).numpy()


def saved(ct, net, inputs, path, opset, precision):
    """The network as a package."""
    names = {torch.int32: np.int32, torch.float32: np.float32}
    converted = ct.convert(
        net,
        inputs=[ct.TensorType(name=name, shape=each.shape, dtype=names[each.dtype]) for name, each in inputs.items()],
        outputs=[ct.TensorType(name="out", dtype=np.float32)],
        convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, f"iOS{opset}"),
        compute_precision=getattr(ct.precision, precision),
        skip_model_load=True,
    )
    converted.save(str(path))
    return path


@pytest.mark.parametrize("precision", ALLOWED)
@pytest.mark.parametrize(("name", "opset"), RUNS)
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning", "ignore:overflow:RuntimeWarning")
def test_a_network_answers_as_in_torch(ct, tmp_path, name, opset, precision):
    net, inputs, wanted = traced(name)
    path = saved(ct, net, inputs, tmp_path / "net.mlpackage", opset, precision)
    assert evaluate.unsupported(path) == []
    given = {name: each.numpy() for name, each in inputs.items()}
    for backend in ("numpy", "torch"):
        got = evaluate.load(path, backend=backend).predict(given)["out"]
        assert got.shape == wanted.shape
        apart = np.abs(got - wanted).max() / np.abs(wanted).max()
        assert apart <= ALLOWED[precision], f"{backend}: {apart:.1e}"
