"""Nodes that treat each number of a vector by itself, and tables that a category is looked up in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mlpublish.converting.graph.node import Doubles, Node

MISSING_TEXT = ""
"""What stands for a missing text at the border of a file: Core ML knows no missing string."""


class Empty(StrEnum):
    """What an empty text at the border is for the training library."""

    NAN = "NaN"
    NONE = "None"
    TEXT = "an empty text"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfOne(Node):
    of: Node

    @property
    def width(self) -> int:
        return self.of.width

    @property
    def reads(self) -> tuple[Node, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scaled(OfOne):
    """``(x + shift) * scale`` per number.

    Args:
        shift, scale: (width,).
        exact: the library's own arithmetic, (rows, width) -> (rows, width): a split behind it is moved before it to the bit.
    """

    shift: Doubles
    scale: Doubles
    exact: Callable[[Doubles], Doubles] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clipped(OfOne):
    """Each number held between two bounds, which may be infinite."""

    low: float
    high: float


class Name(StrEnum):
    """What ``Function`` applies, by NumPy's and scipy.special's names."""

    ABSOLUTE = "absolute"
    EXP = "exp"
    EXP2 = "exp2"
    EXPM1 = "expm1"
    LOG = "log"
    LOG1P = "log1p"
    LOG2 = "log2"
    LOG10 = "log10"
    SQRT = "sqrt"
    CBRT = "cbrt"
    SQUARE = "square"
    RECIPROCAL = "reciprocal"
    NEGATIVE = "negative"
    SIGN = "sign"
    FLOOR = "floor"
    CEIL = "ceil"
    ROUND = "rint"
    SIN = "sin"
    COS = "cos"
    TAN = "tan"
    ARCTAN = "arctan"
    TANH = "tanh"
    EXPIT = "expit"  # the logistic function
    LOGIT = "logit"
    RELU = "relu"
    SOFTPLUS = "softplus"  # log(1 + exp(x))
    POSITIVE = "positive"  # 1 where x > 0, else 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Function(OfOne):
    """A function of one number, applied to each."""

    name: Name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Imputed(OfOne):
    """Missing numbers replaced.

    Args:
        values: (width,), what stands in for a missing one.
        missing: what means missing; NaN by default.
    """

    values: Doubles
    missing: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IsMissing(OfOne):
    """1 where a number is missing, else 0."""

    missing: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filled(OfOne):
    """A text of columns that means missing, replaced; only an encoder may read it, which makes it keys of its ``Lookup``.

    Args:
        values: (width,), what stands in for a missing one.
        missing: the text that means missing.
        empty: what that text is for the library.
    """

    values: tuple[str, ...]
    missing: str = MISSING_TEXT
    empty: Empty = Empty.NAN


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lookup(Node):
    """The row of a table that a category stands for: one-hot and ordinal encoding, and the like.

    Args:
        of: one column; of texts (then it is a ``Column`` itself) or of numbers.
        keys: the categories, texts or numbers (NaN may be one); a missing text is ``MISSING_TEXT``.
        table: (keys, width).
        unknown: (width,), the answer to a category that is not among the keys; None if the library refuses such a row.
        empty: what ``MISSING_TEXT`` is for the library, if it is among the keys.
    """

    of: Node
    keys: tuple[str, ...] | tuple[float, ...]
    table: Doubles
    unknown: Doubles | None
    empty: Empty | None = None

    @property
    def width(self) -> int:
        return int(self.table.shape[1])

    @property
    def reads(self) -> tuple[Node, ...]:
        return (self.of,)

    @property
    def of_texts(self) -> bool:
        return bool(self.keys) and isinstance(self.keys[0], str)


def times(of: Node, factor: float | Doubles) -> Node:
    """Each number times a factor, or times its own of them."""
    return Scaled(of=of, shift=np.zeros(of.width), scale=np.full(of.width, factor, dtype=np.float64))
