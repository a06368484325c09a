"""Images looked at in places that a program computes: boxes, an affine map, coordinates.

Source: coremltools' MIL operation reference, ``crop_resize``, ``affine``, ``resample``. Where it is silent, coremltools'
tests of the operations speak: a point outside of the image sees the padding value, a box may run backwards.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.grids import ALIGNED, between, points
from mlpublish.coreml.mil_ops.tensor import Handler, Taken, Tensor, room
from mlpublish.coreml.mil_ops.windows import CHUNK, blocks

_WIDTH_FIRST = ("CORNERS_WIDTH_FIRST", "CENTER_SIZE_WIDTH_FIRST")
_CENTERS = ("CENTER_SIZE_HEIGHT_FIRST", "CENTER_SIZE_WIDTH_FIRST")
_BOX_MODES = ("CORNERS_HEIGHT_FIRST", *_WIDTH_FIRST, "CENTER_SIZE_HEIGHT_FIRST")


def _image(x: Tensor) -> None:
    if x.ndim != 4 or 0 in x.shape[2:]:
        raise ValueError(f"{x.shape} is not (n, channels, height, width)")


def _crop_resize(
    x: Tensor,
    roi: Tensor,
    target_height: Tensor | int = 1,
    target_width: Tensor | int = 1,
    normalized_coordinates: Tensor | bool = False,
    spatial_scale: Tensor | float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    """iOS15: a box of four numbers is cut from every image, of five from the image that the first one names."""
    return _with_padding(
        x, roi, target_height, target_width, normalized_coordinates, spatial_scale, box_coordinate_mode, sampling_mode
    )  # fmt: skip


def _with_padding(
    x: Tensor,
    roi: Tensor,
    target_height: Tensor | int = 1,
    target_width: Tensor | int = 1,
    normalized_coordinates: Tensor | bool = False,
    spatial_scale: Tensor | float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: Tensor | float = 0.0,
) -> Tensor:
    """iOS16: what lies outside of the image is ``pad_value``."""
    if roi.ndim != 5 or roi.shape[2] not in (4, 5) or roi.size != len(roi) * roi.shape[2]:
        raise ValueError(f"boxes of the shape {roi.shape} are not (n, 1, 4 or 5, 1, 1)")
    _image(x)
    table = roi.reshape(len(roi), -1)
    images = 1 if roi.shape[2] == 5 else len(x)
    sizes = target_height, target_width
    room(len(roi), images, x.shape[1], *map(int, sizes))
    boxes = np.repeat(table[:, -4:], images, axis=0)
    chosen = table[:, 0] if roi.shape[2] == 5 else np.tile(np.arange(len(x)), len(roi))
    units = normalized_coordinates, spatial_scale
    out = _boxes_of(x, boxes, chosen, *sizes, *units, box_coordinate_mode, sampling_mode, pad_value)
    return out.reshape(len(roi), images, *out.shape[1:])


def _boxes_of(
    x: Tensor,
    boxes: Tensor,
    box_indices: Tensor | None = None,
    target_height: Tensor | int = 1,
    target_width: Tensor | int = 1,
    normalized_coordinates: Tensor | bool = False,
    spatial_scale: Tensor | float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: Tensor | float = 0.0,
) -> Tensor:
    """iOS17: each box (n, 4) is cut from the image that its index names; by default the first from the first."""
    _image(x)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes of the shape {boxes.shape} are not (n, 4)")
    chosen = np.arange(len(boxes)) if box_indices is None else np.asarray(box_indices)
    if chosen.shape != (len(boxes),) or not np.all((chosen >= 0) & (chosen < len(x))):
        raise ValueError(f"not every box names one of the {len(x)} images")
    sizes = int(target_height), int(target_width)
    if min(sizes) < 1:
        raise ValueError(f"a box is not resized to {sizes}")
    shape = room(len(boxes), x.shape[1], *sizes)
    room(len(boxes), sum(sizes))
    ends = _ends(boxes, box_coordinate_mode, x.shape[2:], bool(normalized_coordinates), float(spatial_scale))
    rows, columns = (
        start[:, np.newaxis] + _box_points(sampling_mode, end - start, size)
        for (start, end), size in zip(ends, sizes, strict=True)
    )
    out = np.empty(shape, x.dtype)
    for some, lines in blocks((len(boxes), sizes[0]), CHUNK // max(1, shape[1] * sizes[1])):
        where = rows[some, lines, np.newaxis], columns[some, np.newaxis, :]
        out[some, :, lines] = _seen(x, chosen[some].astype(np.intp), *where, outside=float(pad_value))
    return out


def _ends(
    boxes: Tensor, mode: str, sizes: tuple[int, ...], normalized: bool, scale: float
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Where boxes begin and end in the image, on the axis of the height and on that of the width."""
    if mode not in _BOX_MODES:
        raise ValueError(f"there is no box_coordinate_mode {mode}")
    numbers = boxes.astype(np.float64) * scale
    if mode in _WIDTH_FIRST:
        numbers = numbers[:, [1, 0, 3, 2]]
    if normalized:
        numbers = numbers * np.asarray([sizes[0] - 1, sizes[1] - 1] * 2)
    first, second = numbers[:, :2], numbers[:, 2:]
    if mode in _CENTERS:
        first, second = first - second / 2, first + second / 2
    return (first[:, 0], second[:, 0]), (first[:, 1], second[:, 1])


