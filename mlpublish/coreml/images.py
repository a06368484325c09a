"""Images as a model's interface wants them: Pillow's, or arrays of pixels.

What a model gets is float32, (1, channels, height, width), in the channel order of its specification (``RGB``, ``BGR``, one
channel of grey): what the function of an ML Program declares for an image, and what a network's preprocessing starts from.
Eight bits a channel are whole numbers 0…255; ``GRAYSCALE_FLOAT16`` are any numbers, rounded to float16. Scale and bias are the
model's own affair: coremltools writes them into the program, a network keeps them as its preprocessing.

A Pillow image knows its colours and is converted to the specification's, without its alpha channel (FeatureTypes.proto:
"A channel ignored"). An array does not: its channels are taken to stand in the specification's order already. Nothing is ever
resized, cropped or turned: how that is done is part of what was trained.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.mil_ops.tensor import room
from mlpublish.errors import ConversionError, MissingExtra
from mlpublish.formats.interface import Feature

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNELS = {"RGB": 3, "BGR": 3, "GRAYSCALE": 1, "GRAYSCALE_FLOAT16": 1}
HALF = "GRAYSCALE_FLOAT16"
_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")  # Pillow's modes of more than 8 bits a channel
_Pixels = NDArray[np.float32]


def is_picture(value: object) -> bool:
    """Whether this is Pillow's image; Pillow is not loaded to know."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def image_rows(feature: Feature, values: Any) -> _Pixels:
    """Images as rows of a feature.

    Args:
        values: one Pillow image, a list of them, or an array whose first axis is the row; a row of pixels is (height, width),
            (height, width, channels), (channels, height, width) or (1, channels, height, width).

    Returns:
        (rows, 1, channels, height, width).

    Raises:
        ConversionError: a size is not allowed, pixels are no whole numbers 0…255, or it cannot be told what is meant.
    """
    if is_picture(values):
        return image_row(feature, values)
    if isinstance(values, list | tuple) and any(is_picture(each) for each in values):
        rows = [image_row(feature, each) for each in values]
        if len({row.shape for row in rows}) != 1:
            raise _refused(feature, "gets images of several sizes at once", "Ask for the images of one size at a time.")
        return np.concatenate(rows)
    pixels = _numbers(feature, values)
    if pixels.ndim < 3:
        raise _refused(feature, f"gets the shape {pixels.shape}, which has no axis of rows", "Put the rows on the first axis.")
    return _ordered(feature, pixels)


def image_row(feature: Feature, value: Any) -> _Pixels:
    """One image as the one row of a feature.

    Raises:
        ConversionError: as ``image_rows``.
    """
    if is_picture(value):
        return _ordered(feature, planes_of(feature, value)[np.newaxis])
    return _ordered(feature, _numbers(feature, value)[np.newaxis])


def as_picture(feature: Feature, pixels: NDArray[np.generic]) -> Image:
    """An array in the specification's channel order as Pillow's image: what an image output looks like.

    Eight bits a channel are rounded to whole numbers, and cut at 0 and 255; GRAYSCALE_FLOAT16 becomes mode ``F`` as it is.

    Args:
        feature: says the color space.
        pixels: (channels, height, width), with as many leading 1 as there are.

    Raises:
        MissingExtra: Pillow is not installed.
        ConversionError: it is no image of this color space.
    """
    channels = CHANNELS[feature.color_space]
    if pixels.ndim < 3 or pixels.shape[-3] != channels or any(size != 1 for size in pixels.shape[:-3]):
        raise _refused(feature, f"has the shape {pixels.shape}", f"Give ({channels}, height, width).")
    picture: Image = _pillow().fromarray(_as_pillow_holds(feature, pixels.reshape(pixels.shape[-3:]).astype(np.float32)))
    return picture


def _as_pillow_holds(feature: Feature, planes: _Pixels) -> NDArray[np.generic]:
    held: NDArray[np.generic] = planes.astype(np.float16).astype(np.float32)
    if feature.color_space != HALF:
        held = np.clip(np.rint(np.nan_to_num(planes)), 0, 255).astype(np.uint8)
    rgb = held[::-1] if feature.color_space == "BGR" else held
    return np.ascontiguousarray(rgb.transpose(1, 2, 0).squeeze(2) if len(rgb) == 1 else rgb.transpose(1, 2, 0))


