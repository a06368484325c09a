"""Naive Bayes: the classes' joint log-likelihoods, and a softmax of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Distances, Linear, Softmax
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Scaled
from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn.reading import Reader, Reads, finite, labels_of
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError


def _gaussian(step: Any, x: Node) -> Node:
    """Squared gaps in variances: never x² by itself, which would lose what float32 has of a narrow class far from 0."""
    variances = finite(step.var_, step, "var_")
    constants = _logs(step.class_prior_, step, "class_prior_") - 0.5 * np.log(2 * np.pi * variances).sum(axis=1)
    distances = Distances(of=x, points=finite(step.theta_, step, "theta_"), weights=0.5 / variances)
    return Scaled(of=distances, shift=-constants, scale=np.full(len(constants), -1.0))


def _multinomial(step: Any, x: Node) -> Node:
    return _linear(x, finite(step.feature_log_prob_, step, "feature_log_prob_"), _priors(step))


def _complement(step: Any, x: Node) -> Node:
    """As counts, but the classes' sizes do not count."""
    weights = finite(step.feature_log_prob_, step, "feature_log_prob_")
    return _linear(x, weights, np.zeros(len(weights)))


def _bernoulli(step: Any, x: Node) -> Node:
    present = finite(step.feature_log_prob_, step, "feature_log_prob_")
    absent = finite(np.log(1 - np.exp(present)), step, "feature_log_prob_")
    binary = x if step.binarize is None else _above(x, float(step.binarize))
    return _linear(binary, present - absent, _priors(step) + absent.sum(axis=1))


def _above(x: Node, bound: float) -> Node:
    """1 where a number is above a bound, else 0: as trees of one split, which are exact."""
    trees = tuple(_stump(place, bound) for place in range(x.width))
    return Trees(of=x, trees=trees, base=(0.0,) * x.width, rounds=False, takes_missing=False)


def _stump(place: int, bound: float) -> Tree:
    return Tree(
        feature=np.array([place, LEAF, LEAF]),
        threshold=np.array([bound, 0.0, 0.0]),
        mode=(Mode.GREATER,) * 3,
        yes=np.array([1, LEAF, LEAF]),
        no=np.array([2, LEAF, LEAF]),
        missing_goes_yes=np.zeros(3, dtype=np.bool_),
        values=np.array([[0.0], [1.0], [0.0]]),
        adds_to=(place,),
    )


def _linear(x: Node, weights: Doubles, offset: Doubles) -> Node:
    return Linear(of=x, weights=weights, offset=offset)


def _priors(step: Any) -> Doubles:
    return finite(step.class_log_prior_, step, "class_log_prior_")


def _logs(values: Any, step: Any, attribute: str) -> Doubles:
    with np.errstate(divide="ignore"):
        return finite(np.log(values), step, attribute)


def _reader(likelihoods: Reads) -> Reader:
    def classify(step: Any, x: Node) -> Classified:
        if len(step.classes_) < 2:
            raise ConversionError(
                f"{class_name(type(step))} knows one class only.", remedy="Fit it on rows of two classes.", field="classes_"
            )
        shares = Softmax(of=likelihoods(step, x))
        return Classified(classes=labels_of(step.classes_), scores=shares, probabilities=shares)

    return Reader(classify=classify)


READERS: Mapping[str, Reader] = {
    "sklearn.naive_bayes.BernoulliNB": _reader(_bernoulli),
    "sklearn.naive_bayes.ComplementNB": _reader(_complement),
    "sklearn.naive_bayes.GaussianNB": _reader(_gaussian),
    "sklearn.naive_bayes.MultinomialNB": _reader(_multinomial),
}
