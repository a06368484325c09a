"""Which function of a program is run, and on which shapes."""

from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml.evaluate import load, unsupported
from mlpublish.errors import ConversionError
from tests.coreml.building import save


@pytest.fixture(scope="module")
def several(ct, tmp_path_factory):
    """``double`` (the default) and ``negate``, which share a weight."""
    from coremltools.converters.mil import Builder as mb

    folder = tmp_path_factory.mktemp("functions")
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)

    def plain(x):
        return mb.linear(x=x, weight=weights, bias=np.zeros(3, np.float32), name="y")

    def negative(x):
        return mb.mul(x=mb.linear(x=x, weight=weights, bias=np.zeros(3, np.float32)), y=np.float32(-1), name="minus")

    for name, body in (("plain", plain), ("negative", negative)):
        save(folder / f"{name}.mlpackage", body, opset=18, x=(1, 4))
    wanted = ct.utils.MultiFunctionDescriptor()
    for name in ("plain", "negative"):
        wanted.add_function(str(folder / f"{name}.mlpackage"), src_function_name="main", target_function_name=name)
    wanted.default_function_name = "plain"
    ct.utils.save_multifunction(wanted, str(folder / "both.mlpackage"))
    return folder / "both.mlpackage"


def test_the_default_function_is_run_unless_another_is_named(several):
    x = {"x": np.ones((1, 4), np.float32)}
    np.testing.assert_array_equal(load(several).predict(x)["y"], [[6, 22, 38]])
    np.testing.assert_array_equal(load(several, function="plain").predict(x)["y"], [[6, 22, 38]])
    negative = load(several, function="negative")
    np.testing.assert_array_equal(negative.predict(x)["minus"], [[-6, -22, -38]])
    assert [each.name for each in negative.description.interface.outputs] == ["minus"]
    assert negative.description.functions == ("plain", "negative")


def test_a_function_that_is_not_there_is_refused_with_those_that_are(several, dense):
    for ask in (load, unsupported):
        with pytest.raises(ConversionError, match=r"no function 'other'.*plain, negative"):
            ask(several, function="other")
    with pytest.raises(ConversionError, match=r"no function 'other'.*main"):
        load(dense(), function="other")


@pytest.fixture(scope="module")
def flexible(ct, tmp_path_factory):
    """A convolution over any length, and its mean: from torch, in both ways that Core ML knows."""
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.conv = torch.nn.Conv1d(2, 3, 3, padding=1)

        def forward(self, x):
            y = torch.relu(self.conv(x))
            return y, y.flatten(1).mean(1)

    net = Net().eval()
    shapes = {
        "range": ct.Shape((1, 2, ct.RangeDim(3, 50, default=8))),
        "enumerated": ct.EnumeratedShapes(shapes=[(1, 2, 5), (1, 2, 9)], default=(1, 2, 5)),
    }
    paths = {}
    for name, shape in shapes.items():
        converted = ct.convert(
            torch.jit.trace(net, torch.zeros(1, 2, 5)),
            inputs=[ct.TensorType(name="x", shape=shape, dtype=np.float32)],
            outputs=[ct.TensorType(name="y", dtype=np.float32), ct.TensorType(name="mean", dtype=np.float32)],
            minimum_deployment_target=ct.target.iOS17,
            compute_precision=ct.precision.FLOAT32,
            skip_model_load=True,
        )
        paths[name] = tmp_path_factory.mktemp("flexible") / f"{name}.mlpackage"
        converted.save(str(paths[name]))
    return net, paths


@pytest.mark.parametrize(("kind", "lengths"), [("range", (3, 8, 17, 50)), ("enumerated", (5, 9))])
def test_a_program_runs_on_every_allowed_shape(flexible, kind, lengths):
    import torch

    net, paths = flexible
    model = load(paths[kind])
    for length in lengths:
        x = np.random.default_rng(length).normal(size=(1, 2, length)).astype(np.float32)
        with torch.no_grad():
            y, mean = (each.numpy() for each in net(torch.from_numpy(x)))
        got = model.predict({"x": x})
        assert got["y"].shape == (1, 3, length)
        np.testing.assert_allclose(got["y"], y, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(got["mean"], mean, rtol=1e-5, atol=1e-6)


def test_rows_of_one_allowed_shape_answer_as_each_alone(flexible):
    model = load(flexible[1]["range"])
    x = np.random.default_rng(0).normal(size=(4, 2, 11)).astype(np.float32)
    together = model.predict_rows({"x": x})["y"]
    np.testing.assert_array_equal(together, np.concatenate([model.predict({"x": row[np.newaxis]})["y"] for row in x]))


@pytest.mark.parametrize(
    ("kind", "told"), [("range", r"\(1, 2, 51\).*\(1, 2, 3…50\)"), ("enumerated", r"\(1, 2, 5\) or \(1, 2, 9\)")]
)
def test_a_shape_that_is_not_allowed_is_refused_with_those_that_are(flexible, kind, told):
    with pytest.raises(ConversionError, match=told):
        load(flexible[1][kind]).predict({"x": np.zeros((1, 2, 51), np.float32)})
