from __future__ import annotations

import numpy as np
import pytest

from mlpublish.converting.convert import convert
from mlpublish.converting.parity import EXACT, FLOAT16
from mlpublish.errors import ConversionError

torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
from torch import nn  # noqa: E402  (torch may be missing)

ROWS = np.random.default_rng(2).normal(size=(6, 12)).astype(np.float32)
torch.manual_seed(4)
IMAGES = np.random.default_rng(3).normal(size=(4, 3, 16, 16)).astype(np.float32)


@pytest.fixture
def made(tmp_path):
    return lambda model, samples, **asked: convert(model, name="m", samples=samples, out=tmp_path, progress=False, **asked)


def test_a_network_is_float16_with_a_float32_twin_and_border(made, cnn, digits):
    converted = made(cnn, digits.images)
    assert (converted.kind, converted.precision, converted.specification_version) == ("mlProgram", "float16", 7)
    assert [(each.name, each.shape, each.dtype) for each in converted.interface.inputs] == [("input", (1, 1, 8, 8), "float32")]
    assert [(each.name, each.shape, each.dtype) for each in converted.interface.outputs] == [("prediction", (1, 10), "float32")]
    parity = converted.parity
    assert (parity.tolerance, parity.twin.tolerance) == (FLOAT16, EXACT)
    assert parity.twin.max_rel_diff < 1e-6 < parity.max_rel_diff < 5e-3
    assert parity.label_agreement == 1
    assert (converted.provenance.framework, converted.provenance.source) == ("torch", "torch.nn.modules.container.Sequential")


def test_float32_has_no_twin(made, cnn, digits):
    converted = made(cnn, digits.images, precision="float32")
    assert (converted.precision, converted.parity.twin, converted.parity.tolerance) == ("float32", None, EXACT)
    assert converted.parity.max_rel_diff < 1e-6


class Depthwise(nn.Module):
    """What an ordinary image network is made of, beyond the plain layers."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8), nn.LeakyReLU(0.1), nn.Conv2d(8, 8, 1))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.deep(x)
        x = x * self.gate(x)
        pooled = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        return torch.softmax(self.head(pooled), dim=1)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(4), nn.Linear(4, 12), nn.Linear(4, 4)

    def forward(self, x):
        tokens = self.norm(x.reshape(1, 3, 4))
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        weights = torch.softmax(query @ key.transpose(1, 2) / 2, dim=-1)
        return self.out(weights @ value).mean(dim=1)


def _dense(activation):
    return nn.Sequential(nn.Linear(12, 16), activation, nn.Linear(16, 3))


NETWORKS = {
    "depthwise": (Depthwise(), IMAGES),
    "attention": (Attention(), ROWS),
    "one number": (nn.Sequential(nn.Linear(12, 1)), ROWS),
    "conv1d": (nn.Sequential(nn.Conv1d(1, 4, 3), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(20, 2)), ROWS[:, np.newaxis]),
    "conv3d": (nn.Sequential(nn.Conv3d(1, 2, 2), nn.ReLU(), nn.Flatten()), IMAGES[:, :1, :12].reshape(4, 1, 4, 6, 8)),
    "instance norm": (nn.Sequential(nn.InstanceNorm2d(3, affine=True), nn.AvgPool2d(4), nn.Flatten()), IMAGES),
    "padding": (nn.Sequential(nn.ReflectionPad2d(1), nn.ConstantPad2d(1, 0.5), nn.MaxPool2d(3, 2, 1)), IMAGES),
    "ceil mode": (nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), nn.AvgPool2d(2, 2, 1, ceil_mode=True)), IMAGES),
    "whole numbers": (nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 3)), np.asarray([[1, 2], [8, 0]])),
    "a tensor": (_dense(nn.ReLU()), torch.from_numpy(ROWS)),
    **{
        type(each).__name__: (_dense(each), ROWS)
        for each in (
            nn.ReLU6(), nn.ELU(0.5), nn.SiLU(), nn.GELU("tanh"), nn.Tanh(), nn.Softplus(), nn.Softsign(),
            nn.Hardsigmoid(), nn.PReLU(), nn.LogSoftmax(dim=1), nn.Mish(),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize(("model", "samples"), NETWORKS.values(), ids=NETWORKS)
def test_networks_answer_as_torch_does(made, model, samples, precision):
    parity = made(model.eval(), samples, precision=precision).parity
    assert (parity.twin or parity).max_rel_diff < 5e-6
    assert parity.passed


def test_a_module_in_training_is_converted_in_evaluation_and_left_as_it_was(made):
    model = nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    model[1].eval()  # frozen by its owner
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert made(model, ROWS).parity.passed
    assert [part.training for part in model] == [True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_modes_come_back_after_a_failure(made):
    model = nn.Sequential(nn.Linear(12, 8), nn.Dropout()).train()
    with pytest.raises(ConversionError):
        made(model, IMAGES)
    assert model.training
    assert model[1].training


@pytest.mark.parametrize("dynamic", [False, True])
def test_an_exported_module_is_converted_with_a_batch_of_one(made, dynamic):
    model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    sizes = ({0: torch.export.Dim("rows")},) if dynamic else None
    batch = torch.from_numpy(ROWS if dynamic else ROWS[:1])
    exported = torch.export.export(model, (batch,), dynamic_shapes=sizes).module()
    converted = made(exported, ROWS)
    assert converted.interface.inputs[0].shape == (1, 12)
    assert converted.provenance.source == "torch.fx.GraphModule"


def test_a_module_exported_for_another_batch_is_refused(made):
    model = nn.Sequential(nn.Linear(12, 3)).eval()
    with pytest.raises(ConversionError, match=r"\(1, 12\)"):
        made(torch.export.export(model, (torch.from_numpy(ROWS),)).module(), ROWS)


class Two(nn.Module):
    def forward(self, x):
        return x, x


class Untranslatable(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


def _sick():
    model = nn.Sequential(nn.Linear(12, 3))
    model[0].bias.data[0] = torch.nan
    return model


REFUSED = {
    "two answers": (Two(), ROWS, "returns a tuple"),
    "an operation without translation": (Untranslatable(), ROWS, "bessel_j0"),
    "samples of the wrong width": (nn.Linear(11, 3), ROWS, r"\(1, 12\)"),
    "whole numbers for a dense layer": (nn.Linear(12, 3), np.ones((2, 12), int), "int64"),
    "flat samples": (nn.Linear(12, 3), ROWS[0], r"\(12,\)"),
    "no samples": (nn.Linear(12, 3), ROWS[:0], r"\(0, 12\)"),
    "NaN samples": (nn.Linear(12, 3), ROWS * np.nan, "NaN"),
    "texts": (nn.Linear(12, 3), np.full((2, 12), "a"), "<U1"),
    "NaN weights": (_sick(), ROWS, "0.bias holds NaN"),
    "a tensor is no module": (torch.ones(3), ROWS, "not a torch.nn.Module"),
}


@pytest.mark.parametrize(("model", "samples", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_converted_is_told(made, tmp_path, model, samples, told):
    with pytest.raises(ConversionError, match=told):
        made(model, samples)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_overflows_float16_is_stopped(made):
    from mlpublish.errors import ParityError

    model = nn.Sequential(nn.Linear(12, 4, bias=False), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(3e4)
        model[1].weight.fill_(1e-4)
    with pytest.raises(ParityError, match="float32"):
        made(model, np.abs(ROWS) + 1)
    assert made(model, np.abs(ROWS) + 1, precision="float32").parity.passed
