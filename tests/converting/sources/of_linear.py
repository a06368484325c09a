"""Linear models of scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from sklearn import linear_model as linear
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC, LinearSVR

from tests.converting.sources.data import COUNTS, NUMBER_FRAME, NUMBERS, POSITIVE, TEXTS, THREE, TWO, TWO_NUMBERS, TWO_TEXTS
from tests.converting.sources.entry import Entry
from tests.converting.sources.entry import of_scikit_learn as of

_REGRESSORS = {
    "LinearRegression": linear.LinearRegression,
    "Ridge": linear.Ridge,
    "Lasso": lambda: linear.Lasso(alpha=0.1),
    "ElasticNet": lambda: linear.ElasticNet(alpha=0.1),
}
_ALONE = {
    "RidgeCV": linear.RidgeCV,
    "LassoCV": lambda: linear.LassoCV(cv=3),
    "ElasticNetCV": lambda: linear.ElasticNetCV(cv=3),
    "BayesianRidge": linear.BayesianRidge,
    "HuberRegressor": lambda: make_pipeline(StandardScaler(), linear.HuberRegressor()),
}


def entries() -> Iterator[Entry]:
    for name, make in _REGRESSORS.items():
        yield from of(name, regression=(make, NUMBERS), two_targets=(make, TWO_NUMBERS), frame=(make, NUMBER_FRAME))
    for name, make in _ALONE.items():
        yield from of(name, regression=(make, NUMBERS))
    yield from of(
        "PoissonRegressor, GammaRegressor, TweedieRegressor",
        poisson=(_scaled(linear.PoissonRegressor), COUNTS),
        gamma=(_scaled(linear.GammaRegressor), POSITIVE),
        tweedie=(_scaled(lambda: linear.TweedieRegressor(power=1.5)), COUNTS),
        tweedie_of_identity=(_scaled(lambda: linear.TweedieRegressor(power=0)), NUMBERS),
    )
    yield from of(
        "LogisticRegression",
        binary=(_scaled(linear.LogisticRegression), TWO),
        binary_on_raw_rows=(lambda: linear.LogisticRegression(max_iter=2000), TWO_TEXTS),
        multinomial=(_scaled(linear.LogisticRegression), THREE),
        texts=(_scaled(linear.LogisticRegression), TEXTS),
        one_vs_rest=(_scaled(lambda: OneVsRestClassifier(linear.LogisticRegression())), THREE),
        liblinear=(_scaled(lambda: linear.LogisticRegression(solver="liblinear")), TWO),
        cross_validated=(_scaled(lambda: linear.LogisticRegressionCV(Cs=2, cv=2)), THREE),
        **_multi_class(),
    )
    yield from _stochastic()
    yield from of(
        "LinearSVC",
        binary=(_scaled(LinearSVC), TWO),
        three_classes=(_scaled(LinearSVC), TEXTS),
    )
    yield from of("LinearSVR", regression=(_scaled(LinearSVR), NUMBERS))
    yield from of(
        "RidgeClassifier",
        binary=(linear.RidgeClassifier, TWO),
        three_classes=(linear.RidgeClassifier, THREE),
    )
    yield from of("Perceptron", three_classes=(_scaled(lambda: linear.Perceptron(random_state=0)), THREE))


def _multi_class():
    """A setting that scikit-learn 1.8 has taken away."""
    if not version("scikit-learn").startswith("1.5."):
        return {}
    return {
        "multi_class_ovr": (_scaled(lambda: linear.LogisticRegression(multi_class="ovr")), THREE),
        "multi_class_multinomial": (_scaled(lambda: linear.LogisticRegression(multi_class="multinomial")), TWO),
    }


def _stochastic() -> Iterator[Entry]:
    yield from of(
        "SGDClassifier",
        hinge_binary=(_scaled(lambda: linear.SGDClassifier(random_state=0)), TWO),
        hinge=(_scaled(lambda: linear.SGDClassifier(random_state=0)), THREE),
        log_loss_binary=(_scaled(lambda: linear.SGDClassifier(loss="log_loss", random_state=0)), TWO),
        log_loss=(_scaled(lambda: linear.SGDClassifier(loss="log_loss", random_state=0)), THREE),
        modified_huber_binary=(_scaled(lambda: linear.SGDClassifier(loss="modified_huber", random_state=0)), TWO),
        modified_huber=(_scaled(lambda: linear.SGDClassifier(loss="modified_huber", random_state=0)), THREE),
    )
    yield from of(
        "SGDRegressor",
        squared_error=(_scaled(lambda: linear.SGDRegressor(random_state=0)), NUMBERS),
        huber=(_scaled(lambda: linear.SGDRegressor(loss="huber", random_state=0)), NUMBERS),
    )


def _scaled(make):
    return lambda: make_pipeline(StandardScaler(), make())
