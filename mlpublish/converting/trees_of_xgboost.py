"""Read a tree ensemble out of XGBoost's own model document (its public JSON format), which ``Booster.save_raw`` gives.

Source of the rules: XGBoost's documentation, *Introduction to Model IO* and its JSON schema. Numbers in the document are
float32 in their shortest decimal form; ``base_score`` is one number up to 3.0 and a list since, in the space of the answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpublish.converting.trees import LEAF, Doubles, Mode, Places, Transform, Tree, TreeEnsemble, on_float32
from mlpublish.errors import ConversionError

Document = Mapping[str, Any]

_NEAREST = 1e-6


def _same(value: float) -> float:
    return value


def _logit(value: float) -> float:
    """XGBoost holds it that far from 0 and 1, which it estimates where all rows are of one class."""
    value = min(max(value, _NEAREST), 1 - _NEAREST)
    return math.log(value / (1 - value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What an objective makes of the sum of the leaves.

    Args:
        transform: from the sum to the answer.
        to_sum: from ``base_score`` to where the sum starts.
        has_classes: whether its answers are probabilities of classes.
    """

    transform: Transform = Transform.NONE
    to_sum: Callable[[float], float] = _same
    has_classes: bool = False


_PLAIN = Objective()
OBJECTIVES: Mapping[str, Objective] = {
    "reg:squarederror": _PLAIN,
    "reg:squaredlogerror": _PLAIN,
    "reg:absoluteerror": _PLAIN,
    "reg:pseudohubererror": _PLAIN,
    "reg:quantileerror": _PLAIN,
    "rank:pairwise": _PLAIN,
    "rank:ndcg": _PLAIN,
    "rank:map": _PLAIN,
    "reg:logistic": Objective(transform=Transform.LOGISTIC, to_sum=_logit),
    "binary:logistic": Objective(transform=Transform.LOGISTIC, to_sum=_logit, has_classes=True),
    "multi:softprob": Objective(transform=Transform.SOFTMAX, has_classes=True),
    "multi:softmax": Objective(transform=Transform.SOFTMAX, has_classes=True),
}
_EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft")


def objective_of(document: Document) -> str:
    """The objective's name, such as ``reg:squarederror``."""
    return str(document["learner"]["objective"]["name"])


def read(document: Document, *, columns: tuple[str, ...] | None, classes: bool, rounds: int | None = None) -> TreeEnsemble:
    """Read the trees, and where their sum starts.

    Args:
        document: the parsed JSON.
        columns: the Core ML inputs; None for a model that was not fitted on columns.
        classes: whether the model answers with classes.
        rounds: how many rounds of boosting the model answers with; by default all.

    Raises:
        ConversionError: something in it is not converted; the error names it and what works.
    """
    _check_kind(document)
    learner = document["learner"]
    objective = OBJECTIVES[objective_of(document)]
    model, parameters = learner["gradient_booster"]["model"], learner["learner_model_param"]
    results = max(1, int(parameters["num_class"]))
    end = len(model["trees"]) if rounds is None else _end(model["iteration_indptr"], rounds)
    held = zip(model["trees"][:end], model["tree_info"][:end], strict=True)
    trees = tuple(_tree(each, result) for each, result in held)
    return TreeEnsemble(
        columns=columns,
        features=int(parameters["num_feature"]),
        trees=trees if columns is None else tuple(on_float32(tree) for tree in trees),
        base=_base(str(parameters["base_score"]), results, objective),
        transform=objective.transform,
        classes=tuple(range(max(2, results))) if classes else (),
    )


def _end(starts: list[int], rounds: int) -> int:
    """The first tree that a round of boosting added after so many."""
    if rounds >= len(starts):
        raise _refused(
            f"a best_iteration of {rounds - 1}, but {len(starts) - 1} rounds", "Fit it again, or remove that attribute."
        )
    return starts[rounds]


def _tree(document: Document, result: int) -> Tree:
    left, right = (np.asarray(document[name], dtype=np.int64) for name in ("left_children", "right_children"))
    kept = _reachable(left, right)
    numbers = _float32(document["split_conditions"])[kept]
    leaf = left[kept] == LEAF
    place = np.append(np.cumsum(kept) - 1, LEAF)  # the last stands for LEAF, which indexes it
    return Tree(
        feature=np.where(leaf, LEAF, np.asarray(document["split_indices"], dtype=np.int64)[kept]),
        threshold=numbers,
        mode=(Mode.LESS,) * len(numbers),
        yes=place[left[kept]],
        no=place[right[kept]],
        missing_goes_yes=np.asarray(document["default_left"], dtype=bool)[kept],
        values=numbers[:, np.newaxis],
        adds_to=(result,),
    )


def _reachable(left: Places, right: Places) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which nodes are still in the tree: pruning leaves the nodes that it cut off in the document."""
    kept = np.zeros(len(left), dtype=bool)
    level = np.zeros(1, dtype=np.int64)
    while level.size:
        kept[level] = True
        below = np.concatenate([left[level], right[level]])
        level = below[below != LEAF]
    return kept


def _base(text: str, results: int, objective: Objective) -> tuple[float, ...]:
    scores = _float32([float(each) for each in text.strip("[]").split(",")]).tolist()
    sums = tuple(objective.to_sum(score) for score in scores)
    return sums * results if len(sums) == 1 else sums


def _float32(numbers: list[float]) -> Doubles:
    return np.asarray(numbers, dtype=np.float32).astype(np.float64)


def _check_kind(document: Document) -> None:
    learner, objective = document["learner"], objective_of(document)
    booster = learner["gradient_booster"]["name"]
    if booster != "gbtree":
        raise _refused(f"the booster {booster}", "Fit with booster='gbtree'.")
    if objective in _EXPONENTIAL:
        raise _refused(
            f"the objective {objective}, which ends in exp; Core ML's trees have no such step",
            "Fit reg:squarederror on the logarithm of the target, and take exp in the app.",
        )
    if objective not in OBJECTIVES:
        nearest = "binary:logistic" if objective.startswith("binary:") else "reg:squarederror"
        raise _refused(f"the objective {objective}", f"Fit with {nearest}. Converted are: {', '.join(OBJECTIVES)}.")
    targets = int(learner["learner_model_param"]["num_target"])
    if targets > 1:
        raise _refused(f"{targets} targets", "Fit one model per target (or quantile).")
    _check_trees(learner)


def _check_trees(learner: Document) -> None:
    trees = learner["gradient_booster"]["model"]["trees"]
    if not trees:
        raise _refused("no trees", "Train the model before it is converted.")
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in trees):
        raise _refused("trees with several results in a leaf", "Fit with multi_strategy='one_output_per_tree'.")
    names = learner["feature_names"] or range(len(learner["feature_types"]))
    categorical = [str(name) for name, kind in zip(names, learner["feature_types"], strict=False) if kind == "c"]
    if categorical or any(any(tree["split_type"]) for tree in trees):
        held = ", ".join(categorical) or "one of them"
        raise _refused(f"categorical features ({held})", "Encode them as numbers (0 and 1 per category) and fit again.")


def _refused(what: str, remedy: str) -> ConversionError:
    return ConversionError(f"The XGBoost model has {what}; that is not converted.", remedy=remedy, field="model")
