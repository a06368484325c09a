"""Transformers of scikit-learn, alone and in pipelines, and frames with named columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn import decomposition, ensemble, feature_selection, preprocessing
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.tree import DecisionTreeClassifier

from tests.converting.sources.data import (
    FRAME,
    FRAME_TEXTS,
    FRAME_TWO,
    NUMBER_COLUMNS,
    NUMBERS,
    POSITIVE,
    TEXT_COLUMNS,
    THREE,
    TWO,
    above_zero,
    frame_with_gaps,
    with_gaps,
    with_unknown,
)
from tests.converting.sources.entry import Entry
from tests.converting.sources.entry import of_scikit_learn as of


def _tree():
    return DecisionTreeClassifier(max_depth=5, random_state=0)


def _forest():
    return ensemble.RandomForestClassifier(6, max_depth=5, random_state=0)


STEPS = {
    "StandardScaler": preprocessing.StandardScaler,
    "MinMaxScaler": lambda: preprocessing.MinMaxScaler(clip=True),
    "RobustScaler": preprocessing.RobustScaler,
    "MaxAbsScaler": preprocessing.MaxAbsScaler,
    "Normalizer": preprocessing.Normalizer,
    "SelectKBest": lambda: feature_selection.SelectKBest(k=3),
    "VarianceThreshold": lambda: feature_selection.VarianceThreshold(0.1),
    "PCA": lambda: decomposition.PCA(3, random_state=0),
    "TruncatedSVD": lambda: decomposition.TruncatedSVD(3, random_state=0),
    "FunctionTransformer": lambda: preprocessing.FunctionTransformer(np.cbrt),
}


def _before(make, last):
    return lambda: make_pipeline(make(), last())


def entries() -> Iterator[Entry]:
    for name, make in STEPS.items():
        yield from of(
            name,
            alone=(make, THREE),
            before_a_line=(_before(make, lambda: LogisticRegression(max_iter=2000)), TWO),
            before_a_tree=(_before(make, _tree), THREE),
        )
    yield from of(
        "FunctionTransformer, other functions",
        log1p=(_before(lambda: preprocessing.FunctionTransformer(np.log1p), _tree), above_zero(THREE)),
        sqrt=(_before(lambda: preprocessing.FunctionTransformer(np.sqrt), LinearRegression), above_zero(NUMBERS)),
        square=(_before(lambda: preprocessing.FunctionTransformer(np.square), _tree), THREE),
        identity=(_before(preprocessing.FunctionTransformer, _tree), THREE),
    )
    yield from of(
        "PCA, whitened",
        before_a_line=(_before(lambda: decomposition.PCA(3, whiten=True, random_state=0), LogisticRegression), THREE),
    )
    yield from _imputers()
    yield from _encoders()
    yield from _composites()


def _imputers() -> Iterator[Entry]:
    def imputer(**asked):
        return lambda: SimpleImputer(**asked)

    line, gaps = lambda: LogisticRegression(max_iter=2000), with_gaps(THREE)
    yield from of(
        "SimpleImputer",
        alone=(imputer(), gaps),
        mean=(_before(imputer(), line), gaps),
        median_before_a_tree=(_before(imputer(strategy="median"), _tree), gaps),
        constant=(_before(imputer(strategy="constant", fill_value=-1.0), _tree), gaps),
        indicator=(_before(imputer(add_indicator=True), _tree), gaps),
    )


def _encoders() -> Iterator[Entry]:
    def hot(**asked):
        return lambda: make_column_transformer((preprocessing.OneHotEncoder(**asked), TEXT_COLUMNS), remainder="passthrough")

    def ordinal(**asked):
        encoder = preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, **asked)
        return lambda: make_column_transformer((encoder, TEXT_COLUMNS), remainder="passthrough")

    line = lambda: LogisticRegression(max_iter=4000)  # noqa: E731
    unknown = with_unknown(FRAME_TEXTS)
    yield from of(
        "OneHotEncoder",
        before_a_line=(_before(hot(), line), FRAME_TWO),
        before_a_forest=(_before(hot(), _forest), FRAME_TEXTS),
        unknown_ignored=(_before(hot(handle_unknown="ignore"), _tree), unknown),
        first_dropped=(_before(hot(drop="first"), line), FRAME_TEXTS),
    )
    yield from of(
        "OrdinalEncoder",
        before_a_forest=(_before(ordinal(), _forest), FRAME_TEXTS),
        unknown=(_before(ordinal(), _tree), unknown),
    )


def _composites() -> Iterator[Entry]:
    def columns(last):
        numbers = make_pipeline(SimpleImputer(strategy="median"), preprocessing.StandardScaler())
        texts = make_pipeline(SimpleImputer(strategy="most_frequent"), preprocessing.OneHotEncoder(handle_unknown="ignore"))
        return lambda: Pipeline(
            [("columns", ColumnTransformer([("n", numbers, NUMBER_COLUMNS), ("t", texts, TEXT_COLUMNS)])), ("last", last())]
        )

    yield from of(
        "ColumnTransformer",
        line=(columns(lambda: LogisticRegression(max_iter=500)), frame_with_gaps(FRAME_TWO)),
        three_classes=(columns(lambda: LogisticRegression(max_iter=500)), frame_with_gaps(FRAME_TEXTS)),
        forest=(columns(_forest), frame_with_gaps(FRAME_TEXTS)),
        boosting=(columns(lambda: ensemble.GradientBoostingRegressor(n_estimators=6, random_state=0)), frame_with_gaps(FRAME)),
    )
    union = FeatureUnion([("scaled", preprocessing.StandardScaler()), ("best", feature_selection.SelectKBest(k=2))])
    yield from of(
        "FeatureUnion",
        before_a_line=(lambda: make_pipeline(union, LogisticRegression(max_iter=500)), THREE),
        before_a_tree=(lambda: make_pipeline(union, _tree()), THREE),
    )
    yield from of(
        "Pipeline",
        passthrough=(lambda: Pipeline([("none", "passthrough"), ("tree", _tree())]), THREE),
        nested=(lambda: make_pipeline(make_pipeline(preprocessing.MinMaxScaler()), _forest()), THREE),
        searched=(lambda: GridSearchCV(_tree(), {"max_depth": [2, 3]}, cv=2), THREE),
        target_transformed=(
            lambda: TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1),
            POSITIVE,
        ),
    )
