from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import (
    Lasso,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlpublish.converting.convert import convert
from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.converting.graph.node import Array
from mlpublish.converting.of_sklearn.kinds import know_all
from mlpublish.converting.of_sklearn.reading import Reader, answered, know, labels_of
from mlpublish.coreml.evaluate import load
from mlpublish.errors import ConversionError
from tests.converting.of_sklearn import homes
from tests.converting.of_sklearn.homes import DEAR, HOMES, OTHERS, RENT

_R = np.random.default_rng(11)
ROWS = _R.normal(size=(80, 5)) * [1, 10, 0.1, 3, 1] + [0, 100, 0, -5, 2]
TWO = ROWS @ [1, 0.2, 3, -1, 0] > 19
THREE = np.digitize(ROWS @ [1, 0.2, 3, -1, 0], [20, 26])
AMOUNT = ROWS @ [1, 0.2, 3, -1, 0] + _R.normal(size=80)
FRAME = pd.DataFrame(ROWS, columns=["age", "income (kEUR)", "x 1", "2nd", "flag"])


@pytest.fixture
def made(tmp_path):
    """Convert and load what was saved."""

    def make(model, samples=ROWS, **asked):
        converted = convert(model, name="m", samples=samples, out=tmp_path, progress=False, **asked)
        return converted, load(converted.path)

    return make


MODELS = {
    "logistic, two": (LogisticRegression(), TWO, "glmClassifier"),
    "logistic, three": (LogisticRegression(max_iter=5000), THREE, "mlProgram"),
    "scaled logistic, two": (make_pipeline(StandardScaler(), LogisticRegression()), TWO, "pipelineClassifier"),
    "scaled logistic, three": (make_pipeline(StandardScaler(), LogisticRegression()), THREE, "mlProgram"),
    "liblinear": (make_pipeline(StandardScaler(), LogisticRegression(solver="liblinear")), TWO, "pipelineClassifier"),
    "no intercept": (make_pipeline(StandardScaler(), LogisticRegression(fit_intercept=False)), THREE, "mlProgram"),
    "cross-validated": (
        make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=2, cv=2, scoring="accuracy")),
        TWO,
        "pipelineClassifier",
    ),
    "linear": (LinearRegression(), AMOUNT, "glmRegressor"),
    "linear, no intercept": (LinearRegression(fit_intercept=False), AMOUNT, "glmRegressor"),
    "linear, one column of targets": (LinearRegression(), AMOUNT[:, np.newaxis], "glmRegressor"),
    "linear, two targets": (LinearRegression(), np.column_stack([AMOUNT, -AMOUNT]), "mlProgram"),
    "scaled linear": (make_pipeline(StandardScaler(), LinearRegression()), AMOUNT, "pipelineRegressor"),
    "without mean": (make_pipeline(StandardScaler(with_mean=False), LinearRegression()), AMOUNT, "pipelineRegressor"),
    "without deviation": (make_pipeline(StandardScaler(with_std=False), LogisticRegression()), THREE, "mlProgram"),
    "neither": (
        make_pipeline(StandardScaler(with_mean=False, with_std=False), LinearRegression()),
        AMOUNT,
        "glmRegressor",
    ),
    "sparsified": (LogisticRegression(), TWO, "glmClassifier"),
    "two scalers": (make_pipeline(StandardScaler(), StandardScaler(), LinearRegression()), AMOUNT, "pipelineRegressor"),
    "passthrough": (
        Pipeline([("none", "passthrough"), ("scale", StandardScaler()), ("fit", LinearRegression())]),
        AMOUNT,
        "pipelineRegressor",
    ),
    "pipeline in a pipeline": (
        make_pipeline(make_pipeline(StandardScaler()), LogisticRegression()),
        TWO,
        "pipelineClassifier",
    ),
}


