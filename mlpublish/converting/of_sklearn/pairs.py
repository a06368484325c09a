"""Pairs of classes, (0, 1), (0, 2), …, (1, 2), …: what one-against-one decisions say of each class."""

from __future__ import annotations

import numpy as np

from mlpublish.converting.graph.algebra import Combined, Linear, Sign, Sum
from mlpublish.converting.graph.columnwise import Function, Name, Scaled
from mlpublish.converting.graph.node import Doubles, Node


def class_scores(seconds: Node, confidences: Node, classes: int) -> Node:
    """Votes for each class, and less than a third of a vote by how sure the pairs are.

    Args:
        seconds: 1 where a pair's second class won, else 0.
        confidences: how much speaks for each pair's second class.
    """
    sides = _sides(classes)
    won = Linear(of=seconds, weights=sides, offset=(sides < 0).sum(axis=1).astype(np.float64))
    sure = Linear(of=confidences, weights=sides, offset=np.zeros(classes))
    size = Function(of=sure, name=Name.ABSOLUTE)
    bound = Scaled(of=size, shift=np.ones(classes), scale=np.full(classes, 3.0))
    return Sum(parts=(won, Combined(left=sure, sign=Sign.OVER, right=bound)), weights=(1.0, 1.0))


def _sides(classes: int) -> Doubles:
    """(classes, pairs): -1 for a pair's first class, 1 for its second, else 0."""
    firsts, seconds = np.triu_indices(classes, k=1)
    sides = np.zeros((classes, len(firsts)))
    places = np.arange(len(firsts))
    sides[firsts, places] = -1
    sides[seconds, places] = 1
    return sides
