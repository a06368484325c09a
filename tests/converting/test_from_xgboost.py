from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlpublish.converting.convert import convert
from mlpublish.converting.from_xgboost import XgboostSource
from mlpublish.coreml.evaluate import load
from mlpublish.coreml.package import read
from mlpublish.errors import ConversionError

xgb = pytest.importorskip("xgboost", reason="needs xgboost: pip install 'mlpublish[xgboost]'")

_R = np.random.default_rng(11)
ROWS = _R.normal(size=(240, 4)) * [1, 10, 0.1, 3] + [0, 100, 0, -5]
AMOUNT = ROWS @ [1, 0.2, 3, -1] + _R.normal(size=240)
TWO = (AMOUNT > 25).astype(int)
TARGETS = np.column_stack([AMOUNT, -AMOUNT, AMOUNT * 2 + 1])
VECTORS = {"multi_strategy": "multi_output_tree", "tree_method": "hist"}
THREE = np.digitize(AMOUNT, [23, 27])
ROWS[_R.random(ROWS.shape) < 0.1] = np.nan
FRAME = pd.DataFrame(ROWS, columns=["age", "income (kEUR)", "x 1", "2nd"])


def boosted(objective, target, data=ROWS, rounds=6, **more):
    return xgb.train({"objective": objective, "max_depth": 3, **more}, xgb.DMatrix(data, target), rounds)


def regressor(objective, target=AMOUNT, **more):
    return xgb.XGBRegressor(n_estimators=6, max_depth=3, objective=objective, **more).fit(ROWS, target)


def classifier(target, data=ROWS, **more):
    return xgb.XGBClassifier(**{"n_estimators": 6, "max_depth": 3} | more).fit(data, target)


def stopped_early(data=ROWS):
    held = [(data[160:], TWO[160:])]
    return xgb.XGBClassifier(n_estimators=200, early_stopping_rounds=2).fit(data[:160], TWO[:160], eval_set=held, verbose=False)


MODELS = {
    "squared error": lambda: regressor("reg:squarederror"),
    "absolute error": lambda: regressor("reg:absoluteerror"),
    "pseudo-Huber": lambda: regressor("reg:pseudohubererror", huber_slope=20.0),
    "squared log error": lambda: regressor("reg:squaredlogerror", np.abs(AMOUNT) / 30),
    "one quantile": lambda: regressor("reg:quantileerror", quantile_alpha=0.3),
    "logistic regression": lambda: regressor("reg:logistic", TWO),
    "regressor of a binary objective": lambda: regressor("binary:logistic", TWO),
    "several quantiles": lambda: regressor("reg:quantileerror", quantile_alpha=[0.1, 0.9]),
    "several targets": lambda: regressor("reg:squarederror", TARGETS),
    "vectors in leaves": lambda: regressor("reg:squarederror", TARGETS, **VECTORS),
    "vectors in leaves, three classes": lambda: classifier(THREE, **VECTORS),
    "Poisson": lambda: regressor("count:poisson", THREE),
    "Poisson, base score": lambda: regressor("count:poisson", THREE, base_score=40.0),
    "gamma": lambda: regressor("reg:gamma", THREE + 1),
    "Tweedie": lambda: boosted("reg:tweedie", THREE, tweedie_variance_power=1.3),
    "Tweedie of a frame": lambda: boosted("reg:tweedie", THREE, FRAME),
    "Cox": lambda: regressor("survival:cox", THREE + 1),
    "ranker": lambda: xgb.XGBRanker(n_estimators=6, max_depth=3).fit(ROWS, THREE, qid=np.repeat(range(24), 10)),
    "pruned": lambda: regressor("reg:squarederror", tree_method="exact", gamma=60),
    "two classes": lambda: classifier(TWO),
    "two classes, base score": lambda: classifier(TWO, base_score=0.9),
    "two classes of multi:softprob": lambda: boosted("multi:softprob", TWO, num_class=2),
    "three classes": lambda: classifier(THREE),
    "multi:softmax": lambda: classifier(THREE, objective="multi:softmax"),
    "random forest": lambda: xgb.XGBRFClassifier(n_estimators=9, max_depth=4).fit(ROWS, THREE),
    "boosted forests": lambda: classifier(THREE, num_parallel_tree=3),
    "stopped early": stopped_early,
    "a frame": lambda: classifier(THREE, FRAME),
    "a frame, regression": lambda: xgb.XGBRegressor(n_estimators=6).fit(FRAME, AMOUNT),
    "booster": lambda: boosted("reg:squarederror", AMOUNT),
    "booster of a frame": lambda: boosted("reg:absoluteerror", AMOUNT, FRAME),
    "booster, two classes": lambda: boosted("binary:logistic", TWO, FRAME),
    "booster, three classes": lambda: boosted("multi:softprob", THREE, FRAME, num_class=3),
    "booster, multi:softmax": lambda: boosted("multi:softmax", THREE, num_class=3),
}


EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox")
"""exp is no step of Core ML's trees: an ML Program takes it of their sum."""


def thresholds(booster, feature):
    """The numbers that a booster's trees compare a feature with."""
    held = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    found = [
        tree["split_conditions"][node]
        for tree in held
        for node, child in enumerate(tree["left_children"])
        if child != -1 and tree["split_indices"][node] == feature
    ]
    return np.asarray(found, dtype=np.float32)


def beside(booster, rows):
    """Rows on the booster's thresholds, one float32 and one double beside them, and half way to the next float32."""
    made = [rows]
    for feature in range(rows.shape[1]):
        on = thresholds(booster, feature)
        for towards in (-np.inf, np.inf):
            next_float = np.nextafter(on, np.float32(towards)).astype(np.float64)
            middle = (on + next_float) / 2
            for values in (on, next_float, np.nextafter(on.astype(np.float64), towards), middle, np.nextafter(middle, towards)):
                some = rows[np.arange(len(values)) % len(rows)].copy()
                some[:, feature] = values
                made.append(some)
    return np.concatenate(made)


def booster_of(model):
    return model if isinstance(model, xgb.Booster) else model.get_booster()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_saved_model_answers_as_xgboost_does_also_beside_every_split_and_where_values_are_missing(tmp_path, model):
    model = model()
    samples = beside(booster_of(model), ROWS)
    assert len(samples) > len(ROWS) + 100
    assert np.isnan(samples).any()
    made = convert(model, samples=samples, out=tmp_path, progress=False)
    assert made.parity.max_rel_diff < 2e-6
    assert made.parity.label_agreement in (None, 1.0)
    assert (made.path.suffix == ".mlmodel") == (made.provenance.source.rpartition("(")[2][:-1] not in EXPONENTIAL)
    assert made.provenance.framework == "xgboost"


@pytest.mark.parametrize("only", [0, 1])
def test_a_model_that_saw_one_class_answers_as_near_to_it_as_xgboost_does(tmp_path, only):
    model = regressor("reg:logistic", TWO * 0 + only)
    assert convert(model, samples=ROWS, out=tmp_path, progress=False).parity.max_rel_diff < 2e-6


def test_one_input_per_column_or_one_array(tmp_path):
    array, frame = (convert(classifier(THREE, data), samples=data, out=tmp_path, progress=False) for data in (ROWS, FRAME))
    assert [(each.name, each.kind, each.shape, each.dtype) for each in array.interface.inputs] == [
        ("input", "multiArray", (4,), "float32")
    ]
    assert [(each.name, each.kind) for each in frame.interface.inputs] == [
        ("age", "double"),
        ("income_kEUR", "double"),
        ("x_1", "double"),
        ("_2nd", "double"),
    ]
    assert [each.name for each in frame.interface.outputs] == ["classLabel", "classProbability"]


def test_an_estimator_answers_with_its_best_round_and_a_booster_with_all(tmp_path):
    model = stopped_early()
    trees = len(model.get_booster().get_dump())
    assert model.best_iteration + 1 < trees

    def written(asked, name):
        made = convert(asked, name=name, samples=ROWS, out=tmp_path, progress=False)
        return len({node.treeId for node in read(made.path).treeEnsembleClassifier.treeEnsemble.nodes})

    assert written(model, "estimator") == model.best_iteration + 1
    assert written(model.get_booster(), "booster") == trees