@pytest.mark.parametrize("fitted_on", [ROWS, FRAME], ids=["array", "frame"])
@pytest.mark.parametrize(("model", "target", "kind"), MODELS.values(), ids=MODELS)
def test_a_saved_model_answers_as_scikit_learn_does(request, made, model, target, kind, fitted_on):
    model.fit(fitted_on, target)
    if request.node.callspec.id.startswith("sparsified"):
        model.sparsify()
    converted, saved = made(model, samples=fitted_on)
    if fitted_on is ROWS:
        assert converted.kind == kind
    got = saved.predict_rows(SklearnSource(model).inputs(fitted_on))
    if hasattr(model, "predict_proba"):
        np.testing.assert_array_equal(got["classLabel"], model.predict(fitted_on).astype(got["classLabel"].dtype))
        np.testing.assert_allclose(got["classProbability"], model.predict_proba(fitted_on), atol=2e-5)
    else:
        wanted = model.predict(fitted_on)
        np.testing.assert_allclose(got["prediction"].reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.floats(-100, 100), st.floats(0.01, 100))
def test_any_scaled_classifier_of_two_is_exact(tmp_path_factory, seed, width, centre, spread):
    random = np.random.default_rng(seed)
    rows = random.normal(centre, spread, size=(30, width))
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, np.arange(30) % 2)
    out = tmp_path_factory.mktemp("any")
    # float32 at the border; nothing else may cost anything
    at_border = rows.astype(np.float32).astype(np.float64)
    assert convert(model, samples=at_border, out=out, progress=False).parity.max_abs_diff < 1e-12


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.asarray(["no", "yes"])[TWO.astype(int)], ("no", "yes")),
        (np.asarray(["no", "yes"], object)[TWO.astype(int)], ("no", "yes")),
        (TWO, (0, 1)),
        (TWO.astype(np.int8) * 5 - 2, (-2, 3)),
        (np.asarray(["low", "mid", "high"])[THREE], ("high", "low", "mid")),
        (THREE.astype(np.uint16) + 7, (7, 8, 9)),
    ],
    ids=["text", "object", "bool", "int8", "three texts", "uint16"],
)
def test_labels_keep_their_kind(made, labels, classes):
    converted, saved = made(make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, labels))
    assert saved.classes == classes
    label, probabilities = converted.interface.outputs
    kind = "string" if isinstance(classes[0], str) else "int64"
    assert (label.name, label.kind) == ("classLabel", kind)
    assert (probabilities.name, probabilities.kind, probabilities.dtype) == ("classProbability", "dictionary", kind)


def test_arrays_have_one_input_of_float32(made):
    for target, shape in ((TWO, (5,)), (THREE, (1, 5))):
        converted, _ = made(make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, target))
        (fed,) = converted.interface.inputs
        assert (fed.name, fed.kind, fed.shape, fed.dtype) == ("input", "multiArray", shape, "float32")


@pytest.mark.parametrize(("target", "kind"), [(TWO, "double"), (THREE, "multiArray")])
def test_frames_have_one_input_per_column(made, target, kind):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, target)
    converted, _ = made(model, samples=FRAME)
    assert [each.name for each in converted.interface.inputs] == ["age", "income_kEUR", "x_1", "_2nd", "flag"]
    assert {each.kind for each in converted.interface.inputs} == {kind}


@pytest.mark.parametrize(
    "samples",
    [FRAME[FRAME.columns[::-1]], {name: FRAME[name].to_list() for name in FRAME}, ROWS, ROWS.tolist()],
    ids=["other order", "dict", "array", "lists"],
)
def test_samples_for_a_frame_come_in_many_shapes(made, samples):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, TWO)
    assert made(model, samples=samples)[0].parity.samples == 80


class Shouting(LogisticRegression):
    def predict(self, X):
        return super().predict(X)[::-1]


class Quiet(LogisticRegression):
    """As the plain one."""


class Mine(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X


def _patched():
    model = LogisticRegression().fit(ROWS, TWO)
    model.predict = lambda rows: np.zeros(len(rows))
    return model


def _sick(attribute, value=np.nan):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, TWO)
    owner = model[0] if hasattr(model[0], attribute) else model[-1]
    getattr(owner, attribute).flat[0] = value
    return model


def _labelled(labels):
    return LogisticRegression().fit(ROWS, np.asarray(labels)[TWO.astype(int)])


