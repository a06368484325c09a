"""Trees and ensembles of trees of scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version

from sklearn import ensemble
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from tests.converting.sources.data import (
    BOOLEANS,
    COUNTS,
    NUMBER_FRAME,
    NUMBER_FRAME_THREE,
    NUMBERS,
    ODD_LABELS,
    POSITIVE,
    TEXTS,
    THREE,
    TWO,
    TWO_NUMBERS,
    with_gaps,
)
from tests.converting.sources.entry import Entry, with_scores
from tests.converting.sources.entry import of_scikit_learn as of

_FEW = {"n_estimators": 6, "random_state": 0}
_OLD = version("scikit-learn").startswith("1.5.")  # extra trees take no missing values yet
_SAMME = {"algorithm": "SAMME"} if _OLD else {}  # the only one since
_CLASSIFIERS = {
    "DecisionTreeClassifier": lambda: DecisionTreeClassifier(max_depth=5, random_state=0),
    "ExtraTreeClassifier": lambda: ExtraTreeClassifier(max_depth=5, random_state=0),
    "RandomForestClassifier": lambda: ensemble.RandomForestClassifier(max_depth=5, **_FEW),
    "ExtraTreesClassifier": lambda: ensemble.ExtraTreesClassifier(max_depth=5, **_FEW),
}
_REGRESSORS = {
    "DecisionTreeRegressor": lambda: DecisionTreeRegressor(max_depth=5, random_state=0),
    "ExtraTreeRegressor": lambda: ExtraTreeRegressor(max_depth=5, random_state=0),
    "RandomForestRegressor": lambda: ensemble.RandomForestRegressor(max_depth=5, **_FEW),
    "ExtraTreesRegressor": lambda: ensemble.ExtraTreesRegressor(max_depth=5, **_FEW),
}


def entries() -> Iterator[Entry]:
    for name, make in _CLASSIFIERS.items():
        gaps = {} if name.startswith("ExtraTree") and _OLD else {"missing_values": (make, with_gaps(THREE))}
        yield from of(name, binary=(make, BOOLEANS), three_classes=(make, TEXTS), frame=(make, NUMBER_FRAME_THREE), **gaps)
    for name, make in _REGRESSORS.items():
        gaps = {} if name.startswith("ExtraTree") and _OLD else {"missing_values": (make, with_gaps(NUMBERS))}
        yield from of(name, regression=(make, NUMBERS), two_targets=(make, TWO_NUMBERS), **gaps)
    yield from of(
        "DecisionTreeClassifier, scaled",
        standard_scaler=(lambda: make_pipeline(StandardScaler(), _CLASSIFIERS["DecisionTreeClassifier"]()), THREE),
        min_max_scaler=(lambda: make_pipeline(MinMaxScaler(), _CLASSIFIERS["DecisionTreeClassifier"]()), THREE),
    )
    yield from _boosted()
    yield from _by_histograms()
    yield from of(
        "AdaBoostClassifier",
        binary=(lambda: ensemble.AdaBoostClassifier(**_SAMME, **_FEW), TWO),
        three_classes=(lambda: ensemble.AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), **_SAMME, **_FEW), TEXTS),
    )
    yield from of("AdaBoostRegressor", regression=(lambda: ensemble.AdaBoostRegressor(**_FEW), NUMBERS))
    yield from of(
        "BaggingClassifier, BaggingRegressor",
        classifier=(lambda: ensemble.BaggingClassifier(**_FEW), THREE),
        regressor=(lambda: ensemble.BaggingRegressor(**_FEW), NUMBERS),
    )
    for entry in of(
        "IsolationForest",
        plain=(lambda: ensemble.IsolationForest(**_FEW), NUMBERS),
        contaminated=(lambda: ensemble.IsolationForest(contamination=0.1, max_features=3, **_FEW), NUMBERS),
    ):
        yield replace(entry, said=with_scores)


def _boosted() -> Iterator[Entry]:
    def classifier(**asked):
        return lambda: ensemble.GradientBoostingClassifier(**_FEW, **asked)

    def regressor(**asked):
        return lambda: ensemble.GradientBoostingRegressor(**_FEW, **asked)

    yield from of(
        "GradientBoostingClassifier",
        binary=(classifier(), TWO),
        three_classes=(classifier(), TEXTS),
        exponential=(classifier(loss="exponential"), TWO),
        from_zero=(classifier(init="zero"), THREE),
        from_a_model=(classifier(init=GaussianNB()), THREE),
    )
    yield from of(
        "GradientBoostingRegressor",
        squared_error=(regressor(), NUMBERS),
        absolute_error=(regressor(loss="absolute_error"), NUMBERS),
        huber=(regressor(loss="huber"), NUMBERS),
        quantile=(regressor(loss="quantile", alpha=0.8), NUMBERS),
        from_zero=(regressor(init="zero"), NUMBERS),
    )


def _by_histograms() -> Iterator[Entry]:
    few = {"max_iter": 5, "max_leaf_nodes": 6, "min_samples_leaf": 5, "random_state": 0}

    def classifier(**asked):
        return lambda: ensemble.HistGradientBoostingClassifier(**few, **asked)

    def regressor(**asked):
        return lambda: ensemble.HistGradientBoostingRegressor(**few, **asked)

    yield from of(
        "HistGradientBoostingClassifier",
        binary=(classifier(), TWO),
        three_classes=(classifier(), ODD_LABELS),
        missing_values=(classifier(), with_gaps(THREE)),
        frame=(classifier(), NUMBER_FRAME_THREE),
    )
    yield from of(
        "HistGradientBoostingRegressor",
        squared_error=(regressor(), NUMBERS),
        absolute_error=(regressor(loss="absolute_error"), NUMBERS),
        quantile=(regressor(loss="quantile", quantile=0.7), NUMBERS),
        poisson=(regressor(loss="poisson"), COUNTS),
        gamma=(regressor(loss="gamma"), POSITIVE),
        missing_values=(regressor(), with_gaps(NUMBERS)),
        frame=(regressor(), NUMBER_FRAME),
        several_targets=(lambda: MultiOutputRegressor(regressor()()), TWO_NUMBERS),
        chained_targets=(lambda: RegressorChain(regressor()()), TWO_NUMBERS),
    )
    yield from of(
        "Trees in StackingClassifier",
        forest_and_boosting=(
            lambda: ensemble.StackingClassifier(
                [("f", _CLASSIFIERS["RandomForestClassifier"]()), ("h", classifier()())], LogisticRegression(), cv=2
            ),
            THREE,
        ),
    )
