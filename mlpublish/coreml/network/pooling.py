"""Pooling over two or three axes.

Source: NeuralNetwork.proto, ``PoolingLayerParams``, ``Pooling3DLayerParams``, ``GlobalPooling3DLayerParams``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mlpublish.coreml.effort import touch
from mlpublish.coreml.mil_ops import OPS
from mlpublish.coreml.mil_ops.tensor import Tensor, room
from mlpublish.coreml.network.blob import Blob, Opener, Step, at_least, one, sized
from mlpublish.coreml.network.convolution import Kernel, Widths, custom_3d, padding_of
from mlpublish.coreml.schema import Message

_POOLS: Mapping[int, str] = {0: "max_pool", 1: "avg_pool", 2: "l2_pool"}  # PoolingLayerParams.PoolingType


def _pooled(x: Blob, kind: int, kernel: Kernel, widths: Widths, *, ceil: bool, without_padding: bool) -> Blob:
    spatial = len(kernel.size)
    flat = at_least(spatial + 1, x).reshape(-1, 1, *x.shape[-spatial:])  # no channel sees another
    padded = room(len(flat), *(size + sum(pair) for size, pair in zip(flat.shape[2:], widths, strict=True)))
    touch(math.prod(padded) * sum(kernel.size))
    settings = {"exclude_padding_from_average": without_padding} if kind == 1 else {}
    out = OPS[_POOLS[kind]](
        x=flat,
        kernel_sizes=_vector(kernel.size),
        strides=_vector(kernel.stride),
        pad_type="custom",
        pad=_vector([width for pair in widths for width in pair]),
        ceil_mode=ceil,
        **settings,
    )
    made = np.asarray(out, dtype=np.float32)
    return made.reshape(*x.shape[:-spatial], *made.shape[2:])


def _vector(values: Sequence[int]) -> Tensor:
    return np.asarray(values, np.int64)


def _pooling(layer: Message) -> Step:
    held = layer.pooling
    if held.globalPooling:
        return one(lambda x: _over_all(x, held.type, 2))
    size, stride = sized(held.kernelSize, 3), sized(held.stride, 1)
    if held.WhichOneof("PoolingPaddingType") == "includeLastPixel":
        amounts = [int(amount) for amount in held.includeLastPixel.paddingAmounts] or [0, 0]
        kernel = _kernel(size, stride, "valid", [(amount, amount) for amount in amounts])
        return one(lambda x: _complete(x, held.type, kernel, held.avgPoolExcludePadding))
    return _stepping(_kernel(size, stride, *padding_of(held, "PoolingPaddingType")), held.type, held.avgPoolExcludePadding)


def _pooling3d(layer: Message) -> Step:
    held = layer.pooling3d
    kernel = _kernel(
        sized([held.kernelDepth, held.kernelHeight, held.kernelWidth], 1, 3),
        sized([held.strideDepth, held.strideHeight, held.strideWidth], 1, 3),
        "same" if held.paddingType == held.SAME else "valid",
        custom_3d(held) if held.paddingType == held.CUSTOM else [(0, 0)] * 3,
    )
    return _stepping(kernel, held.type, held.countExcludePadding)


def _stepping(kernel: Kernel, kind: int, without_padding: bool) -> Step:
    def run(x: Blob) -> Blob:
        widths = kernel.widths(x.shape[-len(kernel.size) :])
        return _pooled(x, kind, kernel, widths, ceil=False, without_padding=without_padding)

    return one(run)


def _over_all(x: Blob, kind: int, axes: int) -> Blob:
    whole = _kernel(list(at_least(axes + 1, x).shape[-axes:]), [1] * axes, "valid", [(0, 0)] * axes)
    return _pooled(x, kind, whole, whole.amounts, ceil=False, without_padding=True)


def _kernel(size: list[int], stride: list[int], padding: str, amounts: Widths) -> Kernel:
    return Kernel(size=size, stride=stride, dilation=[1] * len(size), padding=padding, amounts=amounts, shape=[], groups=1)


def _complete(x: Blob, kind: int, kernel: Kernel, without_padding: bool) -> Blob:
    """``ValidCompletePadding``: the last window takes in the last pixel.

    Where an axis without padding would have a window that begins behind it, the reference drops that window if the other
    axis is padded; what stands behind the window before it is left out here, and there is none.
    """
    kept = []
    for length, size, step, (padding, _) in zip(x.shape[-2:], kernel.size, kernel.stride, kernel.amounts, strict=True):
        count = -(-(length - size) // step) + 1
        beyond = not padding and any(before for before, _ in kernel.amounts) and (count - 1) * step >= length
        kept.append((count - 2) * step + size if beyond else length)
    return _pooled(x[..., : kept[0], : kept[1]], kind, kernel, kernel.amounts, ceil=True, without_padding=without_padding)


LAYERS: Mapping[str, Opener] = {
    "pooling": _pooling,
    "pooling3d": _pooling3d,
    "globalPooling3d": lambda layer: one(lambda x: _over_all(x, layer.globalPooling3d.type, 3)),
}
