"""Nearest neighbours, and nearest centroids.

Of equally far training rows the earlier one counts; which one the library takes depends on how its tree was built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Distances, Linear, Nearest, Softmax
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Scaled, times
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn.centres import apart
from mlpublish.converting.of_sklearn.reading import Reader, finite, labels_of
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_POWERS = {
    "euclidean": 2.0,
    "l2": 2.0,
    "manhattan": 1.0,
    "cityblock": 1.0,
    "l1": 1.0,
    "chebyshev": np.inf,
    "infinity": np.inf,
}


def _refused(step: Any, field: str, what: str, remedy: str) -> ConversionError:
    return ConversionError(f"{class_name(type(step))} {what} is not converted.", remedy=remedy, field=field)


def _distances(step: Any, x: Node) -> Distances:
    """To every training row, by the metric that the fitted model uses."""
    # the training rows are the model, and no public attribute has them
    points = finite(step._fit_X, step, "_fit_X")
    metric, settings = step.effective_metric_, dict(step.effective_metric_params_ or {})
    if metric == "minkowski":
        power, weights = float(settings.pop("p", 2)), settings.pop("w", None)
    elif isinstance(metric, str) and metric in _POWERS:
        power, weights = _POWERS[metric], None
    else:
        raise _refused(step, "metric", f"with the metric {metric}", "Use euclidean, manhattan, chebyshev or minkowski.")
    if settings:
        raise _refused(step, "metric_params", f"with the metric's settings {', '.join(settings)}", "Use metric_params=None.")
    return Distances(of=x, points=points, power=power, weights=_of_each(weights, points, step))


def _of_each(weights: Any, points: Doubles, step: Any) -> Doubles | None:
    if weights is None:
        return None
    return np.broadcast_to(finite(weights, step, "metric_params"), points.shape).copy()


def _nearest(step: Any, x: Node, targets: Doubles) -> Nearest:
    if step.weights not in ("uniform", "distance", None):
        raise _refused(step, "weights", "with a function for weights", "Use weights='uniform' or weights='distance'.")
    distances = _distances(step, x)
    if step.n_neighbors > len(distances.points):
        raise _refused(
            step, "n_neighbors", f"with {step.n_neighbors} neighbours of {len(distances.points)} rows", "Ask for fewer."
        )
    root = 1.0 if np.isinf(distances.power) else distances.power
    return Nearest(of=distances, count=int(step.n_neighbors), targets=targets, inverse=step.weights == "distance", root=root)


def _classify(step: Any, x: Node) -> Classified:
    if step.outputs_2d_:
        raise _refused(step, "classes_", "with several outputs", "Fit one classifier per output.")
    labels = labels_of(step.classes_)
    shares = _nearest(step, x, np.eye(len(labels))[step._y])
    return Classified(classes=labels, scores=shares, probabilities=shares)


def _predict(step: Any, x: Node) -> Node:
    targets = finite(step._y, step, "_y")
    return _nearest(step, x, targets.reshape(len(targets), -1))


def _near_centroid(step: Any, x: Node) -> Classified:
    """By the distance alone, unless scikit-learn (from 1.6) was given unequal priors."""
    labels, centroids = labels_of(step.classes_), finite(step.centroids_, step, "centroids_")
    if step.metric not in ("euclidean", "manhattan"):
        raise _refused(step, "metric", f"with the metric {step.metric}", "Use metric='euclidean' or 'manhattan'.")
    discriminant = _differing(step, x) if hasattr(step, "predict_proba") else None
    probabilities = None if discriminant is None else Softmax(of=discriminant)
    if np.isclose(getattr(step, "class_prior_", 1 / len(labels)), 1 / len(labels)).all():
        power = 2.0 if step.metric == "euclidean" else 1.0
        return Classified(classes=labels, scores=times(apart(x, centroids, power=power), -1), probabilities=probabilities)
    if discriminant is None:
        raise _refused(step, "priors", "with unequal priors and this metric", "Use metric='euclidean'.")
    return Classified(classes=labels, scores=discriminant, probabilities=probabilities)


def _discriminant(step: Any, x: Node) -> Node:
    """Squared distances in within-class deviations, and the priors' logarithms."""
    centroids, weights = _weighted(step)
    return _with_priors(step, Distances(of=x, points=centroids, weights=weights))


def _differing(step: Any, x: Node) -> Node:
    """The discriminant less what is the same for all classes."""
    centroids, weights = _weighted(step)
    return _with_priors(step, apart(x, centroids, weights=weights))


def _weighted(step: Any) -> tuple[Doubles, Doubles]:
    """Centroids, and a weight for each feature of theirs."""
    deviations = finite(step.within_class_std_dev_, step, "within_class_std_dev_").ravel()
    centroids = finite(step.centroids_, step, "centroids_")
    return centroids, np.broadcast_to(1 / np.where(deviations == 0, 1, deviations) ** 2, centroids.shape).copy()


def _with_priors(step: Any, distances: Node) -> Node:
    priors = np.log(finite(step.class_prior_, step, "class_prior_"))
    return Scaled(of=distances, shift=-2 * priors, scale=np.full(len(priors), -1.0))


def _decide_centroid(step: Any, x: Node) -> Node:
    """Of two classes the difference of their scores; of more the scores as they are, whole."""
    if len(step.classes_) > 2:
        return _discriminant(step, x)
    return Linear(of=_differing(step, x), weights=np.array([[-1.0, 1.0]]), offset=np.zeros(1))


READERS: Mapping[str, Reader] = {
    "sklearn.neighbors.KNeighborsClassifier": Reader(classify=_classify),
    "sklearn.neighbors.KNeighborsRegressor": Reader(predict=_predict),
    "sklearn.neighbors.NearestCentroid": Reader(classify=_near_centroid, decide=_decide_centroid),
}
