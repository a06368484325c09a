"""A tree ensemble as numbers, and its classic specification (``.mlmodel``): nothing of the library that trained it.

Straight in Apple's schema (``TreeEnsembleRegressor``, ``TreeEnsembleClassifier``). coremltools 9.0 writes 0.5 where XGBoost's
``base_score`` belongs, adds up the probabilities of a random forest, and knows no LightGBM: each of them without a word.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.classic_interface import Labels, declare_inputs, declare_results, new_model, set_labels
from mlpublish.coreml.schema import Message, schema

Doubles = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEAF = -1
"""What stands in place of a feature, and of the children, in a leaf."""


_BEYOND = 2.0**128  # what would follow the largest float32


class Mode(StrEnum):
    """How a node asks its feature, in Core ML's words: ``feature MODE threshold`` leads to the child ``yes``."""

    LESS_OR_EQUAL = "BranchOnValueLessThanEqual"
    LESS = "BranchOnValueLessThan"
    GREATER_OR_EQUAL = "BranchOnValueGreaterThanEqual"
    GREATER = "BranchOnValueGreaterThan"
    EQUAL = "BranchOnValueEqual"
    NOT_EQUAL = "BranchOnValueNotEqual"


class Transform(StrEnum):
    """What is done to the sums, in Core ML's words."""

    NONE = "NoTransform"
    SOFTMAX = "Classification_SoftMax"
    LOGISTIC = "Regression_Logistic"
    SOFTMAX_AGAINST_ZERO = "Classification_SoftMaxWithZeroClassReference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One tree as columns, one place per node; the root is node 0.

    Args:
        feature: the feature that a node asks, or ``LEAF``.
        threshold: what it is compared with; what stands in leaves means nothing.
        mode: how, per node.
        yes, no: the children's places, ``LEAF`` in leaves.
        missing_goes_yes: whether a missing value (NaN) follows ``yes``.
        values: (nodes, len(adds_to)): what a leaf adds to the results; what stands in other nodes means nothing.
        adds_to: the results that this tree speaks for.
    """

    feature: Places
    threshold: Doubles
    mode: tuple[Mode, ...]
    yes: Places
    no: Places
    missing_goes_yes: Flags
    values: Doubles
    adds_to: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEnsemble:
    """Trees whose leaves are added up, on top of a start value per result.

    Args:
        columns: one input per column, by these names; None for one array ``input``.
        features: how many numbers the trees look at.
        base: the start value of each result.
        transform: what is done to the sums.
        classes: the labels; empty for a regression. Two classes may have one result, which speaks for the second.
    """

    columns: tuple[str, ...] | None
    features: int
    trees: tuple[Tree, ...]
    base: tuple[float, ...]
    transform: Transform = Transform.NONE
    classes: Labels = ()


def write(ensemble: TreeEnsemble, path: Path) -> Path:
    """Write an ensemble for the systems from iOS 11 on."""
    model = new_model()
    holder = model.treeEnsembleClassifier if ensemble.classes else model.treeEnsembleRegressor
    holder.postEvaluationTransform = schema("TreeEnsemble").TreeEnsemblePostEvaluationTransform.Value(ensemble.transform)
    holder.treeEnsemble.numPredictionDimensions = len(ensemble.base)
    holder.treeEnsemble.basePredictionValue.extend(ensemble.base)
    for number, tree in enumerate(ensemble.trees):
        _add_tree(holder.treeEnsemble, number, tree)
    if ensemble.classes:
        set_labels(holder, ensemble.classes)
    declare_inputs(model.description, ensemble.columns, ensemble.features)
    declare_results(model.description, ensemble.classes)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def on_float32(tree: Tree) -> Tree:
    """The same tree for double inputs, where its library rounds every value to float32 before it compares.

    ``float32(x) < t`` holds exactly for the doubles below the midpoint of ``t`` and the float32 before it, and for the
    midpoint itself if rounding to even takes it away from ``t``. The midpoint is a double, so the comparison is exact; and
    rounded to float32 it asks the same again, should a runtime keep its thresholds in float32.

    Args:
        tree: every mode is ``LESS``, every threshold a float32.
    """
    above = tree.threshold.astype(np.float32)
    with np.errstate(over="ignore"):
        below = np.nextafter(above, np.float32(-np.inf)).astype(np.float64)
    below = np.maximum(below, -_BEYOND)  # rounding takes minus infinity for the number that would come before the least
    odd = (above.view(np.uint32) & 1).astype(bool)
    return replace(
        tree,
        threshold=(above.astype(np.float64) + below) / 2,
        mode=tuple(Mode.LESS_OR_EQUAL if each else Mode.LESS for each in odd),
    )


def _add_tree(parameters: Message, number: int, tree: Tree) -> None:
    for place, feature in enumerate(tree.feature.tolist()):
        node = parameters.nodes.add(treeId=number, nodeId=place)
        if feature == LEAF:
            node.nodeBehavior = node.LeafNode
            for result, value in zip(tree.adds_to, tree.values[place].tolist(), strict=True):
                node.evaluationInfo.add(evaluationIndex=result, evaluationValue=value)
            continue
        node.nodeBehavior = getattr(node, tree.mode[place])
        node.branchFeatureIndex = feature
        node.branchFeatureValue = tree.threshold[place]
        node.trueChildNodeId, node.falseChildNodeId = int(tree.yes[place]), int(tree.no[place])
        node.missingValueTracksTrueChild = bool(tree.missing_goes_yes[place])
