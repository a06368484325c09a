"""Layers that make one number of many, or ask which is the largest.

Source: NeuralNetwork.proto, ``ReduceLayerParams``, ``Reduce…LayerParams``, ``ArgMaxLayerParams``, ``ArgMinLayerParams``,
``TopKLayerParams``, ``ArgSortLayerParams``, ``CumSumLayerParams``. Of equal numbers the first comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from mlpublish.coreml.network.blob import Blob, Opener, Step, at_least, axis_of, filled, one, rank, whole
from mlpublish.coreml.schema import Message

_Reduction: TypeAlias = Callable[[Blob, tuple[int, ...], bool], Any]


def _log_sum_exp(x: Blob, axes: tuple[int, ...], keep: bool) -> Blob:
    most = np.max(x, axis=axes, keepdims=True)
    most = np.where(np.isfinite(most), most, 0)
    sums = np.log(np.sum(np.exp(x - most), axis=axes, keepdims=True)) + most
    return np.asarray(sums if keep else np.squeeze(sums, axis=axes))


_SUM: _Reduction = lambda x, axes, keep: np.sum(x, axis=axes, keepdims=keep)  # noqa: E731
_REDUCTIONS: Mapping[str, _Reduction] = {
    "reduceSum": _SUM,
    "reduceMean": lambda x, axes, keep: np.mean(x, axis=axes, keepdims=keep),
    "reduceProd": lambda x, axes, keep: np.prod(x, axis=axes, keepdims=keep),
    "reduceMax": lambda x, axes, keep: np.max(x, axis=axes, keepdims=keep),
    "reduceMin": lambda x, axes, keep: np.min(x, axis=axes, keepdims=keep),
    "reduceL1": lambda x, axes, keep: _SUM(np.abs(x), axes, keep),
    "reduceL2": lambda x, axes, keep: np.sqrt(_SUM(x * x, axes, keep)),
    "reduceSumSquare": lambda x, axes, keep: _SUM(x * x, axes, keep),
    "reduceLogSum": lambda x, axes, keep: np.log(_SUM(x, axes, keep)),
    "reduceLogSumExp": _log_sum_exp,
}


def _reducing(kind: str) -> Opener:
    run = _REDUCTIONS[kind]

    def opened(layer: Message) -> Step:
        held = getattr(layer, kind)

        def step(x: Blob) -> Blob:
            axes = range(rank(x)) if held.reduceAll or not held.axes else held.axes
            where = tuple(sorted({axis_of(axis, rank(x)) for axis in axes}))
            return filled(np.asarray(run(x, where, held.keepDims), dtype=np.float32))

        return one(step)

    return opened


def _reduce(layer: Message) -> Step:
    held = layer.reduce
    axes = {held.CHW: (-3, -2, -1), held.HW: (-2, -1), held.C: (-3,), held.H: (-2,), held.W: (-1,)}[held.axis]
    if held.mode == held.ARGMAX:
        if len(axes) > 1:
            raise ValueError("the largest is asked for along several axes")
        return one(lambda x: np.argmax(at_least(-axes[0], x), axis=axes[0], keepdims=True).astype(np.float32))
    modes: Mapping[int, _Reduction] = {
        held.SUM: _SUM,
        held.AVG: _REDUCTIONS["reduceMean"],
        held.PROD: _REDUCTIONS["reduceProd"],
        held.LOGSUM: lambda x, over, keep: _SUM(np.log(x + np.float32(held.epsilon or 1e-6)), over, keep),
        held.SUMSQUARE: _REDUCTIONS["reduceSumSquare"],
        held.L1: _REDUCTIONS["reduceL1"],
        held.L2: _REDUCTIONS["reduceL2"],
        held.MAX: _REDUCTIONS["reduceMax"],
        held.MIN: _REDUCTIONS["reduceMin"],
    }
    run = modes[held.mode]
    return one(lambda x: np.asarray(run(at_least(-axes[0], x), axes, True), dtype=np.float32))


def _extreme(kind: str, run: Callable[..., Any]) -> Opener:
    def opened(layer: Message) -> Step:
        held = getattr(layer, kind)

        def step(x: Blob) -> Blob:
            found = run(x, axis=axis_of(held.axis, rank(x)), keepdims=not held.removeDim)
            return filled(np.asarray(found, dtype=np.float32))

        return one(step)

    return opened


def _order(x: Blob, axis: int, descending: bool) -> Blob:
    return np.argsort(-x if descending else x, axis=axis, kind="stable")


def _arg_sort(layer: Message) -> Step:
    held = layer.argSort
    return one(lambda x: _order(x, axis_of(held.axis, rank(x)), held.descending).astype(np.float32))


def _top_k(layer: Message) -> Step:
    held = layer.topK

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        x, *given = inputs
        (count,) = whole(given[0]) if given else [int(held.K)]
        axis = axis_of(held.axis, rank(x))
        if not 1 <= count <= x.shape[axis]:
            raise ValueError(f"the first {count} of {x.shape[axis]}")
        which = np.take(_order(x, axis, not held.useBottomK), range(count), axis=axis)
        return np.take_along_axis(x, which, axis=axis), which.astype(np.float32)

    return step


def _cum_sum(layer: Message) -> Step:
    held = layer.cumSum

    def step(inputs: Sequence[Blob]) -> Sequence[Blob]:
        x, *given = inputs
        (named,) = whole(given[0]) if given else [int(held.axis)]
        axis = axis_of(named, rank(x))
        x = np.flip(x, axis) if held.reverse else x
        sums = np.cumsum(x, axis=axis, dtype=np.float32)
        if held.excludeFinalSum:  # the sum before each number
            sums = np.take(np.insert(sums, 0, 0, axis=axis), range(x.shape[axis]), axis=axis)
        return (np.flip(sums, axis) if held.reverse else sums,)

    return step


LAYERS: Mapping[str, Opener] = {
    "reduce": _reduce,
    **{kind: _reducing(kind) for kind in _REDUCTIONS},
    "argMax": _extreme("argMax", np.argmax),
    "argMin": _extreme("argMin", np.argmin),
    "argSort": _arg_sort,
    "topK": _top_k,
    "cumSum": _cum_sum,
}
