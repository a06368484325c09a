"""What a network does to its inputs first.

Source: NeuralNetwork.proto, ``NeuralNetworkPreprocessing``, ``NeuralNetworkImageScaler``, ``NeuralNetworkMeanImage``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from mlpublish.coreml.network.blob import Blob
from mlpublish.coreml.schema import Message

Preprocessor: TypeAlias = Callable[[Blob], Blob]

_COLOURS = {20: ("redBias", "greenBias", "blueBias"), 30: ("blueBias", "greenBias", "redBias")}  # ImageFeatureType.ColorSpace
RGB = 20


def preprocessors(messages: Sequence[Message], name: str, *, only: bool, colours: int = RGB) -> list[Preprocessor]:
    """Those that speak of an input, in the order of the file.

    Args:
        name: the input; a preprocessor that names none speaks of the only one there is.
        only: whether it is that one.
        colours: the image's ``ColorSpace``, which says what the three channels are; an array has RGB.

    Raises:
        ValueError: one says nothing.
    """
    return [_opened(each, colours) for each in messages if each.featureName == name or (only and not each.featureName)]


def _opened(message: Message, colours: int) -> Preprocessor:
    kind = message.WhichOneof("preprocessor")
    if kind == "meanImage":
        mean = np.asarray(message.meanImage.meanImage, dtype=np.float32)
        return lambda x: _without(x, mean)
    if kind != "scaler":
        raise ValueError("a preprocessor says nothing")
    scaler = message.scaler
    three = np.asarray([getattr(scaler, field) for field in _COLOURS.get(colours, _COLOURS[RGB])], np.float32)
    return lambda x: _scaled(x, np.float32(scaler.channelScale), three, np.float32(scaler.grayBias))


def _without(x: Blob, mean: Blob) -> Blob:
    """The mean image is (channels, height, width), as the input ends."""
    ends = x.shape[-3:] if x.ndim > 3 else x.shape[1:]
    if mean.size != int(np.prod(ends)):
        raise ValueError(f"a mean image of {mean.size} numbers for an input of {ends}")
    return x - mean.reshape(ends)


def _scaled(x: Blob, scale: np.float32, three: Blob, gray: np.float32) -> Blob:
    channels = x.shape[-3] if x.ndim > 3 else 1
    if channels == 3:
        return _plus(x * scale, three.reshape(3, 1, 1))
    if channels != 1:
        raise ValueError(f"an image of {channels} channels is scaled")
    return _plus(x * scale, gray)


def _plus(scaled: Blob, bias: Blob | np.float32) -> Blob:
    """In place: an image may be large, and two of it at a time are enough."""
    scaled += bias
    return scaled
