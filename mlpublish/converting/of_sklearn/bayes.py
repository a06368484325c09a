"""Naive Bayes: the classes' joint log-likelihoods, and a softmax of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Linear, Softmax
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Scaled
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn.centres import apart
from mlpublish.converting.of_sklearn.reading import Reader, Reads, finite, labels_of
from mlpublish.converting.of_sklearn.stumps import above
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError


def _gaussian(step: Any, x: Node) -> Node:
    """Squared gaps in variances: never x² by itself, which would lose what float32 has of a narrow class far from 0."""
    variances = finite(step.var_, step, "var_")
    constants = _logs(step.class_prior_, step, "class_prior_") - 0.5 * np.log(2 * np.pi * variances).sum(axis=1)
    distances = apart(x, finite(step.theta_, step, "theta_"), weights=0.5 / variances)
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
    binary = x if step.binarize is None else above(x, float(step.binarize))
    return _linear(binary, present - absent, _priors(step) + absent.sum(axis=1))


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
