from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression, LogisticRegressionCV, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from mlpublish.converting.convert import convert
from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.coreml.evaluate import load
from mlpublish.errors import ConversionError

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
        make_pipeline(
            StandardScaler(), LogisticRegressionCV(Cs=2, cv=2, use_legacy_attributes=False, scoring="accuracy", l1_ratios=(0,))
        ),
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
        "pipelineRegressor",
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


def _patched():
    model = LogisticRegression().fit(ROWS, TWO)
    model.predict = lambda rows: np.zeros(len(rows))
    return model


def _sick(attribute, value=np.nan):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, TWO)
    owner = model[0] if hasattr(model[0], attribute) else model[-1]
    getattr(owner, attribute).flat[0] = value
    return model


REFUSED = {
    "unfitted": (lambda: LogisticRegression(), "not fitted"),
    "unfitted pipeline": (lambda: make_pipeline(StandardScaler(), LogisticRegression()), "StandardScaler is not fitted"),
    "unknown estimator": (lambda: Ridge().fit(ROWS, AMOUNT), "sklearn.linear_model.Ridge is not converted"),
    "unknown scaler": (lambda: make_pipeline(MinMaxScaler(), LogisticRegression()).fit(ROWS, TWO), "MinMaxScaler"),
    "only a scaler": (lambda: StandardScaler().fit(ROWS), "StandardScaler is not converted"),
    "own predict": (lambda: Shouting().fit(ROWS, TWO), "has its own predict"),
    "patched predict": (_patched, "has its own predict"),
    "NaN weight": (lambda: _sick("coef_"), "coef_ holds NaN"),
    "infinite intercept": (lambda: _sick("intercept_", np.inf), "intercept_ holds NaN or infinity"),
    "NaN mean": (lambda: _sick("mean_"), "mean_ holds NaN"),
    "float labels": (lambda: LogisticRegression().fit(ROWS, TWO.astype(float)), "float64"),
    "a class": (lambda: LogisticRegression, "not a model"),
}


@pytest.mark.parametrize(("model", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_converted_is_named(made, model, told):
    with pytest.raises(ConversionError, match=told):
        made(model())


def test_the_error_for_an_unknown_estimator_says_what_is_known(made):
    with pytest.raises(ConversionError, match="LogisticRegression; LinearRegression; StandardScaler"):
        made(Ridge().fit(ROWS, AMOUNT))


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


WRONG = {
    "one row flat": (ROWS[0], r"\(5,\)"),
    "too narrow": (ROWS[:, :4], r"\(80, 4\).*\(rows, 5\)"),
    "too many axes": (ROWS[np.newaxis], r"\(1, 80, 5\)"),
    "none": (ROWS[:0], r"\(0, 5\)"),
    "NaN": (np.where(np.arange(80)[:, np.newaxis] == 3, np.nan, ROWS), "Row 3"),
    "texts": (np.full((2, 5), "a"), "not numeric"),
    "a number": (7, r"\(\)"),
}


@pytest.mark.parametrize(("samples", "told"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("fitted_on", [ROWS, FRAME], ids=["array", "frame"])
def test_samples_that_do_not_fit_are_refused(made, samples, told, fitted_on):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(fitted_on, TWO)
    with pytest.raises(ConversionError, match=told) as refused:
        made(model, samples=samples)
    assert refused.value.field == "samples"


def test_a_missing_column_is_named(made):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, TWO)
    with pytest.raises(ConversionError, match="'x 1'"):
        made(model, samples=FRAME.drop(columns="x 1"))
