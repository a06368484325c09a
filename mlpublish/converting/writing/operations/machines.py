"""Support vector machines and their votes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.machines import Kernel, KernelName, SupportVectors, Votes
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.writing.operations.constants import float32
from mlpublish.converting.writing.operations.neighbours import gaps


def pairs(classes: int) -> list[tuple[int, int]]:
    """libsvm's order."""
    return [(one, other) for one in range(classes) for other in range(one + 1, classes)]


def support_vectors(mb: Any, node: SupportVectors, x: Any) -> Any:
    if node.kernel.name is KernelName.LINEAR:
        return mb.linear(x=x, weight=float32(_per_decision(node) @ node.vectors), bias=float32(-node.rho))
    near = _kernel(mb, node.kernel, node.vectors, x)
    if not node.counts:
        return mb.linear(x=near, weight=float32(node.coefficients), bias=float32(-node.rho))
    return _decisions(mb, node, near)


def _per_decision(node: SupportVectors) -> Doubles:
    """What each vector is worth in each decision: (decisions, vectors)."""
    if not node.counts:
        return node.coefficients
    found = np.zeros((node.width, len(node.vectors)))
    ends = np.cumsum(node.counts)
    for place, (one, other) in enumerate(pairs(len(node.counts))):
        for own, against in ((one, other - 1), (other, one)):
            of_class = slice(ends[own] - node.counts[own], ends[own])
            found[place, of_class] = node.coefficients[against, of_class]
    return found


def _kernel(mb: Any, kernel: Kernel, vectors: Doubles, x: Any) -> Any:
    """(1, vectors)"""
    if kernel.name is KernelName.RBF:
        squares = mb.reduce_sum(x=mb.square(x=gaps(mb, x, vectors)), axes=[1])
        return mb.expand_dims(x=mb.exp(x=mb.mul(x=squares, y=float32(-kernel.gamma))), axes=[0])
    inner = mb.linear(x=x, weight=float32(kernel.gamma * vectors), bias=float32(np.full(len(vectors), kernel.coef0)))
    return _power(mb, inner, kernel.degree) if kernel.name is KernelName.POLY else mb.tanh(x=inner)


def _power(mb: Any, x: Any, degree: int) -> Any:
    """By products: what a device's ``pow`` makes of a negative number is not said."""
    found = None
    while degree:
        if degree % 2:
            found = x if found is None else mb.mul(x=found, y=x)
        degree //= 2
        x = mb.square(x=x) if degree else x
    return mb.add(x=mb.mul(x=x, y=float32(0)), y=float32(1)) if found is None else found


def _decisions(mb: Any, node: SupportVectors, near: Any) -> Any:
    """Sums per class first, (classes, classes - 1) of them: no table of every pair with every vector."""
    classes, start, sums = len(node.counts), 0, []
    for count in node.counts:
        part = mb.slice_by_index(x=near, begin=[0, start], end=[1, start + count])
        coefficients = node.coefficients[:, start : start + count]
        sums.append(mb.linear(x=part, weight=float32(coefficients), bias=float32(np.zeros(classes - 1))))
        start += count
    flat = mb.concat(values=sums, axis=1)
    ones = [one * (classes - 1) + other - 1 for one, other in pairs(classes)]
    others = [other * (classes - 1) + one for one, other in pairs(classes)]
    first, second = (mb.gather(x=flat, indices=np.array(each, dtype=np.int32), axis=1) for each in (ones, others))
    return mb.sub(x=mb.add(x=first, y=second), y=float32(node.rho).reshape(1, -1))


def votes(mb: Any, node: Votes, x: Any) -> Any:
    """Every decision gives its vote to the second class, or takes it from there to the first."""
    first, second = np.zeros((2, node.classes, node.of.width))
    for place, (one, other) in enumerate(pairs(node.classes)):
        first[one, place] = second[other, place] = 1
    speaks = mb.cast(x=mb.greater(x=x, y=float32(0)), dtype="fp32")
    return mb.linear(x=speaks, weight=float32(first - second), bias=float32(second.sum(axis=1)))


EMITTERS: Mapping[type[Node], Callable[..., Any]] = {SupportVectors: support_vectors, Votes: votes}
