"""Open XGBoost's own model files, JSON and UBJSON.

They are read and looked through here first: the library itself may end the whole process where one was cut off.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpublish.converting import ubjson
from mlpublish.converting.quiet import silence
from mlpublish.errors import ConversionError, MissingExtra

_COLUMNS = ("left_children", "right_children", "split_indices", "split_conditions", "default_left")


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
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as exc:
        raise _no_model(path, _fact(exc)) from exc
    estimators = {"classifier": xgboost.XGBClassifier, "regressor": xgboost.XGBRegressor, "ranker": xgboost.XGBRanker}
    model = estimators.get(_estimator(document), xgboost.Booster)()
    try:
        with silence():
            model.load_model(bytearray(content))
    except (xgboost.core.XGBoostError, ValueError, TypeError) as exc:
        raise _no_model(path, str(exc).splitlines()[0]) from exc
    return model


def _estimator(document: Mapping[str, Any]) -> str:
    """The kind of estimator that wrote a file; it answers with the best round alone if its training stopped early."""
    told = json.loads(document["learner"]["attributes"].get("scikit_learn", "{}"))
    return str(told.get("_estimator_type", ""))


def _check(document: Any) -> None:
    """Raises:
    KeyError, TypeError, ValueError, IndexError: it is no model, or its trees do not hang together.
    """
    learner = document["learner"]
    for name in ("learner_model_param", "objective", "attributes"):
        learner[name].keys()
    booster = learner["gradient_booster"]
    booster["name"].encode()
    for tree in booster.get("gbtree", booster).get("model", {}).get("trees", []):
        _check_tree(tree)


def _check_tree(tree: Mapping[str, Any]) -> None:
    nodes, features = int(tree["tree_param"]["num_nodes"]), int(tree["tree_param"]["num_feature"])
    if nodes < 1 or any(len(tree[name]) != nodes for name in _COLUMNS):
        raise ValueError("a tree lacks nodes")
    seen = {0}
    for place, (left, right) in enumerate(zip(tree["left_children"], tree["right_children"], strict=True)):
        if left == -1:
            continue
        if not 0 <= tree["split_indices"][place] < max(1, features):
            raise ValueError("a split asks a feature that is not there")
        for child in (left, right):
            if not 0 < child < nodes or child in seen:
                raise ValueError("a tree's nodes do not hang together")
            seen.add(child)


def _fact(exc: Exception) -> str:
    return f"it lacks {exc.args[0]}" if isinstance(exc, KeyError) else str(exc).splitlines()[0].rstrip(".")


def _no_model(path: Path, fact: str) -> ConversionError:
    return ConversionError(
        f"{path} is no whole model of XGBoost: {fact}.", remedy="Write it again with Booster.save_model.", field="model"
    )
