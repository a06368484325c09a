from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mlpublish.coreml.evaluate import load
from mlpublish.errors import ConversionError
from tests.coreml.network.building import builder, numbers, save

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype(np.uint8)  # rows, height, width, RGB
BIAS = {"red_bias": -1.0, "green_bias": -2.0, "blue_bias": -3.0}


def _image(tmp_path, *, exact, bgr=False, gray=False, **settings):
    made = builder({"image": (1 if gray else 3, 4, 5)}, exact=exact)
    made.add_activation("same", "LINEAR", "image", "y", params=[1.0, 0.0])
    given = {name: ["image"] for name in ("image_input_names",)} | {"is_bgr": bgr} | settings
    if gray:
        given.pop("is_bgr")
    made.set_pre_processing_parameters(**given)
    return load(save(made, tmp_path / "m.mlmodel"))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("bgr", [True, False])
def test_a_colour_is_scaled_and_moved_by_its_own_bias(tmp_path, exact, bgr):
    model = _image(tmp_path, exact=exact, bgr=bgr, image_scale=0.5, **BIAS)
    got = model.predict_rows({"image": [Image.fromarray(each) for each in PIXELS]})["y"]
    want = np.stack([PIXELS[..., at] * 0.5 + bias for at, bias in enumerate(BIAS.values())], axis=1)  # red, green, blue
    np.testing.assert_allclose(got, want[:, ::-1] if bgr else want)


@pytest.mark.parametrize("exact", [True, False])
def test_gray_has_one_bias(tmp_path, exact):
    model = _image(tmp_path, exact=exact, gray=True, image_scale=2.0, gray_bias=-4.0)
    got = model.predict_rows({"image": PIXELS[..., 0]})["y"]
    np.testing.assert_allclose(got.reshape(2, 4, 5), PIXELS[..., 0] * 2.0 - 4)


def _array(tmp_path, shape, *, exact, name, fill):
    made = builder({"x": shape}, exact=exact)
    made.add_activation("same", "LINEAR", "x", "y", params=[1.0, 0.0])
    fill(made.nn_spec.preprocessing.add(featureName=name))
    return load(save(made, tmp_path / "m.mlmodel"))


@pytest.mark.parametrize("name", ["x", ""])
@pytest.mark.parametrize("exact", [True, False])
def test_a_mean_image_is_taken_away_from_an_array(tmp_path, exact, name):
    mean, x = numbers(3, 2, 4, seed=1), numbers(2, 3, 2, 4)
    model = _array(tmp_path, (3, 2, 4), exact=exact, name=name, fill=lambda p: p.meanImage.meanImage.extend(mean.reshape(-1)))
    np.testing.assert_allclose(model.predict_rows({"x": x})["y"], x - mean, rtol=1e-6)


def test_an_array_of_three_channels_is_scaled_as_red_green_and_blue(tmp_path):
    def fill(message):
        scaler = message.scaler
        scaler.channelScale, scaler.redBias, scaler.greenBias, scaler.blueBias = 2, 1, 2, 3

    x = numbers(2, 3, 2, 4)
    model = _array(tmp_path, (3, 2, 4), exact=False, name="x", fill=fill)
    np.testing.assert_allclose(model.predict_rows({"x": x})["y"], x * 2 + np.asarray([1, 2, 3]).reshape(3, 1, 1), rtol=1e-6)


def test_a_preprocessor_of_another_input_is_left_alone(tmp_path):
    x = numbers(2, 3, 2, 4)
    model = _array(tmp_path, (3, 2, 4), exact=False, name="z", fill=lambda p: p.meanImage.meanImage.extend([1]))
    np.testing.assert_array_equal(model.predict_rows({"x": x})["y"], x)


@pytest.mark.parametrize("fill", [lambda p: None, lambda p: p.meanImage.meanImage.extend([1.0] * 5)])
def test_a_preprocessor_that_does_not_fit_is_refused(tmp_path, fill):
    with pytest.raises(ConversionError, match="neuralNetwork"):
        _array(tmp_path, (3, 2, 4), exact=False, name="x", fill=fill).predict({"x": numbers(3, 2, 4)})
