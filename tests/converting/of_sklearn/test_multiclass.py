from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import ROWS, THREE, TWO, assert_classifies, of

FOUR = np.digitize(ROWS @ [1, 0.2, 3, -1], [7, 11, 15])
BASES = {
    "decisions": make_pipeline(StandardScaler(), LogisticRegression()),
    "line": make_pipeline(StandardScaler(), LinearSVC(random_state=0)),
    "machine": SVC(),
    "probabilities": GaussianNB(),
    "votes": KNeighborsClassifier(3),
}


def fitted(model, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(ROWS, target)


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
@pytest.mark.parametrize("target", [TWO, THREE, FOUR, np.array(["a", "b", "c"])[THREE]], ids=["two", "three", "four", "texts"])
def test_every_pair_of_classes_has_its_classifier(target, base):
    assert_classifies(fitted(OneVsOneClassifier(base), target))


def test_a_precomputed_kernel_is_refused():
    model = OneVsOneClassifier(SVC(kernel="precomputed")).fit(ROWS @ ROWS.T, THREE)
    with pytest.raises(ConversionError, match="precomputed kernel") as caught:
        of(model)
    assert caught.value.field == "pairwise_indices_"
