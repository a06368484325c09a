from __future__ import annotations

import numpy as np
import pytest
from sklearn import feature_selection as fs
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.svm import LinearSVC

from mlpublish.converting.graph.node import Pick
from mlpublish.converting.of_sklearn.reading import transformed
from mlpublish.converting.of_sklearn.selection import READERS
from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import AMOUNT, ROWS, TWO, assert_classifies, assert_predicts, assert_transforms, of

CALM = (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0)
WIDE = np.column_stack([np.zeros(60), CALM, np.random.default_rng(5).normal(size=(60, 3))])

SELECTORS = {
    "GenericUnivariateSelect": fs.GenericUnivariateSelect(fs.f_classif, mode="k_best", param=3),
    "RFE": fs.RFE(LogisticRegression(), n_features_to_select=3),
    "RFECV": fs.RFECV(LogisticRegression(), cv=2),
    "SelectFdr": fs.SelectFdr(),
    "SelectFpr": fs.SelectFpr(),
    "SelectFromModel": fs.SelectFromModel(LogisticRegression()),
    "SelectFromModel, at most 2": fs.SelectFromModel(LogisticRegression(), max_features=2),
    "SelectFwe": fs.SelectFwe(),
    "SelectKBest": fs.SelectKBest(k=3),
    "SelectKBest, all": fs.SelectKBest(k="all"),
    "SelectPercentile": fs.SelectPercentile(percentile=30),
    "SequentialFeatureSelector": fs.SequentialFeatureSelector(LinearRegression(), n_features_to_select=2, cv=2),
    "VarianceThreshold": fs.VarianceThreshold(),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", SELECTORS.values(), ids=SELECTORS)
def test_a_selector_is_the_features_that_it_keeps(model):
    node = assert_transforms(model.fit(WIDE, TWO), WIDE)
    assert (0 < node.width < WIDE.shape[1]) == isinstance(node, Pick)


def test_every_selector_is_tried():
    assert {name.rpartition(".")[2] for name in READERS} == {type(model).__name__ for model in SELECTORS.values()}


def test_a_model_that_was_fitted_before_selects():
    model = fs.SelectFromModel(Lasso(0.5).fit(WIDE, AMOUNT), prefit=True).fit(WIDE)
    assert 0 < assert_transforms(model, WIDE).width < 8


@pytest.mark.filterwarnings("ignore")
def test_no_feature_is_refused():
    model = fs.SelectFpr(alpha=1e-300).fit(WIDE, TWO)
    with pytest.raises(ConversionError, match="SelectFpr keeps no feature"):
        of(model, method=transformed)


@pytest.mark.parametrize("kind", [fs.RFE, fs.RFECV], ids=["chosen number", "cross-validated"])
def test_an_elimination_answers_as_its_estimator_does(kind):
    assert_classifies(kind(LogisticRegression()).fit(WIDE, TWO), WIDE)
    assert_classifies(kind(LinearSVC(random_state=0)).fit(WIDE, TWO), WIDE)
    assert_predicts(kind(Ridge()).fit(WIDE, AMOUNT), WIDE)
