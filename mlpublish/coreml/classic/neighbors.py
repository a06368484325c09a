"""Run a k-nearest-neighbours classifier (``kNearestNeighborsClassifier``).

Source of the rules: NearestNeighbors.proto (``KNearestNeighborsClassifier``, ``NearestNeighborsIndex``). The ``k``
(``numberOfNeighbors.defaultValue``) nearest samples by squared Euclidean distance vote for their labels: each with one vote
(``UniformWeighting``), or with 1 / distance (``InverseDistanceWeighting``). Both index types find the same neighbours, so the
samples are compared one by one. Without samples the answer is the default label.

What the specification leaves open, and is read here: the distance of the weights is the squared one, the only one that the
file knows; samples at distance 0 outvote all others; of equally far samples the earlier is nearer; the classes are the distinct
labels in ascending order, of equal votes the first wins; the probabilities are the votes' shares.
"""

from __future__ import annotations

import numpy as np

from mlpublish.coreml.classic import distances
from mlpublish.coreml.classic.stage import Doubles, Flags, Label, Places, Rows, Run, chosen, labels_of, matrix, parts, vector
from mlpublish.coreml.schema import Message

KINDS = ("kNearestNeighborsClassifier",)


def unsupported(stage: Message) -> list[str]:
    """A distance function or a weighting that the schema does not have."""
    held = stage.kNearestNeighborsClassifier
    index = held.nearestNeighborsIndex
    lacks = {
        "a squared Euclidean distance": index.WhichOneof("DistanceFunction") != "squaredEuclideanDistance",
        "an index": index.WhichOneof("IndexType") is None,
        "a weighting": held.WhichOneof("WeightingScheme") is None,
    }
    return [f"kNearestNeighborsClassifier without {what}" for what, is_so in lacks.items() if is_so]


def classes(stage: Message) -> tuple[Label, ...]:
    """The distinct labels in ascending order; the default label where there are no samples."""
    held = stage.kNearestNeighborsClassifier
    return tuple(sorted(set(labels_of(held)))) or _default(held)


def opened(stage: Message) -> Run:
    """Read the samples."""
    return _Neighbors(stage).run


def _default(held: Message) -> tuple[Label, ...]:
    match held.WhichOneof("DefaultClassLabel"):
        case "defaultStringLabel":
            return (str(held.defaultStringLabel),)
        case "defaultInt64Label":
            return (int(held.defaultInt64Label),)
    return ()


class _Neighbors:
    """The samples, read once."""

    def __init__(self, stage: Message) -> None:
        held, index = stage.kNearestNeighborsClassifier, stage.kNearestNeighborsClassifier.nearestNeighborsIndex
        self._stage, self._classes = stage, classes(stage)
        self._samples = matrix([each.vector for each in index.floatSamples], "samples")
        self._is_weighted = held.WhichOneof("WeightingScheme") == "inverseDistanceWeighting"
        self._count, self._features = int(held.numberOfNeighbors.defaultValue), int(index.numberOfDimensions)
        self._check(len(labels_of(held)), index)
        places = {label: place for place, label in enumerate(self._classes)}
        self._of_class = np.asarray([places[label] for label in labels_of(held)], dtype=np.int64)

    def _check(self, labels: int, index: Message) -> None:
        if labels != len(self._samples):
            raise ValueError(f"{labels} labels for {len(self._samples)} samples")
        if labels and self._samples.shape[1] != self._features:
            raise ValueError(f"samples of {self._samples.shape[1]} numbers, not {self._features}")
        if self._count < 1 or not self._classes:
            raise ValueError(f"{self._count} neighbours of {len(self._classes)} classes")
        if index.WhichOneof("IndexType") == "singleKdTreeIndex" and index.singleKdTreeIndex.leafSize < 1:
            raise ValueError(f"a tree with leaves of {index.singleKdTreeIndex.leafSize} samples")

    def run(self, known: Rows) -> Rows:
        rows = vector(self._stage, known)
        if rows.shape[1] != self._features:
            raise ValueError(f"rows of {rows.shape[1]} numbers, not {self._features}")
        if not len(self._samples):
            return chosen(self._stage, self._classes, np.ones((len(rows), 1)))
        if not np.isfinite(rows).all():
            raise ValueError("a row whose numbers are not all finite has no neighbours")
        width = max(len(self._samples), len(self._classes))
        some = [self._shares(rows[part]) for part in parts(len(rows), width)]
        return chosen(self._stage, self._classes, np.concatenate([*some, np.empty((0, len(self._classes)))]))

    def _shares(self, rows: Doubles) -> Doubles:
        """Each class's share of the votes, (rows, classes)."""
        apart = distances.squared(rows, self._samples)
        row, sample = np.nonzero(_nearest(apart, min(self._count, len(self._samples))))
        cells = row * len(self._classes) + self._of_class[sample]
        weights = self._weights(apart, row, sample)
        votes = np.bincount(cells, weights=weights, minlength=len(rows) * len(self._classes)).reshape(len(rows), -1)
        shares: Doubles = votes / votes.sum(axis=1, keepdims=True)
        return shares

    def _weights(self, apart: Doubles, row: Places, sample: Places) -> Doubles:
        """A vote's weight; the nearest weighs 1, so that the smallest distances do not make infinite weights."""
        if not self._is_weighted:
            return np.ones(len(row))
        distance, least = apart[row, sample], apart.min(axis=1)[row]
        weights: Doubles = np.where(least == 0, distance == 0, least / np.where(distance == 0, 1.0, distance))
        return weights


def _nearest(apart: Doubles, count: int) -> Flags:
    """Which samples are the nearest so many of each row; of equally far ones the earlier."""
    last = np.partition(apart, count - 1, axis=1)[:, count - 1, np.newaxis]
    nearer, equal = apart < last, apart == last
    places = count - nearer.sum(axis=1, keepdims=True)
    nearest: Flags = nearer | (equal & (np.cumsum(equal, axis=1) <= places))
    return nearest
