"""What of scikit-learn is met more rarely: further linear models and projections, and estimators around estimators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn import decomposition, discriminant_analysis, feature_selection, preprocessing, random_projection
from sklearn import linear_model as linear
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.kernel_approximation import RBFSampler
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from tests.converting.sources.data import NUMBERS, POSITIVE, THREE, TWO, TWO_NUMBERS
from tests.converting.sources.entry import Entry, with_scores
from tests.converting.sources.entry import of_scikit_learn as of

Make = Callable[[], Any]

_LEAST_ANGLES: dict[str, Make] = {
    "Lars": linear.Lars,
    "LarsCV": lambda: linear.LarsCV(cv=2),
    "LassoLars": lambda: linear.LassoLars(alpha=0.01),
    "LassoLarsCV": lambda: linear.LassoLarsCV(cv=2),
    "LassoLarsIC": linear.LassoLarsIC,
    "OrthogonalMatchingPursuit": linear.OrthogonalMatchingPursuit,
    "OrthogonalMatchingPursuitCV": lambda: linear.OrthogonalMatchingPursuitCV(cv=2),
}
_ROBUST: dict[str, Make] = {
    "ARDRegression": linear.ARDRegression,
    "QuantileRegressor": lambda: linear.QuantileRegressor(alpha=0.01),
    "RANSACRegressor": lambda: linear.RANSACRegressor(random_state=0),
    "TheilSenRegressor": lambda: linear.TheilSenRegressor(random_state=0, max_subpopulation=50),
}
_SEVERAL_TASKS: dict[str, Make] = {
    "MultiTaskElasticNet": lambda: linear.MultiTaskElasticNet(alpha=0.1),
    "MultiTaskElasticNetCV": lambda: linear.MultiTaskElasticNetCV(cv=2),
    "MultiTaskLasso": lambda: linear.MultiTaskLasso(alpha=0.1),
    "MultiTaskLassoCV": lambda: linear.MultiTaskLassoCV(cv=2),
    "PLSRegression": PLSRegression,
}
_PROJECTIONS: dict[str, Make] = {
    "FactorAnalysis": lambda: decomposition.FactorAnalysis(2, max_iter=20, tol=1.0),
    "FastICA": lambda: decomposition.FastICA(2, random_state=0, whiten="unit-variance", tol=0.1),
    "GaussianRandomProjection": lambda: random_projection.GaussianRandomProjection(3, random_state=0),
    "IncrementalPCA": lambda: decomposition.IncrementalPCA(2),
    "NeighborhoodComponentsAnalysis": lambda: NeighborhoodComponentsAnalysis(2, random_state=0, max_iter=5),
    "RBFSampler": lambda: RBFSampler(gamma=0.1, n_components=9, random_state=0),
    "SparseRandomProjection": lambda: random_projection.SparseRandomProjection(3, random_state=0, density=0.5),
}


def entries() -> Iterator[Entry]:
    for name, make in (_LEAST_ANGLES | _ROBUST).items():
        yield from of(name, regression=(_scaled(make), NUMBERS))
    for name, make in _SEVERAL_TASKS.items():
        yield from of(name, two_targets=(_scaled(make), TWO_NUMBERS))
    for name, make in _PROJECTIONS.items():
        yield from of(name, before_a_line=(_scaled(make, linear.LogisticRegression), THREE))
    yield from _classifiers()
    yield from _steps()
    yield from _selectors()
    yield from _around()
    yield Entry(
        library="scikit-learn",
        estimator="SGDOneClassSVM",
        variant="prediction and score",
        data=NUMBERS,
        fit=lambda data: _scaled(lambda: linear.SGDOneClassSVM(nu=0.3, random_state=0))().fit(data.x),
        said=with_scores,
    )


def _classifiers() -> Iterator[Entry]:
    yield from of(
        "LinearDiscriminantAnalysis",
        binary=(discriminant_analysis.LinearDiscriminantAnalysis, TWO),
        three_classes=(discriminant_analysis.LinearDiscriminantAnalysis, THREE),
        before_a_tree=(lambda: make_pipeline(discriminant_analysis.LinearDiscriminantAnalysis(), _tree()), THREE),
    )
    yield from of(
        "QuadraticDiscriminantAnalysis",
        binary=(discriminant_analysis.QuadraticDiscriminantAnalysis, TWO),
        three_classes=(discriminant_analysis.QuadraticDiscriminantAnalysis, THREE),
    )
    yield from of("RidgeClassifierCV", three_classes=(linear.RidgeClassifierCV, THREE))
    if hasattr(linear, "PassiveAggressiveClassifier"):  # until scikit-learn 1.10
        yield from of(
            "PassiveAggressiveClassifier",
            three_classes=(_scaled(lambda: linear.PassiveAggressiveClassifier(random_state=0)), THREE),
        )
        yield from of(
            "PassiveAggressiveRegressor",
            regression=(_scaled(lambda: linear.PassiveAggressiveRegressor(random_state=0)), NUMBERS),
        )


def _steps() -> Iterator[Entry]:
    yield from of(
        "Binarizer",
        before_a_line=(lambda: make_pipeline(preprocessing.Binarizer(threshold=0.1), linear.LogisticRegression()), TWO),
        before_a_tree=(lambda: make_pipeline(preprocessing.Binarizer(threshold=0.1), _tree()), TWO),
    )
    yield from of(
        "PolynomialFeatures",
        before_a_line=(_scaled(lambda: preprocessing.PolynomialFeatures(3), linear.Ridge), NUMBERS),
        interactions=(_scaled(lambda: preprocessing.PolynomialFeatures(2, interaction_only=True), linear.Ridge), NUMBERS),
    )
    yield from of(
        "PowerTransformer",
        before_a_line=(lambda: make_pipeline(preprocessing.PowerTransformer(), linear.LogisticRegression()), THREE),
    )


def _selectors() -> Iterator[Entry]:
    line = linear.LogisticRegression
    for name, make in {
        "GenericUnivariateSelect": lambda: feature_selection.GenericUnivariateSelect(mode="k_best", param=2),
        "SelectFdr, SelectFpr, SelectFwe": feature_selection.SelectFpr,
        "SelectFromModel": lambda: feature_selection.SelectFromModel(line()),
        "SelectPercentile": lambda: feature_selection.SelectPercentile(percentile=50),
        "SequentialFeatureSelector": lambda: feature_selection.SequentialFeatureSelector(line(), n_features_to_select=2, cv=2),
    }.items():
        yield from of(name, before_a_line=(_scaled(make, line), TWO))
    for name, make in {
        "RFE": lambda: feature_selection.RFE(line(), n_features_to_select=2),
        "RFECV": lambda: feature_selection.RFECV(line(), cv=2),
    }.items():
        yield from of(name, classifier=(_scaled(make), TWO), before_a_tree=(_scaled(make, _tree), TWO))


def _around() -> Iterator[Entry]:
    yield from of(
        "OneVsRestClassifier",
        logistic=(_scaled(lambda: OneVsRestClassifier(linear.LogisticRegression())), THREE),
        label_only=(_scaled(lambda: OneVsRestClassifier(LinearSVC(random_state=0))), THREE),
        trees=(lambda: OneVsRestClassifier(_tree()), THREE),
    )
    yield from of("MultiOutputRegressor", lines=(lambda: MultiOutputRegressor(linear.Ridge()), TWO_NUMBERS))
    yield from of("RegressorChain", lines=(lambda: RegressorChain(linear.Ridge()), TWO_NUMBERS))
    yield from of(
        "TransformedTargetRegressor",
        functions=(lambda: TransformedTargetRegressor(linear.Ridge(), func=np.log, inverse_func=np.exp), POSITIVE),
        scaler=(lambda: TransformedTargetRegressor(linear.Ridge(), transformer=StandardScaler()), NUMBERS),
    )


def _tree() -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=3, random_state=0)


def _scaled(*makes: Make) -> Make:
    return lambda: make_pipeline(StandardScaler(), *(make() for make in makes))
