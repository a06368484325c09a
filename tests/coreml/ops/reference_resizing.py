"""Resizing, pixel by pixel, from the operations' documentation."""

from __future__ import annotations

import math

import numpy as np


def grid_point(mode: str, i: int, x_in: float, x_out: int) -> float:
    """The reference's formula for the i-th point, with its divisions by zero at one point answered by 0."""
    if mode == "ALIGN_CORNERS" and x_out == 1:
        return (x_in - 1) / 2
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        spacing = (x_in - 1) / (x_out - 1) if x_out > 1 else 0.0
        point = i * spacing
        return point if x_in < 1 else min(x_in - 1, max(0.0, point))  # a box that runs backwards has x_in < 1
    if mode == "DEFAULT":
        spacing = (x_in - x_in / x_out) / (x_out - 1) if x_out > 1 else 0.0
        return min(x_in - 1, max(0.0, i * spacing))
    if mode == "OFFSET_CORNERS":
        delta = max(1.0, x_in - 1) / x_out
        spacing = ((x_out - 1) * delta) / (x_out - 1) if x_out > 1 else 0.0
        return min(x_in - 1, max(0.0, 0.5 * delta + i * spacing))
    assert mode == "UNALIGN_CORNERS"
    spacing = x_in / x_out
    return min(x_in - 1, max(0.0, i * spacing + 0.5 * spacing - 0.5))


def bilinear_at(image, y: float, x: float) -> float:
    """An image (height, width) between its pixels."""
    top, left = math.floor(y), math.floor(x)
    total = 0.0
    for row, vertical in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, horizontal in ((left, 1 - (x - left)), (left + 1, x - left)):
            if vertical and horizontal:
                total += vertical * horizontal * float(image[row, column])
    return total


def _bilinear(x, height, width, mode):
    out = np.zeros((*x.shape[:-2], height, width))
    for place in np.ndindex(*out.shape):
        y = grid_point(mode, place[-2], x.shape[-2], height)
        z = grid_point(mode, place[-1], x.shape[-1], width)
        out[place] = bilinear_at(x[place[:-2]], y, z)
    return out


def _picked(x, height, width, half):
    out = np.zeros((*x.shape[:-2], height, width))
    for place in np.ndindex(*out.shape):
        row = math.floor((place[-2] + half) * x.shape[-2] / height)
        column = math.floor((place[-1] + half) * x.shape[-1] / width)
        out[place] = x[(*place[:-2], row, column)]
    return out


def _scaled(x, high, wide):
    return math.floor(x.shape[-2] * high), math.floor(x.shape[-1] * wide)


def upsample_bilinear(x, scale_factor_height=1, scale_factor_width=1, align_corners=True, half_pixel_centers=None):
    half = not align_corners if half_pixel_centers is None else half_pixel_centers
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if half else "DEFAULT"
    return _bilinear(x, *_scaled(x, scale_factor_height, scale_factor_width), mode)


def upsample_nearest_neighbor(x, scale_factor_height=1, scale_factor_width=1):
    return _picked(x, *_scaled(x, scale_factor_height, scale_factor_width), 0)


def resize_bilinear(x, target_size_height=1, target_size_width=1, sampling_mode="DEFAULT"):
    return _bilinear(x, int(target_size_height), int(target_size_width), sampling_mode)


def resize_nearest_neighbor(x, target_size_height, target_size_width):
    return _picked(x, int(target_size_height), int(target_size_width), 0.5)


def resize(x, shape, resized_dims, interpolation_mode="LINEAR", sampling_mode="DEFAULT"):
    sizes, count = list(x.shape), int(resized_dims)
    for k in range(1, count + 1):
        sizes[-k] = int(shape[-k]) or x.shape[-k]
    out = np.zeros(sizes)
    for place in np.ndindex(*sizes):
        points = [
            grid_point(sampling_mode, i, old, new) if a >= x.ndim - count else float(i)
            for a, (i, old, new) in enumerate(zip(place, x.shape, sizes, strict=True))
        ]
        if interpolation_mode == "NEAREST_NEIGHBOR":
            if sampling_mode == "DEFAULT":
                points = [math.floor((i + 0.5) * old / new) for i, old, new in zip(place, x.shape, sizes, strict=True)]
            out[place] = x[tuple(min(math.floor(p + 0.5), old - 1) for p, old in zip(points, x.shape, strict=True))]
            continue
        for corner in np.ndindex(*[2] * x.ndim):
            share, at = 1.0, []
            for side, point in zip(corner, points, strict=True):
                part = point - math.floor(point)
                share *= part if side else 1 - part
                at.append(math.floor(point) + side)
            out[place] += share * float(x[tuple(at)]) if share else 0.0
    return np.trunc(out) if x.dtype == np.int32 else out


def crop(x, crop_height, crop_width):
    (top, bottom), (left, right) = (np.asarray(each).tolist() for each in (crop_height, crop_width))
    out = np.zeros((*x.shape[:-2], x.shape[-2] - top - bottom, x.shape[-1] - left - right))
    for place in np.ndindex(*out.shape):
        out[place] = x[(*place[:-2], place[-2] + top, place[-1] + left)]
    return out
