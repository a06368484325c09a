"""Networks that coremltools makes out of torch's: torch is the second judge, of rows that run together."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from mlpublish.coreml.evaluate import load, unsupported

torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
from torch import nn  # noqa: E402

ROWS = 4


class Last(nn.Module):
    """A recurrent layer, and what its last step means."""

    def __init__(self, kind, **settings):
        super().__init__()
        self.inside = kind(4, 5, batch_first=True, **settings)
        self.out = nn.Linear(5 * (2 if settings.get("bidirectional") else 1), 3)

    def forward(self, x):
        y, _ = self.inside(x)
        return self.out(y[:, -1])


class Pictures(nn.Module):
    """All that is usual in a network of images, and a little more."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.depthwise, self.wide = nn.Conv2d(4, 4, 3, stride=2, groups=4), nn.Conv2d(4, 4, 3, dilation=2, padding=2)
        self.group, self.instance = nn.GroupNorm(2, 4), nn.InstanceNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x):
        y = torch.relu(self.norm(self.conv(x)))
        y = self.wide(self.depthwise(y + nn.functional.hardswish(y)))
        y = self.up(self.instance(self.group(y)))
        y = nn.functional.avg_pool2d(nn.functional.max_pool2d(y, 3, 2, 1), 2, ceil_mode=True)
        y = nn.functional.interpolate(y, scale_factor=2, mode="bilinear")
        y = nn.functional.pixel_shuffle(nn.functional.interpolate(y, scale_factor=2, mode="nearest"), 2)
        y = nn.functional.pad(y, (1, 1, 1, 1), mode="reflect")
        return nn.functional.adaptive_avg_pool2d(y, 2).flatten(1)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.out = nn.Embedding(10, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.table(x.int()).mean(1))


class Shapes(nn.Module):
    def forward(self, x):
        first, second = torch.chunk(x, 2, 1)
        y = torch.cat([first.clamp(0, 1), second * 2], 1)[:, 1:, :-1].permute(0, 2, 1)
        chosen = torch.where(y > 0, y, -y)
        return torch.stack([torch.softmax(y, -1) + y.tile((1, 1, 1)), chosen, y.cumsum(1), torch.erf(y)]), y.argmax(1)


ACTIVATIONS = [
    nn.ReLU6(), nn.LeakyReLU(), nn.ELU(), nn.GELU(), nn.SiLU(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.Softsign(),
    nn.Hardtanh(), nn.Hardsigmoid(), nn.PReLU(),
]  # fmt: skip

NETS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 8), *ACTIVATIONS, nn.LayerNorm(8), nn.Linear(8, 3), nn.Softmax(-1)), (1, 6)),
    "pictures": (Pictures, (1, 3, 17, 16)),
    "lstm": (lambda: Last(nn.LSTM), (1, 6, 4)),
    "lstm in two directions and layers": (lambda: Last(nn.LSTM, bidirectional=True, num_layers=2), (1, 6, 4)),
    "gru, which is a loop": (lambda: Last(nn.GRU), (1, 6, 4)),
    "rnn": (lambda: Last(nn.RNN), (1, 6, 4)),
    "words": (Words, (1, 3)),
    "shapes": (Shapes, (1, 4, 6)),
    "transformer": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1, enable_nested_tensor=False),
        (1, 5, 8),
    ),
    "one axis": (lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.MaxPool1d(2), nn.ConvTranspose1d(4, 4, 3, 2, 1)), (1, 3, 16)),
    "three axes": (lambda: nn.Sequential(nn.Conv3d(2, 4, 2), nn.MaxPool3d(2), nn.ConvTranspose3d(4, 2, 2, 2)), (1, 2, 5, 7, 7)),
}


@pytest.fixture
def written(ct, tmp_path):
    """A torch network as coremltools converts it to layers."""

    def write(module, example, **settings):
        torch.backends.mha.set_fastpath_enabled(False)
        settings = {"inputs": [ct.TensorType(name="x", shape=example.shape)]} | settings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(module, example, check_trace=False)
            converted = ct.convert(
                traced, convert_to="neuralnetwork", minimum_deployment_target=ct.target.iOS14, skip_model_load=True, **settings
            )
        path = tmp_path / "model.mlmodel"
        converted.save(str(path))
        return path

    yield write
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.parametrize("name", NETS)
def test_a_converted_network_answers_as_torch_does(written, name):
    make, shape = NETS[name]
    torch.manual_seed(0)
    module = make().eval()
    rows = torch.randint(0, 10, (ROWS, *shape)).float() if name == "words" else torch.randn(ROWS, *shape)
    path = written(module, rows[0])
    assert unsupported(path) == []
    got = load(path).predict_rows({"x": rows.numpy()})
    with torch.no_grad():
        wanted = [module(row) for row in rows]
    wanted = [each if isinstance(each, tuple) else (each,) for each in wanted]
    for at, values in enumerate(got.values()):
        want = torch.stack([each[at] for each in wanted]).numpy()
        np.testing.assert_allclose(values.reshape(want.shape), want, rtol=2e-4, atol=2e-5)


def test_one_picture_is_answered_in_torchs_own_shape(written):
    torch.manual_seed(0)
    module, x = nn.Conv2d(3, 4, 3, padding=(1, 2)).eval(), torch.randn(1, 3, 7, 4)
    model = load(written(module, x))
    with torch.no_grad():
        want = module(x).numpy()
    assert want.shape == (1, 4, 7, 6)
    alone = next(iter(model.predict({"x": x.numpy()}).values()))
    assert alone.shape == want.shape
    np.testing.assert_allclose(alone, want, rtol=2e-4, atol=2e-5)
    assert next(iter(model.predict_rows({"x": x.numpy()[np.newaxis]}).values())).shape == want.shape


@pytest.mark.parametrize("layout", ["RGB", "BGR", "GRAYSCALE"])
def test_a_converted_classifier_of_pictures(written, ct, layout):
    from PIL import Image

    torch.manual_seed(0)
    channels = 1 if layout == "GRAYSCALE" else 3
    module = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    bias = [-0.5, -0.25, 0.125][:channels]
    image = ct.ImageType(
        name="picture", shape=(1, channels, 8, 9), scale=1 / 64, bias=bias[0] if channels == 1 else bias,
        color_layout=getattr(ct.colorlayout, layout),
    )  # fmt: skip
    path = written(
        nn.Sequential(module, nn.Softmax(-1)),
        torch.zeros(1, channels, 8, 9),
        inputs=[image],
        classifier_config=ct.ClassifierConfig(["cat", "dog", "owl"]),
    )
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 8, 9, 3)).astype(np.uint8)
    pictures = [Image.fromarray(each).convert("L" if channels == 1 else "RGB") for each in pixels]
    model = load(path)
    got = model.predict_rows({"picture": pictures})
    planes = np.stack([np.asarray(each).reshape(8, 9, channels) for each in pictures]).transpose(0, 3, 1, 2)
    given = (planes[:, ::-1] if layout == "BGR" else planes) / 64 + np.reshape(bias, (-1, 1, 1))
    with torch.no_grad():
        want = torch.softmax(module(torch.tensor(given, dtype=torch.float32)), -1).numpy()
    name = model.description.interface.outputs
    shares = next(each.name for each in name if each.kind == "dictionary")
    label = next(each.name for each in name if each.kind == "string")
    np.testing.assert_allclose(got[shares], want, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(got[label], np.asarray(model.classes)[want.argmax(axis=1)])
