"""Scalers, and what else treats the numbers of a row with nothing but multiplication and bounds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Normalised
from mlpublish.converting.graph.columnwise import Clipped, Scaled
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn.reading import Reader, finite
from mlpublish.converting.of_sklearn.stumps import above
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_LARGEST = float(np.finfo(np.float64).max)


def _standard(step: Any, x: Node) -> Node:
    return _scaled(
        step,
        x,
        shift=-finite(step.mean_, step, "mean_") if step.with_mean else None,
        divisor=finite(step.scale_, step, "scale_") if step.with_std else None,
    )


def _robust(step: Any, x: Node) -> Node:
    return _scaled(
        step,
        x,
        shift=-finite(step.center_, step, "center_") if step.with_centering else None,
        divisor=finite(step.scale_, step, "scale_") if step.with_scaling else None,
    )


def _between(step: Any, x: Node) -> Node:
    """MinMaxScaler."""
    scale = finite(step.scale_, step, "scale_")
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        shift = finite(finite(step.min_, step, "min_") / scale, step, "scale_")
    scaled = Scaled(of=x, shift=shift, scale=scale, exact=_exactly(step))
    low, high = step.feature_range
    return Clipped(of=scaled, low=float(low), high=float(high)) if step.clip else scaled


def _largest(step: Any, x: Node) -> Node:
    """MaxAbsScaler."""
    scaled = _scaled(step, x, divisor=finite(step.scale_, step, "scale_"))
    clips = step.get_params(deep=False).get("clip", False)  # since scikit-learn 1.9
    return Clipped(of=scaled, low=-1.0, high=1.0) if clips else scaled


def _scaled(step: Any, x: Node, *, shift: Doubles | None = None, divisor: Doubles | None = None) -> Node:
    """``(x + shift) / divisor``."""
    if shift is None and divisor is None:
        return x
    with np.errstate(divide="ignore", over="ignore"):
        scale = np.ones(x.width) if divisor is None else finite(1 / divisor, step, "scale_")
    return Scaled(of=x, shift=np.zeros(x.width) if shift is None else shift, scale=scale, exact=_exactly(step))


def _exactly(step: Any) -> Callable[[Doubles], Doubles]:
    """The step's own transform, in doubles; of infinity, which it refuses, what the largest number becomes."""

    def exact(rows: Doubles) -> Doubles:
        held = np.clip(np.asarray(rows, dtype=np.float64), -_LARGEST, _LARGEST)  # a copy: copy=False scales in place
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a step that was fitted on a frame misses its names
            return np.asarray(step.transform(held), dtype=np.float64)

    return exact


def _normalised(step: Any, x: Node) -> Node:
    if step.norm not in ("l1", "l2", "max"):
        raise ConversionError(
            f"{class_name(type(step))} with norm={step.norm!r} is not converted.",
            remedy="Use norm='l1', norm='l2' or norm='max'.",
            field="norm",
        )
    return Normalised(of=x, norm=step.norm)


def _above(step: Any, x: Node) -> Node:
    """Binarizer: 1 above the threshold."""
    return above(x, float(finite(step.threshold, step, "threshold")))


READERS: Mapping[str, Reader] = {
    "sklearn.preprocessing.Binarizer": Reader(transform=_above),
    "sklearn.preprocessing.MaxAbsScaler": Reader(transform=_largest),
    "sklearn.preprocessing.MinMaxScaler": Reader(transform=_between),
    "sklearn.preprocessing.Normalizer": Reader(transform=_normalised),
    "sklearn.preprocessing.RobustScaler": Reader(transform=_robust),
    "sklearn.preprocessing.StandardScaler": Reader(transform=_standard),
}
