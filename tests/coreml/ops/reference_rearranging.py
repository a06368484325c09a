"""Blocks rearranged element by element, as the operations' documentation (and that of the functions it names) says."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.coreml.ops.reference_elements import by_element, counted, replaced


def depth_to_space(x: Any, block_size: Any) -> np.ndarray:
    """As tf.nn.depth_to_space: the block's place is the slow part of the channel."""
    b = int(block_size)
    n, depth, height, width = x.shape
    left = depth // (b * b)
    return by_element(
        (n, left, height * b, width * b),
        x.dtype,
        lambda p: x[p[0], ((p[2] % b) * b + p[3] % b) * left + p[1], p[2] // b, p[3] // b],
    )


def space_to_depth(x: Any, block_size: Any) -> np.ndarray:
    b = int(block_size)
    n, depth, height, width = x.shape

    def value(p):
        place, channel = divmod(p[1], depth)
        return x[p[0], channel, p[2] * b + place // b, p[3] * b + place % b]

    return by_element((n, depth * b * b, height // b, width // b), x.dtype, value)


def pixel_shuffle(x: Any, upscale_factor: Any) -> np.ndarray:
    """As torch.nn.PixelShuffle: the block's place is the fast part of the channel."""
    f = int(upscale_factor)
    n, depth, height, width = x.shape
    return by_element(
        (n, depth // (f * f), height * f, width * f),
        x.dtype,
        lambda p: x[p[0], p[1] * f * f + (p[2] % f) * f + p[3] % f, p[2] // f, p[3] // f],
    )


def pixel_unshuffle(x: Any, downscale_factor: Any) -> np.ndarray:
    f = int(downscale_factor)
    n, depth, height, width = x.shape

    def value(p):
        channel, place = divmod(p[1], f * f)
        return x[p[0], channel, p[2] * f + place // f, p[3] * f + place % f]

    return by_element((n, depth * f * f, height // f, width // f), x.dtype, value)


def space_to_batch(x: Any, block_shape: Any, paddings: Any) -> np.ndarray:
    """As tf.space_to_batch: batch ``place * n + old``, zeros where the padding is."""
    (down, across), ((top, bottom), (left, right)) = block_shape.tolist(), paddings.tolist()
    n, depth, height, width = x.shape

    def value(p):
        place, old = divmod(p[0], n)
        row, column = p[2] * down + place // across - top, p[3] * across + place % across - left
        return x[old, p[1], row, column] if 0 <= row < height and 0 <= column < width else 0

    shape = (n * down * across, depth, (height + top + bottom) // down, (width + left + right) // across)
    return by_element(shape, x.dtype, value)


def batch_to_space(x: Any, block_shape: Any, crops: Any) -> np.ndarray:
    (down, across), ((top, bottom), (left, right)) = block_shape.tolist(), crops.tolist()
    n, depth, height, width = x.shape
    left_over = n // (down * across)

    def value(p):
        row, column = p[2] + top, p[3] + left
        place = (row % down) * across + column % across
        return x[place * left_over + p[0], p[1], row // down, column // across]

    return by_element((left_over, depth, height * down - top - bottom, width * across - left - right), x.dtype, value)


def reverse_sequence(x: Any, lengths: Any, seq_axis: Any = 0, batch_axis: Any = 0) -> np.ndarray:
    sequence, batch = counted(seq_axis, x.ndim), counted(batch_axis, x.ndim)

    def value(p):
        length = int(lengths[p[batch]])
        step = p[sequence]
        return x[replaced(p, sequence, length - 1 - step) if step < length else p]

    return by_element(x.shape, x.dtype, value)
