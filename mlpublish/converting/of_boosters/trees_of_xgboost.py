"""Read trees out of XGBoost's own model document (its public JSON format), which ``Booster.save_raw`` gives, into a graph.

Source of the rules: XGBoost's documentation, *Introduction to Model IO* and its JSON schema. Numbers in the document are
float32 in their shortest decimal form; ``base_score`` is one number up to 3.0 and a list since, in the space of the answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Softmax, of_two
from mlpublish.converting.graph.answer import Answer, Classified, Number, Predicted
from mlpublish.converting.graph.columnwise import Function, Name
from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.graph.node import Doubles, Flags, Node, Places
from mlpublish.converting.source import PREDICTION
from mlpublish.errors import ConversionError

Document = Mapping[str, Any]

_NEAREST = 1e-6
_LEAST = 1e-16


def _same(value: float) -> float:
    return value


def _logit(value: float) -> float:
    """XGBoost holds it that far from 0 and 1, which it estimates where all rows are of one class."""
    value = min(max(value, _NEAREST), 1 - _NEAREST)
    return math.log(value / (1 - value))


def _log(value: float) -> float:
    return math.log(max(value, _LEAST))


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What an objective makes of the sum of the leaves.

    Args:
        answer: from the sums to the answer.
        to_sum: from ``base_score`` to where the sum starts.
        has_classes: whether its answers are probabilities of classes.
    """

    answer: Callable[[Node], Node] = lambda sums: sums
    to_sum: Callable[[float], float] = _same
    has_classes: bool = False


def _expit(sums: Node) -> Node:
    return Function(of=sums, name=Name.EXPIT)


def _softmax(sums: Node) -> Node:
    return Softmax(of=sums)


def _exp(sums: Node) -> Node:
    return Function(of=sums, name=Name.EXP)


_PLAIN = Objective()
_OF_LOGARITHMS = Objective(answer=_exp, to_sum=_log)
OBJECTIVES: Mapping[str, Objective] = {
    "reg:squarederror": _PLAIN,
    "reg:squaredlogerror": _PLAIN,
    "reg:absoluteerror": _PLAIN,
    "reg:pseudohubererror": _PLAIN,
    "reg:quantileerror": _PLAIN,
    "rank:pairwise": _PLAIN,
    "rank:ndcg": _PLAIN,
    "rank:map": _PLAIN,
    "count:poisson": _OF_LOGARITHMS,
    "reg:gamma": _OF_LOGARITHMS,
    "reg:tweedie": _OF_LOGARITHMS,
    "survival:cox": _OF_LOGARITHMS,
    "survival:aft": _OF_LOGARITHMS,
    "reg:logistic": Objective(answer=_expit, to_sum=_logit),
    "binary:logistic": Objective(answer=_expit, to_sum=_logit, has_classes=True),
    "multi:softprob": Objective(answer=_softmax, has_classes=True),
    "multi:softmax": Objective(answer=_softmax, has_classes=True),
}


def objective_of(document: Document) -> str:
    """The objective's name, such as ``reg:squarederror``."""
    return str(document["learner"]["objective"]["name"])


def features_of(document: Document) -> int:
    """How many numbers the trees look at."""
    return int(document["learner"]["learner_model_param"]["num_feature"])


def read(document: Document, x: Node, *, classes: bool, rounds: int | None = None) -> Answer:
    """Read the trees, where their sum starts, and what becomes of it.

    Args:
        document: the parsed JSON.
        x: what the trees look at.
        classes: whether the model answers with classes, 0, 1, …
        rounds: how many rounds of boosting the model answers with; by default all.

    Raises:
        ConversionError: something in it is not converted; the error names it and what works.
    """
    _check_kind(document, classes=classes)
    objective = OBJECTIVES[objective_of(document)]
    result = objective.answer(_sums(document, x, objective, rounds))
    if not classes:
        return Predicted(numbers=(Number(name=PREDICTION, node=result),))
    shares = result if result.width > 1 else of_two(result)
    return Classified(classes=tuple(range(shares.width)), scores=shares, probabilities=shares)


