"""Run a generalised linear model (``glmClassifier``, ``glmRegressor``).

Source of the rules: GLMClassifier.proto (``GLMClassifier``) and GLMRegressor.proto (``GLMRegressor``). A row of weights and its
offset make one score; all inputs in the order of the description are its features. ``ReferenceClass``: the first class is
the reference, its score is 0, one row of weights for every other class. ``OneVsRest``: a row of weights per class, or one
for two classes, which speaks for the second. ``Probit`` is for two classes only.

What the specification leaves open and is read here as the trade has it: several scores against a reference class end in a
softmax; the shares of one against the rest are scaled to a sum of one (if all are 0 they stay so); of equal probabilities the
first label wins.
"""

from __future__ import annotations

import numpy as np

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
    normal,
    sigmoid,
    softmax,
    vector,
)
from mlpublish.coreml.schema import Message

KINDS = ("glmClassifier", "glmRegressor")


def unsupported(stage: Message) -> list[str]:
    """A link or an encoding that the schema does not have, and the probit link with more than two classes."""
    glm = held_by(stage)
    kind, link = stage.WhichOneof("Type"), int(glm.postEvaluationTransform)
    found = [f"{kind} with the link {link}"] if link not in _links(glm) else []
    if kind == "glmRegressor":
        return found
    if glm.classEncoding not in (glm.ReferenceClass, glm.OneVsRest):
        found.append(f"glmClassifier with the class encoding {glm.classEncoding}")
    if link == glm.Probit and len(glm.weights) > 1:
        found.append("glmClassifier with the probit link and more than two classes")
    return found


def classes(stage: Message) -> tuple[Label, ...]:
    """A classifier's labels; none for a regression."""
    return labels_of(stage.glmClassifier) if stage.WhichOneof("Type") == "glmClassifier" else ()


def opened(stage: Message) -> Run:
    """Read a linear model."""
    glm = held_by(stage)
    weights = matrix([row.value for row in glm.weights], "weights")
    offset = doubles(glm.offset, "offset")
    if len(weights) != len(offset) or not len(weights):
        raise ValueError(f"{len(weights)} rows of weights for {len(offset)} offsets")
    run = _classifier if stage.WhichOneof("Type") == "glmClassifier" else _regressor
    return lambda known: run(stage, _scores(weights, offset, vector(stage, known)))


def _links(glm: Message) -> tuple[int, ...]:
    return tuple(value.number for value in glm.DESCRIPTOR.enum_types_by_name["PostEvaluationTransform"].values)


def _scores(weights: Doubles, offset: Doubles, values: Doubles) -> Doubles:
    """(rows, features) -> (rows, rows of weights)."""
    if values.shape[1] != weights.shape[1]:
        raise ValueError(f"{weights.shape[1]} weights for {values.shape[1]} features")
    scores: Doubles = values @ weights.T + offset
    return scores


def _classifier(stage: Message, scores: Doubles) -> Rows:
    glm = stage.glmClassifier
    labels = labels_of(glm)
    if scores.shape[1] == 1:  # two classes; the one row of weights speaks for the second
        second = normal(scores) if glm.postEvaluationTransform == glm.Probit else sigmoid(scores)
        return chosen(stage, labels, np.column_stack([1 - second, second]))
    if glm.classEncoding == glm.ReferenceClass:
        return chosen(stage, labels, softmax(np.column_stack([np.zeros(len(scores)), scores])))
    shares = sigmoid(scores)
    sums = shares.sum(axis=1, keepdims=True)
    return chosen(stage, labels, np.divide(shares, sums, out=shares, where=sums != 0))


def _regressor(stage: Message, scores: Doubles) -> Rows:
    glm = stage.glmRegressor
    if glm.postEvaluationTransform == glm.Logit:
        scores = sigmoid(scores)
    elif glm.postEvaluationTransform == glm.Probit:
        scores = normal(scores)
    return {str(stage.description.output[0].name): scores[:, 0] if scores.shape[1] == 1 else scores}
