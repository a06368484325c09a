from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import Binarizer, MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

from mlpublish.converting.graph.columnwise import Clipped, Scaled
from mlpublish.converting.graph.node import Array
from mlpublish.converting.of_sklearn.reading import transformed
from mlpublish.errors import ConversionError
from tests.converting.graphs import values
from tests.converting.of_sklearn.agreeing import HELD_OUT, ROWS, asked, assert_transforms, of

CONSTANT = np.column_stack([ROWS, np.full(len(ROWS), 3.0)])
"""With a column that has no spread."""

SCALERS = {
    "StandardScaler": StandardScaler(),
    "StandardScaler, no mean": StandardScaler(with_mean=False),
    "StandardScaler, no deviation": StandardScaler(with_std=False),
    "StandardScaler, neither": StandardScaler(with_mean=False, with_std=False),
    "StandardScaler, in place": StandardScaler(copy=False),
    "MinMaxScaler": MinMaxScaler(),
    "MinMaxScaler, range": MinMaxScaler(feature_range=(-3, 2)),
    "MinMaxScaler, clip": MinMaxScaler(clip=True),
    "MinMaxScaler, in place": MinMaxScaler(copy=False, clip=True),
    "MaxAbsScaler": MaxAbsScaler(),
    "RobustScaler": RobustScaler(),
    "RobustScaler, no centre": RobustScaler(with_centering=False),
    "RobustScaler, no scale": RobustScaler(with_scaling=False),
    "RobustScaler, neither": RobustScaler(with_centering=False, with_scaling=False),
    "RobustScaler, unit variance": RobustScaler(unit_variance=True, quantile_range=(10.0, 70.0)),
}
if "clip" in MaxAbsScaler().get_params():
    SCALERS["MaxAbsScaler, clip"] = MaxAbsScaler(clip=True)
OTHERS = {
    "Normalizer": Normalizer(),
    "Normalizer, l1": Normalizer(norm="l1"),
    "Normalizer, max": Normalizer(norm="max"),
    "Binarizer": Binarizer(),
    "Binarizer, threshold": Binarizer(threshold=ROWS[3, 1]),
}


def scaled_of(node):
    return node.of if isinstance(node, Clipped) else node


@pytest.mark.parametrize("model", (SCALERS | OTHERS).values(), ids=SCALERS | OTHERS)
def test_a_transformer_is_its_attributes(model):
    rows = np.vstack([np.column_stack([HELD_OUT, np.arange(len(HELD_OUT))]), CONSTANT])
    assert_transforms(model.fit(CONSTANT.copy()), rows)


@pytest.mark.parametrize("model", SCALERS.values(), ids=SCALERS)
def test_a_scaler_passes_missing_numbers_on(model):
    rows = HELD_OUT.copy()
    rows[::3, 1] = np.nan
    rows[::4, 2] = np.nan
    node = assert_transforms(model.fit(np.vstack([ROWS, rows])), rows)
    assert np.isnan(values(node, rows)).sum() == np.isnan(rows).sum()


@pytest.mark.parametrize("name", [name for name in SCALERS if getattr(SCALERS[name], "clip", False)])
def test_bounds_are_a_node_of_their_own(name):
    """They are part of the exact arithmetic too, but a writer goes by the formula."""
    node = of(SCALERS[name].fit(ROWS.copy()), method=transformed)
    assert isinstance(node, Clipped)
    assert (node.low, node.high) == getattr(SCALERS[name], "feature_range", (-1, 1))


