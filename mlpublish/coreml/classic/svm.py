"""Run a support vector machine (``supportVectorClassifier``, ``supportVectorRegressor``).

Source of the rules: SVM.proto (``SupportVectorClassifier``, ``SupportVectorRegressor``), which stores libsvm's model: for the
classes i < j, in the order (0, 1), (0, 2), … (1, 2), …, the decision is the sum of coefficient times kernel over the support
vectors of both, less ``rho``; the vectors of class i have their coefficients for j in row j - 1, those of j for i in row i. A
decision above 0 is a vote for i, any other for j; most votes win, of equal ones the first class.

With ``probA`` and ``probB`` the share of i against j is 1 / (1 + exp(A · decision + B)), kept from 0 and 1 by 1e-7. Two classes
take it as it is; more are coupled by the second method of Wu, Lin and Weng (2004), as libsvm does, and the label is then, as in
libsvm's prediction with probabilities, the one of the largest probability.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mlpublish.coreml.classic.coupling import coupled
from mlpublish.coreml.classic.kernels import SupportVectors
from mlpublish.coreml.classic.stage import (
    Doubles,
    Label,
    Rows,
    Run,
    chosen,
    doubles,
    held_by,
    labels_of,
    matrix,
    named,
    parts,
    sigmoid,
    vector,
)
from mlpublish.coreml.mil_ops.tensor import room
from mlpublish.coreml.schema import Message

KINDS = ("supportVectorClassifier", "supportVectorRegressor")

MOST_COUPLED = 1000
"""Classes of which probabilities are computed: coupling takes, for each row, their square times its rounds."""

_SURE = 1e-7  # libsvm keeps a share from 0 and 1 by this


def unsupported(stage: Message) -> list[str]:
    """A classifier that is to give probabilities and does not hold what they are computed from, or has too many classes."""
    kind, held = stage.WhichOneof("Type"), held_by(stage)
    if kind == "supportVectorClassifier" and held.probA and len(labels_of(held)) > MOST_COUPLED:
        return [f"supportVectorClassifier with probabilities of more than {MOST_COUPLED} classes"]
    wanted = kind == "supportVectorClassifier" and str(stage.description.predictedProbabilitiesName)
    lacks = wanted and not held.probA and len(labels_of(held)) > 1
    return ["supportVectorClassifier with probabilities but without probA"] if lacks else []


def classes(stage: Message) -> tuple[Label, ...]:
    """A classifier's labels; none for a regression."""
    return labels_of(stage.supportVectorClassifier) if stage.WhichOneof("Type") == "supportVectorClassifier" else ()


def opened(stage: Message) -> Run:
    """Read a support vector machine."""
    return _Classifier(stage).run if stage.WhichOneof("Type") == "supportVectorClassifier" else _regression(stage)


def _regression(stage: Message) -> Run:
    held = stage.supportVectorRegressor
    vectors, rho = SupportVectors(held), doubles([held.rho], "rho")
    alpha = doubles(held.coefficients.alpha, "coefficients")
    if len(alpha) != vectors.count:
        raise ValueError(f"{len(alpha)} coefficients for {vectors.count} support vectors")
    name = str(stage.description.output[0].name)

    def run(known: Rows) -> Rows:
        rows = vector(stage, known)
        kernel = vectors.kernel(rows.shape[1])
        some = [kernel(rows[part]) @ alpha for part in parts(len(rows), vectors.count)]
        return {name: np.concatenate([*some, np.empty(0)]) - rho}

    return run


class _Classifier:
    """One machine per pair of classes."""

    def __init__(self, stage: Message) -> None:
        held = stage.supportVectorClassifier
        self._stage, self._labels, self._vectors = stage, labels_of(held), SupportVectors(held)
        counts = [int(each) for each in held.numberOfSupportVectorsPerClass]
        self._alpha = matrix([row.alpha for row in held.coefficients], "coefficients")
        self._rho = doubles(held.rho, "rho")
        self._a, self._b = doubles(held.probA, "probA"), doubles(held.probB, "probB")
        self._check(counts)
        ends = np.cumsum([0, *counts])
        self._of_class = [slice(start, end) for start, end in pairwise(ends.tolist())]
        self._pairs = np.triu_indices(len(self._labels), 1)

    def _check(self, counts: list[int]) -> None:
        labels, vectors = len(self._labels), self._vectors.count
        pairs = labels * (labels - 1) // 2
        if not labels or len(counts) != labels or min(counts) < 0 or sum(counts) != vectors:
            raise ValueError(f"{sum(counts)} support vectors of {len(counts)} classes, for {vectors} of {labels}")
        if len(self._alpha) != labels - 1 or (labels > 1 and self._alpha.shape[1] != vectors):
            raise ValueError(f"coefficients of the shape {self._alpha.shape}, not {(labels - 1, vectors)}")
        if len(self._rho) != pairs:
            raise ValueError(f"{len(self._rho)} constants (rho) for {pairs} pairs of classes")
        if len(self._a) != len(self._b) or len(self._a) not in (0, pairs):
            raise ValueError(f"{len(self._a)} probA and {len(self._b)} probB for {pairs} pairs of classes")

    def run(self, known: Rows) -> Rows:
        rows = vector(self._stage, known)
        width = max(self._vectors.count, len(self._labels) ** 2)
        kernel = self._vectors.kernel(rows.shape[1])
        some = [self._decided(kernel(rows[part])) for part in parts(len(rows), width)]
        scores = np.concatenate([*some, np.empty((0, len(self._labels)))])
        if len(self._a) or len(self._labels) == 1:
            return chosen(self._stage, self._labels, scores)
        return named(self._stage, np.asarray(self._labels)[np.argmax(scores, axis=1)], None)

    def _decided(self, kernel: Doubles) -> Doubles:
        """(rows, vectors) -> probabilities, or votes where the file has none: (rows, classes)."""
        classes, (first, second) = len(self._labels), self._pairs
        if classes == 1:
            return np.ones((len(kernel), 1))
        of_first = self._of_each(kernel)
        decisions = of_first[:, first, second] + of_first[:, second, first] - self._rho
        against = np.zeros((len(kernel), *room(classes, classes)))
        if not len(self._a):
            against[:, first, second], against[:, second, first] = decisions > 0, ~(decisions > 0)
            votes: Doubles = against.sum(axis=2)
            return votes
        shares = np.clip(sigmoid(-(self._a * decisions + self._b)), _SURE, 1 - _SURE)
        if classes == 2:
            return np.column_stack([shares, 1 - shares])
        against[:, first, second], against[:, second, first] = shares, 1 - shares
        return coupled(against)

    def _of_each(self, kernel: Doubles) -> Doubles:
        """(rows, classes, classes): what the vectors of the first class add to the decision between it and the second."""
        classes = len(self._labels)
        found = np.zeros((len(kernel), *room(classes, classes)))
        for place, own in enumerate(self._of_class):
            against_others = kernel[:, own] @ self._alpha[:, own].T
            found[:, place, :place] = against_others[:, :place]
            found[:, place, place + 1 :] = against_others[:, place:]
        return found
