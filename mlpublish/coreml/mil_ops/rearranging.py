"""Operations that rearrange blocks of elements. Source: coremltools' MIL operation reference, ``tensor_transformation``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.indexing import axis_of, whole
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, ints, room


def _depth_to_space(x: Tensor, block_size: Tensor) -> Tensor:
    """A block's place is the slow part of the channel (as in TensorFlow); in ``pixel_shuffle`` it is the fast one."""
    block = _block(x, block_size)
    n, depth, height, width = x.shape
    parts = x.reshape(n, block, block, _parts(depth, block * block), height, width)
    return parts.transpose(0, 3, 4, 1, 5, 2).reshape(n, depth // block**2, height * block, width * block)


def _space_to_depth(x: Tensor, block_size: Tensor) -> Tensor:
    block = _block(x, block_size)
    n, depth, height, width = x.shape
    parts = x.reshape(n, depth, _parts(height, block), block, _parts(width, block), block)
    return parts.transpose(0, 3, 5, 1, 2, 4).reshape(n, depth * block**2, height // block, width // block)


def _pixel_shuffle(x: Tensor, upscale_factor: Tensor) -> Tensor:
    block = _block(x, upscale_factor)
    n, depth, height, width = x.shape
    parts = x.reshape(n, _parts(depth, block * block), block, block, height, width)
    return parts.transpose(0, 1, 4, 2, 5, 3).reshape(n, depth // block**2, height * block, width * block)


def _pixel_unshuffle(x: Tensor, downscale_factor: Tensor) -> Tensor:
    block = _block(x, downscale_factor)
    n, depth, height, width = x.shape
    parts = x.reshape(n, depth, _parts(height, block), block, _parts(width, block), block)
    return parts.transpose(0, 1, 3, 5, 2, 4).reshape(n, depth * block**2, height // block, width // block)


def _space_to_batch(x: Tensor, block_shape: Tensor, paddings: Tensor) -> Tensor:
    """Zeros around, then every block's place becomes a batch of its own: the place is slow, the old batch fast."""
    (down, across), sides = _blocks(x, block_shape, paddings)
    room(*x.shape[:2], x.shape[2] + sum(sides[0]), x.shape[3] + sum(sides[1]))
    padded = np.pad(x, ((0, 0), (0, 0), *sides))
    n, depth, height, width = padded.shape
    parts = padded.reshape(n, depth, _parts(height, down), down, _parts(width, across), across)
    return parts.transpose(3, 5, 0, 1, 2, 4).reshape(n * down * across, depth, height // down, width // across)


def _batch_to_space(x: Tensor, block_shape: Tensor, crops: Tensor) -> Tensor:
    """What ``space_to_batch`` did, backwards."""
    (down, across), ((top, bottom), (left, right)) = _blocks(x, block_shape, crops)
    n, depth, height, width = x.shape
    parts = x.reshape(down, across, _parts(n, down * across), depth, height, width)
    whole_space = parts.transpose(2, 3, 4, 0, 5, 1).reshape(n // (down * across), depth, height * down, width * across)
    if top + bottom > height * down or left + right > width * across:
        raise ValueError(f"crops of {[top, bottom, left, right]} are more than {height * down} x {width * across} have")
    return whole_space[:, :, top : height * down - bottom, left : width * across - right]


def _block(x: Tensor, size: Tensor) -> int:
    """A block's side, for a tensor of images."""
    _images(x)
    block = whole(size)
    if block < 1:
        raise ValueError(f"a block of the size {block} is none")
    return block


def _blocks(x: Tensor, block_shape: Tensor, sides: Tensor) -> tuple[tuple[int, int], tuple[tuple[int, int], tuple[int, int]]]:
    """A block's height and width, and what is added or cut: before and after, of height and width."""
    _images(x)
    shape, around = ints(block_shape), ints(sides)
    if len(shape) != 2 or len(around) != 4 or min(shape) < 1 or min(around) < 0:
        raise ValueError(f"blocks of the shape {shape} with the sides {around} are none: two numbers from 1 on, four from 0 on")
    return (shape[0], shape[1]), ((around[0], around[1]), (around[2], around[3]))


def _images(x: Tensor) -> None:
    if x.ndim != 4:
        raise ValueError(f"a tensor of rank 4 is rearranged, not one of the shape {x.shape}")


def _parts(length: int, of: int) -> int:
    if length % of:
        raise ValueError(f"an axis of length {length} is not made of blocks of {of}")
    return length // of


def _reverse_sequence(x: Tensor, lengths: Tensor, seq_axis: Tensor | int = 0, batch_axis: Tensor | int = 0) -> Tensor:
    """Of each slice along ``batch_axis`` the first ``lengths[i]`` elements along ``seq_axis`` change their order."""
    sequence, batch = axis_of(seq_axis, x.ndim), axis_of(batch_axis, x.ndim)
    size, counts = x.shape[sequence], ints(lengths)
    if sequence == batch:
        raise ValueError(f"the axis {batch} cannot be both the batch's and the sequence's")
    if len(counts) != x.shape[batch]:
        raise ValueError(f"{len(counts)} lengths are given for {x.shape[batch]} sequences")
    if any(not 0 <= count <= size for count in counts):
        raise ValueError(f"a length of {counts} is not within a sequence of {size}")
    room(len(counts), size)
    step, count = np.arange(size), np.asarray(counts, dtype=np.intp)[:, None]
    order = np.where(step < count, count - 1 - step, step)
    moved = np.moveaxis(x, (batch, sequence), (0, 1))
    picked = np.take_along_axis(moved, order.reshape(order.shape + (1,) * (x.ndim - 2)), axis=1)
    return np.moveaxis(picked, (0, 1), (batch, sequence))


OPS: Mapping[str, Handler] = {
    "depth_to_space": _depth_to_space,
    "space_to_depth": _space_to_depth,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "space_to_batch": _space_to_batch,
    "batch_to_space": _batch_to_space,
    "reverse_sequence": _reverse_sequence,
}
