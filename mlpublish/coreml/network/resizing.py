"""Layers that make height and width larger or smaller.

Source: NeuralNetwork.proto, ``UpsampleLayerParams``, ``ResizeBilinearLayerParams``, ``CropResizeLayerParams``,
``SamplingMode``, ``BoxCoordinatesMode``. Where one point is sampled of an upsampled axis, it is the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from mlpublish.coreml.effort import touch
from mlpublish.coreml.mil_ops.tensor import Tensor, room
from mlpublish.coreml.network.blob import Blob, Opener, Step, at_least, each_row, indices, one, sized, two
from mlpublish.coreml.schema import Message

_Grid: TypeAlias = Callable[[float, float, int], Tensor]
"""From where to where, how many points -> the points."""


def _upsample(layer: Message) -> Step:
    held = layer.upsample
    fractions = [float(each) for each in held.fractionalScalingFactor]
    if fractions and (len(held.scalingFactor) or held.mode == held.NN or held.linearUpsampleMode == held.DEFAULT):
        raise ValueError("fractions of a pixel go with one of the modes that align corners alone")
    factors = fractions or sized(held.scalingFactor, 1)
    if len(factors) != 2 or not min(factors) > 0:
        raise ValueError(f"{factors} are not two factors")
    if held.mode == held.NN:
        return one(lambda x: _over_both(x, [_scaled(x, axis, factor) for axis, factor in zip((-2, -1), factors, strict=True)]))
    if held.mode != held.BILINEAR:
        raise ValueError(f"there is no interpolation {held.mode}")
    mode = held.linearUpsampleMode
    grid = {held.DEFAULT: _default, held.ALIGN_CORNERS_TRUE: _corners, held.ALIGN_CORNERS_FALSE: _centres}[mode]
    return one(lambda x: _over_both(x, [_spread(x, axis, each, grid) for axis, each in zip((-2, -1), factors, strict=True)]))


def _scaled(x: Blob, axis: int, factor: float) -> Tensor:
    """Which pixel stands at each place, for nearest neighbours."""
    size = at_least(3, x).shape[axis]
    (count,) = room(_times(size, factor))
    return np.asarray(np.minimum(np.floor(np.arange(count) / factor), size - 1))


def _spread(x: Blob, axis: int, factor: float, grid: Callable[[int, int], Tensor]) -> Tensor:
    size = at_least(3, x).shape[axis]
    (count,) = room(_times(size, factor))
    return np.clip(grid(size, count), 0, size - 1)


def _times(size: int, factor: float) -> int:
    if not factor * size < 1 << 40:
        raise ValueError(f"{size} pixels are not made {factor} times as many")
    if isinstance(factor, int):
        return factor * size
    return int(np.float32(factor) * np.float32(size))  # the file's factor is a float32; ten pixels by 0.7 are seven


def _default(size: int, count: int) -> Tensor:
    return np.arange(count) * ((size - size / count) / max(1, count - 1))


def _corners(size: int, count: int) -> Tensor:
    return np.arange(count) * ((size - 1) / max(1, count - 1))


def _centres(size: int, count: int) -> Tensor:
    return (np.arange(count) + 0.5) * (size / count) - 0.5


def _over_both(x: Blob, points: list[Tensor]) -> Blob:
    room(*x.shape[:-2], *(len(each) for each in points))
    touch(x.size // max(1, x.shape[-1] * x.shape[-2]) * len(points[0]) * len(points[1]))
    return _sampled(_sampled(x, -2, points[0]), -1, points[1])


def _sampled(x: Tensor, axis: int, points: Tensor) -> Tensor:
    """The numbers at points of an axis, each between its two neighbours."""
    low = np.floor(points).astype(np.int64)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    part = (points - low).astype(np.float32).reshape(-1, *[1] * (-axis - 1))
    if not part.any():
        return np.take(x, low, axis=axis)
    return np.asarray(np.take(x, low, axis=axis) * (1 - part) + np.take(x, high, axis=axis) * part)


def _strict(start: float, end: float, count: int) -> Tensor:
    return np.linspace(start, end, count)


def _aligned(start: float, end: float, count: int) -> Tensor:
    return np.linspace(start, end, count) if count > 1 else np.asarray([(start + end) / 2])


def _upsampled(start: float, end: float, count: int) -> Tensor:
    size = end - start + 1
    return np.linspace(start, start + size - size / count, count)


def _roi(start: float, end: float, count: int) -> Tensor:
    spacing = max(1.0, end - start) / count
    return start + 0.5 * spacing + np.arange(count) * spacing


_GRIDS: Mapping[int, _Grid] = {0: _strict, 1: _aligned, 2: _upsampled, 3: _roi}  # SamplingMode.Method


def _resize_bilinear(layer: Message) -> Step:
    size = sized(layer.resizeBilinear.targetSize, 1)
    grid = _GRIDS[layer.resizeBilinear.mode.samplingMethod]
    room(*size)

    def run(x: Blob) -> Blob:
        lengths = at_least(3, x).shape[-2:]
        points = [np.clip(grid(0, n - 1, count), 0, n - 1) for n, count in zip(lengths, size, strict=True)]
        return _over_both(x, points)

    return one(run)


def _crop_resize(layer: Message) -> Step:
    held = layer.cropResize
    size, grid = sized(held.targetSize, 1), _GRIDS[held.mode.samplingMethod]
    corners = _BOXES[held.boxIndicesMode.boxMode]
    room(*size)

    def crop(image: Tensor, box: Tensor) -> Tensor:
        lengths = image.shape[-2:]
        scale = [n - 1 if held.normalizedCoordinates else 1 for n in lengths]
        ends = corners([float(each) * (held.spatialScale or 1.0) for each in box])
        points = [
            np.clip(grid(start * each, end * each, count), 0, n - 1)
            for (start, end), each, count, n in zip(ends, scale, size, lengths, strict=True)
        ]
        return _over_both(image, points)

    def run(images: Tensor, boxes: Tensor) -> Tensor:
        if images.ndim != 5 or boxes.ndim != 5 or len(images) != 1 or boxes.shape[1:] not in ((1, 4, 1, 1), (1, 5, 1, 1)):
            raise ValueError(f"images of {images.shape} with boxes of {boxes.shape}")
        room(len(boxes), *images.shape[1:3], *size)
        rows = boxes.reshape(len(boxes), -1)
        if not np.isfinite(rows).all():
            raise ValueError("a box has no place")
        if rows.shape[1] == 4:
            return np.stack([crop(images[0], box) for box in rows])
        which = indices(rows[:, 0], images.shape[1])
        return np.stack([crop(images[0, at : at + 1], box[1:]) for at, box in zip(which, rows, strict=True)])

    return two(lambda images, boxes: each_row(run, images, boxes))


def _from_centre(centre: float, length: float) -> tuple[float, float]:
    return centre - length / 2, centre + length / 2


_BOXES: Mapping[
    int, Callable[[list[float]], list[tuple[float, float]]]
] = {  # BoxCoordinatesMode: -> height's ends, width's ends
    0: lambda b: [(b[0], b[2]), (b[1], b[3])],
    1: lambda b: [(b[1], b[3]), (b[0], b[2])],
    2: lambda b: [_from_centre(b[0], b[2]), _from_centre(b[1], b[3])],
    3: lambda b: [_from_centre(b[1], b[3]), _from_centre(b[0], b[2])],
}

LAYERS: Mapping[str, Opener] = {
    "upsample": _upsample,
    "resizeBilinear": _resize_bilinear,
    "cropResize": _crop_resize,
}
