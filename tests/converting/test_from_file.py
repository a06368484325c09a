from __future__ import annotations

import io
import json
import pickle
import re
import sys
import zipfile

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from mlpublish.converting.convert import convert
from mlpublish.converting.files.skops_file import TRUSTED
from mlpublish.converting.from_file import opened_file
from mlpublish.errors import ConversionError, MissingExtra, NotFound

sio = pytest.importorskip("skops.io", reason="needs skops: pip install 'mlpublish[skops]'")
lgb = pytest.importorskip("lightgbm", reason="needs lightgbm: pip install 'mlpublish[lightgbm]'")
xgb = pytest.importorskip("xgboost", reason="needs xgboost: pip install 'mlpublish[xgboost]'")

_R = np.random.default_rng(3)
ROWS = _R.normal(size=(80, 3))
WORDS = np.array(["low", "middle", "high"])[np.digitize(ROWS.sum(axis=1), [-1, 1])]
NUMBERS = np.digitize(ROWS.sum(axis=1), [-1, 1])
FRAME = pd.DataFrame({"x": ROWS[:, 0], "city": np.where(ROWS[:, 1] > 0, "Ulm", "Bonn")})

SKOPS = {
    "forest": lambda: RandomForestClassifier(3, max_depth=3).fit(ROWS, WORDS),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=2).fit(ROWS, WORDS),
    "neighbours": lambda: KNeighborsClassifier(3).fit(ROWS, WORDS),
    "perceptron": lambda: MLPClassifier((4,), max_iter=5).fit(ROWS, WORDS),
    "selection": lambda: make_pipeline(SelectKBest(k=2), LogisticRegression()).fit(ROWS, WORDS),
    "function": lambda: make_pipeline(FunctionTransformer(np.square), LogisticRegression()).fit(ROWS, WORDS),
    "XGBoost": lambda: xgb.XGBClassifier(n_estimators=2).fit(ROWS, NUMBERS),
    "LightGBM": lambda: lgb.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(ROWS, WORDS),
}


@pytest.fixture
def fitted():
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, WORDS)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("model", SKOPS.values(), ids=SKOPS)
def test_a_skops_file_is_the_model_that_was_saved_with_its_labels(tmp_path, model):
    model = model()
    sio.dump(model, tmp_path / "kept.skops")
    opened = opened_file(tmp_path / "kept.skops", trust_pickle=False)
    assert opened.name == "kept"
    np.testing.assert_array_equal(opened.model.predict_proba(ROWS), model.predict_proba(ROWS))
    np.testing.assert_array_equal(opened.model.predict(ROWS), model.predict(ROWS))


def test_a_frame_pipeline_is_converted_from_its_file(tmp_path):
    columns = make_column_transformer(
        (OneHotEncoder(), ["city"]), (StandardScaler(), make_column_selector(dtype_include="number"))
    )
    sio.dump(make_pipeline(columns, LogisticRegression()).fit(FRAME, WORDS), tmp_path / "cities.skops")
    made = convert(tmp_path / "cities.skops", samples=FRAME, out=tmp_path / "out", progress=False)
    assert (made.name, made.parity.label_agreement) == ("cities", 1.0)
    assert {each.name: each.kind for each in made.interface.inputs} == {"x": "double", "city": "string"}


class Guest:
    """A type that nobody trusts."""

    def __init__(self):
        self.kept = 1


def test_types_that_are_not_trusted_are_listed_and_none_of_them_is_made(tmp_path):
    sio.dump(make_pipeline(FunctionTransformer(print), Guest()), tmp_path / "strange.skops")
    with pytest.raises(ConversionError, match=r"not trusted: .*Guest") as refused:
        opened_file(tmp_path / "strange.skops", trust_pickle=True)
    assert "trusted=[…]" in refused.value.remedy


