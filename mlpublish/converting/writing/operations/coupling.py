"""Pairs' probabilities coupled to one per class, by the loop that libsvm runs.

Source: Wu, Lin and Weng, "Probability estimates for multi-class classification by pairwise coupling" (2004), algorithm 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.machines import Coupled
from mlpublish.converting.graph.node import Node
from mlpublish.converting.writing.operations.constants import float32
from mlpublish.converting.writing.operations.machines import pairs

_BOUND = 0.005
_ROUNDS = 100  # at least; the limit is the larger of this and the number of classes


def coupled(mb: Any, node: Coupled, x: Any) -> Any:
    classes = node.classes
    quadratic, diagonal = _quadratic(mb, classes, x)
    start = np.full((1, classes), 1 / classes, dtype=np.float32)
    begun = mb.add(x=mb.mul(x=mb.slice_by_index(x=x, begin=[0, 0], end=[1, 1]), y=float32(0)), y=start)

    def goes_on(number: Any, p: Any, off: Any, mean: Any) -> Any:  # noqa: ARG001
        far = mb.reduce_max(x=mb.abs(x=mb.sub(x=off, y=mean)))
        enough = mb.less(x=number, y=float32(max(_ROUNDS, classes)))
        return mb.logical_and(x=mb.greater_equal(x=far, y=float32(_BOUND / classes)), y=enough)

    def body(number: Any, p: Any, off: Any, mean: Any) -> Any:
        for place in range(classes):
            p, off, mean = _step(mb, place, quadratic, diagonal, p, off, mean)
        return (mb.add(x=number, y=float32(1)), p, *_off(mb, quadratic, p))

    state = (float32(0), begun, *_off(mb, quadratic, begun))
    return mb.while_loop(_cond=goes_on, _body=body, loop_vars=state)[1]


def _quadratic(mb: Any, classes: int, x: Any) -> tuple[Any, Any]:
    """``-r_ji r_ij``, with the sum of ``r_ji²`` on the diagonal, and the diagonal itself."""
    count = classes * (classes - 1) // 2
    known = mb.concat(values=[x, mb.sub(x=float32(1), y=x), mb.mul(x=x, y=float32(0))], axis=1)
    places = np.full((classes, classes), 2 * count, dtype=np.int32)
    for place, (one, other) in enumerate(pairs(classes)):
        places[one, other], places[other, one] = place, count + place
    r, turned = (
        mb.reshape(x=mb.gather(x=known, indices=each.reshape(-1), axis=1), shape=[classes, classes])
        for each in (places, places.T)
    )
    diagonal = mb.reduce_sum(x=mb.square(x=turned), axes=[1], keep_dims=True)
    off = mb.mul(x=mb.mul(x=r, y=turned), y=float32(-1))
    return mb.add(x=off, y=mb.mul(x=diagonal, y=float32(np.eye(classes)))), mb.transpose(x=diagonal, perm=[1, 0])


def _off(mb: Any, quadratic: Any, p: Any) -> tuple[Any, Any]:
    """The gradient, and its mean by the probabilities: at the solution no class is off from it."""
    off = mb.matmul(x=p, y=quadratic)
    return off, mb.reduce_sum(x=mb.mul(x=p, y=off), axes=[1], keep_dims=True)


def _step(mb: Any, place: int, quadratic: Any, diagonal: Any, p: Any, off: Any, mean: Any) -> tuple[Any, Any, Any]:
    """One class brought to where the sum is least, and all scaled to a sum of 1 again."""
    own = mb.slice_by_index(x=diagonal, begin=[0, place], end=[1, place + 1])
    here = mb.slice_by_index(x=off, begin=[0, place], end=[1, place + 1])
    line = mb.slice_by_index(x=quadratic, begin=[place, 0], end=[place + 1, int(p.shape[1])])
    step = mb.real_div(x=mb.sub(x=mean, y=here), y=own)
    scale = mb.add(x=step, y=float32(1))
    risen = mb.mul(x=step, y=mb.add(x=mb.mul(x=step, y=own), y=mb.mul(x=here, y=float32(2))))
    mean = mb.real_div(x=mb.real_div(x=mb.add(x=mean, y=risen), y=scale), y=scale)
    off = mb.real_div(x=mb.add(x=off, y=mb.mul(x=step, y=line)), y=scale)
    p = mb.real_div(x=mb.add(x=p, y=mb.mul(x=step, y=float32(np.eye(int(p.shape[1]))[[place]]))), y=scale)
    return p, off, mean


EMITTERS: Mapping[type[Node], Callable[..., Any]] = {Coupled: coupled}
