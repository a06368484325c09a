"""Classic stages that answer: linear models and support vector machines, written in doubles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpublish.converting.graph.algebra import Linear
from mlpublish.converting.graph.answer import Labels
from mlpublish.converting.graph.machines import Kernel, KernelName, SupportVectors
from mlpublish.converting.graph.node import Doubles
from mlpublish.converting.source import LABEL, PROBABILITIES
from mlpublish.converting.writing.features import Value, declare, declare_classes, declare_number, new_model, set_labels
from mlpublish.coreml.schema import Message


def linear(reads: Sequence[Value], node: Linear, writes: Value, *, logistic: bool = False) -> Message:
    """One number out of a row; ``logistic`` takes the logistic function of it."""
    stage = _reading(reads)
    glm = stage.glmRegressor
    _add_weights(glm, node)
    glm.postEvaluationTransform = glm.Logit if logistic else glm.NoTransform
    declare_number(stage.description, writes)
    return stage


def logistic(
    reads: Sequence[Value], node: Linear, classes: Labels, *, label: str = LABEL, probabilities: str | None = PROBABILITIES
) -> Message:
    """Logistic functions of one number for two classes (it speaks for the second), else of one per class, scaled to 1."""
    stage = _reading(reads)
    glm = stage.glmClassifier
    _add_weights(glm, node)
    glm.postEvaluationTransform = glm.Logit
    glm.classEncoding = glm.OneVsRest
    set_labels(glm, classes)
    declare_classes(stage.description, classes, label=label, probabilities=probabilities)
    return stage


def largest(reads: Sequence[Value], node: Linear, classes: Labels, *, label: str = LABEL) -> Message:
    """The label of the largest linear number alone, exact where a logistic function would be 1 for several classes.

    As a support vector machine with a linear kernel: a class's weights are its one vector, so that a pair's decision is the
    difference of two numbers, and the class of the largest wins all of its pairs. Of equal numbers the first class must win,
    and there the pair's second wins: so the classes stand in reverse.
    """
    stage = _reading(reads)
    machine = stage.supportVectorClassifier
    machine.kernel.linearKernel.SetInParent()
    count = len(classes)
    weights, offset = node.weights[::-1], node.offset[::-1]
    _add_vectors(machine, weights)
    machine.numberOfSupportVectorsPerClass.extend([1] * count)
    for row in range(count - 1):  # of class i: for the others in order; it speaks for itself where it comes first in the pair
        machine.coefficients.add().alpha.extend([1.0 if row >= place else -1.0 for place in range(count)])
    first, second = np.triu_indices(count, 1)
    machine.rho.extend((offset[second] - offset[first]).tolist())
    set_labels(machine, classes[::-1])
    declare_classes(stage.description, classes, label=label, probabilities=None)
    return stage


def support_vectors(reads: Sequence[Value], node: SupportVectors, writes: Value) -> Message:
    """A regression."""
    stage = _reading(reads)
    machine = stage.supportVectorRegressor
    _set_kernel(machine.kernel, node.kernel)
    _add_vectors(machine, node.vectors)
    machine.coefficients.alpha.extend(node.coefficients[0].tolist())
    machine.rho = float(node.rho[0])
    declare_number(stage.description, writes)
    return stage


def votes(reads: Sequence[Value], node: SupportVectors, classes: Labels, *, label: str = LABEL) -> Message:
    """The label that most pairs of classes vote for, alone."""
    stage = _reading(reads)
    machine = stage.supportVectorClassifier
    _set_kernel(machine.kernel, node.kernel)
    _add_vectors(machine, node.vectors)
    machine.numberOfSupportVectorsPerClass.extend(node.counts)
    for row in node.coefficients:
        machine.coefficients.add().alpha.extend(row.tolist())
    machine.rho.extend(node.rho.tolist())
    set_labels(machine, classes)
    declare_classes(stage.description, classes, label=label, probabilities=None)
    return stage


def _reading(reads: Sequence[Value]) -> Message:
    stage = new_model()
    for each in reads:
        declare(stage.description.input, each)
    return stage


def _add_weights(glm: Message, node: Linear) -> None:
    for row in node.weights:
        glm.weights.add().value.extend(row.tolist())
    glm.offset.extend(node.offset.tolist())


def _add_vectors(machine: Message, vectors: Doubles) -> None:
    for row in vectors:
        machine.denseSupportVectors.vectors.add().values.extend(row.tolist())


def _set_kernel(held: Message, kernel: Kernel) -> None:
    if kernel.name is KernelName.LINEAR:
        held.linearKernel.SetInParent()
    elif kernel.name is KernelName.RBF:
        held.rbfKernel.gamma = kernel.gamma
    elif kernel.name is KernelName.POLY:
        held.polyKernel.degree, held.polyKernel.c, held.polyKernel.gamma = kernel.degree, kernel.coef0, kernel.gamma
    else:
        held.sigmoidKernel.c, held.sigmoidKernel.gamma = kernel.coef0, kernel.gamma