def test_a_base_score_is_written_where_coremltools_writes_one_half(tmp_path):
    logging.getLogger("coremltools").setLevel(logging.CRITICAL)
    import coremltools

    rows = np.nan_to_num(ROWS).astype(np.float32)
    model = xgb.XGBRegressor(n_estimators=6, base_score=30.0).fit(rows, AMOUNT)
    ours = convert(model, samples=rows, out=tmp_path, progress=False)
    np.testing.assert_allclose(load(ours.path).predict_rows({"input": rows})["prediction"], model.predict(rows), rtol=1e-6)

    theirs = coremltools.converters.xgboost.convert(model, feature_names=list("abcd"), target="prediction")
    theirs.save(str(tmp_path / "theirs.mlmodel"))
    answers = load(tmp_path / "theirs.mlmodel").predict_rows({name: rows[:, at] for at, name in enumerate("abcd")})
    np.testing.assert_allclose(model.predict(rows) - answers["prediction"], 29.5, atol=1e-4)


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from(["reg:squarederror", "binary:logistic", "multi:softprob"]),
    st.booleans(),
    st.sampled_from([1e-30, 1e-3, 1.0, 1e6]),
)
def test_any_small_model_is_its_saved_file(tmp_path_factory, seed, depth, rounds, objective, named, spread):
    random = np.random.default_rng(seed)
    rows = np.round(random.normal(0, 3, size=(40, 3))) * spread
    rows[random.random(rows.shape) < 0.2] = np.nan
    target = random.integers(0, 3, 40) if objective.startswith("multi") else random.integers(0, 2, 40)
    data = pd.DataFrame(rows, columns=list("abc")) if named else rows
    more = {"num_class": 3} if objective.startswith("multi") else {}
    model = boosted(objective, target, data, rounds, max_depth=depth, min_child_weight=0, **more)
    samples = beside(model, rows)
    source, path = XgboostSource(model), tmp_path_factory.getbasetemp()
    got = load(source.write(path, "any", samples=samples, precision="float32", target="iOS16")).predict_rows(
        source.inputs(samples)
    )
    for name, wanted in source.answers(samples).outputs.items():
        if name != "classLabel":  # two classes may be equal but for float32's last digit
            np.testing.assert_allclose(got[name], wanted, rtol=1e-5, atol=1e-6)


COMPOSITIONS = {
    "after a scaler": lambda: make_pipeline(StandardScaler(), xgb.XGBClassifier(n_estimators=4, max_depth=3)),
    "after an imputer": lambda: make_pipeline(SimpleImputer(), xgb.XGBRegressor(n_estimators=4, max_depth=3)),
    "voting": lambda: VotingClassifier(
        [("x", xgb.XGBRFClassifier(n_estimators=4)), ("h", HistGradientBoostingClassifier(max_iter=3))], voting="soft"
    ),
    "stacking": lambda: StackingClassifier(
        [("x", xgb.XGBClassifier(n_estimators=3)), ("t", DecisionTreeClassifier(max_depth=3))], cv=2
    ),
    "calibrated": lambda: CalibratedClassifierCV(xgb.XGBClassifier(n_estimators=3), cv=2),
    "Poisson after a scaler": lambda: make_pipeline(
        StandardScaler(), xgb.XGBRegressor(n_estimators=4, objective="count:poisson")
    ),
}


@pytest.mark.parametrize("model", COMPOSITIONS.values(), ids=COMPOSITIONS)
def test_an_estimator_is_read_inside_of_scikit_learns_compositions(tmp_path, model):
    rows = np.nan_to_num(ROWS)
    model = model().fit(rows, THREE)
    held = np.concatenate([rows, rows.astype(np.float32).astype(np.float64), np.nextafter(rows, np.inf)])
    made = convert(model, samples=held, out=tmp_path, progress=False)
    assert made.parity.max_rel_diff < 5e-6
    assert made.parity.label_agreement in (None, 1.0)


def with_best_round(number):
    model = classifier(TWO)
    model.get_booster().set_attr(best_iteration=str(number))
    return model


class Doubling(xgb.XGBRegressor):
    def predict(self, X, **more):
        return 2 * super().predict(X, **more)


CATEGORIES = FRAME.assign(**{"2nd": pd.Categorical(np.where(ROWS[:, 3] > -5, "high", "low"))})

REFUSED = {
    "hinge": (lambda: boosted("binary:hinge", TWO), "binary:hinge", "binary:logistic"),
    "margins": (lambda: boosted("binary:logitraw", TWO), "binary:logitraw", "binary:logistic"),
    "labels of several kinds": (
        lambda: xgb.XGBClassifier(n_estimators=2).fit(ROWS, np.column_stack([TWO, TWO])),
        "2 labels per row",
        "one classifier per label",
    ),
    "dart": (lambda: regressor("reg:squarederror", booster="dart"), "booster dart", "gbtree"),
    "gblinear": (
        lambda: xgb.XGBRegressor(booster="gblinear").fit(np.nan_to_num(ROWS), AMOUNT),
        "booster gblinear",
        "gbtree",
    ),
    "categories": (
        lambda: xgb.XGBRegressor(n_estimators=2, enable_categorical=True).fit(CATEGORIES, AMOUNT),
        r"categorical features \(2nd\)",
        "Encode",
    ),
    "a regressor of classes": (lambda: regressor("multi:softprob", THREE, num_class=3), "multi:softprob", "XGBClassifier"),
    "a classifier of numbers": (lambda: classifier(TWO, objective="reg:squarederror"), "reg:squarederror", "XGBClassifier"),
    "no rounds": (lambda: boosted("reg:squarederror", AMOUNT, rounds=0), "no trees", "Train"),
    "an empty booster": (xgb.Booster, "0 feature is supplied", "Train"),
    "not fitted": (xgb.XGBRegressor, "not fitted", "Fit"),
    "no model": (lambda: xgb.DMatrix(ROWS), "not a trained model", "Booster"),
    "no sign for missing": (lambda: classifier(TWO, missing=None), "takes None for a missing value", "NaN"),
    "a best round that is not there": (lambda: with_best_round(99), r"best_iteration of 99, but 6 rounds", "Fit it again"),
    "a column of other letters": (
        lambda: xgb.XGBRegressor(n_estimators=2).fit(FRAME.rename(columns={"age": "温度"}), AMOUNT),
        "'温度' .* is no name",
        "Rename",
    ),
    "another sign for missing": (lambda: regressor("reg:squarederror", missing=-999.0), "-999.0", "NaN"),
    "its own predict": (lambda: Doubling(n_estimators=2).fit(ROWS, AMOUNT), "its own predict", "plain"),
    "a column like an output": (
        lambda: xgb.XGBRegressor(n_estimators=2).fit(FRAME.rename(columns={"age": "prediction"}), AMOUNT),
        "name of an output",
        "Rename",
    ),
}


