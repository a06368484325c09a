from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mlpublish.converting.convert import convert
from mlpublish.converting.from_mlflow import opened_uri
from mlpublish.errors import ConversionError, EndpointRefused, EndpointUnreachable, NotFound
from tests.web import Web


@pytest.fixture
def made(store, tmp_path):
    return lambda uri, **asked: convert(uri, out=tmp_path, progress=False, **asked)


@pytest.fixture
def experiment(store):
    import mlflow

    return mlflow.MlflowClient().get_experiment_by_name("tests").experiment_id


@pytest.fixture
def logged(experiment):
    """Log a model under a name of its own; returns the registered URI."""
    import mlflow

    def log(flavor, model, name, **settings):
        with mlflow.start_run(experiment_id=experiment):
            flavor.log_model(model, name="model", registered_model_name=name, pip_requirements=[], **settings)
        return f"models:/{name}/1"

    return log


def test_an_alias_becomes_a_model_with_its_name_samples_and_lineage(made):
    converted = made("models:/digits@champion")
    assert converted.name == "digits"
    assert converted.parity.samples == 20  # the input example
    lineage = converted.provenance.mlflow
    assert (lineage.registered_model, lineage.version, lineage.git_commit) == ("digits", "1", "c0ffee")
    assert lineage.metrics == {"accuracy": "0.9375"}
    assert lineage.params == {"C": "1.0"}
    assert list(lineage.datasets) == ["digits"]
    assert lineage.model_id.startswith("m-")
    assert lineage.run_id


def test_every_way_to_name_a_model_gives_the_same_file(made):
    by_alias = made("models:/digits@champion")
    lineage = by_alias.provenance.mlflow
    for uri in ("models:/digits/1", "models:/digits/latest", f"models:/{lineage.model_id}", f"runs:/{lineage.run_id}/model"):
        converted = made(uri, name="digits")
        assert converted.files == by_alias.files
        assert converted.provenance.mlflow.run_id == lineage.run_id
        assert converted.provenance.mlflow.registered_model == ("digits" if "digits" in uri else None)


def test_given_samples_and_names_come_first(made, digits):
    converted = made("models:/digits@champion", name="mine", samples=digits.test[:33])
    assert (converted.name, converted.parity.samples) == ("mine", 33)


def test_the_artifact_store_is_not_written_to(made, store):
    def state():
        return {path: path.stat().st_mtime_ns for path in store.rglob("*") if "mlflow.db" not in path.name}

    before = state()
    made("models:/digits@champion")
    assert before
    assert state() == before


@pytest.mark.parametrize(
    "uri",
    [
        "models:/digits@none",
        "models:/digits/99",
        "models:/nobody/1",
        "models:/m-123",
        "runs:/abc/model",
        "models:/digits/Production",
    ],
)
def test_what_is_not_there_is_not_found(made, tmp_path, uri):
    with pytest.raises(NotFound, match="is not in MLflow"):
        made(uri)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["models:/", "models:/digits", "runs:/"])
def test_a_uri_that_is_none_is_refused(made, uri):
    with pytest.raises((ConversionError, NotFound), match="MLflow") as refused:
        made(uri)
    assert refused.value.remedy


