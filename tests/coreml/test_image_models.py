"""Programs that coremltools made of torch modules with image inputs and outputs, asked with pictures, against torch itself."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mlpublish.coreml import evaluate
from mlpublish.coreml.apple import AppleModel
from mlpublish.coreml.images import as_picture
from mlpublish.coreml.package import describe
from mlpublish.errors import ConversionError
from tests.coreml.apple_runtime import StandIn

torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")

HEIGHT, WIDTH = 8, 6
SCALE, BIAS = 1 / 127.5, (-1.0, -0.9, -1.1)


class Colours(torch.nn.Module):
    """Each output channel is another mix of the input's, so that a wrong order of channels shows."""

    def __init__(self, channels):
        super().__init__()
        torch.manual_seed(4)
        self.mix = torch.nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return torch.sigmoid(self.mix(x)) * 255


def converted(ct, folder, space, *, bias, scale=SCALE, size=(HEIGHT, WIDTH), precision="FLOAT32", target="iOS16", picture=True):
    channels = 1 if space.startswith("GRAYSCALE") else 3
    module = Colours(channels).eval()
    traced = torch.jit.trace(module, torch.rand(1, channels, HEIGHT, WIDTH))
    layout = getattr(ct.colorlayout, space)
    output = ct.ImageType(name="out", color_layout=layout) if picture else ct.TensorType(name="out")
    made = ct.convert(
        traced,
        inputs=[ct.ImageType(name="image", shape=(1, channels, *size), scale=scale, bias=bias, color_layout=layout)],
        outputs=[output],
        minimum_deployment_target=getattr(ct.target, target),
        compute_precision=getattr(ct.precision, precision),
        skip_model_load=True,
    )
    path = folder / "image.mlpackage"
    made.save(str(path))
    return path, module


def photo(seed=0, size=(WIDTH, HEIGHT)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8))


def asked(module, planes, bias):
    """What torch answers to the pixels (channels, height, width), scaled and shifted as the package says."""
    scaled = planes.astype(np.float32) * np.float32(SCALE) + np.asarray(bias, np.float32).reshape(-1, 1, 1)
    with torch.no_grad():
        return module(torch.from_numpy(scaled[np.newaxis])).numpy()


@pytest.mark.parametrize(("precision", "target", "near"), [("FLOAT32", "iOS15", 1e-3), ("FLOAT16", "iOS17", 1.0)])
@pytest.mark.parametrize("space", ["RGB", "BGR"])
def test_a_picture_is_answered_as_torch_answers_its_pixels(ct, tmp_path, space, precision, target, near):
    path, module = converted(ct, tmp_path, space, bias=list(BIAS), precision=precision, target=target)
    model, picture = evaluate.load(path), photo()
    planes = np.asarray(picture).transpose(2, 0, 1)[:: -1 if space == "BGR" else 1]
    want = asked(module, planes, BIAS)
    got = model.predict({"image": picture})["out"]
    assert got.shape == (1, 3, HEIGHT, WIDTH)
    assert np.abs(got - want).max() < near
    shown = as_picture(describe(path).interface.outputs[0], got)
    back = np.asarray(shown).transpose(2, 0, 1)[:: -1 if space == "BGR" else 1]
    assert np.abs(back - want[0]).max() <= 0.5 + near
    assert np.array_equal(model.predict({"image": planes})["out"], got)


def test_grey_pictures_are_answered_as_torch_does(ct, tmp_path):
    path, module = converted(ct, tmp_path, "GRAYSCALE", bias=-0.5)
    picture = photo()
    want = asked(module, np.asarray(picture.convert("L"))[np.newaxis], [-0.5])
    assert np.abs(evaluate.load(path).predict({"image": picture})["out"] - want).max() < 1e-3


def test_grey_of_float16_takes_numbers_of_any_size(ct, tmp_path):
    path, module = converted(ct, tmp_path, "GRAYSCALE_FLOAT16", bias=0.0, scale=1.0, precision="FLOAT16", picture=False)
    numbers = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH)).astype(np.float16).astype(np.float32)
    with torch.no_grad():
        want = module(torch.from_numpy(numbers[np.newaxis, np.newaxis])).numpy()
    for given in (numbers, Image.fromarray(numbers)):
        assert np.abs(evaluate.load(path).predict({"image": given})["out"] - want).max() < 1.0


def test_rows_are_pictures_and_another_size_is_refused(ct, tmp_path):
    path, module = converted(ct, tmp_path, "RGB", bias=list(BIAS))
    model = evaluate.load(path)
    got = model.predict_rows({"image": [photo(1), photo(2)]})["out"]
    for row, seed in enumerate((1, 2)):
        want = asked(module, np.asarray(photo(seed)).transpose(2, 0, 1), BIAS)[0]
        assert np.abs(got[row] - want).max() < 1e-3
    with pytest.raises(ConversionError, match=r"7 wide and 8 high.*\(8, 6\)"):
        model.predict({"image": photo(size=(7, 8))})


def test_a_range_of_sizes_is_run_at_each(ct, tmp_path):
    path, module = converted(ct, tmp_path, "BGR", bias=list(BIAS), size=(ct.RangeDim(4, 16), WIDTH))
    model = evaluate.load(path)
    for height in (4, 9, 16):
        picture = photo(height, size=(WIDTH, height))
        want = asked(module, np.asarray(picture).transpose(2, 0, 1)[::-1], BIAS)
        assert np.abs(model.predict({"image": picture})["out"] - want).max() < 1e-3
    with pytest.raises(ConversionError, match=r"17 high.*4…16"):
        model.predict({"image": photo(size=(WIDTH, 17))})


@pytest.mark.parametrize("space", ["RGB", "BGR", "GRAYSCALE"])
def test_apples_runtime_gets_pictures_and_gives_pictures(ct, tmp_path, space):
    """The stand-in holds each picture against coremltools' own checks, then answers in pictures of whole numbers."""
    path, _ = converted(ct, tmp_path, space, bias=-0.5 if space == "GRAYSCALE" else list(BIAS))
    ours, apples = evaluate.load(path), AppleModel(path, opener=StandIn)
    pictures = [photo(1), photo(2)]
    got, want = apples.predict_rows({"image": pictures})["out"], ours.predict_rows({"image": pictures})["out"]
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= 0.5
    assert np.array_equal(got, np.rint(got))
    assert apples.predict({"image": pictures[0]})["out"].shape == ours.predict({"image": pictures[0]})["out"].shape
    given = apples._runtime.asked[1]["image"]
    assert np.array_equal(np.asarray(given), np.asarray(pictures[1].convert(given.mode)))
