"""The weighted median, by whole numbers: a sum of weights that is a bit off would name another number of the row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import WeightedMedian
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.writing.operations.constants import float32

_DIGIT = 1 << 12  # 4096 weights add up to 2 ** 24 in each digit, which float32 counts exactly
_DIGITS = 4


def weighted_median(mb: Any, node: WeightedMedian, x: Any) -> Any:
    """The least number whose weight, with that of all that are not larger, reaches half: no order, so no ties."""
    parts, half = _whole(node.weights)
    up_to = mb.less_equal(x=x, y=mb.transpose(x=x, perm=[1, 0]))  # (number, whatever is not larger)
    sums = mb.matmul(x=mb.cast(x=up_to, dtype="fp32"), y=_in_digits(parts))
    reaches = mb.transpose(x=_reaches(mb, sums, half), perm=[1, 0])
    beyond = np.full((1, len(parts)), np.inf, dtype=np.float32)
    return mb.reduce_min(x=mb.select(cond=reaches, a=x, b=beyond), axes=[1], keep_dims=True)


def _whole(weights: Doubles) -> tuple[list[int], int]:
    """Weights as whole numbers, and the sum at which half is reached."""
    if (weights == weights[0]).all():  # then the doubles' rounding decides, by the count alone
        return [1] * len(weights), int(np.argmax(np.cumsum(weights) >= 0.5 * weights.sum())) + 1
    most = float(weights.max())
    parts = [round(float(weight) / most * (_DIGIT**_DIGITS - 1)) for weight in weights]
    return parts, -(-sum(parts) // 2)


def _in_digits(parts: list[int]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(numbers, digits), the highest first."""
    return float32([[part // _DIGIT**place % _DIGIT for place in reversed(range(_DIGITS))] for part in parts])


def _reaches(mb: Any, sums: Any, half: int) -> Any:
    """Whether sums (numbers, digits), digits not yet carried, reach a whole number: (numbers, 1)."""
    columns = mb.split(x=sums, num_splits=_DIGITS, axis=1)
    carry, order = None, None
    for place, column in enumerate(reversed(columns)):
        column = column if carry is None else mb.add(x=column, y=carry)
        last = place == _DIGITS - 1
        carry = mb.floor(x=mb.mul(x=column, y=float32(1 / _DIGIT)))
        digit = column if last else mb.sub(x=column, y=mb.mul(x=carry, y=float32(_DIGIT)))
        wanted = half // _DIGIT**place if last else half // _DIGIT**place % _DIGIT
        weight = mb.mul(x=mb.sign(x=mb.sub(x=digit, y=float32(wanted))), y=float32(2**place))  # higher digits first
        order = weight if order is None else mb.add(x=order, y=weight)
    return mb.greater_equal(x=order, y=float32(0))


EMITTERS: Mapping[type[Node], Callable[..., Any]] = {WeightedMedian: weighted_median}
