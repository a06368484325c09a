"""Multi-layer perceptrons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlpublish.converting.graph.algebra import Linear, Softmax, of_two
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Function, Name
from mlpublish.converting.graph.node import Node
from mlpublish.converting.of_sklearn.reading import Reader, finite, labels_of
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_FUNCTIONS = {"exp": Name.EXP, "logistic": Name.EXPIT, "relu": Name.RELU, "tanh": Name.TANH}


def _predict(step: Any, x: Node) -> Node:
    """Every layer: ``coefs_`` and ``intercepts_``, then the hidden or the last activation."""
    names = [step.activation] * (step.n_layers_ - 2) + [step.out_activation_]
    for weights, offset, name in zip(step.coefs_, step.intercepts_, names, strict=True):
        layer = Linear(of=x, weights=finite(weights, step, "coefs_").T, offset=finite(offset, step, "intercepts_"))
        x = _activated(step, layer, name)
    return x


def _activated(step: Any, layer: Node, name: str) -> Node:
    if name == "identity":
        return layer
    if name == "softmax":
        return Softmax(of=layer)
    if name in _FUNCTIONS:
        return Function(of=layer, name=_FUNCTIONS[name])
    raise ConversionError(
        f"{class_name(type(step))} with the activation {name} is not converted.",
        remedy="Use relu, tanh, logistic or identity.",
        field="activation",
    )


def _classify(step: Any, x: Node) -> Classified:
    shares = _predict(step, x)
    if step.out_activation_ == "logistic" and len(step.classes_) == 2 and step.n_outputs_ == 1:
        shares = of_two(shares)
    elif step.out_activation_ != "softmax":
        raise ConversionError(
            f"{class_name(type(step))} fitted on several labels per row is not converted.",
            remedy="Fit one classifier per label.",
            field="classes_",
        )
    return Classified(classes=labels_of(step.classes_), scores=shares, probabilities=shares)


READERS: Mapping[str, Reader] = {
    "sklearn.neural_network.MLPClassifier": Reader(classify=_classify),
    "sklearn.neural_network.MLPRegressor": Reader(predict=_predict),
}
