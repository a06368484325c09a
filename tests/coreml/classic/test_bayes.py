from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from mlpublish.coreml.classic.run import Classic, unsupported
from mlpublish.errors import ConversionError
from tests.coreml.classic.building import model, run

WEIGHTS = {(0, 0): (0.5, 4.0), (0, 7): (-1.0, 2.0), (1, 3): (0.25, 1.0), (1, 4): (2.0, 10.0), (2, 2**32 - 1): (0.125, 8.0)}
BIAS = (-0.5, 5.0)
OUTPUTS = ("y", "mean", "variance", "low")


def probit(shape=3, outputs=OUTPUTS):
    inputs = {"x": shape, "optimism": "double"}
    spec = model("bayesianProbitRegressor", inputs, dict.fromkeys(outputs, "double"), optional=("optimism",))
    spec.description.predictedFeatureName = "y"
    held = spec.bayesianProbitRegressor
    held.numberOfFeatures = 3
    held.bias.mean, held.bias.precision = BIAS
    for feature in range(3):
        added = held.features.add(featureId=feature)
        for (of, value), (mean, precision) in WEIGHTS.items():
            if of == feature:
                weight = added.weights.add(featureValue=value).featureWeight
                weight.mean, weight.precision = mean, precision
    held.regressionInputFeatureName, held.optimismInputFeatureName = "x", "optimism"
    held.meanOutputFeatureName, held.varianceOutputFeatureName = "mean", "variance"
    held.pessimisticProbabilityOutputFeatureName = "low"
    return spec


def by_hand(pairs, optimism=0.0):
    mean = BIAS[0] + sum(WEIGHTS[each][0] for each in pairs)
    variance = 1 / BIAS[1] + sum(1 / WEIGHTS[each][1] for each in pairs)
    low = NormalDist().cdf(mean + optimism * math.sqrt(variance))
    return [NormalDist().cdf(mean), mean, variance, low]


ROWS = [[0, 3, 2**32 - 1], [7, 4, 2**32 - 1]]
PAIRS = [[(0, 0), (1, 3), (2, 2**32 - 1)], [(0, 7), (1, 4), (2, 2**32 - 1)]]


def test_a_vector_names_the_value_of_each_feature():
    got = run(probit(), x=np.asarray(ROWS), optimism=np.asarray([-2.0, 1.0]))
    want = [by_hand(pairs, each) for pairs, each in zip(PAIRS, [-2.0, 1.0], strict=True)]
    np.testing.assert_allclose(np.column_stack([got[name] for name in OUTPUTS]), want, rtol=1e-12)


def test_two_columns_name_features_and_values_in_any_order():
    rows = np.asarray([[[2, 2**32 - 1], [0, 7]], [[1, 4], [0, 0]]])
    got = run(probit((2, 2)), x=rows)
    want = [by_hand([(2, 2**32 - 1), (0, 7)]), by_hand([(1, 4), (0, 0)])]
    np.testing.assert_allclose(np.column_stack([got[name] for name in OUTPUTS]), want, rtol=1e-12)


def test_a_sampled_probability_is_named():
    spec = probit(outputs=("y", "drawn"))
    spec.bayesianProbitRegressor.sampledProbabilityOutputFeatureName = "drawn"
    assert unsupported(spec) == ["bayesianProbitRegressor with a sampled probability"]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ([0, 3, 5], "feature 2 has no weight for the value 5"),
        ([0, 3, -1], "no whole number"),
        ([0.5, 3, 0], "no whole number"),
        ([0, 3], "2 features, not 3"),
        ([[[0, 3, 1]]], "neither a vector nor two columns"),
    ],
)
def test_values_that_have_no_weight_are_refused(row, told):
    with pytest.raises(ConversionError, match=told):
        run(probit(), x=np.asarray([row]))


@pytest.mark.parametrize(
    "broken",
    [
        lambda held: setattr(held.bias, "precision", 0.0),
        lambda held: setattr(held.bias, "mean", math.nan),
        lambda held: held.ClearField("bias"),
        lambda held: held.features.add(featureId=0).weights.add(featureValue=7),
        lambda held: held.features.add().CopyFrom(held.features[0]),
        lambda held: held.ClearField("features"),
        lambda held: setattr(held, "numberOfFeatures", 2**32 - 1),
        lambda held: setattr(held, "regressionInputFeatureName", "other"),
    ],
)
def test_weights_that_do_not_hold_together_are_refused(broken):
    spec = probit()
    broken(spec.bayesianProbitRegressor)
    with pytest.raises(ConversionError, match="bayesianProbitRegressor"):
        Classic(spec).run({"x": np.asarray(ROWS)})
