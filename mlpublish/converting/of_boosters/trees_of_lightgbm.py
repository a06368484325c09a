"""Read a LightGBM model into a graph.

Source of the rules: LightGBM's documentation (*Parameters*, *Advanced Topics*). It compares doubles by ``<=``, adds up in
doubles, and holds the average it starts from in the leaves of the first trees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mlpublish.converting.files.lightgbm_text import TextModel, TextTree
from mlpublish.converting.graph.algebra import Combined, Sign, Softmax, of_two
from mlpublish.converting.graph.answer import Answer, Classified, Labels, Number, Predicted
from mlpublish.converting.graph.columnwise import Function, Name
from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.graph.node import Node
from mlpublish.converting.of_boosters.zero_as_missing import Asked, Splits, asked
from mlpublish.converting.source import PREDICTION
from mlpublish.errors import ConversionError

_CATEGORICAL, _LEFT, _MISSING = 1, 2, 2  # the bits of a decision, and how far the last ones are shifted


def _itself(sums: Node) -> Node:
    return sums


def _function(name: Name) -> Callable[[Node], Node]:
    return lambda sums: Function(of=sums, name=name)


def _signed_square(sums: Node) -> Node:
    sign, square = Function(of=sums, name=Name.SIGN), Function(of=sums, name=Name.SQUARE)
    return Combined(left=sign, sign=Sign.TIMES, right=square)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What an objective makes of the sum of the leaves.

    Args:
        answer: from the sums to the answer.
        has_classes: whether its answers are probabilities of classes.
    """

    answer: Callable[[Node], Node] = _itself
    has_classes: bool = False


_PLAIN, _LOGARITHM = Objective(), Objective(answer=_function(Name.EXP))
OBJECTIVES: Mapping[str, Objective] = {
    "regression": _PLAIN,
    "regression_l1": _PLAIN,
    "huber": _PLAIN,
    "fair": _PLAIN,
    "quantile": _PLAIN,
    "mape": _PLAIN,
    "poisson": _LOGARITHM,
    "gamma": _LOGARITHM,
    "tweedie": _LOGARITHM,
    "cross_entropy": Objective(answer=_function(Name.EXPIT)),
    "cross_entropy_lambda": Objective(answer=_function(Name.SOFTPLUS)),
    "lambdarank": _PLAIN,
    "rank_xendcg": _PLAIN,
    "binary": Objective(answer=_function(Name.EXPIT), has_classes=True),
    "multiclass": Objective(answer=lambda sums: Softmax(of=sums), has_classes=True),
    "multiclassova": Objective(answer=_function(Name.EXPIT), has_classes=True),
    "": _PLAIN,  # the training was given a function: the answer is the sum
}
_SQUARED = Objective(answer=_signed_square)


def objective_of(model: TextModel) -> str:
    """The objective's name, such as ``binary``; empty where the training was given a function."""
    return model.objective.partition(" ")[0]


def has_classes(model: TextModel) -> bool:
    """Whether a Booster answers with probabilities of classes."""
    known = OBJECTIVES.get(objective_of(model))
    return known is not None and known.has_classes


def read(model: TextModel, x: Node, *, labels: Labels | None) -> Answer:
    """Read the trees, and what becomes of their sum.

    Args:
        x: what the trees look at.
        labels: the classes; None for a model that answers with numbers.

    Raises:
        ConversionError: something in it is not converted; the error names it and what works.
    """
    _check(model)
    sums = _sums(model, x, _scale(model))
    result = _objective(model).answer(sums)
    if labels is None:
        return Predicted(numbers=(Number(name=PREDICTION, node=result),))
    if result.width == 1:
        result = of_two(result)
    # of one against the rest the probabilities add up to anything, and many of them are 1 in fewer digits
    scores = sums if objective_of(model) == "multiclassova" else result
    return Classified(classes=labels, scores=scores, probabilities=result)


def decision(model: TextModel, x: Node) -> Node:
    """The raw score: the leaves' sum, before an objective makes an answer of it, and not averaged.

    Raises:
        ConversionError: as for ``read``.
    """
    _check(model)
    return _sums(model, x, 1.0)


def _objective(model: TextModel) -> Objective:
    return _SQUARED if "sqrt" in model.objective.split() else OBJECTIVES[objective_of(model)]


def _sums(model: TextModel, x: Node, scale: float) -> Trees:
    of, nodes = asked([_splits(tree) for tree in model.trees], x)
    return Trees(
        of=of,
        trees=tuple(
            _tree(tree, each, scale, number % model.results)
            for number, (tree, each) in enumerate(zip(model.trees, nodes, strict=True))
        ),
        base=(0.0,) * model.results,
        rounds=False,
        takes_missing=True,
    )


def _scale(model: TextModel) -> float:
    """What the sum is multiplied by: binary objectives have a number for that, and forests take the mean of their rounds."""
    told = dict(each.partition(":")[::2] for each in model.objective.split()[1:])
    return float(told.get("sigmoid", 1.0)) / (len(model.trees) // model.results if model.averaged else 1)


def _splits(tree: TextTree) -> Splits:
    return Splits(
        feature=tree.feature,
        threshold=tree.threshold,
        missing=tree.decision >> _MISSING,
        goes_left=(tree.decision & _LEFT) != 0,
    )


def _tree(tree: TextTree, nodes: Asked, scale: float, result: int) -> Tree:
    splits, leaves = len(tree.feature), len(tree.leaves)
    nothing = np.zeros(leaves)
    nowhere = np.full(leaves, LEAF)
    left, right = (np.where(side < 0, splits - 1 - side, side) for side in (tree.left, tree.right))
    return Tree(
        feature=np.concatenate([nodes.feature, nowhere]),
        threshold=np.concatenate([nodes.threshold, nothing]),
        mode=nodes.mode + (Mode.LESS_OR_EQUAL,) * leaves,
        yes=np.concatenate([left, nowhere]),
        no=np.concatenate([right, nowhere]),
        missing_goes_yes=np.concatenate([nodes.missing_goes_yes, nothing > 0]),
        values=np.concatenate([np.zeros(splits), tree.leaves * scale])[:, np.newaxis],
        adds_to=(result,),
    )


def _check(model: TextModel) -> None:
    objective = objective_of(model)
    if objective not in OBJECTIVES:
        raise refused(f"the objective {objective}", f"Converted are: {', '.join(filter(None, OBJECTIVES))}.")
    if not model.trees:
        raise refused("no trees", "Train the model before it is converted.")
    if any(tree.linear for tree in model.trees):
        raise refused("linear trees", "Fit with linear_tree=False.")
    asking = [tree.feature[(tree.decision & _CATEGORICAL) != 0] for tree in model.trees]
    categorical = sorted({model.names[place] for places in asking for place in places.tolist()})
    if categorical or model.categories:
        held = ", ".join(categorical) or "columns of a frame"
        raise refused(f"categorical features ({held})", "Encode them as numbers (0 and 1 per category) and fit again.")


def refused(what: str, remedy: str) -> ConversionError:
    """The error for a model with something that is not converted."""
    return ConversionError(f"The LightGBM model has {what}; that is not converted.", remedy=remedy, field="model")
