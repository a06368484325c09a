"""The Core ML flavor: a model of every source goes into MLflow and comes back, predicts, is evaluated and released."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import infer_signature

import mlpublish
from mlpublish.artifacts import ConvertedModel
from tests.trained import CHAMPION, ROWS, SOURCES, Trained, binary, multinomial, network, regression


def files_of(model: ConvertedModel) -> set[tuple[str, str]]:
    return {(str(each.path), each.sha256) for each in (*model.files, *model.evidence)}


@pytest.mark.parametrize(
    ("source", "precision", "within"),
    [
        *((source, "auto", 1e-4) for source in SOURCES if source is not network),
        (network, "float16", 2e-2),
        (network, "float32", 1e-4),
    ],
)
def test_a_model_comes_back_by_its_alias_and_answers_as_its_source(trained, kept, tmp_path, source, precision, within):
    given = trained(source)
    converted, _ = kept(given, precision=precision)
    said = mlflow.pyfunc.load_model(CHAMPION).predict(given.rows).to_numpy().reshape(given.says.shape)
    if given.says.dtype.kind == "f":
        assert np.abs(said - given.says).max() <= within * np.abs(given.says).max()
    else:
        assert (said == given.says).all()
    back = mlpublish.mlflow.load_model(CHAMPION, tmp_path / "back")
    assert back.path.parent == tmp_path / "back"
    assert files_of(back) == files_of(converted)
    assert (back.parity, back.interface, back.provenance) == (converted.parity, converted.interface, converted.provenance)


def test_mlflow_writes_down_what_the_model_is_and_needs(trained, kept, tmp_path):
    from importlib.metadata import version

    converted, info = kept(trained(binary), metadata={"team": "digits"})
    local = Path(mlflow.artifacts.download_artifacts(info.model_uri, dst_path=str(tmp_path)))
    settings = info.flavors["coreml"]
    assert (settings["model"], settings["kind"]) == (converted.path.name, converted.kind)
    assert (settings["precision"], settings["specification_version"]) == ("double", converted.specification_version)
    assert (settings["mlpublish_version"], settings["coremltools_version"]) == (version("mlpublish"), version("coremltools"))
    assert (local / settings["data"] / settings["model"]).exists()
    assert json.loads((local / "parity.json").read_text()) == converted.parity.to_dict()
    needed = (local / "requirements.txt").read_text().split()
    assert {f"{name}=={version(name)}" for name in ("mlpublish", "coremltools", "numpy", "pandas")} <= set(needed)
    assert info.metadata == {"team": "digits"}
    assert [each.name for each in info.signature.outputs] == ["classLabel"]
    assert info.signature.inputs.inputs[0].shape == (-1, 64)


def test_a_frames_columns_stand_in_the_signature_and_those_of_an_example_come_first(trained, kept):
    given = trained(regression)
    assert kept(given)[1].signature.inputs.input_names() == ["a", "b", "c", "d"]
    odd = given.rows.rename(columns={"a": "petal width (cm)"})
    renamed = Trained(model=type(given.model)().fit(odd, given.says), rows=odd, says=given.says)
    _, info = kept(renamed, input_example=odd[:3])
    assert info.signature.inputs.input_names()[0] == "petal width (cm)"
    assert np.allclose(mlflow.pyfunc.load_model(CHAMPION).predict(odd)["prediction"], renamed.model.predict(odd), rtol=1e-4)


def test_a_signature_of_the_sources_own_columns_needs_no_example(trained, kept):
    given = trained(regression)
    odd = given.rows.rename(columns={"a": "petal width (cm)"})
    renamed = Trained(model=type(given.model)().fit(odd, given.says), rows=odd, says=given.says)
    _, info = kept(renamed, signature=infer_signature(odd, given.says))
    assert info.signature.inputs.input_names()[0] == "petal width (cm)"
    assert np.allclose(mlflow.pyfunc.load_model(CHAMPION).predict(odd)["prediction"], renamed.model.predict(odd), rtol=1e-4)


def test_rows_come_as_a_user_holds_them_and_probabilities_for_the_asking(trained, kept):
    given = trained(binary)
    kept(given)
    loaded = mlflow.pyfunc.load_model(CHAMPION)
    frame = pd.DataFrame(given.rows, index=range(100, 100 + ROWS))
    assert (loaded.predict(given.rows) == given.says).all()
    assert (loaded.predict(frame) == given.says).all()
    labels = loaded._model_impl.predict(frame)  # MLflow makes an array of a frame before
    assert (labels.name, list(labels.index)) == ("classLabel", list(frame.index))
    everything = loaded.predict(frame, params={"outputs": "all"})
    assert list(everything.columns) == ["classLabel", "classProbability.0", "classProbability.1"]
    assert np.allclose(everything.iloc[:, 1:], given.model.predict_proba(given.rows), atol=1e-6)
    assert (loaded._model_impl.predict({"input": given.rows.astype(np.float32)}) == given.says).all()
    assert (loaded._model_impl.predict(given.rows.tolist()) == given.says).all()


def test_an_image_may_come_flat_as_the_columns_of_a_frame(trained, kept, digits):
    given = trained(network)
    kept(given)
    loaded = mlflow.pyfunc.load_model(CHAMPION)
    flat = pd.DataFrame(given.rows.reshape(ROWS, -1))
    assert loaded._model_impl.predict(flat).equals(loaded.predict(given.rows))
    nested = pd.DataFrame({"input": list(given.rows.reshape(ROWS, -1))})
    assert loaded._model_impl.predict(nested).equals(loaded.predict(given.rows))


@pytest.mark.parametrize(("source", "kind"), [(binary, "classifier"), (multinomial, "classifier"), (regression, "regressor")])
def test_mlflow_evaluates_it_as_it_is(trained, kept, digits, source, kind):
    given = trained(source)
    kept(given)
    data = pd.DataFrame(given.rows).rename(columns=str).assign(label=given.says)
    found = mlflow.models.evaluate(CHAMPION, data, targets="label", model_type=kind, evaluator_config={"log_explainer": False})
    right = found.metrics["accuracy_score"] if kind == "classifier" else found.metrics["r2_score"]
    assert right == pytest.approx(1.0, abs=1e-6)


def test_the_mlflow_command_predicts(trained, kept, tmp_path):
    given = trained(binary)
    kept(given)
    for form in ({"inputs": given.rows[:5].tolist()}, {"dataframe_split": {"data": given.rows[:5].tolist()}}):
        (tmp_path / "rows.json").write_text(json.dumps(form))
        command = [Path(sys.executable).with_name("mlflow"), "models", "predict", "-m", CHAMPION, "--env-manager", "local"]
        files = ["-i", tmp_path / "rows.json", "-o", tmp_path / "answers.json"]
        done = subprocess.run([*command, *files], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        answers = json.loads((tmp_path / "answers.json").read_text())["predictions"]
        assert [row["classLabel"] for row in answers] == given.says[:5].tolist()


def test_loading_it_leaves_the_store_as_it_is(trained, kept, below):
    _, info = kept(trained(binary))
    place = Path(MlflowClient().get_logged_model(info.model_id).artifact_location.removeprefix("file://"))
    before = below(place)
    mlpublish.mlflow.load_model(CHAMPION)
    mlpublish.convert(CHAMPION, progress=False)
    assert before
    assert below(place) == before
    mlflow.pyfunc.load_model(CHAMPION)
    once = below(place)  # MLflow itself writes registered_model_meta into a local store
    mlflow.pyfunc.load_model(CHAMPION)
    assert below(place) == once


def test_a_converted_model_is_released_from_the_registry_without_converting(trained, kept, development, app, tmp_path):
    converted, info = kept(trained(binary))
    receipt = mlpublish.release(CHAMPION, app=app, to=development.folder, out=tmp_path / "out", progress=False)
    assert (receipt.name, receipt.version) == ("digits", "1")
    (entry,) = receipt.models
    assert (entry.parity, entry.name) == (converted.parity, "digits")
    lineage = entry.provenance.mlflow
    assert (lineage.registered_model, lineage.version, lineage.model_id) == ("kept", "1", info.model_id)
    (taken,) = (tmp_path / "out").rglob("digits.converted.json")
    assert files_of(ConvertedModel.read(taken)) == files_of(converted)
    report = mlpublish.check(app, at=development.folder, device=tmp_path / "phone")
    assert report.installed == receipt.number
    assert not mlpublish.release(CHAMPION, app=app, to=development.folder, progress=False).created


def test_a_taken_model_may_have_another_name(trained, kept, tmp_path):
    converted, _ = kept(trained(binary))
    taken = mlpublish.convert(CHAMPION, name="mine", out=tmp_path / "mine", progress=False)
    assert taken.path.name == "mine.mlmodel"
    assert ConvertedModel.read(taken.record).files == taken.files
    assert [each.sha256 for each in taken.files] == [each.sha256 for each in converted.files]
    assert mlpublish.bundle(taken, out=tmp_path).manifest.name == "mine"


@pytest.mark.parametrize("suffix", [".mlmodel", ".mlpackage", None])
def test_a_bare_core_ml_model_travels_without_evidence(trained, digits, here, tmp_path, suffix):
    given = trained(multinomial if suffix == ".mlpackage" else binary)
    converted = mlpublish.convert(given.model, name="digits", samples=given.rows, out=tmp_path, progress=False)
    converted.record.unlink()
    model: Any = converted.path
    if suffix is None:
        from coremltools.models import MLModel

        model = MLModel(str(converted.path), skip_model_load=True)
    info = mlpublish.mlflow.log_model(model, name="bare")
    back = mlpublish.mlflow.load_model(info.model_uri, tmp_path / "back")
    assert (back.parity, back.golden, back.kind) == (None, None, converted.kind)
    assert info.signature.inputs.inputs[0].shape == (-1, 64)
    assert not MlflowClient().get_logged_model(info.model_id).metrics
    rows = given.rows.astype(np.float32)
    assert (mlflow.pyfunc.load_model(info.model_uri).predict(rows) == given.says).all()


def test_a_pipeline_around_an_ml_program_stays_a_package(here, tmp_path):
    from coremltools.models import MLModel
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.tree import DecisionTreeClassifier

    rows = np.random.default_rng(0).normal(size=(40, 3))
    model = make_pipeline(PCA(2), DecisionTreeClassifier(max_depth=2)).fit(rows, rows[:, 0] > 0)
    converted = mlpublish.convert(model, name="m", samples=rows, out=tmp_path, progress=False)
    mlpublish.mlflow.save_model(MLModel(str(converted.path), skip_model_load=True), tmp_path / "saved")
    back = mlpublish.mlflow.load_model(str(tmp_path / "saved"), tmp_path / "back")
    assert (back.kind, back.path.suffix) == ("pipelineClassifier", ".mlpackage")


@pytest.mark.parametrize("what", ["the folder", "the record", "the model"])
def test_what_convert_wrote_is_taken_up_with_its_evidence(trained, digits, here, tmp_path, what):
    given = trained(binary)
    converted = mlpublish.convert(given.model, name="digits", samples=given.rows, out=tmp_path / "out", progress=False)
    named = {"the folder": converted.path.parent, "the record": converted.record, "the model": converted.path}[what]
    mlpublish.mlflow.save_model(named, tmp_path / "saved")
    assert mlpublish.mlflow.load_model(str(tmp_path / "saved"), tmp_path / "back").parity == converted.parity