@pytest.mark.parametrize("fitted_on", ["array", "frame", "frame to frame"])
@pytest.mark.parametrize("model", SCALERS.values(), ids=SCALERS)
def test_the_arithmetic_is_the_librarys_to_the_bit_and_the_formula_is_near(model, fitted_on):
    rows = ROWS.copy() if fitted_on == "array" else pd.DataFrame(ROWS, columns=list("abcd"))
    model = model.fit(rows).set_output(transform="pandas" if fitted_on == "frame to frame" else "default")
    node = scaled_of(of(model, method=transformed))
    if not isinstance(node, Scaled):
        assert isinstance(node, Array)
        return
    before = HELD_OUT.copy()
    exact = node.exact(HELD_OUT)
    np.testing.assert_array_equal(HELD_OUT, before)  # copy=False does not reach what is asked
    assert type(exact) is np.ndarray
    np.testing.assert_array_equal(exact, asked(model.transform, HELD_OUT.copy()))
    formula = (HELD_OUT + node.shift) * node.scale
    if getattr(model, "clip", False):
        formula = np.clip(formula, *getattr(model, "feature_range", (-1, 1)))
    np.testing.assert_allclose(formula, exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("model", SCALERS.values(), ids=SCALERS)
def test_the_arithmetic_rises_from_one_infinity_to_the_other(model):
    node = scaled_of(of(model.fit(ROWS.copy()), method=transformed))
    if isinstance(node, Scaled):
        points = np.array([-np.inf, -1e308, -1e30, -1, 0, 1e-300, 1, 1e30, 1e308, np.inf])
        made = node.exact(np.repeat(points[:, np.newaxis], 4, axis=1))
        assert (made[1:] >= made[:-1]).all()
        assert (made[0] < made[-1]).all()


@pytest.mark.parametrize(
    ("model", "attribute", "value"),
    [
        (StandardScaler(), "mean_", np.nan),
        (StandardScaler(), "scale_", np.inf),
        (StandardScaler(), "scale_", 0.0),
        (StandardScaler(), "scale_", 1e-310),
        (MinMaxScaler(), "min_", np.nan),
        (MinMaxScaler(), "scale_", np.inf),
        (MinMaxScaler(), "scale_", 0.0),
        (MaxAbsScaler(), "scale_", np.nan),
        (RobustScaler(), "center_", np.nan),
        (RobustScaler(), "scale_", -np.inf),
    ],
    ids=lambda each: type(each).__name__ if hasattr(each, "fit") else str(each),
)
def test_numbers_that_are_not_finite_are_refused(model, attribute, value):
    setattr(model.fit(ROWS), attribute, np.array([1.0, value, 1.0, 1.0]))
    with pytest.raises(ConversionError, match=rf"{type(model).__name__}.{attribute} holds NaN or infinity") as caught:
        of(model, method=transformed)
    assert caught.value.field == attribute


def test_a_column_that_was_missing_altogether_is_refused():
    rows = ROWS.copy()
    rows[:, 2] = np.nan
    with np.errstate(all="ignore"):
        model = StandardScaler().fit(rows)
    with pytest.raises(ConversionError, match=r"StandardScaler.mean_ holds NaN"):
        of(model, method=transformed)


def test_an_unknown_norm_is_refused():
    model = Normalizer().fit(ROWS)
    model.norm = "l3"
    with pytest.raises(ConversionError, match="norm='l3' is not converted"):
        of(model, method=transformed)


def test_a_threshold_is_not_above_itself():
    threshold = float(np.nextafter(0.1, 1))
    model = Binarizer(threshold=threshold).fit(ROWS)
    beside = np.array([np.nextafter(threshold, 0), threshold, np.nextafter(threshold, 1), 5e-324])
    node = transformed(Binarizer(threshold=threshold).fit(beside[np.newaxis]), Array(size=4))
    np.testing.assert_array_equal(values(node, beside[np.newaxis]), [[0, 0, 1, 0]])
    assert_transforms(model)


def test_a_threshold_that_is_a_float32_stays_one():
    """So a runtime that keeps thresholds in float32, or takes the least numbers for 0, still asks the same."""
    node = transformed(Binarizer().fit(ROWS), Array(size=ROWS.shape[1]))
    assert [float(tree.threshold[0]) for tree in node.trees] == [0.0] * ROWS.shape[1]
