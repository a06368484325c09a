"""Layers of any number of dimensions that move numbers and change none.

Source: NeuralNetwork.proto, ``TransposeLayerParams``, ``ConcatNDLayerParams``, ``SplitNDLayerParams``, ``Slice…LayerParams``,
``Squeeze…``, ``ExpandDims…``, ``Reshape…``, ``FlattenTo2DLayerParams``, ``TileLayerParams``, ``Reverse…``,
``ConstantPaddingLayerParams``, ``BroadcastTo…``, ``StackLayerParams``, ``SlidingWindowsLayerParams``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Tensor, room
from mlpublish.coreml.network.blob import (
    Blob,
    Opener,
    Step,
    aligned,
    axis_of,
    each_row,
    filled,
    one,
    rank,
    same_rows,
    two,
    whole,
)
from mlpublish.coreml.network.shaping import joined
from mlpublish.coreml.schema import Message


def _transpose(layer: Message) -> Step:
    axes = [int(axis) for axis in layer.transpose.axes]
    if sorted(axes) != list(range(len(axes))):
        raise ValueError(f"{axes} is no permutation")
    return one(lambda x: np.transpose(x, (0, *(axis + 1 for axis in axes))))


def _concat_nd(layer: Message) -> Step:
    held = layer.concatND

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        if not inputs:
            raise ValueError("there is nothing to join")
        axis = axis_of(held.axis, rank(inputs[0]))
        if not held.interleave:
            return (joined(inputs, axis),)
        stacked = np.stack(same_rows(inputs), axis=axis + 1)
        return (stacked.reshape(*stacked.shape[:axis], -1, *stacked.shape[axis + 2 :]),)

    return step


def _stack(layer: Message) -> Step:
    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        axis = axis_of(layer.stack.axis, rank(inputs[0]) + 1)
        room(len(inputs), *same_rows(inputs)[0].shape)
        return (np.stack(same_rows(inputs), axis=axis),)

    return step


def _split_nd(layer: Message) -> Step:
    held = layer.splitND
    sizes = [int(size) for size in held.splitSizes]
    count = len(sizes) or int(held.numSplits)
    if count != len(layer.output):
        raise ValueError(f"{count} parts have {len(layer.output)} names")

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        (x,) = inputs
        axis = axis_of(held.axis, rank(x))
        if not sizes:
            return np.split(x, count, axis=axis)
        if sum(sizes) != x.shape[axis]:
            raise ValueError(f"{sizes} are no parts of {x.shape[axis]}")
        return np.split(x, np.cumsum(sizes)[:-1], axis=axis)

    return step


def _slice_static(layer: Message) -> Step:
    held = layer.sliceStatic
    return one(
        lambda x: _sliced(x, held.beginIds, held.endIds, held.strides, held.beginMasks, held.endMasks, held.squeezeMasks)
    )


def _slice_dynamic(layer: Message) -> Step:
    held = layer.sliceDynamic
    fields = (held.endIds, held.strides, held.beginMasks, held.endMasks, held.squeezeMasks)

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        x, begins, *given = inputs
        return (_sliced(x, whole(begins), *(whole(each) for each in given), *fields[len(given) :]),)

    return step


def _sliced(
    x: Blob,
    begins: Sequence[int],
    ends: Sequence[int],
    strides: Sequence[int],
    from_start: Sequence[int],
    to_end: Sequence[int],
    single: Sequence[int],
) -> Blob:
    """A mask that is left out is false everywhere."""
    no = [0] * rank(x)
    where: list[slice | int] = [slice(None)]
    for size, begin, end, stride, open_start, open_end, alone in zip(
        x.shape[1:], begins, ends, strides, from_start or no, to_end or no, single or no, strict=True
    ):
        if alone:
            where.append(axis_of(int(begin), size) - 1)
        else:
            where.append(slice(None if open_start else int(begin), None if open_end else int(end), int(stride)))
    return filled(x[tuple(where)])


def _slice_by_size(layer: Message) -> Step:
    held = layer.sliceBySize

    def run(x: Blob, begin: Blob) -> Blob:
        (start,) = whole(begin)
        axis = axis_of(held.axis, rank(x))
        if not 0 <= start <= start + held.size <= x.shape[axis]:
            raise ValueError(f"{held.size} from {start} on are taken of {x.shape[axis]}")
        return np.take(x, range(start, start + held.size), axis=axis)

    return two(run)


def _squeeze(layer: Message) -> Step:
    held = layer.squeeze

    def run(x: Blob) -> Blob:
        ones = [axis for axis in range(1, x.ndim) if x.shape[axis] == 1]
        axes = ones if held.squeezeAll else [axis_of(axis, rank(x)) for axis in held.axes]
        return filled(np.squeeze(x, axis=tuple(axes)))

    return one(run)


def _expand_dims(layer: Message) -> Step:
    axes = [int(axis) for axis in layer.expandDims.axes]
    return one(lambda x: np.expand_dims(x, tuple(axis_of(axis, rank(x) + len(axes)) for axis in axes)))


def _flatten_to_2d(layer: Message) -> Step:
    def run(x: Blob) -> Blob:
        axis = layer.flattenTo2D.axis
        if not -rank(x) <= axis <= rank(x):
            raise ValueError(f"there is no axis {axis} among {rank(x)}")
        middle = axis + 1 if axis >= 0 else axis + x.ndim
        return x.reshape(len(x), math.prod(x.shape[1:middle]), math.prod(x.shape[middle:]))

    return one(run)


def _as_shape(x: Blob, target: Sequence[int]) -> Blob:
    """One -1 is worked out."""
    if not target or min(target) < -1 or list(target).count(-1) > 1:
        raise ValueError(f"there is no shape {list(target)}")
    known = math.prod(size for size in target if size != -1)
    if math.prod(x.shape[1:]) != known and not (-1 in target and known and math.prod(x.shape[1:]) % known == 0):
        raise ValueError(f"{x.shape[1:]} is no {list(target)}")
    return x.reshape(len(x), *(math.prod(x.shape[1:]) // known if size == -1 else size for size in target))


def _reshape_static(layer: Message) -> Step:
    target = [int(size) for size in layer.reshapeStatic.targetShape]
    return one(lambda x: _as_shape(x, target))


def _rank_preserving(layer: Message) -> Step:
    target = [int(size) for size in layer.rankPreservingReshape.targetShape]

    def run(x: Blob) -> Blob:
        return _as_shape(x, [size or kept for size, kept in zip(target, x.shape[1:], strict=True)])

    return one(run)


def _repeats(x: Blob, times: Sequence[int]) -> Blob:
    full = [1] * (rank(x) - len(times)) + [int(each) for each in times]
    if len(full) != rank(x) or min(full) < 0:  # counted by the network itself, it may be none
        raise ValueError(f"{x.shape[1:]} is not repeated {list(times)} times")
    room(len(x), *(size * each for size, each in zip(x.shape[1:], full, strict=True)))
    return np.tile(x, (1, *full))


def _tile(layer: Message) -> Step:
    times = list(layer.tile.reps)

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        x, *given = inputs
        return (_repeats(x, whole(given[0]) if given else times),)

    return step


def _broadcast(x: Blob, shape: Sequence[int]) -> Blob:
    room(len(x), *shape)
    (same, _) = aligned([x, np.empty((1, *shape), np.float32)])
    return np.broadcast_to(same, (len(x), *shape))


def _broadcast_static(layer: Message) -> Step:
    shape = room(*(int(size) for size in layer.broadcastToStatic.targetShape))
    return one(lambda x: _broadcast(x, shape))


def _reverse(layer: Message) -> Step:
    flags = list(layer.reverse.reverseDim)

    def run(x: Blob) -> Blob:
        if len(flags) != rank(x):
            raise ValueError(f"{len(flags)} flags for {rank(x)} dimensions")
        return np.flip(x, tuple(axis + 1 for axis, flag in enumerate(flags) if flag))

    return one(run)


def _reverse_seq(layer: Message) -> Step:
    held = layer.reverseSeq

    def row(x: Tensor, lengths: Tensor) -> Tensor:
        batch, sequence = (axis_of(axis, x.ndim) - 1 for axis in (held.batchAxis, held.sequenceAxis))
        if lengths.shape != (x.shape[batch],) or batch == sequence:
            raise ValueError(f"{lengths.shape} lengths for {x.shape}")
        places = np.arange(x.shape[sequence])
        ends = np.clip(lengths, 0, x.shape[sequence]).astype(np.int64)[:, np.newaxis]
        which = np.where(places < ends, ends - 1 - places, places)
        against = np.expand_dims(which, tuple(range(2, x.ndim)))
        turned = np.take_along_axis(np.moveaxis(x, (batch, sequence), (0, 1)), against, axis=1)
        return np.moveaxis(turned, (0, 1), (batch, sequence))

    return two(lambda x, lengths: each_row(row, x, lengths))


def _constant_pad(layer: Message) -> Step:
    held = layer.constantPad

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        x, *given = inputs
        amounts = np.asarray(whole(given[0]) if given else [int(each) for each in held.padAmounts], dtype=object)
        if len(amounts) != 2 * rank(x) or min(amounts, default=0) < 0:
            raise ValueError(f"{len(amounts)} amounts for {rank(x)} dimensions")
        pairs = [(0, 0), *((before, after) for before, after in amounts.reshape(-1, 2))]
        if held.padToGivenOutputSizeMode:  # an amount is the size that is wanted, on the side that is padded
            pairs = [
                (max(0, before - size), max(0, after - size)) for (before, after), size in zip(pairs, x.shape, strict=True)
            ]
        room(*(size + sum(pair) for size, pair in zip(x.shape, pairs, strict=True)))
        return (np.pad(x, pairs, constant_values=held.value),)

    return step


def _sliding_windows(layer: Message) -> Step:
    held = layer.slidingWindows

    def run(x: Blob) -> Blob:
        axis = axis_of(held.axis, rank(x))
        size, step = int(held.windowSize), int(held.step)
        if not 1 <= size <= x.shape[axis] or step < 1:
            raise ValueError(f"windows of {size} by {step} in {x.shape[axis]}")
        room(x.size, size)
        windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=axis)
        return np.moveaxis(windows[(slice(None),) * axis + (slice(None, None, step),)], -1, axis + 1)

    return one(run)


LAYERS: Mapping[str, Opener] = {
    "transpose": _transpose,
    "concatND": _concat_nd,
    "stack": _stack,
    "splitND": _split_nd,
    "sliceStatic": _slice_static,
    "sliceDynamic": _slice_dynamic,
    "sliceBySize": _slice_by_size,
    "squeeze": _squeeze,
    "expandDims": _expand_dims,
    "flattenTo2D": _flatten_to_2d,
    "reshapeStatic": _reshape_static,
    "reshapeDynamic": lambda _: two(lambda x, shape: _as_shape(x, whole(shape))),
    "reshapeLike": lambda _: two(lambda x, like: _as_shape(x, like.shape[1:])),
    "rankPreservingReshape": _rank_preserving,
    "tile": _tile,
    "broadcastToStatic": _broadcast_static,
    "broadcastToDynamic": lambda _: two(lambda x, shape: _broadcast(x, whole(shape))),
    "broadcastToLike": lambda _: two(lambda x, like: _broadcast(x, like.shape[1:])),
    "reverse": _reverse,
    "reverseSeq": _reverse_seq,
    "constantPad": _constant_pad,
    "slidingWindows": _sliding_windows,
    "copy": lambda _: one(lambda x: x),
}