REFUSED = {
    "unfitted": (lambda: LogisticRegression(), "LogisticRegression is not fitted", "Fit the model"),
    "unfitted pipeline": (
        lambda: make_pipeline(StandardScaler(), LogisticRegression()),
        "StandardScaler is not fitted",
        "Fit the model",
    ),
    "unfitted last step": (
        lambda: make_pipeline(StandardScaler().fit(ROWS), LogisticRegression()),
        "LogisticRegression is not fitted",
        "Fit the model",
    ),
    "unfitted columns": (lambda: make_column_transformer((StandardScaler(), [0])), "ColumnTransformer is not fitted", "Fit"),
    "no converted kind": (
        lambda: GaussianProcessRegressor().fit(ROWS[:9], AMOUNT[:9]),
        "GaussianProcessRegressor is not converted",
        "SVR",
    ),
    "texts": (
        lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["red car", "blue car"], [0, 1]),
        "Tfidf",
        "in the app",
    ),
    "dicts": (lambda: DictVectorizer().fit([{"a": 1}]), "DictVectorizer", "OneHotEncoder"),
    "neighbours' imputer": (lambda: make_pipeline(KNNImputer(), Ridge()).fit(ROWS, AMOUNT), "KNNImputer", "SimpleImputer"),
    "own transformer": (lambda: make_pipeline(Mine(), Ridge()).fit(ROWS, AMOUNT), "Mine", "FunctionTransformer"),
    "own transformer inside": (
        lambda: make_pipeline(StandardScaler(), Mine(), Ridge()).fit(ROWS, AMOUNT),
        "Mine is not converted",
        "FunctionTransformer",
    ),
    "own predict": (lambda: Shouting().fit(ROWS, TWO), "has its own predict", "plain LogisticRegression"),
    "patched predict": (_patched, "has its own predict", "plain LogisticRegression"),
    "NaN weight": (lambda: _sick("coef_"), "coef_ holds NaN", "clean data"),
    "infinite intercept": (lambda: _sick("intercept_", np.inf), "intercept_ holds NaN or infinity", "clean data"),
    "NaN mean": (lambda: _sick("mean_"), "mean_ holds NaN", "clean data"),
    "labels that are floats": (lambda: _labelled([0.0, 1.0]), "float64", "integers or strings"),
    "labels that are dates": (lambda: _labelled(np.array(["2024-01-01", "2025-01-01"], "M8[D]")), "datetime64", "integers"),
    "a class": (lambda: LogisticRegression, "not a model", "fitted model"),
}


@pytest.mark.parametrize(("model", "told", "remedy"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_converted_is_named_with_what_works(made, tmp_path, model, told, remedy):
    with pytest.raises(ConversionError, match=told) as refused:
        made(model())
    assert re.search(remedy, refused.value.remedy)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "labels",
    [[b"no", b"yes"], np.array([1, 2], object), np.array(["a", 1], object), [1 + 2j, 3]],
    ids=["bytes", "objects", "mixed", "complex"],
)
def test_labels_that_core_ml_does_not_have_are_refused(labels):
    with pytest.raises(ConversionError, match=r"class labels .* are of type") as refused:
        labels_of(labels)
    assert "integers or strings" in refused.value.remedy


def test_a_subclass_that_answers_as_its_parent_is_read_as_it(made):
    assert made(Quiet().fit(ROWS, TWO))[0].kind == "glmClassifier"


def test_a_librarys_own_subclass_is_not_read_as_its_parent():
    know({"sklearn.linear_model.ElasticNet": Reader(), "sklearn.linear_model.Lasso": None})
    try:
        with pytest.raises(ConversionError, match=r"linear_model\.Lasso is not converted"):
            answered(Lasso().fit(ROWS, AMOUNT), Array(size=5))
    finally:
        know_all()


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["a", "a b", "a_b", "c", "d"], "'a_b' would be"),
        (["classLabel", "b", "c", "d", "e"], "already|name of an output"),
        (["ä", "ö", "c", "d", "e"], "'ä' .* is no name"),
    ],
)
def test_columns_that_would_be_one_feature_are_refused(made, columns, told):
    frame = pd.DataFrame(ROWS, columns=columns)
    with pytest.raises(ConversionError, match=told):
        made(LogisticRegression(max_iter=5000).fit(frame, TWO), samples=frame)


