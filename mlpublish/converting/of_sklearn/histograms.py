"""Gradient boosting on histograms: splits in doubles, missing values at every one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Softmax, of_two
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Function, Name
from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.graph.node import Node
from mlpublish.converting.of_sklearn import trees
from mlpublish.converting.of_sklearn.boosting import unknown_loss
from mlpublish.converting.of_sklearn.reading import Reader, finite
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_LINEAR = ("squared_error", "absolute_error", "quantile")
_EXPONENTIAL = ("poisson", "gamma")
_LARGEST = float(np.finfo(np.float64).max)


def _predict(step: Any, x: Node) -> Node:
    if step.loss not in (*_LINEAR, *_EXPONENTIAL):
        raise unknown_loss(step)
    raw = _raw(step, x)
    return Function(of=raw, name=Name.EXP) if step.loss in _EXPONENTIAL else raw


def _classify(step: Any, x: Node) -> Classified:
    classes = trees.classes_of(step)
    if step.loss != "log_loss":
        raise unknown_loss(step)
    raw = _raw(step, x)
    likely: Node = Softmax(of=raw) if raw.width > 1 else of_two(Function(of=raw, name=Name.EXPIT))
    return Classified(classes=classes, scores=likely, probabilities=likely)


def _raw(step: Any, x: Node) -> Trees:
    if step.is_categorical_ is not None and any(step.is_categorical_):
        raise _categorical(step, np.flatnonzero(step.is_categorical_).tolist())
    stages, base = _held(step)
    for stage in stages:
        for tree in stage:
            _check(step, tree.nodes, x.width)
    members = tuple(_tree(step, tree.nodes, result) for stage in stages for result, tree in enumerate(stage))
    return Trees(of=x, trees=members, base=base, rounds=False, takes_missing=True)


def _held(step: Any) -> tuple[Any, tuple[float, ...]]:
    """The trees and where they begin. scikit-learn tells neither by a public name, in no release up to 1.9.

    Raises:
        ConversionError: they are not where they were.
    """
    try:
        return step._predictors, tuple(finite(step._baseline_prediction, step, "_baseline_prediction").ravel().tolist())
    except AttributeError as exc:
        raise ConversionError(
            f"{class_name(type(step))} of this scikit-learn keeps its trees where they are not known to be: {exc}.",
            remedy="Use a release of scikit-learn that mlpublish/docs/sources.md names.",
            field="model",
        ) from exc


def _check(step: Any, nodes: Any, width: int) -> None:
    inner = nodes["is_leaf"] == 0
    splits = nodes[inner]
    children = np.stack([splits["left"], splits["right"]]).astype(np.int64)
    trees.check_nodes(step, inner, children, splits["feature_idx"], width)


def _tree(step: Any, nodes: Any, result: int) -> Tree:
    leaf = nodes["is_leaf"].astype(np.bool_)
    if nodes["is_categorical"][~leaf].any():
        raise _categorical(step, np.unique(nodes["feature_idx"][~leaf & (nodes["is_categorical"] > 0)]).tolist())
    # infinite where only a missing value goes right: every number goes left
    threshold = np.minimum(np.where(leaf, 0.0, nodes["num_threshold"]), _LARGEST)
    return Tree(
        feature=np.where(leaf, LEAF, nodes["feature_idx"]).astype(np.int64),
        threshold=finite(threshold, step, "_predictors"),
        mode=(Mode.LESS_OR_EQUAL,) * len(leaf),
        yes=np.where(leaf, LEAF, nodes["left"].astype(np.int64)),
        no=np.where(leaf, LEAF, nodes["right"].astype(np.int64)),
        missing_goes_yes=nodes["missing_go_to_left"].astype(np.bool_),
        values=finite(nodes["value"], step, "_predictors")[:, np.newaxis],
        adds_to=(result,),
    )


def _categorical(step: Any, columns: list[int]) -> ConversionError:
    names = getattr(step, "feature_names_in_", None)
    told = ", ".join(str(column if names is None else names[column]) for column in columns[:5])
    return ConversionError(
        f"{class_name(type(step))} splits by category (columns {told}); that is not converted.",
        remedy="Encode these columns before it (OneHotEncoder or OrdinalEncoder) and fit with categorical_features=None.",
        field="categorical_features",
    )


READERS: Mapping[str, Reader] = {
    "sklearn.ensemble.HistGradientBoostingClassifier": Reader(classify=_classify, decide=_raw),
    "sklearn.ensemble.HistGradientBoostingRegressor": Reader(predict=_predict),
}
