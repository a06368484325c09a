from __future__ import annotations

import numpy as np
import pytest
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB

from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import HELD_OUT, ROWS, THREE, TWO, assert_classifies, of

COUNTS = np.abs(np.rint(ROWS))
NEW_COUNTS = np.abs(np.rint(HELD_OUT))
CLASSES = pytest.mark.parametrize("target", [TWO, THREE], ids=["two classes", "three"])


@CLASSES
@pytest.mark.parametrize("settings", [{}, {"var_smoothing": 0.1}], ids=["plain", "smoothed"])
def test_normal_distributions(target, settings):
    assert_classifies(GaussianNB(**settings).fit(ROWS, target))


@CLASSES
@pytest.mark.parametrize("kind", [MultinomialNB, ComplementNB, BernoulliNB])
@pytest.mark.parametrize("settings", [{}, {"alpha": 0.01}, {"fit_prior": False}], ids=["plain", "sharp", "no prior"])
def test_counts(settings, kind, target):
    assert_classifies(kind(**settings).fit(COUNTS, target), NEW_COUNTS)


def test_complements_may_be_normalised():
    assert_classifies(ComplementNB(norm=True).fit(COUNTS, THREE), NEW_COUNTS)


@CLASSES
@pytest.mark.parametrize("bound", [0.1, 3.0, 0.0])
def test_what_is_above_a_bound_is_there(bound, target):
    beside = [[bound, np.nextafter(bound, 9), np.nextafter(bound, -9), np.float32(bound)]]
    assert_classifies(BernoulliNB(binarize=bound).fit(ROWS, target), np.vstack([HELD_OUT, beside, np.roll(beside, 1)]))


def test_what_is_binary_stays_as_it_is():
    assert_classifies(BernoulliNB(binarize=None).fit((ROWS > 0).astype(float), THREE), (HELD_OUT > 0).astype(float))


def test_categories_are_refused():
    with pytest.raises(ConversionError, match="CategoricalNB is not converted"):
        of(CategoricalNB().fit(COUNTS.astype(int), TWO))


def test_one_class_is_refused():
    with pytest.raises(ConversionError, match="knows one class only"):
        of(GaussianNB().fit(ROWS, np.zeros(60, dtype=int)))


def test_a_prior_of_zero_is_refused():
    with pytest.raises(ConversionError, match="class_prior_ holds NaN or infinity"):
        of(GaussianNB(priors=[1.0, 0.0]).fit(ROWS, TWO))