def test_only_what_holds_numbers_is_trusted():
    """No function of a module that opens files, and nothing outside of the libraries that are converted."""
    assert {name.partition(".")[0] for name in TRUSTED} == {"collections", "lightgbm", "numpy", "sklearn", "xgboost"}
    assert not [name for name in TRUSTED if "joblib" in name or "externals" in name or name.endswith("load")]


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("kind", ["classifier", "regressor", "ranker", "booster", "vectors"])
def test_xgboosts_files_are_the_estimator_that_wrote_them(tmp_path, suffix, kind):
    small = {"n_estimators": 3, "max_depth": 3}
    model = {
        "classifier": lambda: xgb.XGBClassifier(**small).fit(ROWS, NUMBERS),
        "regressor": lambda: xgb.XGBRegressor(**small, objective="binary:logistic").fit(ROWS, NUMBERS > 0),
        "ranker": lambda: xgb.XGBRanker(**small).fit(ROWS, NUMBERS, qid=np.repeat(range(8), 10)),
        "booster": lambda: xgb.train({"objective": "multi:softprob", "num_class": 3}, xgb.DMatrix(ROWS, NUMBERS), 2),
        "vectors": lambda: xgb.XGBRegressor(**small, multi_strategy="multi_output_tree").fit(ROWS, ROWS[:, :2]),
    }[kind]()
    path = tmp_path / f"kept.{suffix}"
    model.save_model(path)
    opened = opened_file(path, trust_pickle=False)
    assert type(opened.model) is type(model)
    asked = xgb.DMatrix(ROWS) if kind == "booster" else ROWS
    np.testing.assert_array_equal(opened.model.predict(asked), model.predict(asked))
    assert convert(path, samples=ROWS, out=tmp_path / "out", progress=False).name == "kept"


def test_an_estimator_that_stopped_early_answers_with_its_best_round_from_its_file_too(tmp_path):
    held = [(ROWS[60:], NUMBERS[60:])]
    model = xgb.XGBClassifier(n_estimators=80, early_stopping_rounds=2).fit(ROWS[:60], NUMBERS[:60], eval_set=held, verbose=0)
    model.save_model(tmp_path / "kept.json")
    made = convert(tmp_path / "kept.json", samples=ROWS, out=tmp_path / "out", progress=False)
    assert made.parity.label_agreement == 1.0
    opened = opened_file(tmp_path / "kept.json", trust_pickle=False).model
    np.testing.assert_array_equal(opened.predict_proba(ROWS), model.predict_proba(ROWS))


def test_lightgbms_text_is_a_booster_of_numbered_classes(tmp_path):
    model = lgb.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(ROWS, WORDS)
    model.booster_.save_model(tmp_path / "kept.txt")
    opened = opened_file(tmp_path / "kept.txt", trust_pickle=False).model
    np.testing.assert_array_equal(opened.predict(ROWS), model.predict_proba(ROWS))
    made = convert(tmp_path / "kept.txt", samples=ROWS, out=tmp_path / "out", progress=False)
    assert [each.kind for each in made.interface.outputs] == ["int64", "dictionary"]


class Running:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self):
        return exec, ("import sys; sys.traces = [*getattr(sys, 'traces', []), 1]",)


@pytest.mark.parametrize("name", ["kept.pkl", "kept.pickle", "kept.joblib", "KEPT.PKL"])
def test_a_pickle_is_opened_only_if_it_is_trusted(tmp_path, monkeypatch, fitted, name):
    monkeypatch.setattr(sys, "traces", [], raising=False)
    joblib.dump((fitted, Running()), tmp_path / name)
    with pytest.raises(ConversionError, match="is a pickle") as refused:
        opened_file(tmp_path / name, trust_pickle=False)
    assert "--trust-pickle" in refused.value.remedy
    assert sys.traces == []
    model, _ = opened_file(tmp_path / name, trust_pickle=True).model
    assert sys.traces == [1]
    np.testing.assert_array_equal(model.predict(ROWS), fitted.predict(ROWS))


