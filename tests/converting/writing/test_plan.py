from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingRegressor,
)
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlpublish.converting.convert import convert
from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.converting.graph.algebra import Linear
from mlpublish.converting.graph.answer import Classified, Number, Predicted
from mlpublish.converting.graph.columnwise import Function, Name
from mlpublish.converting.graph.node import Array, Column, Join, Pick
from mlpublish.converting.writing.plan import planned
from mlpublish.coreml.evaluate import load
from mlpublish.coreml.package import describe, read
from tests.converting.graphs import values
from tests.converting.writing.forests import forest, split
from tests.converting.writing.validating import check

R = np.random.default_rng(3)
ROWS = R.normal(size=(90, 4)) * [1, 10, 0.1, 3] + [0, 30, 0, -5]
SUM = ROWS @ [1, 0.2, 3, -1]
TWO, THREE = (SUM > 11).astype(int), np.digitize(SUM, [9, 13])
NAMES = np.array(["low", "mid", "high"])[THREE]
FRAME = pd.DataFrame(ROWS, columns=["a", "b c", "d", "e"])
TOWNS = FRAME.assign(town=np.array(["Oslo", "Rome", "Ulm"])[R.integers(0, 3, 90)])
SMALL = {"n_estimators": 5, "max_depth": 3, "random_state": 0}
TOWN = ColumnTransformer([("t", OneHotEncoder(handle_unknown="ignore"), ["town"]), ("n", StandardScaler(), ["a", "e"])])


def stages(path):
    """The kinds of a file's stages, in order, which are valid."""
    spec = read(path)
    check(spec)
    kind = spec.WhichOneof("Type")
    if not kind.startswith("pipeline"):
        return [kind]
    held = spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline
    return [str(each.WhichOneof("Type")) for each in held.models]


