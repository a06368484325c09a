"""Convolution and its transpose over two or three axes.

Source: NeuralNetwork.proto, ``ConvolutionLayerParams``, ``Convolution3DLayerParams``, ``ValidPadding``, ``SamePadding``.

What the reference leaves open, and is read here as coremltools writes it: a transposed convolution whose ``outputShape`` is
what its padding amounts give uses these amounts; else the result is cut as with same padding, the odd one at the end. Over
three axes the reference and coremltools disagree about the order of a transposed convolution's weights: they are read as
coremltools writes them, the inputs first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlpublish.coreml.effort import spend, touch
from mlpublish.coreml.mil_ops import OPS
from mlpublish.coreml.mil_ops.tensor import Tensor, Value, room
from mlpublish.coreml.network.blob import Blob, Opener, Step, agreed, at_least, one, sized
from mlpublish.coreml.network.weights import numbers
from mlpublish.coreml.schema import Message

Widths = list[tuple[int, int]]
"""Before and after each spatial axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """How a kernel goes over its input; every field has one number per spatial axis.

    Args:
        padding: ``valid``, or ``same`` with the odd one at the end or, ``same_lower``, at the start.
        amounts: what ``valid`` pads.
        shape: the result's, where a transposed convolution names it.
    """

    size: list[int]
    stride: list[int]
    dilation: list[int]
    padding: str
    amounts: Widths
    shape: list[int]
    groups: int

    def widths(self, sizes: Sequence[int]) -> Widths:
        """What is padded around an input of these sizes."""
        if self.padding == "valid":
            return self.amounts
        found = []
        for size, reach, step in zip(sizes, self._reaches(), self.stride, strict=True):
            found.append(self._shared(max(0, (-(-size // step) - 1) * step + reach - size)))
        return found

    def cut(self, sizes: Sequence[int]) -> tuple[list[int], list[int]]:
        """What a transposed convolution loses before its full result, and the sizes that it keeps; these may be larger."""
        full = [(size - 1) * step + reach for size, step, reach in zip(sizes, self.stride, self._reaches(), strict=True)]
        by_amounts = [whole - sum(pair) for whole, pair in zip(full, self.amounts, strict=True)]
        if self.padding == "valid" and (self.shape or by_amounts) == by_amounts:
            return [before for before, _ in self.amounts], by_amounts
        wanted = self.shape or [size * step for size, step in zip(sizes, self.stride, strict=True)]
        return [self._shared(max(0, whole - kept))[0] for whole, kept in zip(full, wanted, strict=True)], wanted

    def _reaches(self) -> list[int]:
        return [(size - 1) * gap + 1 for size, gap in zip(self.size, self.dilation, strict=True)]

    def _shared(self, total: int) -> tuple[int, int]:
        less, more = total // 2, total - total // 2
        return (more, less) if self.padding == "same_lower" else (less, more)


def border(amounts: Message) -> Widths:
    """``BorderAmounts`` as (before, after) for height and width; none means nothing.

    Raises:
        ValueError: they speak of another number of axes.
    """
    found = [(int(edge.startEdgeSize), int(edge.endEdgeSize)) for edge in amounts.borderAmounts]
    if len(found) not in (0, 2):
        raise ValueError(f"border amounts for {len(found)} axes")
    return found or [(0, 0), (0, 0)]


def padding_of(params: Message, oneof: str) -> tuple[str, Widths]:
    """A ``valid`` or ``same`` choice.

    Raises:
        ValueError: neither is made.
    """
    chosen = params.WhichOneof(oneof)
    if chosen == "same":
        return {0: "same", 1: "same_lower"}[params.same.asymmetryMode], [(0, 0), (0, 0)]
    if chosen != "valid":
        raise ValueError("no padding is named")
    return "valid", border(params.valid.paddingAmounts)


def _convolution(layer: Message) -> Step:
    held = layer.convolution
    padding, amounts = padding_of(held, "ConvolutionPaddingType")
    kernel = Kernel(
        size=sized(held.kernelSize, 3),
        stride=sized(held.stride, 1),
        dilation=[1, 1] if held.isDeconvolution else sized(held.dilationFactor, 1),
        padding=padding,
        amounts=amounts,
        shape=sized(held.outputShape, 1) if len(held.outputShape) else [],
        groups=int(held.nGroups) or 1,
    )
    bias = numbers(held.bias, held.outputChannels) if held.hasBias else None
    if len(layer.input) == 2 and not held.isDeconvolution:
        return lambda inputs: (_convolved(inputs[0], agreed(inputs[1]), bias, kernel),)
    if held.isDeconvolution:
        groups = kernel.groups
        shape = (groups, _shares(held.kernelChannels, groups), _shares(held.outputChannels, groups), *kernel.size)
        grouped = numbers(held.weights, *shape, channels=(0, 2)).reshape(held.kernelChannels, *shape[2:])
        return one(lambda x: _transposed(x, grouped, bias, kernel))
    weights = numbers(held.weights, held.outputChannels, held.kernelChannels, *kernel.size)
    return one(lambda x: _convolved(x, weights, bias, kernel))


def _convolution3d(layer: Message) -> Step:
    held = layer.convolution3d
    kernel = Kernel(
        size=sized([held.kernelDepth, held.kernelHeight, held.kernelWidth], 1, 3),
        stride=sized([held.strideDepth, held.strideHeight, held.strideWidth], 1, 3),
        dilation=sized([held.dilationDepth, held.dilationHeight, held.dilationWidth], 1, 3),
        padding="same" if held.paddingType == held.SAME else "valid",
        amounts=custom_3d(held) if held.paddingType == held.CUSTOM else [(0, 0)] * 3,
        shape=sized(held.outputShape, 1, 3) if len(held.outputShape) else [],
        groups=held.nGroups or 1,
    )
    bias = numbers(held.bias, held.outputChannels) if held.hasBias else None
    if not held.isDeconvolution:
        per_group = _shares(held.inputChannels, kernel.groups)
        weights = numbers(held.weights, held.outputChannels, per_group, *kernel.size)
        return one(lambda x: _convolved(x, weights, bias, kernel))
    out = _shares(held.outputChannels, kernel.groups)
    weights = numbers(held.weights, held.inputChannels, out, *kernel.size)
    return one(lambda x: _transposed(x, weights, bias, kernel))


def custom_3d(held: Message) -> Widths:
    """The six ``customPadding…`` fields.

    Raises:
        ValueError: one is negative.
    """
    sides = (("Front", "Back"), ("Top", "Bottom"), ("Left", "Right"))
    found = [(getattr(held, f"customPadding{a}"), getattr(held, f"customPadding{b}")) for a, b in sides]
    if min(min(pair) for pair in found) < 0:
        raise ValueError(f"a negative padding among {found}")
    return found


def _shares(channels: int, groups: int) -> int:
    if groups < 1 or channels < 1 or channels % groups:
        raise ValueError(f"{channels} channels in {groups} groups")
    return channels // groups


def _convolved(x: Blob, weights: Tensor, bias: Tensor | None, kernel: Kernel) -> Blob:
    flat, leading = _flat(x, len(kernel.size))
    widths = kernel.widths(flat.shape[2:])
    padded = room(*flat.shape[:2], *(size + sum(pair) for size, pair in zip(flat.shape[2:], widths, strict=True)))
    touch(math.prod(padded))
    spend(math.prod(padded) // math.prod(kernel.stride) * weights.size // max(1, flat.shape[1]))
    out = OPS["conv"](
        x=flat,
        weight=weights,
        bias=bias,
        strides=_vector(kernel.stride),
        pad_type="custom",
        pad=_vector([width for pair in widths for width in pair]),
        dilations=_vector(kernel.dilation),
        groups=np.int32(kernel.groups),
    )
    return _unflat(out, leading)


def _transposed(x: Blob, weights: Tensor, bias: Tensor | None, kernel: Kernel) -> Blob:
    flat, leading = _flat(x, len(kernel.size))
    before, sizes = kernel.cut(flat.shape[2:])
    out = room(len(flat), weights.shape[1] * kernel.groups, *sizes)
    room(*out[:2], *(size * step + each for size, step, each in zip(flat.shape[2:], kernel.stride, kernel.size, strict=True)))
    touch(math.prod(out))
    spend(flat.size * math.prod(weights.shape[1:]))
    made = OPS["conv_transpose"](
        x=flat,
        weight=weights,
        bias=bias,
        strides=_vector(kernel.stride),
        pad_type="custom",
        pad=_vector([width for each in before for width in (each, 0)]),
        output_shape=_vector(out),
        dilations=_vector(kernel.dilation),
        groups=np.int32(kernel.groups),
    )
    return _unflat(made, leading)


def _vector(values: Sequence[int]) -> Tensor:
    return np.asarray(values, np.int64)


def _flat(x: Blob, spatial: int) -> tuple[Tensor, tuple[int, ...]]:
    """(n, channels, …), and the leading dimensions that n stands for; rows are among them."""
    at_least(spatial + 2, x)
    return x.reshape(-1, *x.shape[-spatial - 1 :]), x.shape[: -spatial - 1]


def _unflat(out: Value, leading: tuple[int, ...]) -> Blob:
    made = np.asarray(out, dtype=np.float32)
    return made.reshape(*leading, *made.shape[1:])


LAYERS: Mapping[str, Opener] = {"convolution": _convolution, "convolution3d": _convolution3d}