class Wordless:
    def __array__(self, *_, **__):
        raise ValueError


WRONG = {
    "one row flat": (ROWS[0], r"\(5,\)"),
    "too narrow": (ROWS[:, :4], r"\(80, 4\).*\(rows, 5\)"),
    "too many axes": (ROWS[np.newaxis], r"\(1, 80, 5\)"),
    "none": (ROWS[:0], r"\(0, 5\)"),
    "NaN": (np.where(np.arange(80)[:, np.newaxis] == 3, np.nan, ROWS), "Row 3"),
    "texts": (np.full((2, 5), "a"), "not numeric"),
    "a number": (7, r"\(\)"),
    "an array that is refused without a word": (Wordless(), "no table: ValueError"),
    "a file's name": ("rows.csv", "are a str, and no table"),
    "numbers beyond doubles": ([[10**400] * 5], "not numeric"),
    "complex numbers": (ROWS + 1j, "complex numbers"),
    "dates": (np.full((2, 5), np.datetime64("2020-01-01")), "dates or times"),
    "sparse": (scipy.sparse.csr_matrix(ROWS), "sparse"),
    "infinity": (np.where(np.arange(80)[:, np.newaxis] == 3, np.inf, ROWS), "Row 3"),
}


@pytest.mark.parametrize(("samples", "told"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("fitted_on", [ROWS, FRAME], ids=["array", "frame"])
def test_samples_that_do_not_fit_are_refused(made, tmp_path, samples, told, fitted_on):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(fitted_on, TWO)
    with pytest.raises(ConversionError, match=told) as refused:
        made(model, samples=samples)
    assert refused.value.field == "samples"
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_column_is_named(made):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, TWO)
    with pytest.raises(ConversionError, match="'x 1'"):
        made(model, samples=FRAME.drop(columns="x 1"))


def test_further_columns_of_the_samples_are_passed_by(made):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, TWO)
    converted, _ = made(model, samples=FRAME.assign(target=TWO))
    assert len(converted.interface.inputs) == 5


def _prepared(*numbers, lift="passthrough"):
    return make_column_transformer(
        (make_pipeline(SimpleImputer(), *numbers), ["size", "rooms"]),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), ["city", "heating"]),
        (lift, ["lift"]),
    )


HOUSES = {
    "two classes": (make_pipeline(_prepared(StandardScaler()), LogisticRegression()), DEAR),
    "three classes": (make_pipeline(_prepared(StandardScaler()), LogisticRegression()), homes.THREE),
    "names of classes": (make_pipeline(_prepared(), RandomForestClassifier(4, max_depth=4)), np.array(["no", "yes"])[DEAR]),
    "a number": (make_pipeline(_prepared(MinMaxScaler(), lift=OrdinalEncoder()), Ridge()), RENT),
    "a forest": (make_pipeline(_prepared(MinMaxScaler()), RandomForestRegressor(4, max_depth=4)), RENT),
    "labels alone": (make_pipeline(_prepared(StandardScaler()), RidgeClassifier()), DEAR),
    "what is prepared": (_prepared(StandardScaler()), None),
}


@pytest.mark.parametrize(("model", "target"), HOUSES.values(), ids=HOUSES)
def test_frames_of_numbers_and_texts_have_an_input_of_its_kind_for_each_column(made, model, target):
    model.fit(HOMES, target)
    converted, saved = made(model, samples=HOMES)
    kinds = {each.name: each.kind for each in converted.interface.inputs}
    assert {name for name, kind in kinds.items() if kind == "string"} == {"city", "heating"}
    assert set(kinds) == set(HOMES)
    strangers = OTHERS.assign(city=np.where(np.arange(len(OTHERS)) % 3, OTHERS["city"], "Paris"))
    source = SklearnSource(model)
    got, want = saved.predict_rows(source.inputs(strangers)), source.answers(strangers)
    assert set(got) == set(want.outputs)
    for name, wanted in want.outputs.items():
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(got[name].reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)
        else:
            np.testing.assert_array_equal(got[name], wanted)
    if target is not None:
        assert "classLabel" not in want.outputs or want.outputs["classLabel"].tolist() == model.predict(strangers).tolist()