PLANS = {
    "linear": (LinearRegression(), SUM, "glmRegressor", ["glmRegressor"]),
    "logistic": (LogisticRegression(max_iter=5000), TWO, "glmClassifier", ["glmClassifier"]),
    "scaled logistic": (
        make_pipeline(StandardScaler(), LogisticRegression()),
        TWO,
        "pipelineClassifier",
        ["scaler", "glmClassifier"],
    ),
    "multinomial": (make_pipeline(StandardScaler(), LogisticRegression()), NAMES, "mlProgram", ["mlProgram"]),
    "labels alone of two": (LinearSVC(), TWO, "glmClassifier", ["glmClassifier"]),
    "labels alone of three": (LinearSVC(), NAMES, "supportVectorClassifier", ["supportVectorClassifier"]),
    "one against the rest": (
        make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", alpha=0.1, random_state=0)),
        THREE,
        "pipelineClassifier",
        ["scaler", "supportVectorClassifier", "featureVectorizer", "mlProgram"],
    ),
    "support vectors": (SVC(), NAMES, "supportVectorClassifier", ["supportVectorClassifier"]),
    "support vectors' regression": (SVR(), SUM, "supportVectorRegressor", ["supportVectorRegressor"]),
    "a tree": (DecisionTreeClassifier(max_depth=3), NAMES, "treeEnsembleClassifier", ["treeEnsembleClassifier"]),
    "a tree behind scalers": (
        make_pipeline(SimpleImputer(), StandardScaler(), MinMaxScaler(), DecisionTreeRegressor(max_depth=3)),
        SUM,
        "treeEnsembleRegressor",
        ["treeEnsembleRegressor"],
    ),
    "a forest of some columns": (
        make_pipeline(SelectKBest(f_regression, k=2), RandomForestRegressor(**SMALL)),
        SUM,
        "treeEnsembleRegressor",
        ["treeEnsembleRegressor"],
    ),
    "a tree behind a projection": (
        make_pipeline(PCA(2), DecisionTreeClassifier(max_depth=3)),
        NAMES,
        "pipelineClassifier",
        ["mlProgram", "treeEnsembleClassifier"],
    ),
    "a tree behind norms": (
        make_pipeline(Normalizer(), DecisionTreeClassifier(max_depth=3)),
        NAMES,
        "pipelineClassifier",
        ["normalizer", "treeEnsembleClassifier"],
    ),
    "boosting": (GradientBoostingClassifier(n_estimators=4), NAMES, "treeEnsembleClassifier", ["treeEnsembleClassifier"]),
    "a forest of several results": (
        RandomForestRegressor(**SMALL),
        np.column_stack([SUM, -SUM]),
        "treeEnsembleRegressor",
        ["treeEnsembleRegressor"],
    ),
    "linear behind a projection": (make_pipeline(PCA(2), LinearRegression()), SUM, "mlProgram", ["mlProgram"]),
    "several results": (MultiOutputRegressor(Ridge()), np.column_stack([SUM, -SUM]), "mlProgram", ["mlProgram"]),
    "stacked": (
        StackingRegressor([("f", RandomForestRegressor(**SMALL)), ("s", SVR())], Ridge()),
        SUM,
        "pipelineRegressor",
        ["treeEnsembleRegressor", "supportVectorRegressor", "glmRegressor"],
    ),
    "a regression that ends in arithmetic is a plain pipeline": (
        HistGradientBoostingRegressor(loss="poisson", max_iter=3),
        TWO,
        "pipeline",
        ["treeEnsembleRegressor", "featureVectorizer", "mlProgram"],
    ),
    "imputed": (make_pipeline(SimpleImputer(), LinearRegression()), SUM, "pipelineRegressor", ["imputer", "glmRegressor"]),
    "clusters": (KMeans(3, n_init=1, random_state=0), None, "mlProgram", ["mlProgram"]),
    "anomalies": (
        IsolationForest(n_estimators=5, random_state=0),
        None,
        "pipeline",
        ["treeEnsembleRegressor", "treeEnsembleRegressor", "featureVectorizer", "mlProgram"],
    ),
    "naive Bayes": (GaussianNB(), NAMES, "mlProgram", ["mlProgram"]),
    "a scaler alone": (StandardScaler(), None, "scaler", ["scaler"]),
    "labels and probabilities apart": (
        make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)),
        TWO,
        "pipelineClassifier",
        ["scaler", "supportVectorRegressor", "featureVectorizer", "mlProgram", "mlProgram"],
    ),
}


@pytest.mark.filterwarnings("ignore:The `probability` parameter:FutureWarning")
@pytest.mark.parametrize(("model", "target", "kind", "wanted"), PLANS.values(), ids=PLANS)
def test_an_array_is_read_by_as_few_and_as_classic_stages_as_there_can_be(tmp_path, model, target, kind, wanted):
    converted = convert(model.fit(ROWS, target), name="m", samples=ROWS, out=tmp_path, progress=False)
    assert (converted.kind, stages(converted.path)) == (kind, wanted)
    assert converted.path.suffix == (".mlpackage" if "mlProgram" in wanted else ".mlmodel")
    assert converted.parity.label_agreement in (None, 1.0)
    assert set(converted.provenance.converters) == {"mlpublish", "coremltools" if "mlProgram" in wanted else "protobuf"}
    assert describe(converted.path).precision == ("float32" if "mlProgram" in wanted else "double")


TEXTS = {
    "logistic": (LogisticRegression(), TWO, ["oneHotEncoder", "featureVectorizer", "scaler", "glmClassifier"]),
    "multinomial": (
        LogisticRegression(),
        NAMES,
        ["oneHotEncoder", "featureVectorizer", "mlProgram"],
    ),
    "tree": (DecisionTreeClassifier(max_depth=4), NAMES, ["oneHotEncoder", "treeEnsembleClassifier"]),
    "boosting": (HistGradientBoostingRegressor(max_iter=4), SUM, ["oneHotEncoder", "treeEnsembleRegressor"]),
}


