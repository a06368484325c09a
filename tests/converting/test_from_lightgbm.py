from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from mlpublish.converting.convert import convert
from mlpublish.converting.from_lightgbm import LightgbmSource
from mlpublish.coreml.evaluate import load
from mlpublish.errors import ConversionError
from tests.converting import thresholds

lgb = pytest.importorskip("lightgbm", reason="needs lightgbm: pip install 'mlpublish[lightgbm]'")

_R = np.random.default_rng(12)
ROWS = np.round(_R.normal(size=(240, 4)) * [1, 10, 0.1, 3] + [0, 100, 0, -5], 2)
AMOUNT = ROWS @ [1, 0.2, 3, -1] + _R.normal(size=240)
TWO = (AMOUNT > 25).astype(int)
THREE = np.digitize(AMOUNT, [23, 27])
WORDS = np.array(["low", "middle", "high"])[THREE]
ROWS[_R.random(ROWS.shape) < 0.1] = np.nan
ROWS[_R.random(ROWS.shape) < 0.1] = 0
FRAME = pd.DataFrame(ROWS, columns=["age", "income (kEUR)", "x 1", "2nd"])
SMALL = {"n_estimators": 5, "num_leaves": 6, "min_child_samples": 5, "verbose": -1, "n_jobs": 1}
SHARED = {"num_leaves": 6, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
RANDOM_FOREST = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}


def boosted(objective, target, data=ROWS, rounds=5, **more):
    return lgb.train(SHARED | {"objective": objective} | more, lgb.Dataset(data, np.asarray(target, dtype=float)), rounds)


def regressor(objective, target=AMOUNT, data=ROWS, **more):
    return lgb.LGBMRegressor(**SMALL | {"objective": objective} | more).fit(data, target)


def classifier(target, data=ROWS, **more):
    return lgb.LGBMClassifier(**SMALL | more).fit(data, target)


def ranker(objective):
    return lgb.LGBMRanker(**SMALL, objective=objective).fit(ROWS, THREE, group=np.full(24, 10))


def stopped_early(kind=lgb.LGBMClassifier):
    quietly = lgb.early_stopping(2, verbose=False)
    model = kind(n_estimators=200, verbose=-1, n_jobs=1)
    return model.fit(ROWS[:160], TWO[:160], eval_set=[(ROWS[160:], TWO[160:])], callbacks=[quietly])


def booster_stopped_early():
    held = lgb.Dataset(ROWS[160:], TWO[160:])
    quietly = lgb.early_stopping(2, verbose=False)
    return lgb.train(
        SHARED | {"objective": "binary"}, lgb.Dataset(ROWS[:160], TWO[:160]), 200, valid_sets=[held], callbacks=[quietly]
    )


def of_its_own(scores, data):
    return scores - data.get_label(), np.ones_like(scores)


MODELS = {
    "L2": lambda: regressor("regression"),
    "L1": lambda: regressor("regression_l1"),
    "Huber": lambda: regressor("huber"),
    "fair": lambda: regressor("fair"),
    "quantile": lambda: regressor("quantile", alpha=0.3),
    "MAPE": lambda: regressor("mape"),
    "square roots": lambda: regressor("regression", AMOUNT - 25, reg_sqrt=True),
    "Poisson": lambda: regressor("poisson", THREE),
    "gamma": lambda: regressor("gamma", THREE + 1),
    "Tweedie": lambda: regressor("tweedie", THREE, data=FRAME),
    "cross entropy": lambda: regressor("cross_entropy", TWO),
    "cross entropy, lambda": lambda: boosted("cross_entropy_lambda", TWO),
    "lambdarank": lambda: ranker("lambdarank"),
    "xendcg": lambda: ranker("rank_xendcg"),
    "an objective of its own": lambda: boosted(of_its_own, AMOUNT),
    "two classes": lambda: classifier(TWO),
    "two classes, another sigmoid": lambda: classifier(WORDS == "low", objective="binary", sigmoid=2.5),
    "two classes, cross entropy": lambda: classifier(TWO, objective="cross_entropy"),
    "three classes": lambda: classifier(WORDS),
    "three classes, of a frame": lambda: classifier(WORDS, FRAME),
    "one class against the rest": lambda: classifier(WORDS, objective="multiclassova", sigmoid=0.7),
    "labels apart": lambda: classifier(THREE * 10 - 7),
    "zero as missing": lambda: regressor("regression", zero_as_missing=True),
    "zero as missing, three classes": lambda: classifier(WORDS, zero_as_missing=True),
    "zero as missing, of a frame": lambda: regressor("regression", data=FRAME, zero_as_missing=True),
    "nothing missing": lambda: regressor("regression", use_missing=False),
    "fitted without NaN": lambda: regressor("regression", data=np.nan_to_num(ROWS)),
    "random forest": lambda: classifier(WORDS, **RANDOM_FOREST),
    "random forest of numbers": lambda: boosted("poisson", THREE, **RANDOM_FOREST),
    "DART": lambda: regressor("regression", boosting_type="dart", drop_rate=0.5),
    "extra trees": lambda: regressor("regression", extra_trees=True),
    "stopped early": stopped_early,
    "stopped early, regression": lambda: stopped_early(lgb.LGBMRegressor),
    "booster stopped early": booster_stopped_early,
    "one leaf": lambda: regressor("regression", min_child_samples=1000),
    "booster, two classes": lambda: boosted("binary", TWO),
    "booster, three classes": lambda: boosted("multiclass", THREE, FRAME, num_class=3),
    "booster without an average": lambda: boosted("regression", AMOUNT, boost_from_average=False),
}
IN_FLOAT32 = ("square roots", "Poisson", "gamma", "Tweedie", "cross entropy, lambda", "random forest of numbers")
"""What ends in a step that Core ML's trees do not have."""


