"""Faults in a classic specification, or in the linear model that a file is written from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from mlpublish.benchmarks.fault import FACTOR, SCALED, Fault
from mlpublish.coreml.schema import Message


def tree_faults(spec: Message) -> Iterator[Fault]:
    """Faults of a tree ensemble, as edits of its specification."""
    kind = spec.WhichOneof("Type")
    trees = sorted({node.treeId for node in getattr(spec, kind).treeEnsemble.nodes})
    for number in (trees[0], trees[len(trees) // 2], trees[-1]):
        yield Fault("dropped layer", f"tree {number}", partial(_leaves, number, _nothing))
        yield Fault("swapped weights", f"tree {number}", partial(_leaves, number, _swapped))
        yield Fault(SCALED, f"tree {number}", partial(_leaves, number, _scaled))
        yield Fault("swapped children", f"tree {number}", partial(_root, number))
    yield Fault("wrong base_score", "0.5 in its place", _half)
    if kind == "treeEnsembleClassifier":
        yield Fault("off-by-one class", "labels", _rolled)


def linear_faults(model: Any) -> Iterator[Fault]:
    """Faults of a linear model behind a scaler or none, as edits of scikit-learn's fitted attributes."""
    steps = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
    last = len(steps) - 1
    if last:
        yield Fault("dropped layer", "scaler", _unscaled)
        yield Fault("swapped weights", "scaler", partial(_attribute, 0, "mean_", _swapped))
        yield Fault(SCALED, "scaler", partial(_attribute, 0, "scale_", _scaled))
    for name in ("coef_", "intercept_"):
        yield Fault(SCALED, name, partial(_attribute, last, name, _scaled))
    yield Fault("swapped weights", "coef_", partial(_attribute, last, "coef_", _swapped))
    if np.ndim(steps[-1].coef_) == 2 and len(steps[-1].coef_) > 1:
        yield Fault("transposed matrix", "coef_", partial(_attribute, last, "coef_", _read_across))
    if hasattr(steps[-1], "classes_"):
        yield Fault("off-by-one class", "classes_", partial(_attribute, last, "classes_", lambda values: np.roll(values, 1)))


def _unscaled(model: Any) -> Any:
    """A scaler that lets everything through: its place in the pipeline tells the columns' names."""
    _attribute(0, "mean_", np.zeros_like, model)
    return _attribute(0, "scale_", np.ones_like, model)


def _nothing(values: Any) -> Any:
    return values * 0


def _scaled(values: Any) -> Any:
    return values * FACTOR


def _swapped(values: Any) -> Any:
    """The first two numbers that differ (of each row) in each other's place."""
    out = np.array(values)
    for row in out.reshape(-1, out.shape[-1]):
        other = int(np.argmax(row != row[0]))
        row[0], row[other] = row[other], row[0]
    return out


def _read_across(values: Any) -> Any:
    """A matrix's numbers read column by column into its rows."""
    return values.T.reshape(values.shape)


def _attribute(place: int, name: str, edit: Callable[[Any], Any], model: Any) -> Any:
    step = model.steps[place][1] if hasattr(model, "steps") else model
    setattr(step, name, edit(getattr(step, name)))
    return model


def _leaves(number: int, edit: Callable[[Any], Any], spec: Message) -> Message:
    ensemble = getattr(spec, spec.WhichOneof("Type")).treeEnsemble
    leaves = [each for node in ensemble.nodes if node.treeId == number for each in node.evaluationInfo]
    for each, value in zip(leaves, edit(np.asarray([each.evaluationValue for each in leaves])).tolist(), strict=True):
        each.evaluationValue = value
    return spec


def _root(number: int, spec: Message) -> Message:
    """Both children of a tree's first question in each other's place."""
    ensemble = getattr(spec, spec.WhichOneof("Type")).treeEnsemble
    node = next(node for node in ensemble.nodes if node.treeId == number and node.nodeBehavior != node.LeafNode)
    node.trueChildNodeId, node.falseChildNodeId = node.falseChildNodeId, node.trueChildNodeId
    return spec


def _half(spec: Message) -> Message:
    """What coremltools 9 writes in place of XGBoost's own start value."""
    values = getattr(spec, spec.WhichOneof("Type")).treeEnsemble.basePredictionValue
    values[:] = [0.5 if abs(value - 0.5) > 1e-6 else 0.0 for value in values]
    return spec


def _rolled(spec: Message) -> Message:
    classifier = spec.treeEnsembleClassifier
    labels = getattr(classifier, classifier.WhichOneof("ClassLabels")).vector
    labels[:] = [labels[-1], *labels[:-1]]
    return spec