@pytest.mark.parametrize(("model", "target", "wanted"), TEXTS.values(), ids=TEXTS)
def test_a_frame_of_texts_and_numbers(tmp_path, model, target, wanted):
    fitted = make_pipeline(TOWN, model).fit(TOWNS, target)
    converted = convert(fitted, name="m", samples=TOWNS, out=tmp_path, progress=False)
    assert stages(converted.path) == wanted
    assert [each.name for each in converted.interface.inputs] == ["a", "e", "town"], "as in the frame, without the dropped"
    assert [each.kind for each in converted.interface.inputs] == ["double", "double", "string"]


BORDERS = {
    "trees that round": (RandomForestRegressor(**SMALL), "float32"),
    "scaled trees": (make_pipeline(StandardScaler(), RandomForestRegressor(**SMALL)), "float64"),
    "trees in doubles": (HistGradientBoostingRegressor(max_iter=3), "float64"),
    "trees behind a norm": (make_pipeline(Normalizer(), DecisionTreeRegressor(max_depth=2)), "float64"),
    "trees behind a projection": (make_pipeline(PCA(2), DecisionTreeRegressor(max_depth=2)), "float32"),
    "linear": (make_pipeline(StandardScaler(), LinearRegression()), "float32"),
}


@pytest.mark.parametrize(("model", "dtype"), BORDERS.values(), ids=BORDERS)
def test_an_array_is_of_doubles_only_where_a_split_needs_it(tmp_path, model, dtype):
    source = SklearnSource(model.fit(ROWS, SUM))
    path = source.write(tmp_path, "m", samples=ROWS, precision="float32", target="iOS16")
    (fed,) = describe(path).interface.inputs
    assert fed.dtype == dtype
    assert source.inputs(ROWS)["input"].dtype == dtype


def test_coremltools_reads_what_is_written(tmp_path, caplog):
    import coremltools as ct

    caplog.set_level("CRITICAL", logger="coremltools")
    model = make_pipeline(PCA(2), RandomForestClassifier(**SMALL)).fit(ROWS, NAMES)
    converted = convert(model, name="m", samples=ROWS, out=tmp_path, progress=False)
    held = ct.models.MLModel(str(converted.path), skip_model_load=True)
    held.save(str(tmp_path / "again.mlpackage"))
    again, first = (load(each).predict_rows({"input": ROWS}) for each in (tmp_path / "again.mlpackage", converted.path))
    np.testing.assert_array_equal(again["classProbability"], first["classProbability"])


def test_the_weights_of_each_program_lie_in_a_file_of_their_own(tmp_path):
    x = Array(size=40)
    first = Linear(of=x, weights=R.normal(size=(30, 40)), offset=np.zeros(30))
    trees = forest(first, *(split(at, 0.0, values=(at, 2.0)) for at in range(30)), base=(0.5,))
    second = Linear(of=Join(parts=(first, trees)), weights=R.normal(size=(3, 31)), offset=np.zeros(3))
    plan = planned(Predicted(numbers=(Number(name="y", node=second),)))
    path = plan.write(tmp_path, "m", target="iOS16")
    assert stages(path) == ["mlProgram", "treeEnsembleRegressor", "featureVectorizer", "mlProgram"]
    weights = sorted(each.name for each in (path / "Data/com.apple.CoreML/weights").iterdir())
    assert weights == ["0-weight.bin", "3-weight.bin"]
    rows = R.normal(size=(20, 40)).astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(load(path).predict_rows({"input": rows})["y"], values(second, rows), rtol=1e-4, atol=1e-4)