def test_a_missing_text_is_an_empty_one_in_the_file(made):
    model = make_pipeline(SimpleImputer(strategy="constant", fill_value="Rome"), OneHotEncoder(), Ridge())
    model.fit(HOMES[["city"]], RENT)
    _, saved = made(model, samples=HOMES[["city"]])
    told = saved.predict_rows({"city": np.array(["", "Rome", "Oslo"])})["prediction"].ravel()
    assert told[0] == told[1] != told[2]


@pytest.mark.parametrize("given", ["", None, np.nan, pd.NA], ids=["empty", "None", "NaN", "NA"])
@pytest.mark.parametrize("learnt", [np.nan, None], ids=["NaN", "None"])
def test_a_missing_text_is_asked_as_what_the_model_was_fitted_on(given, learnt):
    texts = pd.DataFrame({"c": pd.Series(["a", "b", learnt] * 4, dtype=object)})
    source = SklearnSource(make_pipeline(OneHotEncoder(), Ridge()).fit(texts, np.arange(12) % 3))
    samples = pd.DataFrame({"c": pd.Series([given, "a"], dtype=object)})
    assert source.inputs(samples)["c"].tolist() == ["", "a"]
    np.testing.assert_allclose(source.answers(samples).outputs["prediction"].ravel(), [1.625, 0.375], atol=0.2)


def test_columns_of_the_samples_may_be_of_any_type_that_holds_the_same(made):
    model = make_pipeline(_prepared(StandardScaler()), Ridge()).fit(HOMES, RENT)
    others = HOMES.astype({"city": "category", "heating": "string", "rooms": "Int64", "lift": "int8", "size": "float32"})
    assert made(model, samples=others)[0].parity.samples == 60
    arrays = {name: HOMES[name].fillna("").to_numpy(str) if name in ("city", "heating") else HOMES[name] for name in HOMES}
    assert made(model, samples=arrays)[0].parity.samples == 60


ASKED_WRONGLY = {
    "a number for a text": ({"city": 7}, "Row 0 of the column 'city' is 7"),
    "a text for a number": ({"rooms": "many"}, "not numeric"),
    "infinity": ({"size": np.inf}, "Row 0 of the samples holds infinity"),
    "an unknown category": ({"lift": 5}, "unknown categories"),
}


@pytest.mark.parametrize(("changed", "told"), ASKED_WRONGLY.values(), ids=ASKED_WRONGLY)
def test_cells_that_the_model_does_not_take_are_named(made, changed, told):
    model = make_pipeline(_prepared(StandardScaler(), lift=OrdinalEncoder()), Ridge()).fit(HOMES, RENT)
    with pytest.raises(ConversionError, match=told) as refused:
        made(model, samples=HOMES.assign(**changed))
    assert refused.value.field == "samples"


def test_a_missing_text_where_the_empty_one_is_a_category_is_refused():
    texts = pd.DataFrame({"c": ["a", "b", ""] * 4})
    source = SklearnSource(make_pipeline(OneHotEncoder(), Ridge()).fit(texts, np.arange(12) % 3))
    with pytest.raises(ConversionError, match="Row 1 of the column 'c' is missing"):
        source.inputs(pd.DataFrame({"c": pd.Series(["a", None], dtype=object)}))


def test_dropped_columns_may_have_any_name_and_may_be_lacking(made):
    frame = HOMES.rename(columns={"lift": "ä", "heating": "prediction"})
    model = make_pipeline(make_column_transformer((SimpleImputer(), ["size", "rooms"])), Ridge()).fit(frame, RENT)
    converted, _ = made(model, samples=frame[["rooms", "size"]])
    assert [each.name for each in converted.interface.inputs] == ["size", "rooms"]


def test_a_column_may_be_called_like_an_output_of_other_models_only(made):
    frame = HOMES[["rooms", "lift"]].rename(columns={"rooms": "score"})
    assert made(Ridge().fit(frame, RENT), samples=frame)[0].interface.inputs[0].name == "score"
    with pytest.raises(ConversionError, match="'score', which is the name of an output"):
        made(IsolationForest(n_estimators=2).fit(frame), samples=frame)


