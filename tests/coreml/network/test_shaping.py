from __future__ import annotations

import numpy as np
import pytest

from tests.coreml.network.building import ROWS, check, numbers


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize("exact", [True, False])
def test_flatten_in_both_orders(tmp_path, mode, exact):
    def want(x):
        channels, height, width = x.shape[-3:]
        flat = []
        for image in x.reshape(-1, channels, height, width):
            places = [(c, h, w) for c in range(channels) for h in range(height) for w in range(width)]
            if mode:
                places = [(c, h, w) for h in range(height) for w in range(width) for c in range(channels)]
            flat.append([image[place] for place in places])
        return np.reshape(flat, (*x.shape[:-3], channels * height * width, 1, 1))

    check(tmp_path, lambda made: made.add_flatten("f", mode, "x", "y"), want, exact=exact, x=numbers(ROWS, 2, 3, 4))


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize("target", [(4, 3, 2), (1, 24, 1), (2, 3, 2, 2), (1, 2, 2, 6)])
def test_reshape_in_both_orders(tmp_path, mode, target):
    def want(x):
        order = x[0, 0].reshape(-1) if mode == 0 else [x[0, 0, c, h, w] for h in range(3) for w in range(4) for c in range(2)]
        numbers_ = iter(order)
        steps, channels, height, width = target if len(target) == 4 else (1, *target)
        y = np.zeros((steps, 1, channels, height, width))
        for s in range(steps):
            if mode == 0:
                for place in np.ndindex(channels, height, width):
                    y[(s, 0, *place)] = next(numbers_)
            else:
                for h, w, c in np.ndindex(height, width, channels):
                    y[s, 0, c, h, w] = next(numbers_)
        return y

    check(tmp_path, lambda made: made.add_reshape("r", "x", "y", target, mode), want, exact=False, x=numbers(ROWS, 2, 3, 4))


@pytest.mark.parametrize("target", [(6, 2, 2), (1, 6, 4, 1)])
def test_reshape_of_a_sequence(tmp_path, target):
    """Three numbers keep the sequence, the fourth is its new length."""

    def add(made):
        made.add_permute("p", [2, 0, 1, 3], "x", "seq")  # (H, 1, 1 …): the sequence is the height
        made.add_reshape("r", "seq", "y", target, 0)

    def want(x):
        sequence = np.transpose(x, (3, 1, 0, 2, 4))
        return sequence.reshape((-1, 1, *target[-3:]))

    check(tmp_path, add, want, exact=False, x=numbers(ROWS, 2, 3, 4) if len(target) == 4 else numbers(ROWS, 6, 3, 4))


@pytest.mark.parametrize("order", [(0, 3, 1, 2), (3, 1, 2, 0), (0, 1, 2, 3), (1, 2, 3, 0)])
def test_permute_leaves_the_batch(tmp_path, order):
    def want(x):
        sizes = dict(zip((0, 1, 2, 3), (x.shape[0], *x.shape[2:]), strict=True))
        y = np.zeros((sizes[order[0]], 1, *(sizes[axis] for axis in order[1:])))
        for s, c, h, w in np.ndindex(x.shape[0], *x.shape[2:]):
            place = [(s, c, h, w)[axis] for axis in order]
            y[place[0], 0, place[1], place[2], place[3]] = x[s, 0, c, h, w]
        return y

    check(tmp_path, lambda made: made.add_permute("p", order, "x", "y"), want, exact=False, x=numbers(ROWS, 2, 3, 4))


def test_concat_of_channels_and_of_sequences(tmp_path):
    def add(made):
        made.add_elementwise("c", ["a", "b"], "y", "CONCAT")
        made.add_elementwise("s", ["a", "b"], "z", "SEQUENCE_CONCAT")

    def want(a, b):
        y = np.zeros((1, 1, 4, 3, 4))
        y[0, 0, :2], y[0, 0, 2:] = a[0, 0], b[0, 0]
        return y, np.stack([a[0], b[0]])

    check(
        tmp_path, add, want, outputs=("y", "z"), exact=False, a=numbers(ROWS, 2, 3, 4), b=numbers(ROWS, 2, 3, 4, seed=1)
    )  # fmt: skip


@pytest.mark.parametrize("exact", [True, False])
def test_split_is_even(tmp_path, exact):
    check(
        tmp_path,
        lambda made: made.add_split("s", "x", ["a", "b", "c"]),
        lambda x: tuple(x[..., at : at + 2, :, :] for at in (0, 2, 4)),
        outputs=("a", "b", "c"),
        exact=exact,
        x=numbers(ROWS, 6, 2, 3),
    )