def _box_points(mode: str, length: Tensor, count: int) -> Tensor:
    """The points of each box, counted from its beginning: a box from s to e is an axis of the interval [0, e - s]."""
    if mode not in ALIGNED and np.any(length < 0):
        raise ValueError(f"a box ends before it begins; what the mode {mode} gives is not documented")
    return points(mode, length, count)


def _seen(x: Tensor, images: Tensor, rows: Tensor, columns: Tensor, *, outside: float) -> Tensor:
    """Bilinear in the images; a point that is not inside of its image sees ``outside``. -> (n, channels, height, width)"""
    top, bottom, down = between(rows, x.shape[2])
    left, right, across = (each[:, np.newaxis] for each in between(columns, x.shape[3]))
    which = images[:, np.newaxis, np.newaxis]
    upper, lower = (
        _picked(x, which, row, left[:, 0]) * (1 - across) + _picked(x, which, row, right[:, 0]) * across
        for row in (top, bottom)
    )
    inside = _inside(x, rows, columns)[:, np.newaxis]
    return np.where(inside, upper * (1 - down[:, np.newaxis]) + lower * down[:, np.newaxis], np.asarray(outside, x.dtype))


def _picked(x: Tensor, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Pixels (n, height, width) of images -> (n, channels, height, width)."""
    return np.moveaxis(x[images, :, rows, columns], -1, 1)


def _inside(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    height, width = x.shape[2:]
    return np.asarray((rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1))


def _affine(
    x: Tensor,
    transform_matrix: Tensor,
    output_height: Tensor | int,
    output_width: Tensor | int,
    sampling_mode: str,
    padding_mode: str,
    padding_value: Tensor | float,
    coordinates_mode: str,
    align_corners: Tensor | bool,
) -> Tensor:
    """Every result pixel, in coordinates from -1 to 1, looks where the map sends it: one map per image, or one for all."""
    _image(x)
    if transform_matrix.shape not in ((len(x), 6), (1, 6)):
        raise ValueError(f"maps of the shape {transform_matrix.shape} are not (1 or {len(x)}, 6)")
    height, width = int(output_height), int(output_width)
    room(len(x), max(2, x.shape[1]), height, width)
    modes = (sampling_mode.lower(), padding_mode.lower(), coordinates_mode.lower())
    for (name, taken), value in zip(TAKEN["affine"].items(), (*modes, bool(align_corners)), strict=True):
        if value not in taken:
            raise ValueError(f"{name}={value} is not evaluated, {name}={taken[0]} is")
    across, down = _from_minus_one(width), _from_minus_one(height)[:, np.newaxis]
    maps = transform_matrix.astype(np.float64)[..., np.newaxis, np.newaxis]
    places = [maps[:, 3 * k] * across + maps[:, 3 * k + 1] * down + maps[:, 3 * k + 2] for k in (0, 1)]
    coordinates = np.broadcast_to(np.stack(places, axis=-1), (len(x), height, width, 2))
    return _resample(x, coordinates, *modes[:2], padding_value, modes[2], align_corners)


def _from_minus_one(count: int) -> Tensor:
    """A result axis as coordinates from -1 to 1; a single pixel stands in the middle, as in torch."""
    return np.linspace(-1, 1, count) if count > 1 else np.zeros(count)


def _resample(
    x: Tensor,
    coordinates: Tensor,
    sampling_mode: str,
    padding_mode: str,
    padding_value: Tensor | float,
    coordinates_mode: str,
    align_corners: Tensor | bool,
) -> Tensor:
    """``coordinates`` (n, height, width, 2): where each result pixel looks, x before y."""
    _image(x)
    if coordinates.ndim != 4 or coordinates.shape[0] != len(x) or coordinates.shape[3] != 2:
        raise ValueError(f"coordinates of the shape {coordinates.shape} are not ({len(x)}, height, width, 2)")
    room(*x.shape[:2], *coordinates.shape[1:3])
    columns, rows = (
        _pixel(coordinates[..., which], x.shape[3 - which], coordinates_mode.lower(), bool(align_corners)) for which in (0, 1)
    )
    out = np.empty((*x.shape[:2], *coordinates.shape[1:3]), x.dtype)
    modes = sampling_mode.lower(), padding_mode.lower()
    for some, lines in blocks(coordinates.shape[:2], CHUNK // max(1, x.shape[1] * coordinates.shape[2])):
        out[some, :, lines] = _looked_up(x[some], rows[some, lines], columns[some, lines], *modes, padding_value)
    return out


def _pixel(coordinate: Tensor, size: int, mode: str, align: bool) -> Tensor:
    """A coordinate as a place between pixels 0 and size - 1.

    The corners of the normalised interval are the middles of the outer pixels (``align_corners``), or their outer edges.
    """
    number = coordinate.astype(np.float64)
    if mode == "unnormalized":
        return number
    if mode == "normalized_minus_one_to_one":
        number = (number + 1) / 2
    elif mode != "normalized_zero_to_one":
        raise ValueError(f"there is no coordinates_mode {mode}")
    return number * (size - 1) if align else number * size - 0.5


def _looked_up(x: Tensor, rows: Tensor, columns: Tensor, mode: str, padding: str, value: Tensor | float) -> Tensor:
    """Images (n, channels, height, width) at places (n, height, width)."""
    rows, columns = _folded(rows, x.shape[2], padding), _folded(columns, x.shape[3], padding)
    if mode == "nearest":  # halves go to the even pixel: so coremltools' test of the symmetric padding wants it
        return _pixels(x, np.rint(rows), np.rint(columns), value)
    if mode != "bilinear":
        raise ValueError(f"there is no sampling_mode {mode}")
    top, left = np.floor(rows), np.floor(columns)
    down, across = ((each - first).astype(np.float32)[:, np.newaxis] for each, first in ((rows, top), (columns, left)))
    upper, lower = (
        _pixels(x, row, left, value) * (1 - across) + _pixels(x, row, left + 1, value) * across for row in (top, top + 1)
    )
    return np.asarray(upper * (1 - down) + lower * down)


def _folded(places: Tensor, size: int, padding: str) -> Tensor:
    """Places brought into the image, as its padding continues it; ``constant`` leaves them where they are."""
    if padding == "constant":
        return places
    if padding == "reflection":  # mirrored at the middle of the outer pixels
        places = (size - 1) - np.abs(np.mod(places, max(1, 2 * (size - 1))) - (size - 1)) if size > 1 else places * 0
    elif padding == "symmetric":  # mirrored at the outer edges
        places = size - np.abs(np.mod(places + 0.5, 2 * size) - size) - 0.5
    elif padding != "border":
        raise ValueError(f"there is no padding_mode {padding}")
    return np.clip(places, 0, size - 1)


def _pixels(x: Tensor, rows: Tensor, columns: Tensor, value: Tensor | float) -> Tensor:
    """Whole pixels of each image; ``value`` where there are none."""
    inside = _inside(x, rows, columns)
    row, column = (np.where(inside, each, 0).astype(np.intp) for each in (rows, columns))
    picked = _picked(x, np.arange(len(x))[:, np.newaxis, np.newaxis], row, column)
    return np.where(inside[:, np.newaxis], picked, np.asarray(value, x.dtype))


_COORDINATES = ("normalized_minus_one_to_one", "normalized_zero_to_one", "unnormalized")
_PADDINGS = ("constant", "border", "reflection", "symmetric")

TAKEN: Mapping[str, Mapping[str, Taken]] = {
    "affine": {
        "sampling_mode": ("bilinear",),
        "padding_mode": ("constant",),
        "coordinates_mode": ("normalized_minus_one_to_one",),
        "align_corners": (True,),
    },
    "resample": {"sampling_mode": ("nearest", "bilinear"), "padding_mode": _PADDINGS, "coordinates_mode": _COORDINATES},
}
"""Operation -> parameter -> the values that are evaluated."""

OPS: Mapping[str, Handler] = {
    "crop_resize": _crop_resize,
    "crop_resize@16": _with_padding,
    "crop_resize@17": _boxes_of,
    "affine": _affine,
    "resample": _resample,
}
