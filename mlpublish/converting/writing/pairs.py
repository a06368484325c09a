"""Support vector machines of several classes as one decision per pair, which Core ML computes in doubles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlpublish.converting.graph.answer import Answer, Classified
from mlpublish.converting.graph.machines import SupportVectors, Votes
from mlpublish.converting.graph.node import Node, joined, walked

_MOST = 45
"""So many pairs at most (ten classes) are stages of their own."""


def voting(answer: Answer) -> SupportVectors | None:
    """The machine whose votes are the label and that nothing else reads: Core ML has it in one."""
    if not isinstance(answer, Classified) or not isinstance(answer.scores, Votes):
        return None
    machine = answer.scores.of
    readers = [node for node in walked(*answer.ends) if any(each is machine for each in node.reads)]
    return machine if isinstance(machine, SupportVectors) and readers == [answer.scores] else None


def in_pairs(node: SupportVectors) -> Node:
    """The decisions one by one, each with the vectors of its two classes; all in one where they are too many."""
    if not node.counts or node.width > _MOST:
        return node
    classes = range(len(node.counts))
    return joined(tuple(_pair(node, one, other) for one in classes for other in classes[one + 1 :]))


def _pair(node: SupportVectors, one: int, other: int) -> SupportVectors:
    starts = np.concatenate([[0], np.cumsum(node.counts)])
    ones, others = slice(starts[one], starts[one + 1]), slice(starts[other], starts[other + 1])
    firsts, seconds = np.triu_indices(len(node.counts), k=1)
    place = int(np.flatnonzero((firsts == one) & (seconds == other))[0])
    coefficients = np.concatenate([node.coefficients[other - 1, ones], node.coefficients[one, others]])
    return replace(
        node,
        vectors=np.vstack([node.vectors[ones], node.vectors[others]]),
        counts=(),
        coefficients=coefficients[np.newaxis, :],
        rho=node.rho[place : place + 1],
    )
