"""Reductions. Source: coremltools' MIL operation reference, ``reduction``; without axes all are reduced."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, Value, axes_of


def _over(function: Callable[..., Tensor]) -> Handler:
    def run(x: Tensor, axes: Tensor | None = None, keep_dims: Tensor | bool = False) -> Tensor:
        found = np.asarray(function(x, axis=axes_of(axes), keepdims=bool(keep_dims)))
        return found.astype(x.dtype, copy=False)  # whole numbers stay whole: a mean of them is cut towards zero

    return run


def _at(function: Callable[..., Tensor]) -> Handler:
    def run(x: Tensor, axis: Tensor | int = -1, keep_dims: Tensor | bool = False) -> Tensor:
        return np.asarray(function(x, axis=int(axis), keepdims=bool(keep_dims)))

    return run


def _l1_norm(x: Tensor, **over: object) -> Tensor:
    return np.sum(np.abs(x), **over)  # type: ignore[call-overload, no-any-return]


def _sum_square(x: Tensor, **over: object) -> Tensor:
    return np.sum(np.square(x), **over)  # type: ignore[call-overload, no-any-return]


def _l2_norm(x: Tensor, **over: object) -> Tensor:
    return np.sqrt(_sum_square(x, **over))


def _log_sum(x: Tensor, **over: object) -> Tensor:
    return np.log(np.sum(x, **over))  # type: ignore[call-overload, no-any-return]


def _log_sum_exp(x: Tensor, axis: tuple[int, ...] | None, keepdims: bool) -> Tensor:
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)  # infinity less itself would be NaN
    total: Tensor = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis=axis)


def _topk(
    x: Tensor,
    k: Tensor | int = 1,
    axis: Tensor | int = -1,
    ascending: Tensor | bool = False,
    return_indices: Tensor | bool = True,
) -> Value:
    """Of equal ones the first is taken first; a ``k`` of -1 takes all."""
    size = x.shape[int(axis)]
    count = size if int(k) == -1 else int(k)
    if not 0 <= count <= size:
        raise ValueError(f"there are no {count} of {size}")
    falling = ~x if x.dtype.kind in "iu" else -x  # the complement turns whole numbers round without an overflow
    order = np.argsort(x if ascending else falling, axis=int(axis), kind="stable")
    indices = np.take(order, np.arange(count), axis=int(axis))
    values = np.take_along_axis(x, indices, axis=int(axis))
    return (values, indices.astype(np.int32)) if return_indices else values


def _cumsum(x: Tensor, axis: Tensor | int = 0, exclusive: Tensor | bool = False, reverse: Tensor | bool = False) -> Tensor:
    forward = np.flip(x, int(axis)) if reverse else x
    total = np.cumsum(forward, axis=int(axis), dtype=x.dtype)
    if exclusive:
        moved = np.moveaxis(np.zeros_like(total), int(axis), 0)
        moved[1:] = np.moveaxis(total, int(axis), 0)[:-1]
        total = np.moveaxis(moved, 0, int(axis))
    return np.flip(total, int(axis)) if reverse else total


OPS: Mapping[str, Handler] = {
    "reduce_sum": _over(np.sum),
    "reduce_mean": _over(np.mean),
    "reduce_max": _over(np.max),
    "reduce_min": _over(np.min),
    "reduce_prod": _over(np.prod),
    "reduce_l1_norm": _over(_l1_norm),
    "reduce_l2_norm": _over(_l2_norm),
    "reduce_sum_square": _over(_sum_square),
    "reduce_log_sum": _over(_log_sum),
    "reduce_log_sum_exp": _over(_log_sum_exp),
    "reduce_argmax": _at(np.argmax),
    "reduce_argmin": _at(np.argmin),
    "topk": _topk,
    "cumsum": _cumsum,
}