def splits_of(model):
    """The model's splits, and the ends of what LightGBM takes for zero."""
    booster = model if isinstance(model, lgb.Booster) else model.booster_
    nearest = float(np.float32(1e-35))
    trees = re.findall(r"\nsplit_feature=(.*)(?:\n.*?)*?\nthreshold=(.*)\n", booster.model_to_string())
    found = [
        (int(feature), float(threshold))
        for features, numbers in trees
        for feature, threshold in zip(features.split(), numbers.split(), strict=True)
    ]
    return [(feature, end) for feature in range(4) for end in (-nearest, nearest)] + found


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_answers_as_lightgbm_does_also_beside_every_split_and_where_values_are_missing(tmp_path, name):
    model = MODELS[name]()
    samples = np.concatenate([ROWS, thresholds.beside(ROWS, splits_of(model)), np.eye(4) * 1e-36, -1e-36 * np.eye(4)])
    made = convert(model, samples=samples, out=tmp_path, progress=False)
    exact = name not in (*IN_FLOAT32, "one class against the rest")
    assert made.parity.max_rel_diff < (1e-14 if exact else 5e-7)
    assert made.parity.label_agreement in (None, 1.0)
    assert (made.path.suffix == ".mlmodel") == exact
    assert made.provenance.framework == "lightgbm"


def test_rows_in_float32_are_answered_alike(tmp_path):
    model = classifier(WORDS)
    samples = thresholds.beside(ROWS, splits_of(model)).astype(np.float32)
    made = convert(model, samples=samples, out=tmp_path, progress=False)
    assert (made.parity.label_agreement, made.interface.inputs[0].dtype) == (1.0, "float64")
    assert made.parity.max_rel_diff < 1e-14


def test_labels_keep_their_kind(tmp_path):
    for target, kind, classes in ((WORDS, "string", {"low", "middle", "high"}), (THREE * 10, "int64", {0, 10, 20})):
        made = convert(classifier(target), name=kind, samples=ROWS, out=tmp_path, progress=False)
        answers = load(made.path).predict_rows({"input": ROWS})
        assert made.interface.outputs[0].kind == kind
        assert set(answers["classLabel"].tolist()) == classes


def test_columns_become_inputs_under_names_that_lightgbm_changed(tmp_path):
    model = classifier(WORDS, FRAME)
    assert list(LightgbmSource(model).inputs(FRAME)) == ["age", "income__kEUR", "x_1", "_2nd"]
    with pytest.raises(ConversionError, match=r"lack the column 'income_\(kEUR\)'"):
        LightgbmSource(model).inputs(FRAME[["age", "x 1", "2nd"]])


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 12),
    st.integers(1, 3),
    st.sampled_from(["regression", "binary", "multiclass"]),
    st.sampled_from([{}, {"zero_as_missing": True}, {"use_missing": False}]),
    st.sampled_from([1e-34, 1e-3, 1.0, 1e6]),
)
def test_any_small_model_is_its_saved_file(tmp_path_factory, seed, leaves, rounds, objective, missing, spread):
    random = np.random.default_rng(seed)
    rows = np.round(random.normal(0, 3, size=(60, 3))) * spread
    rows[random.random(rows.shape) < 0.2] = np.nan
    target = random.integers(0, 3 if objective == "multiclass" else 2, 60)
    more = missing | ({"num_class": 3} if objective == "multiclass" else {})
    model = boosted(objective, target, rows, rounds, num_leaves=leaves, min_data_in_leaf=1, **more)
    splits = [split for split in splits_of(model) if split[0] < 3]
    samples = np.concatenate([rows, np.nan_to_num(rows), thresholds.beside(rows, splits)])
    source, path = LightgbmSource(model), tmp_path_factory.getbasetemp()
    written = source.write(path, "any", samples=samples, precision="float32", target="iOS16")
    got = load(written).predict_rows(source.inputs(samples))
    for name, wanted in source.answers(samples).outputs.items():
        if name != "classLabel":  # of equal probabilities either may be larger by the last digit
            np.testing.assert_allclose(got[name], wanted, rtol=1e-12, atol=1e-15)


