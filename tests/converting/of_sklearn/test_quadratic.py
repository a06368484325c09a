from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from mlpublish.converting.convert import convert
from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.coreml.evaluate import load
from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import HELD_OUT, ROWS, THREE, TWO, assert_classifies, of

MODELS = {
    "plain": QuadraticDiscriminantAnalysis(),
    "shrunk": QuadraticDiscriminantAnalysis(reg_param=0.3),
    "priors": QuadraticDiscriminantAnalysis(priors=[0.9, 0.1]),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_two_classes_are_told_by_their_distances(model):
    assert_classifies(model.fit(ROWS, TWO))


def test_three_classes_are_told_by_their_distances():
    assert_classifies(QuadraticDiscriminantAnalysis().fit(ROWS, THREE))


def test_a_saved_file_answers_as_the_library_does(tmp_path):
    model = QuadraticDiscriminantAnalysis().fit(ROWS, THREE)
    converted = convert(model, name="m", samples=ROWS, out=tmp_path, progress=False)
    got = load(converted.path).predict_rows(SklearnSource(model).inputs(HELD_OUT))
    np.testing.assert_array_equal(got["classLabel"], model.predict(HELD_OUT))
    np.testing.assert_allclose(got["classProbability"], model.predict_proba(HELD_OUT), atol=1e-5)


@pytest.mark.parametrize(
    ("attribute", "place", "value"),
    [("scalings_", 1, 0.0), ("scalings_", 0, np.nan), ("rotations_", 1, np.inf), ("means_", 0, np.nan), ("priors_", 1, 0.0)],
    ids=["no spread", "NaN", "infinite", "mean", "prior"],
)
def test_numbers_that_are_not_finite_are_refused(attribute, place, value):
    model = QuadraticDiscriminantAnalysis().fit(ROWS, TWO)
    held = getattr(model, attribute)
    if attribute == "priors_":
        held[place] = value
    else:
        held[place].flat[0] = value
    with pytest.raises(ConversionError, match=rf"QuadraticDiscriminantAnalysis.{attribute} holds NaN or infinity"):
        of(model)
