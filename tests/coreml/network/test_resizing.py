from __future__ import annotations

import math

import numpy as np
import pytest

from tests.coreml.network.building import ROWS, check, numbers


def between(x, row, column):
    """The number between the four pixels around a point."""
    top, left = math.floor(row), math.floor(column)
    total = 0.0
    for r, c in ((top, left), (top + 1, left), (top, left + 1), (top + 1, left + 1)):
        share = (1 - abs(row - r)) * (1 - abs(column - c))
        if share > 0:
            total += share * x[..., r, c]
    return total


def sampled(x, rows, columns):
    y = np.zeros((*x.shape[:-2], len(rows), len(columns)))
    for r, row in enumerate(rows):
        for c, column in enumerate(columns):
            y[..., r, c] = between(x, row, column)
    return y


GRIDS = {
    "DEFAULT": lambda i, n, m: i * ((n - n / m) / (m - 1)),
    "ALIGN_CORNERS_TRUE": lambda i, n, m: i * ((n - 1) / (m - 1)),
    "ALIGN_CORNERS_FALSE": lambda i, n, m: i * (n / m) + 0.5 * (n / m) - 0.5,
}


@pytest.mark.parametrize(("mode", "factors"), [*((mode, (2, 3)) for mode in GRIDS), *((m, (1.5, 2.4)) for m in [*GRIDS][1:])])
@pytest.mark.parametrize("exact", [True, False])
def test_upsample_between_pixels(tmp_path, mode, factors, exact):
    def want(x):
        lines = []
        for size, factor in zip((4, 5), factors, strict=True):
            count = int(size * factor)
            lines.append([min(size - 1, max(0, GRIDS[mode](i, size, count))) for i in range(count)])
        return sampled(x, *lines)

    check(
        tmp_path,
        lambda made: made.add_upsample("u", *factors, "x", "y", "BILINEAR", mode),
        want,
        exact=exact,
        rtol=1e-4,
        x=numbers(ROWS, 2, 4, 5),
    )


@pytest.mark.parametrize("mode", [*GRIDS][1:])
def test_ten_pixels_by_seven_tenths_are_seven(tmp_path, mode):
    """In float32, in which the file keeps the factor; torch says the same."""
    lines = [[min(size - 1, max(0, GRIDS[mode](i, size, m))) for i in range(m)] for size, m in ((10, 7), (20, 14))]
    check(
        tmp_path,
        lambda made: made.add_upsample("u", 0.7, 0.7, "x", "y", "BILINEAR", mode),
        lambda x: sampled(x, *lines),
        rtol=1e-4,
        x=numbers(ROWS, 2, 10, 20),
    )


@pytest.mark.parametrize("factors", [(2, 3), (1, 1)])
def test_upsample_by_the_nearest_pixel(tmp_path, factors):
    def want(x):
        rows, columns = ([int(i / f) for i in range(int(n * f))] for n, f in zip((4, 5), factors, strict=True))
        return np.stack([np.stack([x[..., r, c] for c in columns], axis=-1) for r in rows], axis=-2)

    check(tmp_path, lambda made: made.add_upsample("u", *factors, "x", "y", "NN"), want, x=numbers(ROWS, 2, 4, 5))


def line(mode, start, end, count):
    """The reference's points between two places."""
    size = end - start + 1
    if mode == "STRICT_ALIGN_ENDPOINTS_MODE":
        return np.linspace(start, end, count)
    if mode == "ALIGN_ENDPOINTS_MODE":
        return np.linspace(start, end, count) if count > 1 else np.asarray([(start + end) / 2])
    if mode == "UPSAMPLE_MODE":
        return np.linspace(start, start + size - size / count, count)
    spacing = max(1, size - 1) / count
    first = start + 0.5 * spacing
    return np.linspace(first, first + (count - 1) * spacing, count)


MODES = ["STRICT_ALIGN_ENDPOINTS_MODE", "ALIGN_ENDPOINTS_MODE", "UPSAMPLE_MODE", "ROI_ALIGN_MODE"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(3, 7), (1, 1), (8, 2)])
def test_resize_to_a_size(tmp_path, mode, size):
    def want(x):
        return sampled(x, *(np.minimum(n - 1, line(mode, 0, n - 1, m)) for n, m in zip((4, 5), size, strict=True)))

    check(
        tmp_path,
        lambda made: made.add_resize_bilinear("r", "x", "y", *size, mode),
        want,
        rtol=1e-4,
        x=numbers(ROWS, 2, 4, 5),
    )


BOXES = {
    "CORNERS_HEIGHT_FIRST": lambda h, w, hh, ww: (h, w, hh, ww),
    "CORNERS_WIDTH_FIRST": lambda h, w, hh, ww: (w, h, ww, hh),
    "CENTER_SIZE_HEIGHT_FIRST": lambda h, w, hh, ww: ((h + hh) / 2, (w + ww) / 2, hh - h, ww - w),
    "CENTER_SIZE_WIDTH_FIRST": lambda h, w, hh, ww: ((w + ww) / 2, (h + hh) / 2, ww - w, hh - h),
}


@pytest.mark.parametrize("order", BOXES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
def test_boxes_are_cut_out_and_resized(tmp_path, order, mode, batch, normalized):
    random = np.random.default_rng(0)
    boxes = []
    for _ in range(ROWS * 3):
        top, left = random.uniform(0, 0.4, 2)
        high, wide = random.uniform(0.1, 0.5, 2)
        scale = [1, 1, 1, 1] if normalized else [5, 6, 5, 6]
        corners = [each * times * 2 for each, times in zip((top, left, top + high, left + wide), scale, strict=True)]
        boxes.append(([float(random.integers(0, 2))] if batch else []) + list(BOXES[order](*corners)))

    def want(x, rois):
        parts = []
        for roi in rois[:, 0, :, 0, 0]:
            images = x[0, int(roi[0]) : int(roi[0]) + 1] if batch else x[0]
            given = [float(each) * 0.5 for each in roi[-4:]]
            if order.startswith("CENTER"):
                given = [given[0] - given[2] / 2, given[1] - given[3] / 2, given[0] + given[2] / 2, given[1] + given[3] / 2]
            if "WIDTH_FIRST" in order:
                given = [given[1], given[0], given[3], given[2]]
            if normalized:
                given = [each * times for each, times in zip(given, (5, 6, 5, 6), strict=True)]
            rows = np.clip(line(mode, given[0], given[2], 2), 0, 5)
            columns = np.clip(line(mode, given[1], given[3], 3), 0, 6)
            parts.append(sampled(images, rows, columns))
        return np.stack(parts)

    check(
        tmp_path,
        lambda made: made.add_crop_resize("c", ["x", "b"], "y", 2, 3, mode, normalized, order, 0.5),
        want,
        rtol=1e-4,
        x=numbers(ROWS, 1, 2, 3, 6, 7),
        b=np.asarray(boxes).reshape(ROWS, 3, 1, -1, 1, 1),
    )