COMPOSITIONS = {
    "after a scaler": lambda: make_pipeline(StandardScaler(), lgb.LGBMClassifier(**SMALL)),
    "after two scalers": lambda: make_pipeline(MinMaxScaler(), StandardScaler(), lgb.LGBMRegressor(**SMALL)),
    "voting": lambda: VotingClassifier(
        [("l", lgb.LGBMClassifier(**SMALL)), ("f", RandomForestClassifier(3, max_depth=3))], voting="soft"
    ),
    "stacking": lambda: StackingClassifier([("l", lgb.LGBMClassifier(**SMALL))], cv=2),
    "calibrated forests": lambda: CalibratedClassifierCV(lgb.LGBMClassifier(**SMALL, **RANDOM_FOREST), cv=2),
    "calibrated, another sigmoid": lambda: make_pipeline(
        StandardScaler(), CalibratedClassifierCV(lgb.LGBMClassifier(**SMALL, objective="multiclassova", sigmoid=2.0), cv=2)
    ),
    "calibrated": lambda: CalibratedClassifierCV(lgb.LGBMClassifier(**SMALL), cv=2),
}


@pytest.mark.parametrize("model", COMPOSITIONS.values(), ids=COMPOSITIONS)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_an_estimator_is_read_inside_of_scikit_learns_compositions(tmp_path, model):
    rows = np.nan_to_num(ROWS)
    model = model().fit(rows, THREE)
    held = np.concatenate([rows, rows.astype(np.float32).astype(np.float64), np.nextafter(rows, np.inf)])
    made = convert(model, samples=held, out=tmp_path, progress=False)
    assert made.parity.max_rel_diff < 5e-6
    assert made.parity.label_agreement in (None, 1.0)


class Doubling(lgb.LGBMRegressor):
    def predict(self, X, **more):
        return 2 * super().predict(X, **more)


def logistic(target, scores):
    return 1 / (1 + np.exp(-scores)) - target, np.ones_like(scores)


CATEGORIES = FRAME.assign(**{"2nd": pd.Categorical(np.where(ROWS[:, 3] > -5, "high", "low"))})

REFUSED = {
    "categories of a frame": (lambda: regressor("regression", data=CATEGORIES), r"categorical features \(2nd\)", "Encode"),
    "a categorical column": (
        lambda: boosted(
            "regression",
            AMOUNT,
            np.abs(np.nan_to_num(ROWS).round()),
            **{"categorical_feature": [3], "min_data_per_group": 1, "cat_smooth": 0},
        ),
        r"categorical features \(Column_3\)",
        "Encode",
    ),
    "linear trees": (lambda: boosted("regression", AMOUNT, linear_tree=True), "linear trees", "linear_tree=False"),
    "numbers out of a classifier": (lambda: classifier(TWO, objective="poisson"), "poisson in a classifier", "binary"),
    "a classifier's own objective": (lambda: classifier(TWO, objective=logistic), "of its own in a classifier", "binary"),
    "one class": (lambda: classifier(TWO * 0), "1 classes", "two classes"),
    "labels of fractions": (lambda: classifier(TWO.astype(float)), "labels", "integers"),
    "not fitted": (lgb.LGBMRegressor, "not fitted", "Fit"),
    "no model": (lambda: lgb.Dataset(ROWS), "not a trained model", "Booster"),
    "its own predict": (lambda: Doubling(**SMALL).fit(ROWS, AMOUNT), "its own predict", "plain"),
    "a column like an output": (
        lambda: regressor("regression", data=FRAME.rename(columns={"age": "prediction"})),
        "name of an output",
        "Rename",
    ),
}


@pytest.mark.parametrize(("model", "told", "remedy"), REFUSED.values(), ids=REFUSED)
@pytest.mark.filterwarnings("ignore::UserWarning:lightgbm")
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
        (np.zeros((2, 5)), r"\(2, 5\)"),
        (np.zeros((2, 2, 4)), r"\(2, 2, 4\)"),
        (np.full((2, 4), "a"), "not numeric"),
    ],
    ids=["infinity", "width", "shape", "texts"],
)
def test_samples_that_are_no_table_of_numbers_are_refused(samples, told):
    with pytest.raises(ConversionError, match=told):
        LightgbmSource(classifier(TWO)).inputs(samples)


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = boosted("multiclass", THREE, num_class=3)
    again = lgb.Booster(model_str=model.model_to_string())
    one, two = (
        convert(asked, name="m", samples=ROWS, out=tmp_path / name, progress=False).path.read_bytes()
        for asked, name in ((model, "one"), (again, "two"))
    )
    assert one == two
