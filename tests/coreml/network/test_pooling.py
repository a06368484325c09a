from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.coreml.network.building import ROWS, check, numbers
from tests.coreml.network.test_convolution import same

KINDS = ["MAX", "AVERAGE", "L2"]


def pooled(x, kind, kernel, stride, pads, counts, exclude):
    """Window by window; a place outside counts for an average as 0, or not at all; beyond the padding never."""
    (top, bottom), (left, right) = pads
    channels, height, width = x.shape
    y = np.zeros((channels, *counts))
    for c, r, q in itertools.product(range(channels), *map(range, counts)):
        inside, places = [], 0
        for h, w in itertools.product(*map(range, kernel)):
            at = r * stride[0] + h - top, q * stride[1] + w - left
            if 0 <= at[0] < height and 0 <= at[1] < width:
                inside.append(x[c, at[0], at[1]])
            places += at[0] < height + bottom and at[1] < width + right
        y[c, r, q] = {
            "MAX": lambda found=inside: max(found),
            "AVERAGE": lambda found=inside, all_=places: sum(found) / (len(found) if exclude else all_),
            "L2": lambda found=inside: sum(each * each for each in found) ** 0.5,
        }[kind]()
    return y


@pytest.mark.parametrize("exclude", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("border", ["VALID", "SAME", "SAME_TOP_LEFT", "CUSTOM"])
def test_a_window_becomes_one_number(tmp_path, kind, border, exclude):
    kernel, stride = (3, 2), (2, 3)
    pads = {
        "VALID": [(0, 0), (0, 0)],
        "CUSTOM": [(1, 2), (1, 0)],
        "SAME": [same(n, k, s, top_left=False) for n, k, s in zip((6, 7), kernel, stride, strict=True)],
        "SAME_TOP_LEFT": [same(n, k, s, top_left=True) for n, k, s in zip((6, 7), kernel, stride, strict=True)],
    }[border]

    def add(made):
        (top, bottom), (left, right) = pads if border == "CUSTOM" else [(0, 0), (0, 0)]
        made.add_pooling(
            "pool", *kernel, *stride, kind, "SAME" if border.startswith("SAME") else "VALID", "x", "y",
            exclude_pad_area=exclude, padding_top=top, padding_bottom=bottom, padding_left=left, padding_right=right,
            same_padding_asymmetry_mode="TOP_LEFT_HEAVY" if border.endswith("LEFT") else "BOTTOM_RIGHT_HEAVY",
        )  # fmt: skip

    def want(x):
        counts = [(n + sum(p) - k) // s + 1 for n, p, k, s in zip((6, 7), pads, kernel, stride, strict=True)]
        return np.stack([pooled(image, kind, kernel, stride, pads, counts, exclude) for image in x])

    check(tmp_path, add, want, x=numbers(ROWS, 2, 3, 6, 7))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_global_pool_is_over_the_whole_image(tmp_path, kind, exact):
    def want(x):
        made = [pooled(image, kind, (4, 5), (1, 1), [(0, 0)] * 2, (1, 1), True) for image in x.reshape(-1, 3, 4, 5)]
        return np.stack(made).reshape(*x.shape[:-2], 1, 1)

    def add(made):
        made.add_pooling("pool", 2, 2, 1, 1, kind, "VALID", "x", "y", is_global=True)

    check(tmp_path, add, want, exact=exact, x=numbers(ROWS, 3, 4, 5) if not exact else numbers(ROWS, 1, 3, 4, 5))


@pytest.mark.parametrize("exclude", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("sizes", "kernel", "stride", "amounts"),
    [
        ((6, 7), (3, 3), (2, 2), (0, 0)),
        ((6, 7), (3, 3), (2, 2), (1, 1)),
        ((5, 6), (2, 2), (2, 2), (1, 1)),
        ((5, 5), (1, 3), (3, 2), (0, 1)),  # the last window would begin behind the axis that is not padded
        ((4, 4), (2, 2), (3, 3), (1, 0)),
    ],
)
def test_the_last_pixel_is_taken_in(tmp_path, kind, exclude, sizes, kernel, stride, amounts):
    def add(made):
        layer = made.add_pooling("pool", *kernel, *stride, kind, "VALID", "x", "y", exclude_pad_area=exclude)
        layer.pooling.includeLastPixel.paddingAmounts.extend(amounts)

    def want(x):
        counts = []
        for n, k, s, p in zip(sizes, kernel, stride, amounts, strict=True):
            count = int(np.ceil((n + 2 * p - k) / s)) + 1
            if (amounts[0] > 0 or amounts[1] > 0) and (count - 1) * s >= n + p:
                count -= 1
            counts.append(count)
        return pooled(x[0], kind, kernel, stride, [(p, p) for p in amounts], counts, exclude)[None]

    check(tmp_path, add, want, x=numbers(ROWS, 1, 2, *sizes))


@pytest.mark.parametrize("kind", ["MAX", "AVERAGE"])
def test_pools_over_three_axes(tmp_path, kind):
    def add(made):
        made.add_pooling3d(
            "pool", "x", "y", kind, 2, 2, 3, 1, 2, 2, "custom", 0, 0, 1, 0, 1, 1, average_pooling_count_excludes_padding=True
        )
        made.add_global_pooling3d("all", "x", "z", kind)

    def want(x):
        reduce = np.max if kind == "MAX" else np.mean
        y = np.zeros((1, 2, 2, 2, 2))
        for c, d, h, w in np.ndindex(2, 2, 2, 2):
            high, wide = h * 2 - 1, w * 2 - 1
            y[0, c, d, h, w] = reduce(x[0, c, d : d + 2, max(0, high) : high + 2, max(0, wide) : wide + 3])
        return y, reduce(x, axis=(2, 3, 4), keepdims=True)

    check(tmp_path, add, want, outputs=("y", "z"), x=numbers(ROWS, 1, 2, 3, 4, 4))