def _sums(document: Document, x: Node, objective: Objective, rounds: int | None) -> Trees:
    learner = document["learner"]
    model, parameters = learner["gradient_booster"]["model"], learner["learner_model_param"]
    results = max(1, int(parameters["num_class"]), int(parameters["num_target"]))
    end = len(model["trees"]) if rounds is None else _end(model["iteration_indptr"], rounds)
    held = zip(model["trees"][:end], model["tree_info"][:end], strict=True)
    return Trees(
        of=x,
        trees=tuple(_tree(each, result) for each, result in held),
        base=_base(str(parameters["base_score"]), results, objective),
        rounds=True,
        takes_missing=True,
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
    leaf = left[kept] == LEAF
    values = _leaves(document)[kept]
    place = np.append(np.cumsum(kept) - 1, LEAF)  # the last stands for LEAF, which indexes it
    return Tree(
        feature=np.where(leaf, LEAF, np.asarray(document["split_indices"], dtype=np.int64)[kept]),
        threshold=np.where(leaf, 0.0, _float32(document["split_conditions"])[kept]),
        mode=(Mode.LESS,) * len(leaf),
        yes=place[left[kept]],
        no=place[np.where(leaf, LEAF, right[kept])],
        missing_goes_yes=np.asarray(document["default_left"], dtype=bool)[kept],
        values=values,
        adds_to=(result,) if values.shape[1] == 1 else tuple(range(values.shape[1])),
    )


def _leaves(document: Document) -> Doubles:
    """What each node adds, (nodes, results). A vector of results stands among the nodes' weights, and since 3.1 in a list of
    leaves, whose place in it is in the stead of their right child."""
    size = int(document["tree_param"]["size_leaf_vector"])
    if size <= 1:
        return _float32(document["split_conditions"])[:, np.newaxis]
    if "leaf_weights" not in document:
        return _float32(document["base_weights"]).reshape(-1, size)
    leaf = np.asarray(document["left_children"]) == LEAF
    places = np.where(leaf, np.asarray(document["right_children"], dtype=np.int64), 0)
    found: Doubles = _float32(document["leaf_weights"]).reshape(-1, size)[places]
    return found


def _reachable(left: Places, right: Places) -> Flags:
    """Which nodes are still in the tree: pruning leaves the nodes that it cut off in the document."""
    kept = np.zeros(len(left), dtype=bool)
    level = np.zeros(1, dtype=np.int64)
    while level.size:
        kept[level] = True
        inner = level[left[level] != LEAF]
        level = np.concatenate([left[inner], right[inner]])
    return kept


def _base(text: str, results: int, objective: Objective) -> tuple[float, ...]:
    scores = _float32([float(each) for each in text.strip("[]").split(",")]).tolist()
    sums = tuple(objective.to_sum(score) for score in scores)
    return sums * results if len(sums) == 1 else sums


def _float32(numbers: list[float]) -> Doubles:
    return np.asarray(numbers, dtype=np.float32).astype(np.float64)


def _check_kind(document: Document, *, classes: bool) -> None:
    learner, objective = document["learner"], objective_of(document)
    booster = learner["gradient_booster"]["name"]
    if booster != "gbtree":
        raise _refused(f"the booster {booster}", "Fit with booster='gbtree'.")
    if objective not in OBJECTIVES:
        nearest = "binary:logistic" if objective.startswith("binary:") else "reg:squarederror"
        raise _refused(f"the objective {objective}", f"Fit with {nearest}. Converted are: {', '.join(OBJECTIVES)}.")
    targets = int(learner["learner_model_param"]["num_target"])
    if classes and targets > 1:
        raise _refused(f"{targets} labels per row", "Fit one classifier per label.")
    _check_trees(learner)


def _check_trees(learner: Document) -> None:
    trees = learner["gradient_booster"]["model"]["trees"]
    if not trees:
        raise _refused("no trees", "Train the model before it is converted.")
    names = learner["feature_names"] or range(len(learner["feature_types"]))
    categorical = [str(name) for name, kind in zip(names, learner["feature_types"], strict=False) if kind == "c"]
    if categorical or any(any(tree["split_type"]) for tree in trees):
        held = ", ".join(categorical) or "one of them"
        raise _refused(f"categorical features ({held})", "Encode them as numbers (0 and 1 per category) and fit again.")


def _refused(what: str, remedy: str) -> ConversionError:
    return ConversionError(f"The XGBoost model has {what}; that is not converted.", remedy=remedy, field="model")
