"""Decision trees, from the public columns of ``tree_``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mlpublish.converting.graph.answer import Classified, Labels
from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.graph.node import Doubles, Flags, Node, Places
from mlpublish.converting.of_sklearn.reading import Reader, finite, labels_of
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_LARGEST = float(np.finfo(np.float32).max)


def tree_of(step: Any, values: Doubles, adds_to: tuple[int, ...], *, width: int) -> Tree:
    """The splits of one fitted tree.

    Args:
        values: (nodes, results), what its leaves say.
        width: how many features it looks at.
    """
    check(step, width)
    held = step.tree_
    leaf = held.children_left == LEAF
    # infinite where only a missing value goes right: every number goes left
    threshold = np.minimum(np.where(leaf, 0.0, held.threshold), _LARGEST)
    return Tree(
        feature=np.where(leaf, LEAF, held.feature).astype(np.int64),
        threshold=finite(threshold, step, "tree_.threshold"),
        mode=(Mode.LESS_OR_EQUAL,) * len(leaf),
        yes=held.children_left.astype(np.int64),
        no=held.children_right.astype(np.int64),
        missing_goes_yes=held.missing_go_to_left.astype(np.bool_),
        values=values,
        adds_to=adds_to,
    )


def check(step: Any, width: int) -> None:
    """Look through the nodes of one fitted tree, of so many features: before that, the library is asked nothing.

    Raises:
        ConversionError: they do not hang together.
    """
    held = step.tree_
    inner = held.children_left != LEAF
    children = np.stack([held.children_left, held.children_right])[:, inner]
    check_nodes(step, inner, children, held.feature[inner], width)


def check_nodes(step: Any, inner: Flags, children: Places, features: Places, width: int) -> None:
    """A model that came in a file may have been changed: scikit-learn follows any number, outside of a tree or in a circle.

    Args:
        inner: which nodes split.
        children: (2, splits).
        features: (splits,).
        width: how many features there are.

    Raises:
        ConversionError: a node is not the child of exactly one that stands before it, or asks a feature that is not there.
    """
    nodes = np.sort(children.ravel())
    whole = len(inner) > 0 and np.array_equal(nodes, np.arange(1, len(inner))) and (children > np.flatnonzero(inner)).all()
    if not whole or ((features < 0) | (features >= width)).any():
        raise ConversionError(
            f"{class_name(type(step))} holds a tree whose nodes do not hang together.",
            remedy="Fit the model and save it again.",
            field="model",
        )


def constant(values: Doubles) -> Tree:
    """A tree that says the same to every row."""
    nowhere = np.array([LEAF], dtype=np.int64)
    return Tree(
        feature=nowhere,
        threshold=np.zeros(1),
        mode=(Mode.LESS_OR_EQUAL,),
        yes=nowhere,
        no=nowhere,
        missing_goes_yes=np.zeros(1, dtype=np.bool_),
        values=values[np.newaxis],
        adds_to=tuple(range(len(values))),
    )


def predict(step: Any, x: Node) -> Trees:
    """One number per target."""
    results = finite(step.tree_.value, step, "tree_.value")[:, :, 0]
    return of_one(step, x, results)


def classify(step: Any, x: Node) -> Classified:
    """The share of each class among the training rows of a leaf."""
    classes = classes_of(step)
    shares = of_one(step, x, finite(step.tree_.value, step, "tree_.value")[:, 0, : len(classes)])
    return Classified(classes=classes, scores=shares, probabilities=shares)


def of_one(step: Any, x: Node, results: Doubles, *, missing: bool | None = None) -> Trees:
    """An ensemble of one tree, which compares numbers rounded to float32.

    Args:
        results: (nodes, results).
        missing: whether missing values are answered to; None for what the tree itself does.
    """
    width = results.shape[1]
    tree = tree_of(step, results, tuple(range(width)), width=x.width)
    asked = takes_missing(step) if missing is None else missing
    return Trees(of=x, trees=(tree,), base=(0.0,) * width, rounds=True, takes_missing=asked)


def mapped(node: Trees, made: Callable[[Doubles], Doubles]) -> Trees:
    """What a function makes of the results of a single tree.

    Args:
        made: (rows, results) -> (rows, other results).
    """
    (tree,) = node.trees
    said = np.zeros((len(tree.feature), node.width))
    said[:, list(tree.adds_to)] = tree.values
    values = made(said + np.asarray(node.base))
    width = values.shape[1]
    return replace(node, trees=(replace(tree, values=values, adds_to=tuple(range(width))),), base=(0.0,) * width)


def classes_of(step: Any) -> Labels:
    """A classifier's labels.

    Raises:
        ConversionError: it tells several labels at once, or always the same.
    """
    if isinstance(step.classes_, list):
        raise ConversionError(
            f"{class_name(type(step))} was fitted on {len(step.classes_)} labels per row; Core ML's classifiers tell one.",
            remedy="Fit one model per label.",
            field="classes_",
        )
    if len(step.classes_) < 2:
        raise ConversionError(
            f"{class_name(type(step))} was fitted on one class only: {step.classes_[0]!s}.",
            remedy="Fit the model on rows of two or more classes.",
            field="classes_",
        )
    return labels_of(step.classes_)


def takes_missing(step: Any) -> bool:
    """Whether a model answers to missing values: it is asked, since that depends on release, parameters and training rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the row has no column names
        try:
            step.predict(np.full((1, step.n_features_in_), np.nan))
        except ValueError:
            return False
    return True


READERS: Mapping[str, Reader] = {
    "sklearn.tree.DecisionTreeClassifier": Reader(classify=classify),
    "sklearn.tree.DecisionTreeRegressor": Reader(predict=predict),
    "sklearn.tree.ExtraTreeClassifier": Reader(classify=classify),
    "sklearn.tree.ExtraTreeRegressor": Reader(predict=predict),
}
