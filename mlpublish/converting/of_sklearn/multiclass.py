"""One classifier for each pair of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Scaled
from mlpublish.converting.graph.node import Node, joined, picked
from mlpublish.converting.of_sklearn import labelling, reading
from mlpublish.converting.of_sklearn.pairs import class_scores
from mlpublish.converting.of_sklearn.reading import Reader, labels_of
from mlpublish.errors import ConversionError


def _decide(step: Any, x: Node) -> Node:
    """As wide as the classes even for two of them; ``decision_function`` shows the second of those alone."""
    scores = _scores(step, x)
    return picked(scores, (1,)) if len(step.classes_) == 2 else scores


def _scores(step: Any, x: Node) -> Node:
    if step.pairwise_indices_ is not None:
        raise ConversionError(
            "OneVsOneClassifier over a precomputed kernel is not converted.",
            remedy="Use an estimator that takes the features themselves.",
            field="pairwise_indices_",
        )
    answers = [reading.classified(member, x) for member in step.estimators_]
    seconds = joined(tuple(picked(labelling.votes(answer), (1,)) for answer in answers))
    confidences = joined(
        tuple(_confidence(member, x, answer) for member, answer in zip(step.estimators_, answers, strict=True))
    )
    return class_scores(seconds, confidences, len(step.classes_))


def _confidence(member: Any, x: Node, answer: Classified) -> Node:
    if hasattr(member, "decision_function"):
        return reading.decided(member, x)
    return picked(labelling.probabilities(member, answer), (1,))


def _classify(step: Any, x: Node) -> Classified:
    if len(step.classes_) == 2:
        bound = 0.0 if hasattr(step.estimators_[0], "decision_function") else 0.5
        scores: Node = Scaled(of=_decide(step, x), shift=np.array([-bound]), scale=np.ones(1))
    else:
        scores = _scores(step, x)
    return Classified(classes=labels_of(step.classes_), scores=scores)


READERS: Mapping[str, Reader] = {"sklearn.multiclass.OneVsOneClassifier": Reader(classify=_classify, decide=_decide)}
