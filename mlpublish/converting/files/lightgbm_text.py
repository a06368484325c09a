"""LightGBM's own model file: text, one ``name=value`` a line, a head and then one block per tree.

It is read and looked through here because the library itself ends the whole process where a tree is cut off, and walks in
circles where a child leads back to its parent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.graph.node import Doubles, Places
from mlpublish.errors import ConversionError
from mlpublish.shown import fact

Block: TypeAlias = Mapping[str, str]

_END = "end of trees"
_CATEGORIES = "pandas_categorical:"
_NUMBERS = re.compile(r"[-+.\deE infa]*", re.ASCII)
_OF_SPLITS = ("split_gain", "internal_value", "internal_weight", "internal_count")
_OF_LEAVES = ("leaf_weight", "leaf_count")
"""Columns that are not read here, but by the library."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTree:
    """One tree; a child below 0 is the leaf ``-1 - child``. A tree of one leaf has no splits, and the other columns are empty.

    Args:
        decision: bits: 1 a categorical split, 2 a missing value goes left; above them what is missing, as ``Missing`` has it.
        linear: whether a leaf holds a linear model.
    """

    feature: Places
    threshold: Doubles
    decision: Places
    left: Places
    right: Places
    leaves: Doubles
    linear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TextModel:
    """A model file.

    Args:
        objective: such as ``binary sigmoid:1``; empty where the training was given its own function.
        results: how many trees each iteration adds.
        averaged: whether the trees are averaged, as in a random forest.
        categories: whether columns of a frame were categories.
    """

    objective: str
    results: int
    averaged: bool
    names: tuple[str, ...]
    categories: bool
    trees: tuple[TextTree, ...]


def parsed(text: str) -> TextModel:
    """Read a model file.

    Raises:
        ConversionError: it is none, or was cut off or changed.
    """
    try:
        head, *blocks = text[: text.index(_END)].split("\nTree=")
        found = _block(head)
        trees = tuple(_tree(_block(block)) for block in blocks)
        names = tuple(found["feature_names"].split(" "))
        _check_sizes(text, found)
        _check_results(found, len(trees))
        if any(tree.feature.size and tree.feature.max() >= len(names) for tree in trees):
            raise ValueError("a split asks a feature that is not there")
        return TextModel(
            objective=found.get("objective", ""),
            results=int(found["num_tree_per_iteration"]),
            averaged="average_output" in found,
            names=names,
            categories=_has_categories(text),
            trees=trees,
        )
    except (ValueError, KeyError, IndexError, OverflowError) as exc:
        raise ConversionError(
            f"This is no whole model of LightGBM: {_fact(exc)}.",
            remedy="Write it again with Booster.save_model.",
            field="model",
        ) from exc


def _check_sizes(text: str, head: Block) -> None:
    """The library looks for trees where the head says that they begin, and for parameters up to their end."""
    content = text.encode()
    place = content.index(b"\nTree=") + 1 if head["tree_sizes"] else 0
    for size in map(int, head["tree_sizes"].split()):
        if size < 1 or not content.startswith(b"Tree=", place):
            raise ValueError("trees are lacking, or their sizes are others")
        place += size
    if "tree" not in head or (place and content[place : place + len(_END)] != _END.encode()):
        raise ValueError("trees are lacking, or their sizes are others")
    _, begun, rest = text[text.index(_END) :].partition("\nparameters:")
    if begun and "\nend of parameters\n" not in rest:
        raise ValueError("it was cut off in its parameters")


def _check_results(head: Block, trees: int) -> None:
    """The library trusts that these agree."""
    results = int(head["num_tree_per_iteration"])
    told = dict(each.partition(":")[::2] for each in head.get("objective", "").split()[1:])
    if results < 1 or trees % results or {int(head["num_class"]), int(told.get("num_class", results))} != {results}:
        raise ValueError("its numbers of classes and of trees do not agree")


def _fact(exc: Exception) -> str:
    return f"it lacks {exc.args[0]}" if isinstance(exc, KeyError) else fact(exc)


def _block(text: str) -> Block:
    pairs = [line.partition("=")[::2] for line in text.split("\n") if line]
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a line is there twice")
    return found


def _tree(block: Block) -> TextTree:
    leaves = int(block["num_leaves"])
    if leaves < 1:
        raise ValueError("a tree has no leaves")

    def column(name: str, kind: Callable[[str], Any], dtype: type, length: int) -> NDArray[Any]:
        _check_numbers(block, name, length)
        return np.array([kind(each) for each in block[name].split()] if length else [], dtype=dtype)

    for name in _OF_SPLITS if leaves > 1 else ():
        _check_numbers(block, name, leaves - 1)
    for name in _OF_LEAVES if leaves > 1 else ():
        _check_numbers(block, name, leaves)
    _check_categories(block)

    tree = TextTree(
        feature=column("split_feature", int, np.int64, leaves - 1),
        threshold=column("threshold", float, np.float64, leaves - 1),
        decision=column("decision_type", int, np.int64, leaves - 1),
        left=column("left_child", int, np.int64, leaves - 1),
        right=column("right_child", int, np.int64, leaves - 1),
        leaves=column("leaf_value", float, np.float64, leaves),
        linear=block.get("is_linear", "0") != "0",
    )
    _check_children(tree)
    return tree


def _check_numbers(block: Block, name: str, length: int) -> None:
    found = len(block[name].split()) if length else 0
    if found != length:
        raise ValueError(f"{name} has {found} numbers in place of {length}")
    if not _NUMBERS.fullmatch(block[name]):
        raise ValueError(f"{name} holds what is no number")


def _check_categories(block: Block) -> None:
    """Categorical splits are refused by name later; the library must be able to read them until then."""
    categories = int(block["num_cat"])
    if categories:
        _check_numbers(block, "cat_boundaries", categories + 1)
        _check_numbers(block, "cat_threshold", int(block["cat_boundaries"].split()[-1]))


def _check_children(tree: TextTree) -> None:
    """Every split but the first, and every leaf, is the child of exactly one split that stands before it."""
    splits, leaves = len(tree.feature), len(tree.leaves)
    children = np.concatenate([tree.left, tree.right])
    wanted = np.concatenate([np.arange(-leaves, 0), np.arange(1, splits)]) if splits else children
    after = all(((side < 0) | (side > np.arange(splits))).all() for side in (tree.left, tree.right))
    if not np.array_equal(np.sort(children), wanted) or not after or (splits and tree.feature.min() < 0):
        raise ValueError("a tree's splits do not hang together")
    if not np.isfinite(tree.leaves).all() or np.isnan(tree.threshold).any():
        raise ValueError("a tree holds NaN or infinity")


def _has_categories(text: str) -> bool:
    place = text.rfind(_CATEGORIES)
    return place >= 0 and bool(json.loads(text[place + len(_CATEGORIES) :].strip() or "null"))
