from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlpublish.coreml.classic import run as classic
from mlpublish.coreml.evaluate import load, unsupported
from mlpublish.coreml.schema import schema
from mlpublish.errors import ConversionError

X = np.asarray([[1.0, 2.0], [-3.0, 0.5]], np.float32)


def _two_classes(glm):
    glm.weights.add().value.extend([0.5, -1.0])
    glm.offset.append(0.25)
    glm.classEncoding = glm.OneVsRest
    glm.int64ClassLabels.vector.extend([7, 9])


def test_one_row_of_weights_speaks_for_the_second_class(glm):
    model = load(glm(_two_classes))
    got = model.predict_rows({"input": X})
    second = 1 / (1 + np.exp(-(X @ [0.5, -1.0] + 0.25)))
    assert model.classes == (7, 9)
    np.testing.assert_allclose(got["classProbability"], np.column_stack([1 - second, second]), rtol=1e-12)
    np.testing.assert_array_equal(got["classLabel"], np.where(second > 0.5, 9, 7))


def test_one_against_the_rest_is_scaled_to_a_sum_of_one(glm):
    def fill(model):
        for row in ([1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]):
            model.weights.add().value.extend(row)
        model.offset.extend([0, 0, 0])
        model.classEncoding = model.OneVsRest
        model.int64ClassLabels.vector.extend([0, 1, 2])

    got = load(glm(fill)).predict_rows({"input": X})
    np.testing.assert_allclose(got["classProbability"].sum(axis=1), 1)
    np.testing.assert_array_equal(got["classLabel"], [1, 2])


def test_a_regression_is_a_number_per_row(glm):
    def fill(model):
        model.weights.add().value.extend([2.0, 3.0])
        model.offset.append(-1.0)

    got = load(glm(fill, kind="glmRegressor")).predict_rows({"input": X})["prediction"]
    np.testing.assert_allclose(got, X @ [2.0, 3.0] - 1)


@given(arrays.arrays(np.float64, (2, 3), elements=st.floats(-1e6, 1e6)))
def test_a_scaler_shifts_first(values):
    spec = schema("Model").Model(specificationVersion=1)
    spec.description.input.add(name="in")
    spec.description.output.add(name="out")
    spec.scaler.shiftValue.extend([1, 2, 3])
    spec.scaler.scaleValue.extend([2, 3, 4])
    np.testing.assert_allclose(classic.Classic(spec).run({"in": values})["out"], (values + np.asarray([1, 2, 3])) * [2, 3, 4])


@pytest.mark.parametrize(
    ("kind", "fill", "named"),
    [
        ("glmClassifier", lambda m: setattr(m, "postEvaluationTransform", m.Probit), "glmClassifier with the probit link"),
        ("glmClassifier", lambda m: [m.weights.add() for _ in range(2)], "glmClassifier with a reference class of several"),
        ("glmRegressor", lambda m: setattr(m, "postEvaluationTransform", m.Logit), "glmRegressor with a link function"),
        ("normalizer", lambda m: setattr(m, "normType", 1), "normalizer"),
    ],
)
def test_what_is_not_evaluated_is_named(glm, kind, fill, named):
    path = glm(fill, kind=kind)
    assert named in unsupported(path)
    with pytest.raises(ConversionError, match=named):
        load(path)


def test_labels_and_weights_that_do_not_fit_are_refused(glm):
    def fill(model):
        _two_classes(model)
        model.int64ClassLabels.vector.append(11)

    with pytest.raises(ConversionError, match="3 labels for 2"):
        load(glm(fill)).predict_rows({"input": X})


def test_weights_of_another_width_are_refused(glm):
    def fill(model):
        _two_classes(model)
        model.weights[0].value.append(1.0)

    with pytest.raises(ConversionError, match="glmClassifier"):
        load(glm(fill)).predict_rows({"input": X})
