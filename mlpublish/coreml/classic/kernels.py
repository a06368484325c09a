"""The support vectors of a machine and its kernel.

Source of the rules: SVM.proto (``Kernel``, ``DenseSupportVectors``, ``SparseSupportVectors``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from mlpublish.coreml.classic import distances
from mlpublish.coreml.classic.stage import Doubles, doubles, matrix
from mlpublish.coreml.mil_ops.tensor import room
from mlpublish.coreml.schema import Message

_Kernel: TypeAlias = Callable[[Doubles, Doubles], Doubles]


class SupportVectors:
    """Support vectors, read once.

    Args:
        held: the message of a machine, with ``kernel`` and ``supportVectors``.

    Raises:
        ValueError: there is no kernel, or the vectors differ in length.
    """

    def __init__(self, held: Message) -> None:
        self._kernel = _kernel(held.kernel)
        self._dense, self._sparse = None, None
        if held.WhichOneof("supportVectors") == "denseSupportVectors":
            self._dense = matrix([each.values for each in held.denseSupportVectors.vectors], "support vectors")
            self.count = len(self._dense)
        else:
            self._sparse = _Sparse(held.sparseSupportVectors.vectors)
            self.count = self._sparse.count

    def kernel(self, features: int) -> Callable[[Doubles], Doubles]:
        """The kernel of rows of so many features with every vector: (rows, features) -> (rows, vectors).

        Raises:
            ValueError: the vectors have other features.
        """
        vectors = self._sparse.of_width(features) if self._sparse else self._dense
        assert vectors is not None
        if len(vectors) and vectors.shape[1] != features:
            raise ValueError(f"support vectors of {vectors.shape[1]} features for rows of {features}")
        if not len(vectors):
            return lambda rows: np.zeros((len(rows), 0))
        return lambda rows: self._kernel(rows, vectors)


class _Sparse:
    """Vectors of which the file holds what is not 0."""

    def __init__(self, vectors: Message) -> None:
        self.count = len(vectors)
        rows = [row for row, each in enumerate(vectors) for _ in each.nodes]
        columns = [node.index - 1 for each in vectors for node in each.nodes]  # the file counts from 1, as libsvm does
        self._rows, self._columns = np.asarray(rows, dtype=np.int64), np.asarray(columns, dtype=np.int64)
        self._values = doubles((node.value for each in vectors for node in each.nodes), "support vectors")
        if (self._columns < 0).any():
            raise ValueError("a support vector has a feature before the first")

    def of_width(self, features: int) -> Doubles:
        if self._columns.max(initial=-1) >= features:
            raise ValueError(f"a support vector has a feature {self._columns.max() + 1} of {features}")
        vectors = np.zeros(room(self.count, features))
        vectors[self._rows, self._columns] = self._values
        return vectors


def _kernel(kernel: Message) -> _Kernel:
    match kernel.WhichOneof("kernel"):
        case "linearKernel":
            return lambda rows, vectors: rows @ vectors.T
        case "rbfKernel":
            gamma = _finite(kernel.rbfKernel.gamma)
            return lambda rows, vectors: np.exp(-gamma * distances.squared(rows, vectors))
        case "polyKernel":
            gamma, c, degree = _finite(kernel.polyKernel.gamma), _finite(kernel.polyKernel.c), int(kernel.polyKernel.degree)
            if degree < 0:
                raise ValueError(f"a polynomial kernel of degree {degree}")
            return lambda rows, vectors: (gamma * (rows @ vectors.T) + c) ** degree
        case "sigmoidKernel":
            gamma, c = _finite(kernel.sigmoidKernel.gamma), _finite(kernel.sigmoidKernel.c)
            return lambda rows, vectors: np.tanh(gamma * (rows @ vectors.T) + c)
    raise ValueError("it names no kernel")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"a kernel with the parameter {value}")
    return value
