"""Products with matrices, and look-ups in them.

Source: NeuralNetwork.proto, ``InnerProductLayerParams``, ``EmbeddingLayerParams``, ``EmbeddingNDLayerParams``,
``BatchedMatMulLayerParams``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.effort import spend
from mlpublish.coreml.mil_ops.tensor import Tensor, room
from mlpublish.coreml.network.blob import Blob, Opener, Step, at_least, indices, one, rank, two
from mlpublish.coreml.network.weights import numbers
from mlpublish.coreml.schema import Message


def _inner_product(layer: Message) -> Step:
    held = layer.innerProduct
    weights = numbers(held.weights, held.outputChannels, held.inputChannels)
    bias = numbers(held.bias, held.outputChannels) if held.hasBias else None

    def run(x: Blob) -> Blob:
        taken = 3 if rank(x) >= 4 else 1  # how many of the last dimensions are the vector
        leading = x.shape[: x.ndim - taken]
        if not 1 <= rank(x) <= 5 or math.prod(x.shape[x.ndim - taken :]) != weights.shape[1]:
            raise ValueError(f"a blob of {x.shape[1:]} meets {weights.shape[1]} inputs")
        out = _product(x.reshape(-1, weights.shape[1]), weights.T)
        out = out if bias is None else out + bias
        return out.reshape(*leading, len(weights), *[1] * (taken - 1))

    return one(run)


def _product(left: Tensor, right: Tensor) -> Tensor:
    room(len(left), right.shape[1])
    spend(left.size * right.shape[1])
    return np.asarray(left @ right)


def _embedding(layer: Message) -> Step:
    held = layer.embedding
    table = _table(held, held.outputChannels, held.inputDim)

    def run(x: Blob) -> Blob:
        if rank(x) not in (4, 5) or x.shape[-3:] != (1, 1, 1):
            raise ValueError(f"numbers of the shape {x.shape[1:]} are no list to look up")
        return _looked_up(table, x[..., 0, 0, 0])[..., np.newaxis, np.newaxis]

    return one(run)


def _embedding_nd(layer: Message) -> Step:
    held = layer.embeddingND
    table = _table(held, held.embeddingSize, held.vocabSize)

    def run(x: Blob) -> Blob:
        if at_least(2, x).shape[-1] != 1:
            raise ValueError(f"numbers of the shape {x.shape[1:]} are no list to look up")
        return _looked_up(table, x[..., 0])

    return one(run)


def _table(held: Message, size: int, words: int) -> Tensor:
    """(words, size); the file has it the other way round."""
    table = numbers(held.weights, size, words).T
    return table + numbers(held.bias, size) if held.hasBias else table


def _looked_up(table: Tensor, numbers_: Blob) -> Blob:
    if (numbers_ < 0).any():
        raise ValueError("a negative number is looked up")
    room(*numbers_.shape, table.shape[1])
    return np.asarray(table[indices(np.trunc(numbers_), len(table))])


def _batched_matmul(layer: Message) -> Step:
    held = layer.batchedMatmul
    if len(layer.input) == 2:
        return two(lambda a, b: _matmul(a, b, held.transposeA, held.transposeB))
    inside, outside = held.weightMatrixFirstDimension, held.weightMatrixSecondDimension
    weights = numbers(held.weights, outside, inside)  # column after column
    bias = numbers(held.bias, outside) if held.hasBias else None

    def run(x: Blob) -> Blob:
        if at_least(1, x).shape[-1] != inside:
            raise ValueError(f"a blob of {x.shape[1:]} meets {inside} inputs")
        out = _product(x.reshape(-1, inside), weights.T)
        return (out if bias is None else out + bias).reshape(*x.shape[:-1], outside)

    return one(run)


def _matmul(a: Blob, b: Blob, transpose_a: bool, transpose_b: bool) -> Blob:
    """Vectors become a row on the left, a column on the right; the rest broadcasts."""
    a = a[:, np.newaxis, :] if rank(a) == 1 else a
    b = b[:, :, np.newaxis] if rank(b) == 1 else b
    a = np.swapaxes(a, -1, -2) if transpose_a else a
    b = np.swapaxes(b, -1, -2) if transpose_b else b
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"no product of {a.shape[1:]} and {b.shape[1:]}")
    most = max(a.ndim, b.ndim)
    a, b = (each.reshape(len(each), *[1] * (most - each.ndim), *each.shape[1:]) for each in (a, b))
    out = room(*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    spend(math.prod(out) * a.shape[-1])
    return np.asarray(np.matmul(a, b))


LAYERS: Mapping[str, Opener] = {
    "innerProduct": _inner_product,
    "embedding": _embedding,
    "embeddingND": _embedding_nd,
    "batchedMatmul": _batched_matmul,
}