def test_a_flavor_that_is_not_converted_is_named(made, experiment):
    import mlflow

    class Echo(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input

    with mlflow.start_run(experiment_id=experiment):
        mlflow.pyfunc.log_model(python_model=Echo(), name="model", registered_model_name="echo", pip_requirements=[])
    with pytest.raises(ConversionError, match="python_function"):
        made("models:/echo/1")


def test_without_an_input_example_samples_are_asked_for(made, logged, binary):
    import mlflow

    uri = logged(mlflow.sklearn, binary, "plain")
    with pytest.raises(ConversionError, match="input_example"):
        made(uri)


def test_a_pickle_is_opened_only_by_who_trusts_it(made, logged, binary, digits):
    import mlflow

    uri = logged(mlflow.sklearn, binary, "pickled", serialization_format="cloudpickle", input_example=digits.test[:5])
    with pytest.raises(ConversionError, match=r"is a pickle.*trust_pickle=True"):
        made(uri)
    assert made(uri, trust_pickle=True).parity.passed


def test_types_that_a_model_declares_as_trusted_are_not(made, logged, binary, digits):
    import mlflow

    uri = logged(mlflow.sklearn, binary, "declaring", skops_trusted_types=["os.system"], input_example=digits.test[:5])
    with pytest.raises(ConversionError, match="declares types"):
        made(uri)


def test_code_that_comes_with_a_model_is_not_loaded(made, logged, binary, digits, tmp_path_factory):
    import mlflow

    module = tmp_path_factory.mktemp("code") / "guest.py"
    module.write_text("raise SystemExit('ran')")
    uri = logged(mlflow.sklearn, binary, "coded", code_paths=[str(module)], input_example=digits.test[:5])
    with pytest.raises(ConversionError, match="brings its own code"):
        made(uri)


@pytest.mark.parametrize("rows", [1, 4])
def test_a_network_comes_out_of_mlflow_as_it_went_in(made, logged, cnn, digits, rows):
    import mlflow

    uri = logged(mlflow.pytorch, cnn, f"net{rows}", input_example=digits.images[:rows])
    converted = made(uri)
    assert converted.interface.inputs[0].shape == (1, 1, 8, 8)
    assert (converted.parity.samples, converted.precision) == (rows, "float16")
    assert "MLFLOW_ALLOW_PICKLE_DESERIALIZATION" not in os.environ
    kept = convert(cnn, name="direct", samples=digits.images[:rows], out=converted.path.parent, progress=False)
    assert kept.parity.twin.max_rel_diff == pytest.approx(converted.parity.twin.max_rel_diff, abs=1e-6)


def test_a_pickle_smuggled_into_a_networks_archive_is_refused(made, logged, store, cnn, digits):
    import mlflow

    uri = logged(mlflow.pytorch, cnn, "smuggled", input_example=digits.images[:2])
    model_id = mlflow.models.get_model_info(uri).model_id
    (archive,) = store.rglob(f"{model_id}/**/model.pt2")
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("model/data/constants/guest", pickle.dumps(Path("guest")))  # anything but a tensor
    with pytest.raises(ConversionError, match="pickle"):
        made(uri)


_WITHOUT_TORCH = """
import sys
from mlpublish.converting.convert import convert
from mlpublish.errors import MissingExtra

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Absent())
try:
    convert("models:/for-torch/1", out=sys.argv[1])
except MissingExtra as missing:
    print(missing)
"""


def test_a_network_without_torch_names_the_extra(logged, cnn, digits, tmp_path):
    import mlflow

    logged(mlflow.pytorch, cnn, "for-torch", input_example=digits.images[:2])
    done = subprocess.run([sys.executable, "-c", _WITHOUT_TORCH, tmp_path], capture_output=True, text=True)
    assert "python -m pip install 'mlpublish[torch]'" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_pickled_network_is_opened_only_by_who_trusts_it(made, logged, cnn, digits):
    import mlflow

    uri = logged(mlflow.pytorch, cnn, "pickled-net", serialization_format="pickle")
    with pytest.raises(ConversionError, match="is a pickle"):
        made(uri, samples=digits.images[:3])
    assert made(uri, samples=digits.images[:3], trust_pickle=True).parity.passed


def test_a_frame_example_keeps_its_columns(made, logged, digits):
    import mlflow
    import pandas as pd
    from sklearn.linear_model import LinearRegression

    frame = pd.DataFrame(digits.train[:, :3], columns=["a", "b", "c"])
    uri = logged(mlflow.sklearn, LinearRegression().fit(frame, digits.train_labels), "columns", input_example=frame[:7])
    assert [each.name for each in made(uri).interface.inputs] == ["a", "b", "c"]


def test_a_server_that_is_down_is_told_as_such(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://who:secret@127.0.0.1:9")  # the discard port: nobody listens
    with pytest.raises(EndpointUnreachable) as down, opened_uri("models:/digits@champion", trust_pickle=False):
        pytest.fail("there is no server")
    assert down.value.retryable
    assert "secret" not in str(down.value)


@pytest.fixture
def boosted(logged, digits):
    """A boosted classifier, logged as ``models:/boosted/1``."""
    xgboost = pytest.importorskip("xgboost", reason="needs xgboost: pip install 'mlpublish[xgboost]'")
    import mlflow

    model = xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(digits.train, digits.train_labels)
    return logged(mlflow.xgboost, model, "boosted", input_example=digits.test[:5])


def _rename_class(store, uri, new):
    """Let a model say that it is of another class, which MLflow imports and calls."""
    import mlflow

    model_id = mlflow.models.get_model_info(uri).model_id
    (file,) = store.rglob(f"{model_id}/**/MLmodel")
    file.write_text(file.read_text().replace("xgboost.sklearn.XGBClassifier", new))


def test_boosted_trees_come_out_of_mlflow_and_a_class_that_is_none_of_xgboosts_is_not_called(made, boosted, store):
    converted = made(boosted)
    assert (converted.parity.passed, converted.provenance.framework, converted.name) == (True, "xgboost", "boosted")
    _rename_class(store, boosted, "subprocess.Popen")
    with pytest.raises(ConversionError, match=r"names the class subprocess\.Popen: loading it runs code"):
        made(boosted)


@pytest.mark.parametrize("lost", ["", "MLmodel", "model.skops"])
def test_a_store_that_lost_a_model_is_told_with_the_way_out(made, logged, binary, digits, store, tmp_path, lost):
    import mlflow

    uri = logged(mlflow.sklearn, binary, f"lost{lost}".replace(".", "-"), input_example=digits.test[:5])
    (folder,) = store.rglob(f"{mlflow.models.get_model_info(uri).model_id}/artifacts")
    shutil.rmtree(folder) if lost == "" else (folder / lost).unlink()
    with pytest.raises(NotFound, match=r"gone from the artifact store\. Restore them .* or log the model again"):
        made(uri)
    assert list(tmp_path.iterdir()) == []


def test_a_stage_is_told_to_be_an_alias(made):
    with pytest.raises(NotFound, match=r"'Production' is no version, and stages are not read\. .*models:/digits@<alias>"):
        made("models:/digits/Production")


def test_a_model_that_was_logged_as_core_ml_is_taken_without_samples(made, experiment, binary, digits, tmp_path):
    import mlflow

    from mlpublish.mlflow import log_model

    kept = convert(binary, name="kept", samples=digits.test[:5], out=tmp_path / "first", progress=False)
    with mlflow.start_run(experiment_id=experiment):
        info = log_model(kept, name="kept")
    taken = made(info.model_uri)
    assert (taken.files, taken.parity, taken.evidence) == (kept.files, kept.parity, kept.evidence)


@pytest.fixture
def answers(tmp_path_factory, monkeypatch):
    """``answers(503)``: a tracking server that says nothing else."""
    web = Web(tmp_path_factory.mktemp("empty"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", web.url)
    yield lambda status, body=b"no": web.bend("/", status=status, body=body)
    web.close()


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_server_that_cannot_now_is_asked_again(made, answers, status):
    for body in (b"no", b'{"error_code": "INTERNAL_ERROR", "message": "no"}'):
        answers(status, body)
        with pytest.raises(EndpointUnreachable, match="did not answer") as failed:
            made("models:/digits@champion")
        assert failed.value.retryable


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_refuses_names_the_credentials_that_it_wants(made, answers, status):
    answers(status)
    with pytest.raises(EndpointRefused, match="MLFLOW_TRACKING_TOKEN") as refused:
        made("models:/digits@champion")
    assert (refused.value.status, refused.value.exit_code) == (status, 4)


@pytest.mark.parametrize("kind", ["estimator", "booster"])
def test_lightgbms_models_come_out_of_mlflow(logged, store, tmp_path, digits, kind):
    import mlflow

    lightgbm = pytest.importorskip("lightgbm", reason="needs lightgbm: pip install 'mlpublish[lightgbm]'")
    model = lightgbm.LGBMClassifier(n_estimators=2, num_leaves=4, verbose=-1, n_jobs=1)
    model.fit(digits.train, digits.train_labels)
    given = model if kind == "estimator" else model.booster_
    uri = logged(mlflow.lightgbm, given, f"leaves-{kind}", input_example=digits.test[:5])
    converted = convert(uri, out=tmp_path / "out", progress=False)
    assert (converted.parity.passed, converted.provenance.framework) == (True, "lightgbm")


def test_a_forest_may_declare_the_types_that_it_is_made_of(logged, store, tmp_path, digits):
    import mlflow
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(2, max_depth=3).fit(digits.train, digits.train_labels)
    types = ["sklearn.tree._tree.Tree"]
    uri = logged(mlflow.sklearn, forest, "forest", skops_trusted_types=types, input_example=digits.test[:5])
    assert convert(uri, out=tmp_path / "out", progress=False).parity.passed


def test_a_lightgbm_model_that_was_cut_off_in_mlflow_is_refused_before_it_is_loaded(logged, store, tmp_path, digits):
    import mlflow

    lightgbm = pytest.importorskip("lightgbm", reason="needs lightgbm: pip install 'mlpublish[lightgbm]'")
    model = lightgbm.train({"verbose": -1}, lightgbm.Dataset(digits.train, digits.train_labels), 2)
    before = set(store.rglob("model.lgb"))
    uri = logged(mlflow.lightgbm, model, "cut", input_example=digits.test[:5])
    (file,) = set(store.rglob("model.lgb")) - before
    file.write_text(file.read_text()[:2000])
    with pytest.raises(ConversionError, match="no whole model of LightGBM"):
        convert(uri, out=tmp_path / "out", progress=False)
