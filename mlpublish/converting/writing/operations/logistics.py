"""Probabilities that are made of logistic functions, written so that the small ones keep their digits in float32.

Doubles have them at 1e-300, and 1 less the other one at 1e-16; logarithms and calibrations behind them still tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from mlpublish.converting.graph.algebra import Combined, Linear, Reduced, Reduction, Sign
from mlpublish.converting.graph.columnwise import Function, Name
from mlpublish.converting.graph.node import Node
from mlpublish.converting.writing.operations.algebra import softmax
from mlpublish.converting.writing.operations.constants import float32
from mlpublish.converting.writing.operations.functions import softplus

Pattern: TypeAlias = tuple[Callable[[Any, Any], Any], Node]
"""What writes a node, with the builder and the variable of another node that it reads instead of its own."""

_EXPIT_IS_0 = -745.1332191019412  # below, the logistic function is 0 in doubles


def of_logistics(node: Node) -> Pattern | None:
    """How probabilities are written out of what their logistic functions read; None for any other node."""
    if isinstance(node, Linear) and _is_logistic(node.of) and _is_of_two(node):
        return two_classes, node.of.reads[0]
    if isinstance(node, Combined) and _is_logistic(node.left) and _is_share(node):
        return shares, node.left.reads[0]
    return None


def two_classes(mb: Any, x: Any) -> Any:
    """``expit(-x)`` and ``expit(x)``."""
    return mb.sigmoid(x=mb.concat(values=[_negative(mb, x), x], axis=1))


def shares(mb: Any, x: Any) -> Any:
    """``expit(x)`` by its sum, in logarithms; where all are 0 in doubles, all are alike."""
    held = mb.maximum(x=x, y=float32(_EXPIT_IS_0))
    return softmax(mb, _negative(mb, softplus(mb, _negative(mb, held))))


def _is_logistic(node: Node) -> bool:
    return isinstance(node, Function) and node.name is Name.EXPIT


def _is_of_two(node: Linear) -> bool:
    return np.array_equal(node.weights, [[-1.0], [1.0]]) and np.array_equal(node.offset, [1.0, 0.0])


def _is_share(node: Combined) -> bool:
    summed = isinstance(node.right, Reduced) and node.right.by is Reduction.SUM and node.right.of is node.left
    return node.sign is Sign.OVER and summed and math.isclose(node.zero_over_zero, 1 / node.width)


def _negative(mb: Any, x: Any) -> Any:
    return mb.mul(x=x, y=float32(-1))
