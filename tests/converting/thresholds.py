"""Rows on and beside the numbers that trees split at: where a rounded number sends a row the other way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

Split = tuple[int, float]
"""A feature and the number that it is compared with."""


def beside(rows: np.ndarray, splits: Iterable[Split], most: int = 40) -> np.ndarray:
    """Copies of rows, in each of which one number lies on a split, or is the next float32 or double of it on either side, or
    lies half way to the next float32, or is the next double of that.

    Args:
        rows: (rows, features), doubles.
        splits: what trees compare with; infinite ones are left out.
        most: so many splits at most, spread over all of them.
    """
    found = [split for split in dict.fromkeys(splits) if np.isfinite(split[1])]
    assert found, "no splits"
    some = [found[place] for place in np.unique(np.linspace(0, len(found) - 1, most).astype(int))]
    made = []
    for feature, threshold in some:
        for number in dict.fromkeys(_near(threshold)):
            row = rows[len(made) % len(rows)].astype(np.float64, copy=True)
            row[feature] = number
            made.append(row)
    return np.array(made)


def splits_of(model: Any) -> Iterator[Split]:
    """The splits of a fitted tree or ensemble of trees of scikit-learn, by the features of the ensemble."""
    if hasattr(model, "tree_"):
        held = model.tree_
        branches = held.children_left != -1
        yield from zip(held.feature[branches].tolist(), held.threshold[branches].tolist(), strict=True)
    elif hasattr(model, "_predictors"):
        for nodes in (tree.nodes for stage in model._predictors for tree in stage):
            branches = nodes[nodes["is_leaf"] == 0]
            yield from zip(branches["feature_idx"].tolist(), branches["num_threshold"].tolist(), strict=True)
    elif hasattr(model, "estimators_"):
        members = np.asarray(model.estimators_, dtype=object).ravel().tolist()
        seen = getattr(model, "estimators_features_", [np.arange(model.n_features_in_)] * len(members))
        for member, features in zip(members, seen, strict=True):
            yield from ((int(features[feature]), threshold) for feature, threshold in splits_of(member))


def _near(threshold: float) -> Iterator[float]:
    """The split, both neighbours in either precision, and both midpoints between float32 neighbours with their neighbours."""
    single = float(np.float32(threshold))
    for number in (threshold, single):
        yield number
        for towards in (-np.inf, np.inf):
            after = float(np.nextafter(np.float32(number), np.float32(towards)))
            middle = (single + after) / 2
            yield from (after, middle, float(np.nextafter(number, towards)))
            yield from (float(np.nextafter(middle, -np.inf)), float(np.nextafter(middle, np.inf)))
