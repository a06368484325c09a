"""Linear regressions: ``coef_`` and ``intercept_``, and for some the exponential function behind them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Linear
from mlpublish.converting.graph.answer import Number, Predicted
from mlpublish.converting.graph.columnwise import Function, Name, Scaled, times
from mlpublish.converting.graph.node import Node
from mlpublish.converting.of_sklearn.reading import Reader, finite
from mlpublish.converting.source import PREDICTION, SCORE, class_name
from mlpublish.errors import ConversionError


def linear(step: Any, x: Node) -> Linear:
    """``x @ coef_.T + intercept_``: one number, or one per target or class.

    Raises:
        ConversionError: the numbers are not finite, or do not fit each other.
    """
    weights = np.atleast_2d(finite(step.coef_, step, "coef_"))
    offset = finite(step.intercept_, step, "intercept_").ravel()
    if weights.ndim != 2 or weights.shape[1] != x.width or len(offset) not in (1, len(weights)):
        raise ConversionError(
            f"{class_name(type(step))} has coef_ of {np.shape(step.coef_)} and intercept_ of {np.shape(step.intercept_)} "
            f"for {x.width} features.",
            remedy="Fit the model again.",
            field="coef_",
        )
    return Linear(of=x, weights=weights, offset=np.broadcast_to(offset, len(weights)).copy())


def _exponential(step: Any, x: Node) -> Node:
    """The inverse of a logarithmic link."""
    return Function(of=linear(step, x), name=Name.EXP)


def _tweedie(step: Any, x: Node) -> Node:
    link = step.link
    if link == "auto":
        link = "identity" if step.power <= 0 else "log"
    if link == "identity":
        return linear(step, x)
    if link == "log":
        return _exponential(step, x)
    raise ConversionError(
        f"{class_name(type(step))} with link={link!r} is not converted.",
        remedy="Use link='log' or link='identity'.",
        field="link",
    )


def _partial_least_squares(step: Any, x: Node) -> Node:
    """PLSRegression: ``intercept_`` belongs to the features' mean, which no public attribute tells; so it is asked at 0."""
    weights = np.atleast_2d(finite(step.coef_, step, "coef_"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model that was fitted on a frame misses its names
        offset = finite(step.predict(np.zeros((1, x.width))), step, "intercept_").ravel()
    return Linear(of=x, weights=weights, offset=offset)


def _inlier_score(step: Any, x: Node) -> Node:
    """An SGDOneClassSVM's distance from its hyperplane: it has an ``offset_`` in place of an intercept."""
    weights = np.atleast_2d(finite(step.coef_, step, "coef_"))
    return Linear(of=x, weights=weights, offset=-finite(step.offset_, step, "offset_").ravel())


def _inlier(step: Any, x: Node) -> Node:
    """1, or -1 where the score is below 0."""
    score = _inlier_score(step, x)
    below = Function(of=times(score, -1), name=Name.POSITIVE)
    return Scaled(of=below, shift=np.array([-0.5]), scale=np.array([-2.0]))


def _inlier_answer(step: Any, x: Node) -> Predicted:
    return Predicted(
        numbers=(
            Number(name=PREDICTION, node=_inlier(step, x), whole=True),
            Number(name=SCORE, node=_inlier_score(step, x)),
        )
    )


_PLAIN = (
    "sklearn.linear_model.ARDRegression",
    "sklearn.linear_model.BayesianRidge",
    "sklearn.linear_model.ElasticNet",
    "sklearn.linear_model.ElasticNetCV",
    "sklearn.linear_model.HuberRegressor",
    "sklearn.linear_model.Lars",
    "sklearn.linear_model.LarsCV",
    "sklearn.linear_model.Lasso",
    "sklearn.linear_model.LassoCV",
    "sklearn.linear_model.LassoLars",
    "sklearn.linear_model.LassoLarsCV",
    "sklearn.linear_model.LassoLarsIC",
    "sklearn.linear_model.LinearRegression",
    "sklearn.linear_model.MultiTaskElasticNet",
    "sklearn.linear_model.MultiTaskElasticNetCV",
    "sklearn.linear_model.MultiTaskLasso",
    "sklearn.linear_model.MultiTaskLassoCV",
    "sklearn.linear_model.OrthogonalMatchingPursuit",
    "sklearn.linear_model.OrthogonalMatchingPursuitCV",
    "sklearn.linear_model.PassiveAggressiveRegressor",
    "sklearn.linear_model.QuantileRegressor",
    "sklearn.linear_model.Ridge",
    "sklearn.linear_model.RidgeCV",
    "sklearn.linear_model.SGDRegressor",
    "sklearn.linear_model.TheilSenRegressor",
    "sklearn.svm.LinearSVR",
)

READERS: Mapping[str, Reader] = {
    "sklearn.cross_decomposition.PLSRegression": Reader(predict=_partial_least_squares),
    **{name: Reader(predict=linear) for name in _PLAIN},
    "sklearn.linear_model.GammaRegressor": Reader(predict=_exponential),
    "sklearn.linear_model.PoissonRegressor": Reader(predict=_exponential),
    "sklearn.linear_model.TweedieRegressor": Reader(predict=_tweedie),
    "sklearn.linear_model.SGDOneClassSVM": Reader(predict=_inlier, decide=_inlier_score, answer=_inlier_answer),
}
