"""Tree ensembles; support vector machines, and what becomes of their decisions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mlpublish.converting.graph.columnwise import OfOne
from mlpublish.converting.graph.node import Doubles, Flags, Places

LEAF = -1
"""What stands in place of a feature, and of the children, in a leaf."""


class Mode(StrEnum):
    """How a node asks its feature: ``feature MODE threshold`` leads to the child ``yes``."""

    LESS_OR_EQUAL = "<="
    LESS = "<"
    GREATER_OR_EQUAL = ">="
    GREATER = ">"
    EQUAL = "=="
    NOT_EQUAL = "!="


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One tree as columns, one place per node; the root is node 0.

    Args:
        feature: the feature that a node asks, or ``LEAF``.
        threshold: what it is compared with; what stands in leaves means nothing.
        mode: how, per node.
        yes, no: the children's places, ``LEAF`` in leaves.
        missing_goes_yes: whether a missing value (NaN) follows ``yes``.
        values: (nodes, len(adds_to)): what a leaf adds to the results; what stands in other nodes means nothing.
        adds_to: the results that this tree speaks for.
    """

    feature: Places
    threshold: Doubles
    mode: tuple[Mode, ...]
    yes: Places
    no: Places
    missing_goes_yes: Flags
    values: Doubles
    adds_to: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trees(OfOne):
    """Trees whose leaves are added up, on top of a start value per result.

    Args:
        of: what the trees look at.
        base: the start value of each result.
        rounds: whether the library rounds every value to float32 before it compares.
        takes_missing: whether the library answers to NaN.
    """

    trees: tuple[Tree, ...]
    base: tuple[float, ...]
    rounds: bool
    takes_missing: bool

    @property
    def width(self) -> int:
        return len(self.base)


class KernelName(StrEnum):
    LINEAR = "linear"
    POLY = "poly"
    RBF = "rbf"
    SIGMOID = "sigmoid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """``x·s``, ``(gamma x·s + coef0) ** degree``, ``exp(-gamma |x - s|²)`` or ``tanh(gamma x·s + coef0)``."""

    name: KernelName
    gamma: float = 0.0
    coef0: float = 0.0
    degree: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SupportVectors(OfOne):
    """The decisions of a support vector machine, in libsvm's order of the pairs: (0, 1), (0, 2), …, (1, 2), …

    A decision above 0 speaks for the pair's first class. A regression has no classes, and one decision.

    Args:
        vectors: (vectors, features), by class.
        counts: how many of them each class has; empty for a regression.
        coefficients: (classes - 1, vectors) as libsvm's ``sv_coef``; (1, vectors) for a regression.
        rho: (decisions,), what is taken off each sum.
    """

    kernel: Kernel
    vectors: Doubles
    counts: tuple[int, ...]
    coefficients: Doubles
    rho: Doubles

    @property
    def width(self) -> int:
        classes = len(self.counts)
        return classes * (classes - 1) // 2 if classes else 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Votes(OfOne):
    """How many of the pairs' decisions speak for each class.

    Args:
        of: decisions, as ``SupportVectors`` orders them.
    """

    classes: int

    @property
    def width(self) -> int:
        return self.classes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coupled(OfOne):
    """Probabilities of classes out of pairs' probabilities, as libsvm's ``multiclass_probability`` couples them.

    Its loop is part of the answer: it stops when it is near enough, so that even two classes differ from the exact solution.

    Args:
        of: the probability of each pair's first class, in the order of ``SupportVectors``.
    """

    classes: int

    @property
    def width(self) -> int:
        return self.classes