def test_columns_without_texts_for_names_are_one_array(made):
    model = make_pipeline(StandardScaler(), Ridge()).fit(pd.DataFrame(ROWS), AMOUNT)
    converted, _ = made(model, samples=pd.DataFrame(ROWS))
    assert [each.name for each in converted.interface.inputs] == ["input"]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_samples_of_either_precision_are_asked_in_doubles(kind):
    model = make_pipeline(StandardScaler(), Ridge(alpha=1e-8)).fit(ROWS, AMOUNT)
    source = SklearnSource(model)
    rows = ROWS.astype(kind)
    wanted = model.predict(rows.astype(np.float64))
    np.testing.assert_array_equal(source.answers(rows).outputs["prediction"].ravel(), wanted.ravel())


def test_missing_numbers_are_compared_where_the_model_takes_them(made):
    gaps = np.where(np.arange(400).reshape(80, 5) % 7 == 0, np.nan, ROWS)
    assert made(HistGradientBoostingClassifier(max_iter=3).fit(gaps, TWO), samples=gaps)[0].parity.samples == 80
    assert made(make_pipeline(SimpleImputer(), Ridge()).fit(gaps, AMOUNT), samples=gaps)[0].parity.samples == 80
    with pytest.raises(ConversionError, match=r"contains NaN\. Row 0 of the samples holds NaN"):
        made(Ridge().fit(ROWS, AMOUNT), samples=gaps)


def test_probabilities_that_do_not_choose_the_label_need_not_have_their_largest_in_its_place(made):
    model = SGDClassifier(loss="log_loss", random_state=0).fit(ROWS * 50, THREE)  # unscaled: they saturate
    assert SklearnSource(model).answers(ROWS).scores == ()
    assert made(model, samples=ROWS * 50)[0].parity.label_agreement == 1
    assert SklearnSource(LogisticRegression().fit(ROWS, TWO)).answers(ROWS).scores == ("classProbability",)


def test_clusters_and_outliers_are_whole_numbers(made):
    converted, saved = made(KMeans(3, n_init=1, random_state=0).fit(ROWS))
    assert {each.name for each in converted.interface.outputs} == {"prediction"}
    assert converted.parity.label_agreement == 1
    model = IsolationForest(n_estimators=5, random_state=0).fit(ROWS)
    converted, saved = made(model)
    got = saved.predict_rows(SklearnSource(model).inputs(ROWS))
    np.testing.assert_array_equal(got["prediction"].ravel(), model.predict(ROWS))
    np.testing.assert_allclose(got["score"].ravel(), model.decision_function(ROWS), atol=1e-5)


@pytest.mark.parametrize("model", [Pipeline([("nothing", "passthrough")]), Pipeline([])], ids=["passthrough", "empty"])
def test_pipelines_of_no_steps_are_refused(made, model):
    with pytest.raises(ConversionError, match=r"sklearn.pipeline.Pipeline has no step"):
        made(model)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.array([0, 2**63], dtype=np.uint64), "9223372036854775808 is larger"),
        (np.array(["a", "\ud800"], dtype=object), r"'\\ud800' is no text"),
    ],
    ids=["beyond 64 bits", "a lone surrogate"],
)
@pytest.mark.parametrize("estimator", [LogisticRegression, DecisionTreeClassifier, GaussianNB])
def test_labels_that_no_file_holds_are_refused(made, labels, told, estimator):
    model = estimator().fit(ROWS, TWO)
    model.classes_ = labels
    with pytest.raises(ConversionError, match=told):
        made(model)


def test_a_model_that_another_release_saved_is_refused(made):
    model = make_pipeline(StandardScaler(), Ridge()).fit(ROWS, AMOUNT)
    del model[0].scale_
    with pytest.raises(ConversionError, match=r"Pipeline cannot be read: .*no attribute 'scale_'"):
        made(model)


def test_a_model_that_cannot_be_asked_is_refused(made):
    model = KMeans(2, n_init=1).fit(ROWS)
    del model._n_threads
    with pytest.raises(ConversionError, match=r"does not take the samples: .*no attribute '_n_threads'"):
        made(model)