def booster_text() -> str:
    return lgb.train({"verbose": -1, "num_threads": 1}, lgb.Dataset(ROWS, NUMBERS), 2).model_to_string()


def booster_bytes(kind: str) -> bytes:
    return bytes(xgb.train({"max_depth": 3}, xgb.DMatrix(ROWS, NUMBERS), 2).save_raw(kind))


def changed(change) -> bytes:
    document = json.loads(booster_bytes("json"))
    change(document)
    return json.dumps(document).encode()


def trees(document):
    return document["learner"]["gradient_booster"]["model"]["trees"]


def of_vectors(change) -> bytes:
    model = xgb.XGBRegressor(n_estimators=1, max_depth=2, multi_strategy="multi_output_tree").fit(ROWS, ROWS[:, :2])
    document = json.loads(model.get_booster().save_raw("json"))
    change(document)
    return json.dumps(document).encode()


def model_of(document):
    return document["learner"]["gradient_booster"]["model"]


def text_with(old: str, new: str) -> bytes:
    """A LightGBM file with other lines, and the sizes of its trees as they are then."""
    head, *blocks = re.sub(old, new, booster_text(), count=1).split("\nTree=")
    last, end, rest = blocks[-1].partition("end of trees")
    sizes = [len(f"Tree={block}\n") for block in blocks[:-1]] + [len(f"Tree={last}")]
    head = re.sub("tree_sizes=.*", f"tree_sizes={' '.join(map(str, sizes))}", head)
    return ("\nTree=".join([head, *blocks[:-1], last]) + end + rest).encode()


