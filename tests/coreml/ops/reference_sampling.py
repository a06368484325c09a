"""Boxes, maps and coordinates, point by point, from the operations' documentation."""

from __future__ import annotations

import math

import numpy as np

from tests.coreml.ops.reference_resizing import bilinear_at, grid_point


def _corners(box, mode):
    """-> h_start, w_start, h_end, w_end"""
    a, b, c, d = (float(each) for each in box)
    if mode == "CORNERS_HEIGHT_FIRST":
        return a, b, c, d
    if mode == "CORNERS_WIDTH_FIRST":
        return b, a, d, c
    if mode == "CENTER_SIZE_HEIGHT_FIRST":
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    assert mode == "CENTER_SIZE_WIDTH_FIRST"
    return b - d / 2, a - c / 2, b + d / 2, a + c / 2


def _box(image, box, height, width, normalized, scale, box_mode, mode, outside):
    """One box of an image (channels, height, width)."""
    h0, w0, h1, w1 = (each * float(scale) for each in _corners(box, box_mode))
    if normalized:
        h0, h1, w0, w1 = (
            h0 * (image.shape[1] - 1),
            h1 * (image.shape[1] - 1),
            w0 * (image.shape[2] - 1),
            w1 * (image.shape[2] - 1),
        )
    out = np.zeros((image.shape[0], height, width))
    for channel, i, j in np.ndindex(*out.shape):
        y = h0 + grid_point(mode, i, h1 - h0 + 1, height)
        x = w0 + grid_point(mode, j, w1 - w0 + 1, width)
        inside = 0 <= y <= image.shape[1] - 1 and 0 <= x <= image.shape[2] - 1
        out[channel, i, j] = bilinear_at(image[channel], y, x) if inside else float(outside)
    return out


def crop_resize(
    x,
    roi,
    target_height=1,
    target_width=1,
    normalized_coordinates=False,
    spatial_scale=1.0,
    box_coordinate_mode="CORNERS_HEIGHT_FIRST",
    sampling_mode="DEFAULT",
    pad_value=0.0,
):
    how = (
        int(target_height),
        int(target_width),
        normalized_coordinates,
        spatial_scale,
        box_coordinate_mode,
        sampling_mode,
        pad_value,
    )
    if roi.shape[2] == 5:
        return np.stack([_box(x[int(each[0])], each[1:], *how)[None] for each in roi.reshape(-1, 5)])
    return np.stack([np.stack([_box(image, each, *how) for image in x]) for each in roi.reshape(-1, 4)])


def crop_resize_of_boxes(x, boxes, box_indices=None, **how):
    named = range(len(boxes)) if box_indices is None else box_indices
    table = [[[number] for number in (float(image), *box)] for image, box in zip(named, boxes.tolist(), strict=True)]
    roi = np.asarray(table, np.float64).reshape(len(boxes), 1, 5, 1, 1)
    return crop_resize(x, roi, **how)[:, 0]


def _pixel(image, row, column, padding, value):
    """A pixel of an image (height, width) that its padding continues on all sides, walked step by step."""
    at = []
    for place, size in ((row, image.shape[0]), (column, image.shape[1])):
        if padding == "constant" and not 0 <= place < size:
            return float(value)
        at.append(min(max(place, 0), size - 1))
    return float(image[tuple(at)])


def _mirrored(place, size, padding):
    """Walk back into the image by mirroring at its ends, again and again."""
    first, last = (0.0, size - 1.0) if padding == "reflection" else (-0.5, size - 0.5)
    if last == first:
        return first
    while not first <= place <= last:
        place = 2 * first - place if place < first else 2 * last - place
    return min(max(place, 0.0), size - 1.0)


def _place(coordinate, size, mode, align):
    if mode == "unnormalized":
        return float(coordinate)
    share = float(coordinate) if mode == "normalized_zero_to_one" else (float(coordinate) + 1) / 2
    return share * (size - 1) if align else share * size - 0.5


def resample(x, coordinates, sampling_mode, padding_mode, padding_value, coordinates_mode, align_corners):
    out = np.zeros((*x.shape[:2], *coordinates.shape[1:3]))
    for n, channel, i, j in np.ndindex(*out.shape):
        image = x[n, channel]
        across = _place(coordinates[n, i, j, 0], image.shape[1], coordinates_mode, align_corners)
        down = _place(coordinates[n, i, j, 1], image.shape[0], coordinates_mode, align_corners)
        if padding_mode in ("reflection", "symmetric"):
            down, across = _mirrored(down, image.shape[0], padding_mode), _mirrored(across, image.shape[1], padding_mode)
        if padding_mode == "border":
            down, across = min(max(down, 0.0), image.shape[0] - 1.0), min(max(across, 0.0), image.shape[1] - 1.0)
        if sampling_mode == "nearest":
            out[n, channel, i, j] = _pixel(image, round(down), round(across), padding_mode, padding_value)
            continue
        for row, vertical in ((math.floor(down), 1 - down % 1), (math.floor(down) + 1, down % 1)):
            for column, horizontal in ((math.floor(across), 1 - across % 1), (math.floor(across) + 1, across % 1)):
                seen = _pixel(image, row, column, padding_mode, padding_value)
                out[n, channel, i, j] += vertical * horizontal * seen
    return out


def affine(x, transform_matrix, output_height, output_width, padding_value, **modes):
    height, width = int(output_height), int(output_width)
    coordinates = np.zeros((len(x), height, width, 2))
    for n, i, j in np.ndindex(len(x), height, width):
        a0, a1, a2, b0, b1, b2 = (float(each) for each in transform_matrix[n % len(transform_matrix)])
        across = -1 + 2 * j / (width - 1) if width > 1 else 0.0
        down = -1 + 2 * i / (height - 1) if height > 1 else 0.0
        coordinates[n, i, j] = a0 * across + a1 * down + a2, b0 * across + b1 * down + b2
    return resample(x, coordinates, padding_value=padding_value, **modes)
