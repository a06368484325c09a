"""Probabilities that are made of logistic functions, written so that the small ones keep their digits in float32.

Doubles have them at 1e-300, and 1 less the other one at 1e-16; logarithms and calibrations behind them still tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from mlpublish.converting.graph.algebra import second_of, shared
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
    second, share = second_of(node), shared(node)
    if second is not None and _is_logistic(second):
        return two_classes, second.reads[0]
    if share is None or not _is_logistic(share.left):
        return None
    if math.isclose(share.zero_over_zero, 1 / share.width):
        return shares, share.left.reads[0]
    return (shares_or_0, share.left.reads[0]) if share.zero_over_zero == 0 else None


def two_classes(mb: Any, x: Any) -> Any:
    """``expit(-x)`` and ``expit(x)``."""
    return mb.sigmoid(x=mb.concat(values=[_negative(mb, x), x], axis=1))


def shares(mb: Any, x: Any) -> Any:
    """``expit(x)`` by its sum, in logarithms; where all are 0 in doubles, all are alike."""
    held = mb.maximum(x=x, y=float32(_EXPIT_IS_0))
    return softmax(mb, _negative(mb, softplus(mb, _negative(mb, held))))


def shares_or_0(mb: Any, x: Any) -> Any:
    """As ``shares``; where all are 0 in doubles, they stay 0."""
    largest = mb.reduce_max(x=x, axes=[1], keep_dims=True)
    return mb.mul(x=shares(mb, x), y=mb.cast(x=mb.greater(x=largest, y=float32(_EXPIT_IS_0)), dtype="fp32"))


def _is_logistic(node: Node) -> bool:
    return isinstance(node, Function) and node.name is Name.EXPIT


def _negative(mb: Any, x: Any) -> Any:
    return mb.mul(x=x, y=float32(-1))
