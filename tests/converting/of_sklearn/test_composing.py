from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from mlpublish.converting.graph.answer import Classified, nodes_of
from mlpublish.converting.graph.node import Array, Column, Pick
from mlpublish.converting.of_sklearn.composing import places_of, steps_of
from mlpublish.converting.of_sklearn.reading import answered, can, classified, decided, innermost
from mlpublish.errors import ConversionError
from tests.converting.graphs import values
from tests.converting.of_sklearn.agreeing import (
    AMOUNT,
    HELD_OUT,
    ROWS,
    TWO,
    assert_classifies,
    assert_predicts,
    assert_transforms,
)
from tests.converting.of_sklearn.homes import DEAR, HOMES, OTHERS, RENT, THREE, assert_agrees, read


def _prepared(**settings):
    return make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["size", "rooms"]),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), ["city", "heating"]),
        **settings,
    )


@pytest.mark.parametrize(
    ("last", "target"),
    [(LogisticRegression(), DEAR), (LogisticRegression(), THREE), (Ridge(), RENT), ("passthrough", None)],
    ids=["two classes", "three classes", "number", "no last step"],
)
@pytest.mark.parametrize("remainder", ["drop", "passthrough", MinMaxScaler()], ids=["drop", "pass", "scaled"])
def test_the_most_common_pipeline_of_all(last, target, remainder):
    model = Pipeline([("columns", _prepared(remainder=remainder)), ("last", last)]).fit(HOMES, target)
    assert_agrees(model, OTHERS.assign(city="Paris"))


COLUMNS = {
    "name": ("x", [0]),
    "place": (1, [1]),
    "last place": (-1, [3]),
    "names": (["z", "x"], [2, 0]),
    "index of pandas": (pd.Index(["z", "x"], dtype=object), [2, 0]),
    "places": ([3, 0], [3, 0]),
    "slice of places": (slice(1, 3), [1, 2]),
    "slice of places from the end": (slice(-2, None), [2, 3]),
    "slice of names": (slice("x", "z"), [0, 1, 2]),
    "slice from a name": (slice("z", None), [2, 3]),
    "mask": ([True, False, False, True], [0, 3]),
    "mask of pandas": (pd.Series([False, True, True, False]), [1, 2]),
    "selector": (make_column_selector("[xz]"), [0, 2]),
    "function": (lambda frame: list(frame.columns[1:]), [1, 2, 3]),
    "none": ([], []),
}


@pytest.mark.parametrize(("columns", "places"), COLUMNS.values(), ids=COLUMNS)
def test_columns_are_found_in_every_way_that_they_can_be_named(columns, places):
    frame = pd.DataFrame(ROWS, columns=["x", "y", "z", "w"])
    fed = [columns] if isinstance(columns, str | int) else columns  # one alone would be handed on flat
    step = ColumnTransformer([("a", MinMaxScaler(), fed), ("b", StandardScaler(), ["y"])]).fit(frame)
    assert places_of(columns if fed is not columns else step.transformers_[0][2], step) == tuple(places)
    assert_agrees(step, frame)


@pytest.mark.parametrize(
    "columns", [[0, 2], [-1], slice(1, 3), [True, False, False, True]], ids=["places", "last", "slice", "mask"]
)
@pytest.mark.parametrize("remainder", ["passthrough", "drop", StandardScaler()], ids=["pass", "drop", "scaled"])
def test_columns_of_an_array_are_picked(columns, remainder):
    step = ColumnTransformer([("a", MinMaxScaler(), columns)], remainder=remainder).fit(ROWS)
    node = assert_transforms(step)
    assert node.width == step.transform(ROWS).shape[1]


def test_what_is_dropped_is_no_input():
    answer, columns = read(make_column_transformer((StandardScaler(), ["rooms"]), ("drop", ["city"])).fit(HOMES))
    assert [each.name for each in nodes_of(answer) if isinstance(each, Column)] == ["rooms"]
    assert [each.name for each in columns if each.used] == ["rooms"]


def test_parts_are_weighed():
    parts = [("a", StandardScaler(), [0, 1]), ("b", MinMaxScaler(), [1, 2])]
    assert_transforms(ColumnTransformer(parts, transformer_weights={"a": 2.5, "b": 0.0}).fit(ROWS))
    union = FeatureUnion(
        [("a", StandardScaler()), ("b", PCA(2)), ("c", "passthrough"), ("d", "drop")], transformer_weights={"b": -3}
    )
    assert_transforms(union.fit(ROWS))


PIPELINES = {
    "one step": make_pipeline(Ridge()),
    "in one another": make_pipeline(
        make_pipeline(StandardScaler(), make_pipeline(MinMaxScaler())), make_pipeline(Lasso(alpha=0.01))
    ),
    "united": make_pipeline(make_union(StandardScaler(), make_pipeline(MinMaxScaler(), PCA(2))), Ridge()),
    "searched": GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [0.1, 1]}, cv=2),
    "searched inside": make_pipeline(StandardScaler(), RandomizedSearchCV(Ridge(), {"alpha": [0.1, 1]}, n_iter=2, cv=2)),
}


@pytest.mark.parametrize("model", PIPELINES.values(), ids=PIPELINES)
def test_pipelines_answer_as_their_last_step(model):
    assert_predicts(model.fit(ROWS, AMOUNT))


def test_steps_that_are_none_are_passed_by():
    model = Pipeline([("none", None), ("pass", "passthrough"), ("fit", Ridge())]).fit(ROWS, AMOUNT)
    (end,) = answered(model, Array(size=4)).ends
    np.testing.assert_allclose(values(end, HELD_OUT)[:, 0], model.predict(HELD_OUT))
    assert list(steps_of(model)) == [model[-1]]


