"""k-means: the number of the nearest centre, or the distances to all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlpublish.converting.graph.algebra import Distances, Reduced, Reduction
from mlpublish.converting.graph.answer import Number, Predicted
from mlpublish.converting.graph.columnwise import Function, Name
from mlpublish.converting.graph.node import Node
from mlpublish.converting.of_sklearn.reading import Reader, finite
from mlpublish.converting.source import PREDICTION


def _squared(step: Any, x: Node) -> Distances:
    return Distances(of=x, points=finite(step.cluster_centers_, step, "cluster_centers_"))


def _transform(step: Any, x: Node) -> Node:
    return Function(of=_squared(step, x), name=Name.SQRT)


def _predict(step: Any, x: Node) -> Node:
    return Reduced(of=_squared(step, x), by=Reduction.PLACE_OF_SMALLEST)


def _answer(step: Any, x: Node) -> Predicted:
    return Predicted(numbers=(Number(name=PREDICTION, node=_predict(step, x), whole=True),))


_KMEANS = Reader(transform=_transform, predict=_predict, answer=_answer)

READERS: Mapping[str, Reader] = {"sklearn.cluster.KMeans": _KMEANS, "sklearn.cluster.MiniBatchKMeans": _KMEANS}