@pytest.mark.parametrize(("model", "told", "remedy"), REFUSED.values(), ids=REFUSED)
@pytest.mark.filterwarnings("ignore::UserWarning:xgboost")
def test_what_is_not_converted_is_named_with_the_nearest_that_is(tmp_path, model, told, remedy):
    with pytest.raises(ConversionError, match=told) as refused:
        convert(model(), samples=ROWS, out=tmp_path / "out", progress=False)
    assert remedy in refused.value.remedy
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (np.full((2, 4), np.inf), "Row 0 of the samples holds infinity"),
        (np.full((2, 4), 1e300), "Row 0 of the samples holds infinity"),
        (np.zeros((2, 5)), r"\(2, 5\)"),
        (np.full((2, 4), "a"), "not numeric"),
        ([[1, 2, 3, 4], [1]], "no table: setting an array element"),
    ],
)
def test_samples_that_xgboost_would_not_take_are_refused(samples, told):
    with pytest.raises(ConversionError, match=told):
        XgboostSource(classifier(TWO)).inputs(samples)


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (FRAME[["age", "x 1", "2nd"]], r"lack the column 'income \(kEUR\)'"),
        (FRAME[[*FRAME.columns, "age"]], "hold the column 'age' 2 times"),
        ({"age": [1, 2], "income (kEUR)": [1]}, "no table: All arrays must be of the same length"),
    ],
)
def test_samples_without_the_models_columns_are_refused(samples, told):
    with pytest.raises(ConversionError, match=told):
        XgboostSource(classifier(TWO, FRAME)).inputs(samples)


@pytest.mark.parametrize(
    ("columns", "features"),
    [
        (range(4), ["_0", "_1", "_2", "_3"]),
        (pd.MultiIndex.from_product([["a", "b"], [1, 2]]), ["a_1", "a_2", "b_1", "b_2"]),
    ],
)
def test_columns_are_called_as_xgboost_calls_them(columns, features):
    frame = pd.DataFrame(ROWS, columns=columns)
    inputs = XgboostSource(classifier(THREE, frame)).inputs(frame)
    assert list(inputs) == features
    np.testing.assert_array_equal(np.column_stack(list(inputs.values())), ROWS)
    assert list(frame.columns) == list(columns)


def test_a_nullable_frame_may_be_the_array_of_a_model_without_columns():
    nullable = pd.DataFrame(ROWS).astype("Float64")
    np.testing.assert_array_equal(XgboostSource(classifier(TWO)).inputs(nullable)["input"], ROWS.astype(np.float32))


def test_a_nullable_column_is_a_missing_value(tmp_path):
    frame = pd.DataFrame({"a": pd.array([1, None, 3, 4] * 10, dtype="Int64"), "b": np.arange(40.0)})
    model = xgb.XGBClassifier(n_estimators=3).fit(frame, [0, 1] * 20)
    made = convert(model, samples=frame, out=tmp_path, progress=False)
    assert made.parity.label_agreement == 1.0


def test_float16_is_refused(tmp_path):
    with pytest.raises(ConversionError, match="float16") as refused:
        convert(classifier(TWO), samples=ROWS, precision="float16", out=tmp_path, progress=False)
    assert refused.value.field == "precision"


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model, again = boosted("multi:softprob", THREE, num_class=3), xgb.Booster()
    model.save_model(tmp_path / "kept.ubj")
    again.load_model(tmp_path / "kept.ubj")

    def written(asked, name) -> bytes:
        return Path(convert(asked, name="m", samples=ROWS, out=tmp_path / name, progress=False).path).read_bytes()

    assert written(model, "one") == written(again, "two")
