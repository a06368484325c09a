"""Layers that normalise.

Source: NeuralNetwork.proto, ``BatchnormLayerParams``, ``MeanVarianceNormalizeLayerParams``, ``L2NormalizeLayerParams``,
``LRNLayerParams``, ``SoftmaxLayerParams``, ``SoftmaxNDLayerParams``, ``LayerNormalizationLayerParams``. A variance is that of
all numbers (not one less); of an even ``localSize`` the window reaches one channel further down than up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.effort import touch
from mlpublish.coreml.network.blob import Blob, Opener, Step, at_least, axis_of, one, rank
from mlpublish.coreml.network.weights import numbers
from mlpublish.coreml.schema import Message


def _batchnorm(layer: Message) -> Step:
    held = layer.batchnorm
    epsilon = np.float32(held.epsilon or 1e-5)
    gamma, beta = (numbers(each, held.channels).reshape(-1, 1, 1) for each in (held.gamma, held.beta))
    if not held.computeMeanVar:
        mean, variance = (numbers(each, held.channels).reshape(-1, 1, 1) for each in (held.mean, held.variance))
        factor = gamma / np.sqrt(variance + epsilon)
        return one(lambda x: (_channels(x, held.channels) - mean) * factor + beta)

    def run(x: Blob) -> Blob:
        leading = () if held.instanceNormalization else tuple(range(1, _channels(x, held.channels).ndim - 3))
        return _normal(x, (*leading, -2, -1), epsilon) * gamma + beta

    return one(run)


def _channels(x: Blob, count: int) -> Blob:
    if at_least(3, x).shape[-3] != count:
        raise ValueError(f"{x.shape[-3]} channels came, {count} are normalised")
    return x


def _normal(x: Blob, axes: tuple[int, ...], epsilon: np.float32) -> Blob:
    centred = x - np.mean(x, axis=axes, keepdims=True)
    return np.asarray(centred / np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True) + epsilon))


def _mvn(layer: Message) -> Step:
    held = layer.mvn
    axes = (-3, -2, -1) if held.acrossChannels else (-2, -1)
    epsilon = np.float32(held.epsilon or 1e-6)
    if held.normalizeVariance:
        return one(lambda x: _normal(at_least(3, x), axes, epsilon))
    return one(lambda x: x - np.mean(at_least(3, x), axis=axes, keepdims=True))


def _l2_normalize(layer: Message) -> Step:
    epsilon = np.float32(layer.l2normalize.epsilon or 1e-6)
    return one(lambda x: x / np.sqrt(np.sum(at_least(3, x) * x, axis=(-3, -2, -1), keepdims=True) + epsilon))


def _lrn(layer: Message) -> Step:
    held = layer.lrn
    size = int(held.localSize)
    if size < 1:
        raise ValueError("a window of no channels")

    def run(x: Blob) -> Blob:
        count = at_least(3, x).shape[-3]
        touch(x.size * min(size, count))
        sums = np.zeros_like(x)
        for shift in range(-min(size // 2, count - 1), min((size - 1) // 2, count - 1) + 1):
            here, there = slice(max(0, -shift), count - max(0, shift)), slice(max(0, shift), count + min(0, shift))
            sums[..., here, :, :] += np.square(x[..., there, :, :])
        return np.asarray(x / (np.float32(held.k or 1) + np.float32(held.alpha / size) * sums) ** np.float32(held.beta))

    return one(run)


def _softmax(_: Message) -> Step:
    return one(lambda x: _exponentials(at_least(3, x), -3))


def _softmax_nd(layer: Message) -> Step:
    return one(lambda x: _exponentials(x, axis_of(layer.softmaxND.axis, rank(x))))


def _exponentials(x: Blob, axis: int) -> Blob:
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return np.asarray(powers / np.sum(powers, axis=axis, keepdims=True))


def _layer_normalization(layer: Message) -> Step:
    held = layer.layerNormalization
    shape = tuple(int(size) for size in held.normalizedShape)
    if not shape or math.prod(shape) < 1:
        raise ValueError(f"normalised over the shape {shape}")
    gamma, beta = numbers(held.gamma, *shape), numbers(held.beta, *shape)

    def run(x: Blob) -> Blob:
        if at_least(len(shape), x).shape[-len(shape) :] != shape:
            raise ValueError(f"a blob of {x.shape[1:]} is normalised over {shape}")
        return _normal(x, tuple(range(-len(shape), 0)), np.float32(held.eps)) * gamma + beta

    return one(run)


LAYERS: Mapping[str, Opener] = {
    "batchnorm": _batchnorm,
    "mvn": _mvn,
    "l2normalize": _l2_normalize,
    "lrn": _lrn,
    "softmax": _softmax,
    "softmaxND": _softmax_nd,
    "layerNormalization": _layer_normalization,
}
