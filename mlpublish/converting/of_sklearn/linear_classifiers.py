"""Linear classifiers: their decisions, and the probabilities that some make out of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Linear, Softmax, of_two, shares
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Clipped, Function, Name, Scaled
from mlpublish.converting.graph.node import Node
from mlpublish.converting.of_sklearn.linear import linear
from mlpublish.converting.of_sklearn.reading import Reader, finite, labels_of, not_read
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError


def decision(step: Any, x: Node) -> Linear:
    """One number for two classes, which speaks for the second; else one per class.

    Raises:
        ConversionError: the rows of ``coef_`` do not fit the classes.
    """
    node = linear(step, x)
    classes = len(step.classes_)
    if classes < 2 or node.width != (1 if classes == 2 else classes):
        raise ConversionError(
            f"{class_name(type(step))} has {node.width} rows of coef_ for {classes} classes.",
            remedy="Fit the model again.",
            field="coef_",
        )
    return node


def by_decision(step: Any, x: Node) -> Classified:
    """A label, and no probabilities: the library has none."""
    return Classified(classes=labels_of(step.classes_), scores=decision(step, x))


def sigmoids(step: Any, x: Node) -> Classified:
    """One against the rest: a logistic function for each class, scaled to a sum of 1."""
    return _by(step, decision(step, x), lambda node: Function(of=node, name=Name.EXPIT))


def softmax(step: Any, x: Node) -> Classified:
    """All classes against each other; two have a logistic function."""
    node = decision(step, x)
    if node.width == 1:
        return sigmoids(step, x)
    likely = Softmax(of=node)
    return Classified(classes=labels_of(step.classes_), scores=likely, probabilities=likely)


def _by(step: Any, node: Node, share: Callable[[Node], Node]) -> Classified:
    """Probabilities by a rising function of the decisions.

    More than two classes keep their decisions for the label: where the function saturates, classes share the first place.
    """
    classes = labels_of(step.classes_)
    likely = share(node)
    if node.width == 1:
        both = of_two(likely)
        return Classified(classes=classes, scores=both, probabilities=both)
    # where all are 0, scikit-learn takes all classes for equal
    return Classified(classes=classes, scores=node, probabilities=shares(likely, zero_over_zero=1 / node.width))


def _clipped(node: Node) -> Node:
    """The modified Huber loss: ``(clip(decision, -1, 1) + 1) / 2``."""
    ones = np.ones(node.width)
    return Scaled(of=Clipped(of=node, low=-1.0, high=1.0), shift=ones, scale=ones / 2)


def _logistic(step: Any, x: Node) -> Classified:
    multi_class = step.get_params(deep=False).get("multi_class")  # gone since scikit-learn 1.8
    if multi_class is None:
        return softmax(step, x)
    if multi_class in ("ovr", "warn") or (multi_class in ("auto", "deprecated") and _splits_classes(step)):
        return sigmoids(step, x)
    if len(step.classes_) > 2:
        return softmax(step, x)
    if multi_class != "multinomial":
        return sigmoids(step, x)
    node = decision(step, x)  # softmax of (-d, d)
    return _by(step, Linear(of=x, weights=2 * node.weights, offset=2 * node.offset), lambda d: Function(of=d, name=Name.EXPIT))


def _splits_classes(step: Any) -> bool:
    """Whether a solver that is left to choose trains one class against the rest."""
    import sklearn

    old = tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < (1, 6)
    return step.solver == "liblinear" or (old and step.solver == "newton-cholesky")


def _by_descent(step: Any, x: Node) -> Classified:
    """SGDClassifier: its loss tells whether there are probabilities."""
    if step.loss == "log_loss":
        return sigmoids(step, x)
    if step.loss == "modified_huber":
        return _by(step, decision(step, x), _clipped)
    return by_decision(step, x)


def _by_ridge(step: Any, x: Node) -> Classified:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model that was fitted on a frame misses its names
        several = np.ndim(step.predict(np.zeros((1, x.width)))) > 1
    if several:  # no other public sign: classes_ and coef_ look like those of as many classes
        raise ConversionError(
            f"{class_name(type(step))} was fitted on several labels per row, which is not converted.",
            remedy="Fit and convert one classifier per label.",
            field="model",
        )
    return by_decision(step, x)


def _discriminants(step: Any, x: Node) -> Node:
    """LinearDiscriminantAnalysis as a transformer."""
    if step.solver not in ("svd", "eigen"):
        raise not_read(step, "transform")
    scalings = finite(step.scalings_, step, "scalings_")[:, : len(step.get_feature_names_out())]
    centred = x
    if step.solver == "svd":
        centred = Scaled(of=x, shift=-finite(step.xbar_, step, "xbar_"), scale=np.ones(x.width))
    return Linear(of=centred, weights=scalings.T, offset=np.zeros(scalings.shape[1]))


_LABEL_ONLY = Reader(classify=by_decision, decide=decision)

READERS: Mapping[str, Reader] = {
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis": Reader(
        transform=_discriminants, classify=softmax, decide=decision
    ),
    "sklearn.linear_model.LogisticRegression": Reader(classify=_logistic, decide=decision),
    "sklearn.linear_model.LogisticRegressionCV": Reader(classify=_logistic, decide=decision),
    "sklearn.linear_model.PassiveAggressiveClassifier": _LABEL_ONLY,
    "sklearn.linear_model.Perceptron": _LABEL_ONLY,
    "sklearn.linear_model.RidgeClassifier": Reader(classify=_by_ridge, decide=decision),
    "sklearn.linear_model.RidgeClassifierCV": Reader(classify=_by_ridge, decide=decision),
    "sklearn.linear_model.SGDClassifier": Reader(classify=_by_descent, decide=decision),
    "sklearn.svm.LinearSVC": _LABEL_ONLY,
}
