"""QuadraticDiscriminantAnalysis: how far a row is from each class's mean, measured by that class's own covariance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Combined, Linear, Reduced, Reduction, Sign, Softmax
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Function, Name, Scaled
from mlpublish.converting.graph.node import Doubles, Node, joined, picked
from mlpublish.converting.of_sklearn.reading import Reader, finite, labels_of


def _classify(step: Any, x: Node) -> Classified:
    likely = Softmax(of=_posterior(step, x))
    return Classified(classes=labels_of(step.classes_), scores=likely, probabilities=likely)


def _decide(step: Any, x: Node) -> Node:
    node = _posterior(step, x)
    if node.width > 2:
        return node
    return Combined(left=picked(node, (1,)), sign=Sign.MINUS, right=picked(node, (0,)))


def _posterior(step: Any, x: Node) -> Node:
    """The logarithm of each class's probability, up to a term that all have: ``log(prior) - (distance + log(volume)) / 2``."""
    classes = range(len(step.classes_))
    spreads = [finite(step.scalings_[each], step, "scalings_") for each in classes]
    with np.errstate(divide="ignore", invalid="ignore"):
        volumes = finite([np.sum(np.log(each)) for each in spreads], step, "scalings_")
        priors = finite(np.log(step.priors_), step, "priors_")
    distances = joined(tuple(_distance(step, x, each, spreads[each]) for each in classes))
    return Linear(of=distances, weights=-np.eye(len(spreads)) / 2, offset=priors - volumes / 2)


def _distance(step: Any, x: Node, place: int, spread: Doubles) -> Node:
    centred = Scaled(of=x, shift=-finite(step.means_[place], step, "means_"), scale=np.ones(x.width))
    axes = finite(step.rotations_[place], step, "rotations_").T / np.sqrt(spread)[:, np.newaxis]
    along = Linear(of=centred, weights=axes, offset=np.zeros(len(axes)))
    return Reduced(of=Function(of=along, name=Name.SQUARE), by=Reduction.SUM)


READERS: Mapping[str, Reader] = {
    "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis": Reader(classify=_classify, decide=_decide)
}
