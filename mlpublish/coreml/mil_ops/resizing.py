"""Resizing of the last axes, and cutting from them. Source: coremltools' MIL operation reference, ``image_resizing``.

What the reference leaves open is read from coremltools' own tests and converters: a nearest neighbour is taken at
floor(i n / m) by ``upsample_nearest_neighbor`` (its scale is recomputed from the sizes), at floor((i + 1/2) n / m) by
``resize_nearest_neighbor`` and by ``resize`` in the DEFAULT mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mlpublish.coreml.mil_ops.grids import interpolated, nearest, points
from mlpublish.coreml.mil_ops.sampling import OPS as SAMPLING
from mlpublish.coreml.mil_ops.sampling import TAKEN as TAKEN_SAMPLING
from mlpublish.coreml.mil_ops.tensor import Handler, Taken, Tensor, ints, room


def resized(x: Tensor, sizes: Sequence[int], along: Callable[[Tensor, int, int], Tensor]) -> Tensor:
    """Resize the last axes one by one, those that shrink first, so that nothing between is larger than both ends.

    Args:
        sizes: of the last axes.
        along: (tensor, axis, new size) -> the tensor resized along the axis.

    Raises:
        ValueError: the result would be too large, or has more axes than the tensor, or an axis is empty.
    """
    first = x.ndim - len(sizes)
    if first < 0 or 0 in x.shape[first:]:
        raise ValueError(f"the last axes of {x.shape} cannot be resized to {tuple(sizes)}")
    room(*x.shape[:first], *sizes)
    for axis in sorted(range(first, x.ndim), key=lambda axis: sizes[axis - first] / x.shape[axis]):
        x = along(x, axis, sizes[axis - first])
    return x


def _linear(mode: str) -> Callable[[Tensor, int, int], Tensor]:
    def along(x: Tensor, axis: int, size: int) -> Tensor:
        return interpolated(x, axis, points(mode, x.shape[axis] - 1, size))

    return along


def linear(x: Tensor, sizes: Sequence[int], mode: str) -> Tensor:
    """The last axes in other sizes, linear between two elements."""
    return resized(x, sizes, _linear(mode))


def _nearest(*, centred: bool) -> Callable[[Tensor, int, int], Tensor]:
    def along(x: Tensor, axis: int, size: int) -> Tensor:
        return np.take(x, nearest(x.shape[axis], size, centred=centred), axis) if size != x.shape[axis] else x

    return along


def _nearest_point(mode: str) -> Callable[[Tensor, int, int], Tensor]:
    """Nearest neighbour in a sampling mode: the element nearest to the point, halves upwards. No document says more."""

    def along(x: Tensor, axis: int, size: int) -> Tensor:
        places = np.floor(points(mode, x.shape[axis] - 1, size) + 0.5)
        return np.asarray(np.take(x, np.minimum(places.astype(np.intp), x.shape[axis] - 1), axis))

    return along


def upsampled(x: Tensor, *scales: Tensor | float) -> list[int]:
    """The sizes of the last axes after scaling: floor(size * scale), in float32 as coremltools declares them.

    Raises:
        ValueError: there are fewer axes, or a scale leaves nothing or no number.
    """
    if x.ndim < 3:
        raise ValueError(f"{x.shape} has fewer than three axes")
    found = []
    for size, scale in zip(x.shape[-len(scales) :], scales, strict=True):
        factor = np.asarray(scale)
        wanted = np.floor(factor.astype(np.float32) * np.float32(size)) if factor.dtype.kind == "f" else factor * size
        if not 1 <= wanted < 2**31:
            raise ValueError(f"an axis of {size} is not scaled by {factor}")
        found.append(int(wanted))
    return found


def corner_mode(align_corners: Tensor | bool, half_pixel_centers: Tensor | bool | None) -> str:
    """The sampling mode of ``upsample_bilinear``.

    Raises:
        ValueError: both are asked for; coremltools' tests call that invalid.
    """
    if half_pixel_centers is None:
        half_pixel_centers = not align_corners
    if align_corners and half_pixel_centers:
        raise ValueError("align_corners and half_pixel_centers exclude each other")
    return "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if half_pixel_centers else "DEFAULT"


def _upsample_bilinear(
    x: Tensor,
    scale_factor_height: Tensor | float = 1,
    scale_factor_width: Tensor | float = 1,
    align_corners: Tensor | bool = True,
    half_pixel_centers: Tensor | bool | None = None,
) -> Tensor:
    mode = corner_mode(align_corners, half_pixel_centers)
    return linear(x, upsampled(x, scale_factor_height, scale_factor_width), mode)


def _upsample_nearest_neighbor(
    x: Tensor, scale_factor_height: Tensor | float = 1, scale_factor_width: Tensor | float = 1
) -> Tensor:
    return resized(x, upsampled(x, scale_factor_height, scale_factor_width), _nearest(centred=False))


def target(x: Tensor, height: Tensor | int, width: Tensor | int) -> list[int]:
    """The sizes of the last two axes that a program names.

    Raises:
        ValueError: there are fewer than three axes, or a size is not positive.
    """
    sizes = [int(height), int(width)]
    if x.ndim < 3 or min(sizes) < 1:
        raise ValueError(f"{x.shape} is not resized to {sizes}")
    return sizes


def _resize_bilinear(
    x: Tensor,
    target_size_height: Tensor | int = 1,
    target_size_width: Tensor | int = 1,
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    return linear(x, target(x, target_size_height, target_size_width), sampling_mode)


def _resize_nearest_neighbor(x: Tensor, target_size_height: Tensor | int, target_size_width: Tensor | int) -> Tensor:
    return resized(x, target(x, target_size_height, target_size_width), _nearest(centred=True))


def resize_sizes(x: Tensor, shape: Tensor, resized_dims: Tensor | int) -> list[int]:
    """The last axes' new sizes: the last ``resized_dims`` of ``shape``; 0 keeps an axis.

    Raises:
        ValueError: they are more than ``shape`` has, or it has more than the tensor.
    """
    count, asked = int(resized_dims), ints(shape)
    if not count <= len(asked) <= x.ndim:
        raise ValueError(f"{count} axes of {asked} are not resized in {x.shape}")
    kept = x.shape[x.ndim - count :]
    return [size or old for size, old in zip(asked[len(asked) - count :], kept, strict=True)]


def _resize(
    x: Tensor,
    shape: Tensor,
    resized_dims: Tensor | int,
    interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    sizes = resize_sizes(x, shape, resized_dims)
    if interpolation_mode == "LINEAR":
        return linear(x, sizes, sampling_mode).astype(x.dtype, copy=False)
    if interpolation_mode != "NEAREST_NEIGHBOR":
        raise ValueError(f"there is no interpolation mode {interpolation_mode}")
    return resized(x, sizes, _nearest(centred=True) if sampling_mode == "DEFAULT" else _nearest_point(sampling_mode))


def _crop(x: Tensor, crop_height: Tensor, crop_width: Tensor) -> Tensor:
    """Cut from the last two axes: (before, behind) of each."""
    cuts = [ints(crop_height), ints(crop_width)]
    if x.ndim < 3 or any(len(cut) != 2 or min(cut) < 0 for cut in cuts):
        raise ValueError(f"{cuts} is not cut from {x.shape}")
    kept = [size - sum(cut) for size, cut in zip(x.shape[-2:], cuts, strict=True)]
    if min(kept) < 0:
        raise ValueError(f"{cuts} leaves nothing of {x.shape}")
    return x[..., cuts[0][0] : cuts[0][0] + kept[0], cuts[1][0] : cuts[1][0] + kept[1]]


TAKEN: Mapping[str, Mapping[str, Taken]] = {"resize": {"interpolation_mode": ("LINEAR", "NEAREST_NEIGHBOR")}, **TAKEN_SAMPLING}
"""Operation -> parameter -> the values that are evaluated."""

OPS: Mapping[str, Handler] = {
    "crop": _crop,
    "upsample_bilinear": _upsample_bilinear,
    "upsample_nearest_neighbor": _upsample_nearest_neighbor,
    "resize_bilinear": _resize_bilinear,
    "resize_nearest_neighbor": _resize_nearest_neighbor,
    "resize": _resize,
    **SAMPLING,
}