def planes_of(feature: Feature, picture: Image) -> NDArray[np.generic]:
    """A picture's pixels in the specification's colours: (channels, height, width), of whatever size.

    Raises:
        ConversionError: its channels have more bits than the specification's.
    """
    if feature.color_space == HALF:
        grey = picture if picture.mode in _DEEP else picture.convert("L")
        return np.asarray(grey, dtype=np.float32)[np.newaxis]
    if picture.mode in _DEEP:
        raise _refused(
            feature,
            f"takes 8 bits a channel, and the image's mode {picture.mode} has more",
            "Bring its values to 0…255 and its mode to L or RGB first; Pillow's own conversion would cut them.",
        )
    if CHANNELS[feature.color_space] == 1:
        return np.asarray(picture.convert("L"))[np.newaxis]
    planes = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    return planes[::-1] if feature.color_space == "BGR" else planes


def _numbers(feature: Feature, value: Any) -> NDArray[np.generic]:
    try:
        return np.asarray(value)
    except (RuntimeError, TypeError, ValueError) as exc:  # unlike lengths; a tensor that is on a GPU, or requires grad
        raise _refused(feature, f"cannot be made an array: {exc}", "Give an array, or Pillow's image.") from exc


def _ordered(feature: Feature, pixels: NDArray[np.generic]) -> _Pixels:
    """Rows of pixels, however their axes stand, as (rows, 1, channels, height, width)."""
    channels, shape = CHANNELS[feature.color_space], pixels.shape[1:]
    readings: dict[tuple[int, ...], NDArray[np.generic]] = {}  # (height, width) -> the pixels read so
    if len(shape) == 4 and shape[:2] == (1, channels):
        readings[shape[2:]] = pixels[:, 0]
    if len(shape) == 3 and shape[0] == channels:
        readings[shape[1:]] = pixels
    if len(shape) == 3 and shape[2] == channels:
        turned = pixels.transpose(0, 3, 1, 2)
        if shape[:2] in readings and channels > 1:
            raise _ambiguous(feature, shape)
        readings.setdefault(shape[:2], turned)
    if len(shape) == 2 and channels == 1:
        readings[shape] = pixels[:, np.newaxis]
    allowed = {size: read for size, read in readings.items() if feature.allows(size)}
    if len(allowed) > 1:
        raise _ambiguous(feature, shape)
    if not allowed:
        raise _misfit(feature, shape, tuple(readings))
    (found,) = allowed.values()
    return _checked(feature, found)[:, np.newaxis]


def _checked(feature: Feature, pixels: NDArray[np.generic]) -> _Pixels:
    if pixels.dtype.kind not in "biuf":
        raise _refused(feature, f"gets values of type {pixels.dtype}", "Give numbers.")
    try:
        room(*pixels.shape[1:])
    except ValueError as exc:
        raise _refused(feature, f"is larger than is evaluated: {exc}", "Use a model of smaller images.") from exc
    if feature.color_space == HALF:
        with np.errstate(over="ignore"):
            return pixels.astype(np.float16).astype(np.float32)
    found = np.ascontiguousarray(pixels, dtype=np.float32)
    if pixels.dtype != np.uint8 and not (np.all(found >= 0) and np.all(found <= 255) and np.all(found == np.rint(found))):
        raise _refused(
            feature,
            "takes whole numbers 0…255, as an image of 8 bits a channel holds them",
            "Give uint8; or, for values 0…1, multiply by 255 and round.",
        )
    return found


def _misfit(feature: Feature, shape: tuple[int, ...], sizes: tuple[tuple[int, ...], ...]) -> ConversionError:
    if not sizes:
        channels = CHANNELS[feature.color_space]
        want = f"(height, width, {channels}), ({channels}, height, width) or (1, {channels}, height, width)"
        return _refused(feature, f"is {feature.color_space}, and gets an image of the shape {shape}", f"Give {want}.")
    height, width = sizes[0]
    return _refused(
        feature,
        f"gets an image {width} wide and {height} high; the model takes (height, width) = {feature.shapes_told}",
        "Resize or crop it as the model was trained; mlpublish never does.",
    )


def _ambiguous(feature: Feature, shape: tuple[int, ...]) -> ConversionError:
    return _refused(
        feature,
        f"gets the shape {shape}, in which two axes could be the channels",
        "Give (1, channels, height, width), or Pillow's image.",
    )


def _refused(feature: Feature, problem: str, remedy: str) -> ConversionError:
    return ConversionError(f"The image {feature.name!r} {problem}.", remedy=remedy, field=feature.name)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as exc:
        raise MissingExtra("Pillow is not installed.", remedy="Run: python -m pip install pillow") from exc
    return Image
