"""Run what puts values together or takes them apart: ``featureVectorizer``, ``arrayFeatureExtractor``, ``identity``, and
``classConfidenceThresholding``.

Source of the rules: FeatureVectorizer.proto (``inputDimensions`` is how many numbers a column has, its comment to the contrary;
coremltools writes it so), ArrayFeatureExtractor.proto, Identity.proto, ClassConfidenceThresholding.proto. A vectorizer's column
may be a sparse dictionary, place -> value. An array of several axes is counted through in the order of its last axis.
"""

from __future__ import annotations

import numpy as np

from mlpublish.coreml.classic import dictionaries
from mlpublish.coreml.classic.stage import Array, Doubles, Label, Rows, Run, answer, flat, given, input_of, kind_of
from mlpublish.coreml.schema import Message

KINDS = ("featureVectorizer", "arrayFeatureExtractor", "identity", "classConfidenceThresholding")


def unsupported(_stage: Message) -> list[str]:
    """Nothing: they have no settings but those that are evaluated."""
    return []


def classes(_stage: Message) -> tuple[Label, ...]:
    """None: it is no classifier."""
    return ()


def opened(stage: Message) -> Run:
    """Read one of them."""
    readers = {
        "featureVectorizer": _vectorizer,
        "arrayFeatureExtractor": _extractor,
        "identity": _identity,
        "classConfidenceThresholding": _thresholding,
    }
    return readers[str(stage.WhichOneof("Type"))](stage)


def _vectorizer(stage: Message) -> Run:
    columns = [(str(each.inputColumn), int(each.inputDimensions)) for each in stage.featureVectorizer.inputList]
    if not columns:
        raise ValueError("it has no columns")

    def run(known: Rows) -> Rows:
        parts = [_part(given(known, name), name, size) for name, size in columns]
        return answer(stage, np.concatenate(parts, axis=1))

    return run


def _part(values: Array, name: str, size: int) -> Doubles:
    if values.dtype.kind == "O":
        return dictionaries.spread(dictionaries.read(values), size)
    part = flat(values, name)
    if part.shape[1] != size:
        raise ValueError(f"{name} has {part.shape[1]} numbers, not {size}")
    return part


def _extractor(stage: Message) -> Run:
    places = np.asarray(list(stage.arrayFeatureExtractor.extractIndex), dtype=np.uint64)
    kind = kind_of(stage.description.output[0])
    if kind in ("doubleType", "int64Type") and len(places) != 1:
        raise ValueError(f"it takes {len(places)} numbers out for an output of one")

    def run(known: Rows) -> Rows:
        values = input_of(stage, known)
        rows = values.reshape(len(values), -1)
        if places.size and places.max() >= rows.shape[1]:
            raise ValueError(f"it takes out number {places.max()} of {rows.shape[1]}")
        taken = rows[:, places.astype(np.int64)]
        return answer(stage, _one(taken[:, 0], kind) if kind in ("doubleType", "int64Type") else taken)

    return run


def _one(values: Array, kind: str) -> Array:
    return values.astype(np.float64 if kind == "doubleType" else np.int64)


def _identity(stage: Message) -> Run:
    names = [str(each.name) for each in stage.description.output]
    return lambda known: {name: given(known, name) for name in names}


def _thresholding(stage: Message) -> Run:
    """The confidences, and below them a 1 for every class: the specification takes all."""

    def run(known: Rows) -> Rows:
        shares = flat(input_of(stage, known), str(stage.description.input[0].name))
        return answer(stage, np.stack([shares, np.ones_like(shares)], axis=1))

    return run
