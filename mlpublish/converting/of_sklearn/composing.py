"""Estimators that hold others: pipelines, columns each to their own transformer, and searches that keep the best."""

from __future__ import annotations

from collections import UserList
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.columnwise import Scaled
from mlpublish.converting.graph.node import Node, joined, picked
from mlpublish.converting.of_sklearn.reading import Reader, transformed
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

PASSTHROUGH = "passthrough"
DROP = "drop"


def _last_step(pipeline: Any) -> Any:
    from sklearn.preprocessing import FunctionTransformer

    last = pipeline.steps[-1][1]
    return FunctionTransformer() if _is_nothing(last) else last


def _before_last(pipeline: Any, x: Node) -> Node:
    for _, step in pipeline.steps[:-1]:
        x = x if _is_nothing(step) else transformed(step, x)
    return x


def _is_nothing(step: Any) -> bool:
    return step is None or (isinstance(step, str) and step == PASSTHROUGH)


def _columns_each(step: Any, x: Node) -> Node:
    """A ColumnTransformer."""
    parts = []
    for name, inner, columns in step.transformers_:
        places = places_of(columns, step)
        if places and not (isinstance(inner, str) and inner == DROP):
            made = _part(inner, picked(x, places))
            parts.append(_weighted(made, (step.transformer_weights or {}).get(name)))
    return joined(tuple(parts))


def _united(step: Any, x: Node) -> Node:
    """A FeatureUnion."""
    weights = step.transformer_weights or {}
    kept = [(name, inner) for name, inner in step.transformer_list if not (isinstance(inner, str) and inner == DROP)]
    return joined(tuple(_weighted(_part(inner, x), weights.get(name)) for name, inner in kept))


def _part(inner: Any, x: Node) -> Node:
    return x if _is_nothing(inner) else transformed(inner, x)


def _weighted(node: Node, weight: float | None) -> Node:
    if weight is None:
        return node
    width = node.width
    return Scaled(
        of=node, shift=np.zeros(width), scale=np.full(width, float(weight)), exact=lambda x: np.asarray(x * float(weight))
    )


def places_of(columns: Any, step: Any) -> tuple[int, ...]:
    """Which of the columns that a ColumnTransformer was fitted on are meant.

    Args:
        columns: as scikit-learn takes them: a name, a place, several, a slice, a mask.
        step: the fitted ColumnTransformer.
    """
    size = int(step.n_features_in_)
    names = [str(name) for name in getattr(step, "feature_names_in_", ())]
    if isinstance(columns, slice):
        return _places_of_slice(columns, names, size)
    if isinstance(columns, str):
        return (names.index(columns),)
    plain = columns.data if isinstance(columns, UserList) else columns  # scikit-learn's own list warns when it is read
    wanted = np.atleast_1d(np.asarray(plain))
    if wanted.dtype.kind == "b":
        return tuple(np.flatnonzero(wanted).tolist())
    return tuple(names.index(each) if isinstance(each, str) else int(each) % size for each in wanted.tolist())


def _places_of_slice(columns: slice, names: list[str], size: int) -> tuple[int, ...]:
    """Of names the last one belongs to it, as in pandas; of places it does not."""
    start, stop = columns.start, columns.stop
    if isinstance(start, str):
        start = names.index(start)
    if isinstance(stop, str):
        stop = names.index(stop) + 1
    return tuple(range(size)[slice(start, stop, columns.step)])


def _best(search: Any) -> Any:
    if not hasattr(search, "best_estimator_"):
        raise ConversionError(
            f"{class_name(type(search))} holds no fitted model.", remedy="Fit it, with refit=True.", field="best_estimator_"
        )
    return search.best_estimator_


def steps_of(model: Any) -> Iterator[Any]:
    """The fitted steps of a model in order, pipelines in pipelines unrolled; of a search the best model's."""
    from sklearn.pipeline import Pipeline

    if isinstance(model, Pipeline):
        for _, step in model.steps:
            if not _is_nothing(step):
                yield from steps_of(step)
    elif hasattr(model, "best_estimator_"):
        yield from steps_of(model.best_estimator_)
    else:
        yield model


_SEARCH = Reader(last=_best)

READERS: Mapping[str, Reader] = {
    "sklearn.pipeline.Pipeline": Reader(last=_last_step, before=_before_last),
    "sklearn.pipeline.FeatureUnion": Reader(transform=_united),
    "sklearn.compose.ColumnTransformer": Reader(transform=_columns_each),
    "sklearn.model_selection.GridSearchCV": _SEARCH,
    "sklearn.model_selection.RandomizedSearchCV": _SEARCH,
    "sklearn.model_selection.HalvingGridSearchCV": _SEARCH,
    "sklearn.model_selection.HalvingRandomSearchCV": _SEARCH,
}
