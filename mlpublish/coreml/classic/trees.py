"""Run a tree ensemble (``treeEnsembleClassifier``, ``treeEnsembleRegressor``).

Source of the rules: TreeEnsemble.proto (``TreeEnsembleParameters``, ``TreeNode``, ``TreeEnsemblePostEvaluationTransform``).
Every tree is walked from its one root: a node compares a feature with its number and goes to its true or false child, a
missing value (NaN, or an optional input that is not given) to the true child only where the node says so; the leaf that is
reached adds its sparse values to ``basePredictionValue``. Features are counted through the inputs, in the order of the
description. Values are compared as doubles, in which float32 inputs are exact.

What the specification leaves open, and is read here as coremltools' converters and its validator use it: one result with two
labels speaks for the second label; against a zero class the first label is the reference; a file without base values starts
at 0; without labels the classes are 0, 1, …; of equal probabilities the first label wins.
"""

from __future__ import annotations

import numpy as np

from mlpublish.coreml.classic.forest import Forest
from mlpublish.coreml.classic.nodes import Nodes
from mlpublish.coreml.classic.stage import (
    Doubles,
    Label,
    Rows,
    Run,
    chosen,
    doubles,
    flat,
    given,
    held_by,
    kind_of,
    labels_of,
    sigmoid,
    softmax,
)
from mlpublish.coreml.schema import Message

KINDS = ("treeEnsembleClassifier", "treeEnsembleRegressor")

_NONE, _SOFTMAX, _LOGISTIC, _SOFTMAX_AGAINST_ZERO = range(4)  # TreeEnsemblePostEvaluationTransform


def unsupported(stage: Message) -> list[str]:
    """A transform that the schema does not have, or a softmax of a regression."""
    kind = stage.WhichOneof("Type")
    transform = int(held_by(stage).postEvaluationTransform)
    found = [f"{kind} with transform {transform}"] if transform not in range(4) else []
    if kind == "treeEnsembleRegressor" and transform in (_SOFTMAX, _SOFTMAX_AGAINST_ZERO):
        found.append("treeEnsembleRegressor with a softmax")
    return found


def opened(stage: Message) -> Run:
    """Read an ensemble."""
    return _Ensemble(stage).run


def classes(stage: Message) -> tuple[Label, ...]:
    """A classifier's labels; none for a regression."""
    if stage.WhichOneof("Type") != "treeEnsembleClassifier":
        return ()
    held = stage.treeEnsembleClassifier
    results = len(_base(held.treeEnsemble))
    implied = range(results + (results == 1 or held.postEvaluationTransform == _SOFTMAX_AGAINST_ZERO))
    return labels_of(held) or tuple(implied)


class _Ensemble:
    """An ensemble, read once, ready to run."""

    def __init__(self, stage: Message) -> None:
        held = held_by(stage)
        self._stage = stage
        self._labels = classes(stage)
        self._transform = int(held.postEvaluationTransform)
        self._base = _base(held.treeEnsemble)
        self._forest = Forest(Nodes.of(held.treeEnsemble), len(self._base))

    def run(self, known: Rows) -> Rows:
        rows = _rows(self._stage, known)
        if self._forest.asked >= rows.shape[1]:
            raise ValueError(f"a node asks feature {self._forest.asked} of {rows.shape[1]}")
        answers = self._transformed(self._base + self._forest.sums(rows))
        if self._stage.WhichOneof("Type") == "treeEnsembleRegressor":
            name = str(self._stage.description.output[0].name)
            return {name: answers[:, 0] if answers.shape[1] == 1 else answers}
        if answers.shape[1] == 1:  # two classes; the one result speaks for the second
            answers = np.column_stack([1 - answers, answers])
        return chosen(self._stage, self._labels, answers)

    def _transformed(self, sums: Doubles) -> Doubles:
        if self._transform == _LOGISTIC:
            return sigmoid(sums)
        if self._transform == _NONE:
            return sums
        if self._transform == _SOFTMAX_AGAINST_ZERO:  # the first class is the reference
            sums = np.column_stack([np.zeros(len(sums)), sums])
        return softmax(sums)


def _base(parameters: Message) -> Doubles:
    """Where the sums begin, one number per result.

    Raises:
        ValueError: there are not as many as results; or there are none, and more results than leaves can add to.
    """
    base, results = doubles(parameters.basePredictionValue, "basePredictionValue"), int(parameters.numPredictionDimensions)
    if not len(base) and results <= sum(len(node.evaluationInfo) for node in parameters.nodes):
        return np.zeros(results)
    if len(base) != results:
        raise ValueError(f"{len(base)} base values for {results} results")
    return base


def _rows(stage: Message, known: Rows) -> Doubles:
    """All features, (rows, features); a number that is not given is missing in every row."""
    rows = len(next(iter(known.values()), ()))
    found = []
    for each in stage.description.input:
        name = str(each.name)
        absent = each.type.isOptional and name not in known and kind_of(each) in ("doubleType", "int64Type")
        found.append(np.full((rows, 1), np.nan) if absent else flat(given(known, name), name))
    return np.concatenate(found, axis=1)
