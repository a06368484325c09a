"""Tree ensembles as a classic specification: one writer for every library's trees.

Straight in Apple's schema (``TreeEnsembleRegressor``, ``TreeEnsembleClassifier``). coremltools 9.0 writes 0.5 where XGBoost's
``base_score`` belongs, adds up the probabilities of a random forest, and knows no LightGBM: each of them without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from mlpublish.converting.graph.answer import Labels
from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.source import LABEL, PROBABILITIES
from mlpublish.converting.writing.features import Kind, Value, declare, declare_classes, declare_number, new_model, set_labels
from mlpublish.converting.writing.packing import packed
from mlpublish.converting.writing.thresholds import for_doubles, for_floats
from mlpublish.coreml.schema import Message, schema


class Transform(StrEnum):
    """What is done to the sums, in Core ML's words."""

    NONE = "NoTransform"
    SOFTMAX = "Classification_SoftMax"
    LOGISTIC = "Regression_Logistic"


_EMPTY = Tree(
    feature=np.array([LEAF]),
    threshold=np.zeros(1),
    mode=(Mode.LESS_OR_EQUAL,),
    yes=np.array([LEAF]),
    no=np.array([LEAF]),
    missing_goes_yes=np.zeros(1, dtype=np.bool_),
    values=np.zeros((1, 1)),
)
"""What stands for an ensemble without trees: its base alone is the answer."""


def regressor(reads: Sequence[Value], node: Trees, writes: Value, transform: Transform = Transform.NONE) -> Message:
    """The sums, a number or an array."""
    stage = new_model()
    _fill(stage, stage.treeEnsembleRegressor, reads, node, transform)
    declare_number(stage.description, writes)
    return stage


def classifier(
    reads: Sequence[Value],
    node: Trees,
    transform: Transform,
    classes: Labels,
    *,
    label: str = LABEL,
    probabilities: str | None = PROBABILITIES,
) -> Message:
    """A label and probabilities; one sum for two classes speaks for the second."""
    stage = new_model()
    _fill(stage, stage.treeEnsembleClassifier, reads, node, transform)
    set_labels(stage.treeEnsembleClassifier, classes)
    declare_classes(stage.description, classes, label=label, probabilities=probabilities)
    return stage


def _fill(stage: Message, holder: Message, reads: Sequence[Value], node: Trees, transform: Transform) -> None:
    for each in reads:
        declare(stage.description.input, each)
    holder.postEvaluationTransform = schema("TreeEnsemble").TreeEnsemblePostEvaluationTransform.Value(transform)
    holder.treeEnsemble.numPredictionDimensions = node.width
    holder.treeEnsemble.basePredictionValue.extend(node.base)
    for part in packed(_at_border(reads, node) or (_EMPTY,)):
        holder.treeEnsemble.MergeFromString(part)


def _at_border(reads: Sequence[Value], node: Trees) -> tuple[Tree, ...]:
    """The trees, which get numbers that their library did not round."""
    if not node.rounds or not node.trees:
        return node.trees
    return for_floats(node.trees) if all(each.kind is Kind.FLOATS for each in reads) else for_doubles(node.trees)
