"""Whatever trees a library grows out of whatever rows: the saved file sends every row where the library does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn import ensemble, tree
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from tests.converting.sources.data import Data
from tests.converting.sources.entry import Entry, Said, fitted, with_scores
from tests.converting.sources.trial import tried

IN_DOUBLES, IN_FLOATS = 1e-12, 2e-6
"""XGBoost adds leaves in float32; an isolation forest's score is a power, which the file computes in float32."""

Grow = Callable[[st.DrawFn], Any]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One source of trees.

    Args:
        grow: an estimator with drawn hyperparameters.
        classes: whether it is a classifier.
        gaps: whether it takes missing values.
        allowed: how far a number may be off, relatively.
    """

    grow: Grow
    classes: bool = False
    gaps: bool = True
    allowed: float = IN_DOUBLES
    said: Callable[[Any, Any], Said] | None = None


def _sklearn(kind: type, *, more: Mapping[str, st.SearchStrategy[Any]] | None = None, **fixed: Any) -> Grow:
    def grow(draw: st.DrawFn) -> Any:
        chosen = {name: draw(values) for name, values in (more or {}).items()}
        return kind(**{"random_state": draw(st.integers(0, 99))} | fixed | chosen)

    return grow


_DEPTH = {"max_depth": st.one_of(st.none(), st.integers(1, 6)), "min_samples_leaf": st.integers(1, 4)}
_TREES = _DEPTH | {"n_estimators": st.integers(1, 5), "max_features": st.sampled_from([None, "sqrt", 0.7])}
_BOOSTED = {
    "n_estimators": st.integers(1, 5),
    "max_depth": st.integers(1, 4),
    "learning_rate": st.floats(0.01, 1.5),
    "subsample": st.sampled_from([0.6, 1.0]),
}
_BINNED = {
    "max_iter": st.integers(1, 5),
    "max_leaf_nodes": st.integers(2, 8),
    "min_samples_leaf": st.integers(1, 5),
    "learning_rate": st.floats(0.01, 1.5),
    "max_bins": st.sampled_from([4, 255]),
}
_XGBOOST = {
    "n_estimators": st.integers(1, 5),
    "max_depth": st.integers(1, 6),
    "learning_rate": st.floats(0.01, 1.0),
    "subsample": st.sampled_from([0.7, 1.0]),
    "tree_method": st.sampled_from(["exact", "hist", "approx"]),
    "num_parallel_tree": st.integers(1, 2),
    "reg_lambda": st.sampled_from([0.0, 1.0]),
}
_LIGHTGBM = {
    "n_estimators": st.integers(1, 5),
    "num_leaves": st.integers(2, 9),
    "min_child_samples": st.integers(1, 5),
    "learning_rate": st.floats(0.01, 1.0),
    "boosting_type": st.sampled_from(["gbdt", "dart"]),
    "zero_as_missing": st.booleans(),
    "use_missing": st.booleans(),
    "max_bin": st.sampled_from([5, 255]),
}
_QUIET = {"verbose": -1, "n_jobs": 1, "min_data_in_bin": 1}


def _scaled(inner: Grow) -> Grow:
    return lambda draw: make_pipeline(draw(st.sampled_from([StandardScaler, MinMaxScaler]))(), inner(draw))


KINDS: Mapping[str, Kind] = {
    "DecisionTreeClassifier": Kind(grow=_sklearn(tree.DecisionTreeClassifier, more=_DEPTH), classes=True),
    "DecisionTreeRegressor": Kind(grow=_sklearn(tree.DecisionTreeRegressor, more=_DEPTH)),
    "scaled DecisionTreeClassifier": Kind(
        grow=_scaled(_sklearn(tree.DecisionTreeClassifier, more=_DEPTH)), classes=True, gaps=False
    ),
    "RandomForestClassifier": Kind(grow=_sklearn(ensemble.RandomForestClassifier, more=_TREES), classes=True),
    "RandomForestRegressor": Kind(grow=_sklearn(ensemble.RandomForestRegressor, more=_TREES)),
    "ExtraTreesClassifier": Kind(grow=_sklearn(ensemble.ExtraTreesClassifier, more=_TREES), classes=True, gaps=False),
    "ExtraTreesRegressor": Kind(grow=_sklearn(ensemble.ExtraTreesRegressor, more=_TREES), gaps=False),
    "GradientBoostingClassifier": Kind(
        grow=_sklearn(ensemble.GradientBoostingClassifier, more=_BOOSTED), classes=True, gaps=False
    ),
    "GradientBoostingRegressor": Kind(grow=_sklearn(ensemble.GradientBoostingRegressor, more=_BOOSTED), gaps=False),
    "HistGradientBoostingClassifier": Kind(grow=_sklearn(ensemble.HistGradientBoostingClassifier, more=_BINNED), classes=True),
    "HistGradientBoostingRegressor": Kind(grow=_sklearn(ensemble.HistGradientBoostingRegressor, more=_BINNED)),
    "IsolationForest": Kind(
        grow=_sklearn(ensemble.IsolationForest, more={"n_estimators": st.integers(1, 5)}),
        gaps=False,
        said=with_scores,
        allowed=IN_FLOATS,
    ),
    "XGBClassifier": Kind(grow=_sklearn(xgboost.XGBClassifier, more=_XGBOOST), classes=True, allowed=IN_FLOATS),
    "XGBRegressor": Kind(grow=_sklearn(xgboost.XGBRegressor, more=_XGBOOST), allowed=IN_FLOATS),
    "LGBMClassifier": Kind(grow=_sklearn(lightgbm.LGBMClassifier, more=_LIGHTGBM, **_QUIET), classes=True),
    "LGBMRegressor": Kind(grow=_sklearn(lightgbm.LGBMRegressor, more=_LIGHTGBM, **_QUIET)),
}


@st.composite
def entries(draw: st.DrawFn, kind: Kind) -> Entry:
    """Rows of some spread, whole numbers and zeros among them or none, perhaps with gaps; and an estimator."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    features, count = draw(st.integers(1, 4)), draw(st.integers(12, 60))
    x = random.normal(size=(count + 12, features)) * 10.0 ** draw(st.integers(-3, 6))
    x += draw(st.sampled_from([0.0, 1.6e9]))
    if draw(st.booleans()):
        x = x.round()
    x[random.random(x.shape) < draw(st.sampled_from([0.0, 0.2]))] = 0.0
    if kind.gaps and draw(st.booleans()):
        x[random.random(x.shape) < 0.15] = np.nan
    if kind.classes:
        y = random.permutation(np.arange(count) % draw(st.integers(2, 4)))
    else:
        y = random.normal(size=count) * 10.0 ** draw(st.integers(-2, 4)) + draw(st.sampled_from([0.0, 500.0]))
    estimator = kind.grow(draw)
    data = Data(x=x[:count], y=y, held=x[count:])
    return Entry(library="", estimator="", variant="", data=data, fit=fitted(lambda: estimator), said=kind.said)


@pytest.mark.parametrize("name", KINDS)
# Always the same examples: in some of a thousand two classes are equal but for the last bit, which every sum rounds in its way.
@settings(max_examples=8, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=st.data())
def test_a_file_of_any_trees_is_its_source(tmp_path_factory, name, drawn):
    kind = KINDS[name]
    entry = drawn.draw(entries(kind))
    if kind.said is with_scores:  # of scores that are all 0, as those of equal rows, no relative difference can be told
        assume(np.any(np.abs(entry.fit(entry.data).decision_function(entry.data.held)) > 1e-9))
    outcome = tried(entry, tmp_path_factory.mktemp("any"))
    assert outcome.worst <= kind.allowed