def skops_with(model, change) -> bytes:
    """An archive of skops, each of its parts changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sio.dumps(model))) as archive, zipfile.ZipFile(made, "w") as other:
        for name in archive.namelist():
            other.writestr(name, change(name, archive.read(name)))
    return made.getvalue()


def skops_of_lightgbm(change) -> bytes:
    model = lgb.LGBMRegressor(n_estimators=2, verbose=-1, n_jobs=1).fit(ROWS, NUMBERS)
    held = json.dumps(json.dumps(model.booster_.model_to_string()))
    return skops_with(model, lambda _, part: part.replace(held.encode(), change(held).encode()))


def skops_of_xgboost(change) -> bytes:
    model = make_pipeline(StandardScaler(), xgb.XGBRegressor(n_estimators=2, max_depth=2)).fit(ROWS, NUMBERS)
    return skops_with(model, lambda name, part: change(part) if name.endswith(".bin") else part)


def without_end(held: str) -> str:
    return json.dumps(json.dumps(json.loads(json.loads(held))[:800]))


BROKEN = {
    "empty skops": ("m.skops", lambda: b"", "is empty", "again"),
    "a pickle called skops": ("m.skops", lambda: pickle.dumps(Running()), "no archive of skops", "skops.io.dump"),
    "a cut skops": ("m.skops", lambda: sio.dumps(LogisticRegression())[:-30], "cannot be read", "skops.io.dump"),
    "JSON of something": ("m.json", lambda: b'{"a": 1}', "no whole model of XGBoost: it lacks learner", "save_model"),
    "a list in JSON": ("m.json", lambda: b"[1, 2]", "no whole model of XGBoost", "save_model"),
    "no JSON": ("m.json", lambda: b"hello", "no whole model of XGBoost", "save_model"),
    "deep JSON": ("m.json", lambda: b"[" * 100_000, "no whole model of XGBoost", "save_model"),
    "cut JSON": ("m.json", lambda: booster_bytes("json")[:900], "no whole model of XGBoost", "save_model"),
    "cut UBJSON": ("m.ubj", lambda: booster_bytes("ubj")[:-40], "it was cut off", "save_model"),
    "UBJSON's beginning": ("m.ubj", lambda: b"{", "it was cut off", "save_model"),
    "JSON called UBJSON": ("m.ubj", lambda: booster_bytes("json"), "no UBJSON at byte 1", "save_model"),
    "a tree without nodes": (
        "m.json",
        lambda: changed(lambda m: trees(m)[0].update(default_left=[])),
        "lacks nodes",
        "save_model",
    ),
    "a tree in a circle": (
        "m.json",
        lambda: changed(lambda m: trees(m)[0]["left_children"].__setitem__(1, 1)),
        "do not hang together",
        "save_model",
    ),
    "a tree for no result": (
        "m.json",
        lambda: changed(lambda m: model_of(m).update(tree_info=[1_000_000, 0])),
        "a result that is not there",
        "save_model",
    ),
    "two trees of one number": (
        "m.json",
        lambda: changed(lambda m: trees(m)[1].update(id=0)),
        "trees are lacking",
        "save_model",
    ),
    "a parent that is not there": (
        "m.json",
        lambda: changed(lambda m: trees(m)[0]["parents"].__setitem__(1, 2**30)),
        "do not hang together",
        "save_model",
    ),
    "a feature that is not there": (
        "m.json",
        lambda: changed(lambda m: trees(m)[0]["split_indices"].__setitem__(0, 3)),
        "a feature that is not there",
        "save_model",
    ),
    "more features than trees": (
        "m.json",
        lambda: changed(lambda m: m["learner"]["learner_model_param"].update(num_feature="100000000")),
        "trained on other features",
        "save_model",
    ),
    "a split at NaN": (
        "m.json",
        lambda: changed(lambda m: trees(m)[0]["split_conditions"].__setitem__(0, float("nan"))),
        "compares with NaN",
        "save_model",
    ),
    "leaves of more results": (
        "m.json",
        lambda: changed(lambda m: trees(m)[0]["tree_param"].update(size_leaf_vector="3")),
        "another number of results",
        "save_model",
    ),
    "leaves of less than one result": (
        "m.json",
        lambda: changed(lambda m: trees(m)[0]["tree_param"].update(size_leaf_vector="-1")),
        "another number of results",
        "save_model",
    ),
    "leaves that lack": (
        "m.json",
        lambda: of_vectors(lambda m: trees(m)[0].update(leaf_weights=[], base_weights=[])),
        "lacks leaves",
        "save_model",
    ),
    "categories that lack": (
        "m.json",
        lambda: changed(lambda m: trees(m)[0].update(categories=[1], categories_segments=[0], categories_sizes=[9])),
        "lacks categories",
        "save_model",
    ),
    "trees called linear": (
        "m.json",
        lambda: changed(lambda m: m["learner"]["gradient_booster"].update(name="gblinear")),
        "it lacks weights",
        "save_model",
    ),
    "no trees and no rest": (
        "m.json",
        lambda: changed(lambda m: m["learner"]["gradient_booster"].update(model=None)),
        "of another type",
        "save_model",
    ),
    "an estimator of a list": (
        "m.json",
        lambda: changed(lambda m: m["learner"]["attributes"].update(scikit_learn="[1]")),
        "of another type",
        "save_model",
    ),
    "an objective that XGBoost does not know": (
        "m.json",
        lambda: changed(lambda m: m["learner"]["objective"].update(name="hello")),
        r"XGBoost: Unknown objective function: `hello`\.",
        "save_model",
    ),
    "text of something": ("m.txt", lambda: b"hello", "no whole model of LightGBM", "save_model"),
    "bytes called text": ("m.txt", lambda: bytes(range(256)), "no whole model of LightGBM", "save_model"),
    "cut text": ("m.txt", lambda: booster_text()[:800].encode(), "no whole model of LightGBM", "save_model"),
    "text cut in its parameters": ("m.txt", lambda: booster_text()[:-400].encode(), "cut off in its param", "save_model"),
    "text from Windows": ("m.txt", lambda: booster_text().replace("\n", "\r\n").encode(), "no whole model", "save_model"),
    "text of other sizes": ("m.txt", lambda: booster_text().replace("shrinkage=1", "shrinkage=1.0").encode(), "siz", "save"),
    "text with a line more": ("m.txt", lambda: text_with("num_cat=0", "num_cat=0\nnum_cat=0"), "there twice", "save_model"),
    "text of three classes": ("m.txt", lambda: text_with("num_class=1", "num_class=3"), "do not agree", "save_model"),
    "text of no results": ("m.txt", lambda: text_with("iteration=1", "iteration=0"), "do not agree", "save_model"),
    "text of other counts": ("m.txt", lambda: text_with("leaf_count=.*", "leaf_count=1"), "leaf_count has 1", "save_model"),
    "text of no gains": ("m.txt", lambda: text_with("split_gain=.*\n", ""), "lacks split_gain", "save_model"),
    "text of Python's numbers": ("m.txt", lambda: text_with(r"threshold=\S+", "threshold=1_0"), "no number", "save_model"),
    "text of lacking categories": ("m.txt", lambda: text_with("num_cat=0", "num_cat=2"), "cat_boundaries", "save_model"),
    "cut text in a skops": ("m.skops", lambda: skops_of_lightgbm(without_end), "whole model of LightGBM", "skops.io.dump"),
    "cut UBJSON in a skops": ("m.skops", lambda: skops_of_xgboost(lambda part: part[: len(part) // 2]), "cut off", "skops.io"),
    "a pickle of nothing": ("m.pkl", lambda: b"hello", "cannot be unpickled", "same versions"),
    "a pickle of a class that is gone": ("m.pkl", lambda: b"cnowhere\nThing\n.", "needs nowhere", "Install nowhere"),
    "a Core ML model": ("m.mlmodel", lambda: b"x", "Core ML model already", "bundle"),
    "a torch file": ("m.pt2", lambda: b"x", "not read from such files", "torch.export.load"),
    "another file": ("m.onnx", lambda: b"x", "not read from such files", ".skops, .json, .ubj, .txt"),
}


@pytest.mark.parametrize(("name", "content", "told", "remedy"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_holds_no_model_is_told_in_one_line_with_the_remedy(tmp_path, name, content, told, remedy):
    (tmp_path / name).write_bytes(content())
    with pytest.raises(ConversionError, match=told) as refused:
        convert(str(tmp_path / name), samples=ROWS, out=tmp_path / "out", progress=False, trust_pickle=True)
    assert remedy in refused.value.remedy
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_changed_trees_are_whole_where_nothing_was_changed(tmp_path):
    """What the broken files above are made of is opened as it is."""
    for name, content in {
        "m.json": changed(lambda m: None),
        "v.json": of_vectors(lambda m: None),
        "m.txt": text_with("num_cat=0", "num_cat=0"),
        "l.skops": skops_of_lightgbm(lambda held: held),
        "x.skops": skops_of_xgboost(lambda part: part),
    }.items():
        (tmp_path / name).write_bytes(content)
        assert opened_file(tmp_path / name, trust_pickle=False).model is not None


def test_a_file_that_is_not_there_and_a_folder_are_told(tmp_path):
    with pytest.raises(NotFound, match="There is no file"):
        convert(tmp_path / "m.skops", samples=ROWS, progress=False)
    (tmp_path / "m.json").mkdir()
    with pytest.raises(ConversionError, match="Is a directory"):
        convert(tmp_path / "m.json", samples=ROWS, progress=False)


@pytest.mark.parametrize(("name", "library"), [("m.skops", "skops"), ("m.ubj", "xgboost"), ("m.txt", "lightgbm")])
def test_a_library_that_is_not_installed_is_named_with_its_line(tmp_path, monkeypatch, name, library):
    for module in [each for each in sys.modules if each.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(MissingExtra) as missing:
        opened_file(tmp_path / name, trust_pickle=False)
    assert f"pip install 'mlpublish[{library}]'" in missing.value.remedy
