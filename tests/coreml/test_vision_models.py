"""Small networks of images and sequences from torch: converted, saved, run from the file, held against torch."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mlpublish.coreml import backend, evaluate

torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
nn = torch.nn
OPSETS = ("iOS15", "iOS16", "iOS17", "iOS18")


class First(nn.Module):
    """The sequence of a recurrent layer, without its states."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Any) -> Any:
        return self.layer(x)[0]


class Resized(nn.Module):
    """To a size that is named."""

    def __init__(self, size: tuple[int, int], **how: Any) -> None:
        super().__init__()
        self.size, self.how = size, how

    def forward(self, x: Any) -> Any:
        return nn.functional.interpolate(x, self.size, **self.how)


class Sampled(nn.Module):
    """Turned a little, pixel by pixel."""

    def __init__(self, **how: Any) -> None:
        super().__init__()
        self.how = how
        self.register_buffer("grid", torch.rand(1, 5, 6, 2) * 3 - 1.5)

    def forward(self, x: Any) -> Any:
        return nn.functional.grid_sample(x, self.grid, **self.how)


def separable(channels: int, made: int, kernel: int = 3, stride: int = 1) -> Any:
    depthwise = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(channels), nn.Hardswish(), nn.Conv2d(channels, made, 1), nn.ReLU6())


IMAGE, LINE, VOLUME, SEQUENCE = (1, 3, 13, 16), (2, 3, 21), (1, 2, 6, 7, 5), (7, 2, 5)
NETWORKS = {
    "conv": (
        IMAGE,
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 6, (3, 2), stride=2),
            nn.SiLU(),
            nn.Conv2d(6, 4, 3, padding=2, dilation=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 5),
        ),
    ),
    "conv 1d": (
        LINE,
        lambda: nn.Sequential(
            nn.Conv1d(3, 6, 5, stride=2, padding="valid"), nn.AvgPool1d(3, 2, padding=1), nn.Conv1d(6, 4, 2, padding="same")
        ),
    ),
    "conv 3d": (
        VOLUME,
        lambda: nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(4, 4, 1, groups=2)),
    ),
    "separable": (IMAGE, lambda: nn.Sequential(separable(3, 8), separable(8, 12, kernel=5, stride=2), separable(12, 6))),
    "groups": (IMAGE, lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3, groups=4, padding=(1, 2)))),
    "transposed": (
        IMAGE,
        lambda: nn.Sequential(
            nn.ConvTranspose2d(3, 6, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(6, 4, (2, 3), stride=(2, 1), groups=2),
            nn.ConvTranspose2d(4, 2, 3, dilation=2),
        ),
    ),
    "transposed 1d": (
        LINE,
        lambda: nn.Sequential(nn.ConvTranspose1d(3, 4, 4, 3, padding=1), nn.ConvTranspose1d(4, 4, 2, groups=4)),
    ),
    "transposed 3d": (VOLUME, lambda: nn.ConvTranspose3d(2, 3, (2, 3, 1), 2, padding=(0, 1, 0))),
    "pools": (
        IMAGE,
        lambda: nn.Sequential(
            nn.AvgPool2d(3, 2, padding=1), nn.MaxPool2d(3, 1, padding=1), nn.AvgPool2d(2, 1, count_include_pad=False)
        ),
    ),
    "pools, ceil": (
        IMAGE,
        lambda: nn.Sequential(
            nn.MaxPool2d(3, 2, ceil_mode=True), nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False)
        ),
    ),
    "adaptive": ((1, 3, 12, 16), lambda: nn.Sequential(nn.AdaptiveAvgPool2d((3, 4)), nn.AdaptiveMaxPool2d((1, 2)))),
    "upsample": (
        IMAGE,
        lambda: nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(3, 4, 3, stride=2),
            nn.Upsample(scale_factor=3, mode="bilinear", align_corners=True),
            nn.Conv2d(4, 3, 5, stride=3),
            nn.Upsample(scale_factor=2, mode="nearest"),
        ),
    ),
    "upsample linear": (LINE, lambda: nn.Upsample(scale_factor=2, mode="linear", align_corners=False)),
    "resized": (
        IMAGE,
        lambda: nn.Sequential(
            Resized((26, 40), mode="bilinear", align_corners=False),
            Resized((7, 23), mode="bilinear", align_corners=True),
            Resized((14, 46), mode="nearest"),
        ),
    ),
    "sampled": (
        IMAGE,
        lambda: nn.Sequential(
            Sampled(mode="bilinear", padding_mode="zeros", align_corners=False),
            Sampled(mode="bilinear", padding_mode="reflection", align_corners=True),
            Sampled(mode="nearest", padding_mode="border", align_corners=False),
        ),
    ),
    "lstm both ways, two layers": (SEQUENCE, lambda: First(nn.LSTM(5, 4, num_layers=2, bidirectional=True))),
    "lstm, batch first": (SEQUENCE, lambda: First(nn.LSTM(5, 3, batch_first=True, bias=False))),
    "gru both ways, two layers": (SEQUENCE, lambda: First(nn.GRU(5, 4, num_layers=2, bidirectional=True))),
    "rnn": (
        SEQUENCE,
        lambda: nn.Sequential(First(nn.RNN(5, 4, num_layers=2)), First(nn.RNN(4, 3, nonlinearity="relu", batch_first=True))),
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """coremltools collects garbage after each conversion; all that is alive now need not be looked through each time."""
    gc.freeze()
    yield
    gc.unfreeze()


def saved(ct, net, x, opset, path):
    target = getattr(ct.target, opset)
    converted = ct.convert(
        torch.jit.trace(net, x, check_trace=False),
        inputs=[ct.TensorType(name="x", shape=x.shape, dtype=np.float32)],
        outputs=[ct.TensorType(name="y", dtype=np.float32)],
        convert_to="mlprogram",
        minimum_deployment_target=target,
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
    )
    converted.save(str(path))
    return path


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_network_answers_from_its_file_as_in_torch(ct, tmp_path, monkeypatch, name, opset):
    monkeypatch.setattr(backend, "_LARGE", 0)  # torch's handlers run small tensors as well
    shape, build = NETWORKS[name]
    torch.manual_seed(len(name))
    net, x = build().eval(), torch.randn(*shape)
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.uniform_(-1, 1)
                layer.running_var.uniform_(0.5, 2)
        wanted = net(x).numpy()
    path = saved(ct, net, x, opset, tmp_path / "model.mlpackage")
    for by in ("numpy", "torch"):
        got = evaluate.load(path, backend=by).predict({"x": x.numpy()})["y"]
        assert got.shape == wanted.shape
        assert np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max(), by
