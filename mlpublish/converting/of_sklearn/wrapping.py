"""Estimators around estimators: one per target, one per class, one behind a transformation of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Chosen, Linear, Softmax, second_of, shares
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Clipped, Function, Name, Scaled, times
from mlpublish.converting.graph.node import Doubles, Node, joined, picked
from mlpublish.converting.of_sklearn.functions import applied
from mlpublish.converting.of_sklearn.reading import Reader, classified, decided, finite, labels_of, not_read, predicted
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_EXPIT_IS_0, _EXPIT_IS_1 = -745.1332191019412, 36.7368005696771
"""Below and above, the logistic function is 0 and 1 in doubles."""


def _per_target(step: Any, x: Node) -> Node:
    """MultiOutputRegressor."""
    return _beside([predicted(each, x) for each in step.estimators_])


def _chained(step: Any, x: Node) -> Node:
    """RegressorChain: each estimator also reads what those before it said."""
    said: list[Node] = []
    for each in step.estimators_:
        said.append(predicted(each, joined((x, *said))))
    return joined(tuple(said[place] for place in np.argsort(step.order_)))


def _agreed(step: Any, x: Node) -> Node:
    """RANSACRegressor: the estimator that was fitted on the inliers."""
    return predicted(step.estimator_, x)


def _target_restored(step: Any, x: Node) -> Node:
    """TransformedTargetRegressor: what its regressor says, and the target's transformation turned back."""
    from sklearn.preprocessing import FunctionTransformer

    node, transformer = predicted(step.regressor_, x), step.transformer_
    if type(transformer) is FunctionTransformer and not transformer.inv_kw_args:
        return applied(transformer.inverse_func, node, by=step, field="inverse_func")
    scale, centre = _turned_back(step, transformer, node.width)
    return Scaled(of=times(node, scale), shift=centre, scale=np.ones(node.width))


def _turned_back(step: Any, transformer: Any, width: int) -> tuple[Doubles, Doubles]:
    """What a scaled target is multiplied with, and what is added then."""
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    def fitted(name: str, asked: bool, otherwise: float) -> Doubles:
        return finite(getattr(transformer, name), transformer, name) if asked else np.full(width, otherwise)

    if type(transformer) is StandardScaler:
        return fitted("scale_", transformer.with_std, 1.0), fitted("mean_", transformer.with_mean, 0.0)
    if type(transformer) is RobustScaler:
        return fitted("scale_", transformer.with_scaling, 1.0), fitted("center_", transformer.with_centering, 0.0)
    if type(transformer) is MaxAbsScaler:
        return fitted("scale_", True, 1.0), np.zeros(width)
    if type(transformer) is MinMaxScaler:
        scale = fitted("scale_", True, 1.0)
        return 1 / scale, -fitted("min_", True, 0.0) / scale
    raise ConversionError(
        f"{class_name(type(step))} with a {class_name(type(transformer))} around the target is not converted.",
        remedy="Use a scaler, or func and inverse_func of NumPy such as numpy.log1p and numpy.expm1.",
        field="transformer",
    )


def _one_against_the_rest(step: Any, x: Node) -> Classified:
    """OneVsRestClassifier: the label by decisions where the estimators have them, else by probabilities."""
    if step.multilabel_:
        raise ConversionError(
            f"{class_name(type(step))} was fitted on several labels per row, which is not converted.",
            remedy="Fit and convert one classifier per label.",
            field="model",
        )
    classes, first = labels_of(step.classes_), step.estimators_[0]
    if len(step.estimators_) == 1:
        return replace(classified(first, x), classes=classes)
    likely = _second_classes(step, x) if hasattr(step, "predict_proba") else None
    probabilities = None if likely is None else shares(likely)
    if hasattr(first, "decision_function") or likely is None:
        return Classified(classes=classes, scores=_decisions(step, x), probabilities=probabilities)
    if _last_of_equal():
        back = tuple(reversed(range(likely.width)))
        chosen = picked(Chosen(of=picked(_ordered(likely), back)), back)
        return Classified(classes=classes, scores=chosen, probabilities=probabilities)
    assert probabilities is not None
    return Classified(classes=classes, scores=probabilities, probabilities=probabilities)


def _decisions(step: Any, x: Node) -> Node:
    return _beside([decided(each, x) for each in step.estimators_])


def _second_classes(step: Any, x: Node) -> Node:
    """Each estimator's probability of its own class."""
    return _beside([_second_class(each, x) for each in step.estimators_])


def _second_class(step: Any, x: Node) -> Node:
    """The second of two probabilities: what the pair was made of, if it was made of one.

    That of a softmax is a logistic function, which keeps its digits in float32 where the probability itself is too small.
    """
    likely = classified(step, x).probabilities
    if likely is None:
        raise not_read(step, "predict_proba")
    if isinstance(likely, Softmax):
        return Function(of=Linear(of=likely.of, weights=np.array([[-1.0, 1.0]]), offset=np.zeros(1)), name=Name.EXPIT)
    made_of = second_of(likely)
    return picked(likely, (1,)) if made_of is None else made_of


def _ordered(likely: Node) -> Node:
    """Numbers that are in the order of probabilities, and equal where these are in doubles: more of them are in float32."""
    if isinstance(likely, Function) and likely.name is Name.EXPIT:
        return Clipped(of=likely.of, low=_EXPIT_IS_0, high=_EXPIT_IS_1)
    return likely


@cache
def _last_of_equal() -> bool:
    """Whether, of equal scores, the installed scikit-learn takes the last class: it did until some release."""
    from sklearn.dummy import DummyClassifier
    from sklearn.multiclass import OneVsRestClassifier

    model = OneVsRestClassifier(DummyClassifier(strategy="prior")).fit(np.zeros((3, 1)), [0, 1, 2])
    return int(model.predict(np.zeros((1, 1)))[0]) == 2


def _beside(nodes: Sequence[Node]) -> Node:
    """Nodes one after the other; linear ones of one node become one linear node, and so do functions of them."""
    first = nodes[0]
    if isinstance(first, Function) and all(isinstance(node, Function) and node.name is first.name for node in nodes):
        return Function(of=_beside([node.of for node in nodes if isinstance(node, Function)]), name=first.name)
    linear = [node for node in nodes if isinstance(node, Linear) and isinstance(first, Linear) and node.of is first.of]
    if len(linear) < len(nodes):
        return joined(tuple(nodes))
    return Linear(
        of=linear[0].of,
        weights=np.vstack([node.weights for node in linear]),
        offset=np.concatenate([node.offset for node in linear]),
    )


READERS: Mapping[str, Reader] = {
    "sklearn.compose.TransformedTargetRegressor": Reader(predict=_target_restored),
    "sklearn.linear_model.RANSACRegressor": Reader(predict=_agreed),
    "sklearn.multiclass.OneVsRestClassifier": Reader(classify=_one_against_the_rest, decide=_decisions),
    "sklearn.multioutput.MultiOutputRegressor": Reader(predict=_per_target),
    "sklearn.multioutput.RegressorChain": Reader(predict=_chained),
}