def test_two_results_of_one_forest_are_written_once(tmp_path):
    x = Array(size=2)
    trees = forest(x, split(0, 0.5), split(1, 0.1))
    both = (Function(of=trees, name=Name.EXP), Function(of=trees, name=Name.SQUARE))
    plan = planned(Predicted(numbers=tuple(Number(name=name, node=node) for name, node in zip("ab", both, strict=True))))
    path = plan.write(tmp_path, "m", target="iOS16")
    assert stages(path) == ["treeEnsembleRegressor", "featureVectorizer", "mlProgram"]


def test_a_forest_that_reads_a_forest(tmp_path):
    x = Array(size=2)
    first = forest(x, *(split(at, 0.1 * at, values=(at, 7.0)) for at in range(2)), base=(0.0,))
    second = forest(Join(parts=(first, Pick(of=x, places=(1,)))), split(0, 7.5), split(1, 0.3), rounds=False)
    plan = planned(Predicted(numbers=(Number(name="y", node=second),)))
    path = plan.write(tmp_path, "m", target="iOS16")
    assert path.suffix == ".mlmodel"
    rows = R.normal(size=(40, 2)).round(1)
    np.testing.assert_array_equal(load(path).predict_rows(plan.features(rows))["y"], values(second, rows)[:, 0])


@pytest.mark.parametrize(
    ("model", "rows", "kind"),
    [
        (KMeans(3, n_init=1, random_state=0), ROWS, "mlProgram"),
        (make_pipeline(TOWN, KMeans(3, n_init=1, random_state=0)), TOWNS, "pipeline"),
        (IsolationForest(n_estimators=3, random_state=0), ROWS, "pipeline"),
    ],
    ids=["alone", "behind texts", "anomalies"],
)
def test_a_whole_number_is_one_in_a_pipeline_too(tmp_path, model, rows, kind):
    converted = convert(model.fit(rows), name="m", samples=rows, out=tmp_path, progress=False)
    declared = {each.name: each.dtype for each in converted.interface.outputs}
    assert (converted.kind, declared["prediction"], declared.get("score", "float32")) == (kind, "int32", "float32")
    got = load(converted.path).predict_rows(SklearnSource(model).inputs(rows))
    assert (got["prediction"].dtype, got["prediction"].tolist()) == (np.int32, model.predict(rows).reshape(-1, 1).tolist())
    check(read(converted.path))


def test_names_between_stages_are_nobody_elses(tmp_path):
    frame = pd.DataFrame(ROWS, columns=["columns", "scaled", "columns2", "computed"])
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, TWO)
    assert convert(model, name="m", samples=frame, out=tmp_path, progress=False).parity.label_agreement == 1.0


@pytest.mark.parametrize("name", ["state", "list", "string"])
def test_a_column_may_have_a_name_that_a_program_cannot(tmp_path, name):
    frame = FRAME.rename(columns={"a": name})
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, NAMES)
    converted = convert(model, name="m", samples=frame, out=tmp_path, progress=False)
    assert stages(converted.path) == ["featureVectorizer", "mlProgram"]
    assert converted.interface.inputs[0].name == name


@pytest.mark.parametrize("scores", [(5.0, 5.0, 4.0), (4.0, 5.0, 5.0), (900.0, 900.0, 900.0), (-900.0, 800.0, 800.0)])
def test_of_equal_scores_the_first_class_is_the_label_also_where_a_logistic_function_ends(tmp_path, scores):
    node = Linear(of=Array(size=1), weights=np.zeros((3, 1)), offset=np.array(scores))
    plan = planned(Classified(classes=("a", "b", "c"), scores=node))
    path = plan.write(tmp_path, "m", target="iOS16")
    got = load(path).predict_rows({"input": np.zeros((1, 1))})["classLabel"]
    assert got.tolist() == ["abc"[int(np.argmax(scores))]]


def test_a_column_that_is_asked_twice_is_declared_once():
    column = Column(name="a", feature="a")
    plan = planned(Predicted(numbers=(Number(name="y", node=Join(parts=(column, Function(of=column, name=Name.EXP)))),)))
    assert [each.feature for each in plan.inputs] == ["a"]
