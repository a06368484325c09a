"""Open XGBoost's own model files, JSON and UBJSON.

They are read and looked through here first: the library itself may end the whole process where one was cut off.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpublish.converting.files import ubjson
from mlpublish.converting.quiet import silence
from mlpublish.errors import ConversionError, MissingExtra
from mlpublish.shown import fact

_COLUMNS = ("left_children", "right_children", "parents", "split_indices", "split_conditions", "default_left")
_FROM = re.compile(r"^\[[\d:]+\] \S+: (Check failed: )?")
"""The time and the line of the library's own source."""


def opened_xgboost(path: Path, content: bytes) -> object:
    """Load a Booster, or the estimator that wrote the file.

    Raises:
        ConversionError: it is no whole model.
        MissingExtra: xgboost is not installed.
    """
    try:
        import xgboost
    except ImportError as exc:
        raise MissingExtra(f"{path} needs xgboost.", remedy="Run pip install 'mlpublish[xgboost]'.") from exc
    try:
        document = json.loads(content) if path.suffix.lower() == ".json" else ubjson.parsed(content)
        _check(document)
        kind = _estimator(document)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as exc:
        raise _no_model(path, _fact(exc)) from exc
    estimators = {"classifier": xgboost.XGBClassifier, "regressor": xgboost.XGBRegressor, "ranker": xgboost.XGBRanker}
    model = estimators.get(kind, xgboost.Booster)()
    try:
        with silence():
            model.load_model(bytearray(content))
    except (xgboost.core.XGBoostError, ValueError, TypeError) as exc:
        raise _no_model(path, fact_of(exc)) from exc
    return model


def check_serialised(content: bytes) -> None:
    """Look through what a Booster keeps of itself: its model and how it was set up.

    Raises:
        KeyError, TypeError, ValueError, IndexError: it is no whole model.
    """
    _check((json.loads(content) if content[1:2] == b'"' else ubjson.parsed(content))["Model"])


def _estimator(document: Mapping[str, Any]) -> str:
    """The kind of estimator that wrote a file; it answers with the best round alone if its training stopped early."""
    told = json.loads(document["learner"]["attributes"].get("scikit_learn", "{}"))
    return str(told.get("_estimator_type", ""))


def _check(document: Any) -> None:
    """Raises:
    KeyError, TypeError, ValueError, IndexError, AttributeError: it is no model, or its trees do not hang together.
    """
    learner = document["learner"]
    for name in ("learner_model_param", "objective", "attributes"):
        learner[name].keys()
    booster = learner["gradient_booster"]
    if booster["name"] == "gblinear":
        len(booster["model"]["weights"])
        return
    model = booster.get("gbtree", booster)["model"]
    told = {name: int(value) for name, value in learner["learner_model_param"].items() if name.startswith("num_")}
    results = max(1, told["num_class"], told.get("num_target", 1))
    if any(not 0 <= result < results for result in model["tree_info"]):
        raise ValueError("a tree adds to a result that is not there")
    if sorted(tree["id"] for tree in model["trees"]) != list(range(len(model["trees"]))):
        raise ValueError("trees are lacking")  # XGBoost puts each at the place of its number
    for tree in model["trees"]:
        _check_tree(tree, told["num_feature"], results)
    vectors = any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in model["trees"])
    if model["trees"] and not vectors and len(set(model["tree_info"])) != results:
        raise ValueError("it has no trees for some of its results")


def _check_tree(tree: Mapping[str, Any], features: int, results: int) -> None:
    nodes = int(tree["tree_param"]["num_nodes"])
    if nodes < 1 or any(len(tree[name]) != nodes for name in _COLUMNS):
        raise ValueError("a tree lacks nodes")
    if int(tree["tree_param"]["num_feature"]) != features:
        raise ValueError("a tree was trained on other features")
    seen = {0}
    for place, (left, right) in enumerate(zip(tree["left_children"], tree["right_children"], strict=True)):
        if not (place == 0 or 0 <= tree["parents"][place] < nodes):
            raise ValueError("a tree's nodes do not hang together")
        if left == -1:
            continue
        if not 0 <= tree["split_indices"][place] < max(1, features):
            raise ValueError("a split asks a feature that is not there")
        if tree["split_conditions"][place] != tree["split_conditions"][place]:
            raise ValueError("a split compares with NaN")
        for child in (left, right):
            if not 0 < child < nodes or child in seen:
                raise ValueError("a tree's nodes do not hang together")
            seen.add(child)
    _check_vectors(tree, results)
    _check_categories(tree)


def _check_vectors(tree: Mapping[str, Any], results: int) -> None:
    """A tree of several results has that many numbers per leaf, which stand among all nodes' or at the leaf's own place."""
    size = int(tree["tree_param"]["size_leaf_vector"])
    if size in (0, 1):
        return
    if size != results:
        raise ValueError("a tree's leaves have another number of results")
    if "leaf_weights" in tree:
        leaves = [right for left, right in zip(tree["left_children"], tree["right_children"], strict=True) if left == -1]
        lacking = any(not 0 <= leaf < len(tree["leaf_weights"]) // size for leaf in leaves)
    else:
        lacking = len(tree["base_weights"]) != size * len(tree["left_children"])
    if lacking:
        raise ValueError("a tree lacks leaves")


def _check_categories(tree: Mapping[str, Any]) -> None:
    held = len(tree["categories"])
    for start, size in zip(tree["categories_segments"], tree["categories_sizes"], strict=True):
        if start < 0 or size < 0 or start + size > held:
            raise ValueError("a tree lacks categories")


def fact_of(exc: Exception) -> str:
    """XGBoost's message without the time, the source line and the stack."""
    return _FROM.sub("", fact(exc)).strip(" .:")


def _fact(exc: Exception) -> str:
    if isinstance(exc, AttributeError | TypeError):
        return "something in it is of another type"
    return f"it lacks {exc.args[0]}" if isinstance(exc, KeyError) else fact(exc)


def _no_model(path: Path, told: str) -> ConversionError:
    return ConversionError(
        f"{path} is no whole model of XGBoost: {told}.", remedy="Write it again with Booster.save_model.", field="model"
    )
