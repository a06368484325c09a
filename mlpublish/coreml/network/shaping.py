"""Layers of channels, heights and widths that move numbers and change none.

Source: NeuralNetwork.proto, ``FlattenLayerParams``, ``ReshapeLayerParams``, ``PermuteLayerParams``, ``ConcatLayerParams``,
``SplitLayerParams``, ``SliceLayerParams``, ``CropLayerParams``, ``PaddingLayerParams``, ``SequenceRepeatLayerParams``,
``ReorganizeDataLayerParams``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from mlpublish.coreml.mil_ops.tensor import room
from mlpublish.coreml.network.blob import Blob, Opener, Step, at_least, one, rank, same_rows
from mlpublish.coreml.network.convolution import border
from mlpublish.coreml.schema import Message


def _flatten(layer: Message) -> Step:
    last = {0: False, 1: True}[layer.flatten.mode]  # CHANNEL_FIRST, CHANNEL_LAST

    def run(x: Blob) -> Blob:
        moved = np.moveaxis(at_least(3, x), -3, -1) if last else at_least(3, x)
        return moved.reshape(*x.shape[:-3], math.prod(x.shape[-3:]), 1, 1)

    return one(run)


def _reshape(layer: Message) -> Step:
    target = [int(size) for size in layer.reshape.targetShape]
    last = {0: False, 1: True}[layer.reshape.mode]
    if len(target) not in (3, 4) or min(target) < 1:
        raise ValueError(f"there is no reshape to {target}")

    def run(x: Blob) -> Blob:
        if rank(x) != 5:
            raise ValueError(f"a blob of {rank(x)} dimensions is reshaped; it takes 5")
        by_batch = np.moveaxis(x, 2, 1)  # (rows, batch, sequence, C, H, W)
        ordered = np.moveaxis(by_batch, 3, 5) if last else by_batch
        channels, height, width = target[-3:]
        sequence = target[0] if len(target) == 4 else x.shape[1]
        inner = (height, width, channels) if last else (channels, height, width)
        if sequence * math.prod(inner) != math.prod(by_batch.shape[2:]):
            raise ValueError(f"{by_batch.shape[2:]} is no {target}")
        out = ordered.reshape(*by_batch.shape[:2], sequence, *inner)
        return np.moveaxis(np.moveaxis(out, 5, 3) if last else out, 1, 2)

    return one(run)


def _permute(layer: Message) -> Step:
    order = [int(axis) for axis in layer.permute.axis] or [0, 1, 2, 3]
    if sorted(order) != [0, 1, 2, 3]:
        raise ValueError(f"{order} is no permutation")
    stands = [1, 3, 4, 5]  # sequence, channel, height, width behind the rows; the batch stays
    first, *rest = (stands[axis] for axis in order)

    def run(x: Blob) -> Blob:
        if rank(x) != 5:
            raise ValueError(f"a blob of {rank(x)} dimensions is permuted; it takes 5")
        return np.transpose(x, (0, first, 2, *rest))

    return one(run)


def _concat(layer: Message) -> Step:
    axis = -5 if layer.concat.sequenceConcat else -3

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        if not inputs:
            raise ValueError("there is nothing to join")
        return (joined([at_least(-axis, x) for x in inputs], axis),)

    return step


def joined(blobs: Sequence[Blob], axis: int) -> Blob:
    """Blobs one behind the other along an axis; rows are made equal first."""
    same = same_rows(blobs)
    longest = sum(blob.shape[axis] for blob in same)
    room(longest, *(size for at, size in enumerate(same[0].shape) if at != axis % same[0].ndim))
    return np.concatenate(same, axis=axis)


def _split(layer: Message) -> Step:
    count = int(layer.split.nOutputs)
    if count != len(layer.output):
        raise ValueError(f"{count} parts have {len(layer.output)} names")

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        (x,) = inputs
        return np.split(at_least(3, x), count, axis=-3)

    return step


def _slice(layer: Message) -> Step:
    held = layer.slice
    axis = {held.CHANNEL_AXIS: -3, held.HEIGHT_AXIS: -2, held.WIDTH_AXIS: -1}[held.axis]
    if held.stride < 1:
        raise ValueError("a slice of stride 0")
    part = slice(int(held.startIndex), int(held.endIndex), int(held.stride))

    def run(x: Blob) -> Blob:
        inside = at_least(-axis, x).ndim + axis
        kept = x[(slice(None),) * inside + (part,)]
        if not kept.size:
            raise ValueError(f"nothing of {x.shape[axis]} stands between {part.start} and {part.stop}")
        return kept

    return one(run)


def _crop(layer: Message) -> Step:
    cuts = border(layer.crop.cropAmounts)
    offset = [int(each) for each in layer.crop.offset]

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        x, *reference = inputs
        sizes = at_least(3, x).shape[-2:]
        if reference:
            (other,) = reference
            starts = offset or [0, 0]
            ends = [start + size for start, size in zip(starts, at_least(3, other).shape[-2:], strict=True)]
        else:
            starts = [before for before, _ in cuts]
            ends = [size - after for size, (_, after) in zip(sizes, cuts, strict=True)]
        if any(not start < end <= size for start, end, size in zip(starts, ends, sizes, strict=True)):
            raise ValueError(f"from {starts} to {ends} is cut out of {sizes}")
        return (x[..., starts[0] : ends[0], starts[1] : ends[1]],)

    return step


_MODES: Mapping[str, Literal["constant", "reflect", "edge"]] = {
    "constant": "constant",
    "reflection": "reflect",
    "replication": "edge",
}


def _padding(layer: Message) -> Step:
    held = layer.padding
    kind = held.WhichOneof("PaddingType")
    if kind not in _MODES:
        raise ValueError("no padding is named")
    amounts = border(held.paddingAmounts)

    def run(x: Blob) -> Blob:
        sizes = at_least(2, x).shape[-2:]
        if kind == "reflection" and any(max(pair) >= size for pair, size in zip(amounts, sizes, strict=True)):
            raise ValueError(f"{sizes} has too little to reflect {amounts}")
        room(*x.shape[:-2], *(sum(pair) + size for pair, size in zip(amounts, sizes, strict=True)))
        widths = [(0, 0)] * (x.ndim - 2) + amounts
        if kind == "constant":
            return np.pad(x, widths, constant_values=held.constant.value)
        return np.pad(x, widths, mode=_MODES[kind])

    return one(run)


def _sequence_repeat(layer: Message) -> Step:
    times = int(layer.sequenceRepeat.nRepetitions) or 1

    def run(x: Blob) -> Blob:
        room(at_least(5, x).size, times)
        return np.concatenate([x] * times, axis=-5)

    return one(run)


def _reorganize(layer: Message) -> Step:
    held = layer.reorganizeData
    block = int(held.blockSize)
    if block < 2:
        raise ValueError(f"blocks of {block}")
    run = {held.SPACE_TO_DEPTH: _space_to_depth, held.DEPTH_TO_SPACE: _depth_to_space, held.PIXEL_SHUFFLE: _pixel_shuffle}
    return one(lambda x: run[held.mode](at_least(3, x), block))


def _space_to_depth(x: Blob, block: int) -> Blob:
    """A place inside of its block comes before the channel."""
    *leading, channels, height, width = x.shape
    if height % block or width % block:
        raise ValueError(f"{height} × {width} in blocks of {block}")
    cells = x.reshape(*leading, channels, height // block, block, width // block, block)
    moved = np.moveaxis(cells, (-3, -1), (-5, -4))
    return moved.reshape(*leading, channels * block * block, height // block, width // block)


def _depth_to_space(x: Blob, block: int) -> Blob:
    *leading, channels, height, width = x.shape
    cells = x.reshape(*leading, block, block, _in_blocks(channels, block), height, width)
    return _laid_out(np.moveaxis(cells, (-5, -4), (-3, -1)), block)


def _pixel_shuffle(x: Blob, block: int) -> Blob:
    """The channel comes before a place inside of its block."""
    *leading, channels, height, width = x.shape
    cells = x.reshape(*leading, _in_blocks(channels, block), block, block, height, width)
    return _laid_out(np.moveaxis(cells, (-4, -3), (-3, -1)), block)


def _in_blocks(channels: int, block: int) -> int:
    if channels % (block * block):
        raise ValueError(f"{channels} channels in blocks of {block} × {block}")
    return channels // (block * block)


def _laid_out(cells: Blob, block: int) -> Blob:
    """(…, C, H, block, W, block) as (…, C, H * block, W * block)."""
    *leading, channels, height, _, width, _ = cells.shape
    return cells.reshape(*leading, channels, height * block, width * block)


LAYERS: Mapping[str, Opener] = {
    "flatten": _flatten,
    "reshape": _reshape,
    "permute": _permute,
    "concat": _concat,
    "split": _split,
    "slice": _slice,
    "crop": _crop,
    "padding": _padding,
    "sequenceRepeat": _sequence_repeat,
    "reorganizeData": _reorganize,
}