def test_pipelines_that_end_in_a_transformer_transform():
    assert_transforms(make_pipeline(StandardScaler(), PCA(2)).fit(ROWS))
    assert_transforms(Pipeline([("scale", StandardScaler()), ("last", "passthrough")]).fit(ROWS))
    assert_transforms(GridSearchCV(make_pipeline(StandardScaler(), PCA(2)), {"pca__n_components": [1, 2]}, cv=2).fit(ROWS))


def test_a_searched_classifier_has_all_of_its_methods():
    model = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1]}, cv=2)
    model.fit(ROWS, TWO)
    assert_classifies(model)
    assert can(model, "classify")
    assert can(model, "decide")
    assert not can(model, "predict")
    assert innermost(model) is model.best_estimator_[-1]
    x = Array(size=4)
    assert isinstance(classified(model, x), Classified)
    np.testing.assert_allclose(values(decided(model, x), HELD_OUT)[:, 0], model.decision_function(HELD_OUT))


def test_frames_between_the_steps_change_nothing():
    model = make_pipeline(_prepared(sparse_threshold=0), StandardScaler(), Ridge()).set_output(transform="pandas")
    model[0].transformers[1][1][-1].set_params(sparse_output=False)
    assert_agrees(model.fit(HOMES, RENT))


def test_columns_behind_a_step_that_gives_frames_are_found_by_their_new_names():
    model = make_pipeline(
        make_column_transformer((OrdinalEncoder(), ["city", "lift"]), remainder="passthrough", verbose_feature_names_out=False),
        make_column_transformer((SimpleImputer(), ["size"]), ("passthrough", ["lift"])),
    )
    model[0].set_output(transform="pandas")
    assert_agrees(model.fit(HOMES.drop(columns="heating")))


def test_neighbouring_columns_of_one_array_are_picked_at_once():
    step = ColumnTransformer([("a", "passthrough", [0]), ("b", "passthrough", [2, 3])]).fit(ROWS)
    node = assert_transforms(step)
    assert isinstance(node, Pick)
    assert node.places == (0, 2, 3)


_NUMBERS = (
    lambda: SimpleImputer(strategy="median", add_indicator=True),
    lambda: make_pipeline(SimpleImputer(), StandardScaler()),
    lambda: make_pipeline(MinMaxScaler(), SimpleImputer(strategy="constant", fill_value=-1.0)),
    lambda: make_pipeline(SimpleImputer(strategy="most_frequent"), KBinsDiscretizer(2, strategy="uniform")),
    lambda: "drop",
)
_TEXTS = (
    lambda: OneHotEncoder(handle_unknown="ignore", drop="if_binary"),
    lambda: OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-3, encoded_missing_value=-2),
    lambda: make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(max_categories=2)),
    lambda: make_pipeline(SimpleImputer(strategy="constant", fill_value="gas"), OneHotEncoder(handle_unknown="ignore")),
)


@settings(deadline=None, max_examples=10)
@given(
    st.lists(st.tuples(st.sampled_from(_NUMBERS), st.sets(st.sampled_from(["size", "rooms"]), min_size=1)), max_size=2),
    st.lists(
        st.tuples(st.sampled_from(_TEXTS), st.sets(st.sampled_from(["city", "heating"]), min_size=1)), min_size=1, max_size=2
    ),
    st.sampled_from(["drop", "columns scaled"]),
)
def test_any_columns_to_any_transformers(numbers, texts, remainder):
    parts = [(made(), sorted(columns)) for made, columns in [*numbers, *texts]]
    step = make_column_transformer(*parts, remainder="drop", sparse_threshold=0)
    model = step if remainder == "drop" else make_pipeline(step, StandardScaler())
    assert_agrees(model.fit(HOMES))


def test_parts_that_give_no_columns_are_left_out():
    step = make_column_transformer(
        (OneHotEncoder(drop="first"), ["heating"]),
        (MissingIndicator(), ["rooms"]),
        (SimpleImputer(), ["city"]),
        ("passthrough", ["rooms"]),
        sparse_threshold=0,
    )
    frame = HOMES.assign(heating="gas", city=np.nan)
    assert_agrees(step.fit(frame), frame)
    _, columns = read(step)
    assert [each.name for each in columns if each.used] == ["rooms"]


REFUSED = {
    "search without its best": (
        lambda: GridSearchCV(Ridge(), {"alpha": [0.1, 1]}, cv=2, refit=False).fit(ROWS, AMOUNT),
        "holds no fitted model",
    ),
    "unfitted search": (lambda: GridSearchCV(Ridge(), {"alpha": [1]}), "holds no fitted model"),
    "unfitted step": (
        lambda: Pipeline([("a", StandardScaler()), ("b", Ridge().fit(ROWS, AMOUNT))]),
        "StandardScaler is not fitted",
    ),
    "a step of another size": (
        lambda: Pipeline([("a", StandardScaler().fit(ROWS)), ("b", Ridge().fit(ROWS[:, :2], AMOUNT))]),
        "Ridge was fitted on 2 features; what comes before it gives 4",
    ),
    "everything dropped": (lambda: ColumnTransformer([("a", "drop", [0])]).fit(ROWS), "gives no columns"),
}


@pytest.mark.parametrize(("model", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_named(model, told):
    with pytest.raises(ConversionError, match=told):
        answered(model(), Array(size=4))
