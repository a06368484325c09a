"""Pictures become what an image input takes, in the specification's colours; nothing is resized."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mlpublish.coreml.images import as_picture, image_row, image_rows
from mlpublish.coreml.inputs import as_one_row, as_rows
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import Feature, Flexible

HEIGHT, WIDTH = 8, 6
RED, GREEN, BLUE = 200, 100, 50


def image(space="RGB", shape=(HEIGHT, WIDTH), **more):
    return Feature(name="image", kind="image", shape=shape, dtype="uint8", color_space=space, **more)


def noise(*shape):
    return np.random.default_rng(3).integers(0, 256, shape).astype(np.uint8)


def plain(mode="RGB", size=(WIDTH, HEIGHT)):
    return Image.new("RGB", size, (RED, GREEN, BLUE)).convert(mode)


@pytest.mark.parametrize(("space", "order"), [("RGB", [RED, GREEN, BLUE]), ("BGR", [BLUE, GREEN, RED])])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "YCbCr", "HSV"])
def test_a_picture_of_any_mode_is_converted_to_the_specifications_colours(space, order, mode):
    found = image_row(image(space), plain(mode))
    assert (found.shape, found.dtype) == ((1, 1, 3, HEIGHT, WIDTH), np.float32)
    assert np.abs(found[0, 0, :, 2, 3] - order).max() <= 4  # HSV and YCbCr round


def test_every_pixel_stands_in_its_place():
    pixels = noise(HEIGHT, WIDTH, 3)
    found = image_row(image("BGR"), Image.fromarray(pixels))[0, 0]
    for row in range(HEIGHT):
        for column in range(WIDTH):
            assert found[:, row, column].tolist() == pixels[row, column].tolist()[::-1]


def test_alpha_is_ignored():
    pixels = noise(HEIGHT, WIDTH, 4)
    assert np.array_equal(image_row(image(), Image.fromarray(pixels)), image_row(image(), pixels[:, :, :3]))


def test_grey_is_what_pillow_calls_grey():
    found = image_row(image("GRAYSCALE"), plain())
    assert found.shape == (1, 1, 1, HEIGHT, WIDTH)
    assert found[0, 0, 0, 0, 0] == round(0.299 * RED + 0.587 * GREEN + 0.114 * BLUE)
    assert image_row(image("GRAYSCALE"), Image.new("1", (WIDTH, HEIGHT), 1)).max() == 255


def test_float16_grey_keeps_the_numbers_and_rounds_them_to_float16():
    half = Feature(name="image", kind="image", shape=(HEIGHT, WIDTH), dtype="float16", color_space="GRAYSCALE_FLOAT16")
    numbers = np.random.default_rng(1).normal(size=(HEIGHT, WIDTH)).astype(np.float32)
    want = numbers.astype(np.float16).astype(np.float32)
    assert np.array_equal(image_row(half, Image.fromarray(numbers))[0, 0, 0], want)
    assert np.array_equal(image_row(half, numbers)[0, 0, 0], want)
    deep = noise(HEIGHT, WIDTH).astype(np.uint16) * 8
    assert np.array_equal(image_row(half, Image.fromarray(deep))[0, 0, 0], deep)
    assert image_row(half, plain("L"))[0, 0, 0, 0, 0] == 124
    assert np.array_equal(np.asarray(as_picture(half, want[np.newaxis, np.newaxis])), want)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_a_picture_of_more_than_eight_bits_is_not_cut_to_eight(mode):
    with pytest.raises(ConversionError, match="8 bits a channel"):
        image_row(image(), Image.new(mode, (WIDTH, HEIGHT)))


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH, 3), (3, HEIGHT, WIDTH), (1, 3, HEIGHT, WIDTH)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.int64])
def test_an_array_stands_in_the_specifications_order_already(shape, kind):
    planes = noise(3, HEIGHT, WIDTH)
    given = planes.transpose(1, 2, 0) if shape[-1] == 3 else planes.reshape(shape)
    for space in ("RGB", "BGR"):
        assert np.array_equal(image_row(image(space), given.astype(kind))[0, 0], planes)
        assert np.array_equal(image_rows(image(space), np.stack([given, given]).astype(kind))[1, 0], planes)


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 1), (1, HEIGHT, WIDTH), (1, 1, HEIGHT, WIDTH)])
def test_grey_needs_no_axis_of_channels(shape):
    grey = noise(HEIGHT, WIDTH)
    assert np.array_equal(image_row(image("GRAYSCALE"), grey.reshape(shape))[0, 0, 0], grey)


@pytest.mark.parametrize("value", [0.5, -1.0, 256.0, np.nan, np.inf])
def test_what_no_image_of_eight_bits_holds_is_refused(value):
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    pixels[2, 3, 1] = value
    with pytest.raises(ConversionError, match=r"0…255.*multiply by 255"):
        image_row(image(), pixels)


def test_another_size_is_refused_with_the_size_that_is_wanted():
    with pytest.raises(ConversionError, match=r"7 wide and 8 high.*\(8, 6\).*Resize or crop") as caught:
        image_row(image(), plain(size=(7, 8)))
    assert caught.value.field == "image"
    with pytest.raises(ConversionError, match="6 wide and 9 high"):
        image_row(image(), noise(9, 6, 3))


def test_of_several_sizes_each_is_taken_and_no_other():
    listed = image(flexible=Flexible(shapes=((8, 6), (16, 12))))
    ranged = image(flexible=Flexible(ranges=((8, 16), (6, None))))
    for feature in (listed, ranged):
        assert image_row(feature, plain(size=(12, 16))).shape == (1, 1, 3, 16, 12)
        with pytest.raises(ConversionError, match="the model takes"):
            image_row(feature, plain(size=(6, 7)))
    with pytest.raises(ConversionError, match="several sizes at once"):
        image_rows(listed, [plain(), plain(size=(12, 16))])


def test_an_array_in_which_two_axes_could_be_the_channels_is_refused():
    narrow = image(shape=(3, 3), flexible=Flexible(ranges=((1, 8), (1, 8))))
    with pytest.raises(ConversionError, match="two axes"):
        image_row(narrow, noise(3, 5, 3))
    assert image_row(narrow, noise(1, 3, 5, 3)).shape == (1, 1, 3, 5, 3)
    assert image_row(image(shape=(3, 5)), noise(3, 5, 3)).shape == (1, 1, 3, 3, 5)  # only one reading has the right size


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH, 4), (HEIGHT, WIDTH), (2, 3, HEIGHT, WIDTH), (4, HEIGHT, WIDTH)])
def test_what_has_other_channels_is_refused(shape):
    with pytest.raises(ConversionError, match="is RGB, and gets an image of the shape"):
        image_row(image(), noise(*shape))


def test_texts_are_no_pixels():
    with pytest.raises(ConversionError, match="Give numbers"):
        image_row(image(), np.full((HEIGHT, WIDTH, 3), "a"))


@pytest.mark.parametrize("ask", [image_row, image_rows])
def test_pixels_in_rows_of_unlike_lengths_are_the_callers_fault(ask):
    with pytest.raises(ConversionError, match="'image' cannot be made an array"):
        ask(image(), [[[1, 2], [3]]])


def test_rows_are_pictures_in_a_list_or_the_first_axis():
    pictures = [Image.fromarray(noise(HEIGHT, WIDTH, 3)), plain()]
    found = as_rows((image(),), {"image": pictures})["image"]
    assert found.shape == (2, 1, 3, HEIGHT, WIDTH)
    assert np.array_equal(found[1], as_one_row((image(),), {"image": plain()})["image"][0])
    assert as_rows((image(),), {"image": plain()})["image"].shape == (1, 1, 3, HEIGHT, WIDTH)
    with pytest.raises(ConversionError, match="no axis of rows"):
        as_rows((image("GRAYSCALE"),), {"image": noise(HEIGHT, WIDTH)})


@pytest.mark.parametrize("space", ["RGB", "BGR", "GRAYSCALE"])
def test_a_picture_comes_back_as_it_went(space):
    channels = 1 if space == "GRAYSCALE" else 3
    picture = Image.fromarray(noise(HEIGHT, WIDTH, 3).squeeze() if channels == 3 else noise(HEIGHT, WIDTH))
    back = as_picture(image(space), image_row(image(space), picture)[0])
    assert (back.mode, back.size) == (picture.mode, picture.size)
    assert np.array_equal(np.asarray(back), np.asarray(picture))


def test_a_picture_is_rounded_and_cut_at_the_ends():
    planes = np.array([[[-3.0, 0.4, 0.6]], [[254.6, 255.4, 300.0]], [[1.0, np.nan, np.inf]]], np.float32)
    assert np.asarray(as_picture(image("RGB"), planes)).tolist() == [[[0, 255, 1], [0, 255, 0], [1, 255, 255]]]
    with pytest.raises(ConversionError, match=r"Give \(3, height, width\)"):
        as_picture(image("RGB"), np.zeros((2, 3, 4, 4)))


def test_pillow_is_loaded_for_no_array():
    code = (
        "import sys, numpy as np; from mlpublish.coreml.inputs import as_rows; from mlpublish.formats.evidence import Feature; "
        "f = Feature(name='i', kind='image', shape=(4, 4), color_space='RGB'); "
        "as_rows((f,), {'i': np.zeros((2, 4, 4, 3))}); sys.exit('PIL' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_image_of_more_numbers_than_a_result_may_have_is_refused_before_it_is_copied():
    pixels = np.broadcast_to(np.uint8(0), (3, 1 << 14, 1 << 14))  # one byte in memory
    with pytest.raises(ConversionError, match="larger than is evaluated"):
        image_row(image(shape=(1 << 14, 1 << 14)), pixels)