@pytest.mark.parametrize(("start", "end", "stride"), [(0, 4, 1), (1, -1, 2), (2, 3, 1), (0, 99, 3)])
@pytest.mark.parametrize("axis", ["channel", "height", "width"])
def test_slice_of_one_axis(tmp_path, axis, start, end, stride):
    at = {"channel": -3, "height": -2, "width": -1}[axis]

    def want(x):
        size = x.shape[at]
        stop = size + end if end < 0 else min(end, size)
        return np.stack([np.take(x, i, axis=at) for i in range(start, stop, stride)], axis=at)

    check(tmp_path, lambda made: made.add_slice("s", "x", "y", axis, start, end, stride), want, x=numbers(ROWS, 2, 4, 5, 4))


@pytest.mark.parametrize("exact", [True, False])
def test_crop_by_amounts_and_by_another_blob(tmp_path, exact):
    def add(made):
        made.add_crop("c", 1, 2, 0, 1, None, ["x"], "y")
        made.add_crop("d", 0, 0, 0, 0, [2, 1], ["x", "z"], "w")

    def want(x, z):
        by_amounts = x[..., 0:4, 1:4]  # left, right, top, bottom
        return by_amounts, x[..., 2:4, 1:4]

    check(
        tmp_path, add, want, outputs=("y", "w"), exact=exact, x=numbers(ROWS, 2, 5, 6), z=numbers(ROWS, 2, 2, 3, seed=1)
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["constant", "reflection", "replication"])
@pytest.mark.parametrize("exact", [True, False])
def test_padding_of_height_and_width(tmp_path, mode, exact):
    left, right, top, bottom = 2, 1, 0, 3

    def mirrored(at, size):
        return -at if at < 0 else 2 * (size - 1) - at if at >= size else at

    def want(x):
        height, width = x.shape[-2:]
        y = np.full((*x.shape[:-2], top + height + bottom, left + width + right), 0.5)
        for h, w in np.ndindex(*y.shape[-2:]):
            row, column = h - top, w - left
            if mode == "reflection":
                row, column = mirrored(row, height), mirrored(column, width)
            if mode == "replication":
                row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
            if 0 <= row < height and 0 <= column < width:
                y[..., h, w] = x[..., row, column]
        return y

    check(
        tmp_path,
        lambda made: made.add_padding("p", left, right, top, bottom, 0.5, "x", "y", mode),
        want,
        exact=exact,
        x=numbers(ROWS, 2, 4, 5),
    )


def test_a_sequence_is_repeated(tmp_path):
    check(
        tmp_path,
        lambda made: made.add_sequence_repeat("r", 3, "x", "y"),
        lambda x: np.stack([x[0]] * 3),
        exact=False,
        x=numbers(ROWS, 2, 3, 4),
    )


def _eight():
    return np.arange(1, 17, dtype=np.float32).reshape(1, 8, 1, 2)


@pytest.mark.parametrize(
    ("mode", "given", "want"),
    [  # the reference's own examples
        ("DEPTH_TO_SPACE", _eight(), [[[1, 5, 2, 6], [9, 13, 10, 14]], [[3, 7, 4, 8], [11, 15, 12, 16]]]),
        ("PIXEL_SHUFFLE", _eight(), [[[1, 3, 2, 4], [5, 7, 6, 8]], [[9, 11, 10, 12], [13, 15, 14, 16]]]),
        ("SPACE_TO_DEPTH", np.asarray([[[[1, 5, 2, 6], [9, 13, 10, 14]], [[3, 7, 4, 8], [11, 15, 12, 16]]]]), _eight()[0]),
    ],
)
def test_data_moves_between_depth_and_space(tmp_path, mode, given, want):
    check(
        tmp_path,
        lambda made: made.add_reorganize_data("r", "x", "y", mode, 2),
        lambda x: np.asarray(want),
        x=given[:, None].astype(np.float32),
    )


@pytest.mark.parametrize("mode", ["DEPTH_TO_SPACE", "PIXEL_SHUFFLE", "SPACE_TO_DEPTH"])
def test_data_moves_place_by_place(tmp_path, mode):
    def want(x):
        channels, height, width = x.shape[1:]
        block = 3
        if mode == "SPACE_TO_DEPTH":
            y = np.zeros((1, channels * 9, height // 3, width // 3))
            for c, h, w in np.ndindex(channels, height, width):
                y[0, (h % block * block + w % block) * channels + c, h // block, w // block] = x[0, c, h, w]
            return y
        y = np.zeros((1, channels // 9, height * 3, width * 3))
        for c, h, w in np.ndindex(*y.shape[1:]):
            inside = h % block * block + w % block
            source = inside * (channels // 9) + c if mode == "DEPTH_TO_SPACE" else c * 9 + inside
            y[0, c, h, w] = x[0, source, h // block, w // block]
        return y

    check(
        tmp_path, lambda made: made.add_reorganize_data("r", "x", "y", mode, 3), want, x=numbers(ROWS, 1, 18, 3, 6)
    )  # fmt: skip
