"""What is no model, is lost or was altered: one line with the way out, and nothing left in the store."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature

import mlpublish
from mlpublish.coreml.golden import read, write
from mlpublish.errors import ConversionError, FormatError, MlpublishError, NotFound, ParityError, RecipeError
from mlpublish.formats.manifest import FileEntry
from tests.trained import CHAMPION, binary, multinomial


def logged_models() -> int:
    experiment = mlflow.get_experiment_by_name("digits").experiment_id
    return len(mlflow.search_logged_models([experiment], output_format="list"))


def artifacts_of(info) -> Path:
    return Path(MlflowClient().get_logged_model(info.model_id).artifact_location.removeprefix("file://"))


@pytest.mark.parametrize("what", [object(), 7, "nowhere", "nowhere.mlmodel", Path()])
def test_what_is_no_core_ml_model_is_refused_before_anything_is_written(digits, here, what):
    before = logged_models()
    with pytest.raises(MlpublishError) as refused:
        mlpublish.mlflow.log_model(what, name="nothing")
    assert refused.value.remedy
    assert logged_models() == before


def test_an_example_that_does_not_fit_is_refused_before_anything_is_written(trained, kept):
    given = trained(binary)
    converted, _ = kept(given)
    before = logged_models()
    with pytest.raises(ConversionError, match=r"shape \(3,\), the model takes \(64,\)"):
        mlpublish.mlflow.log_model(converted, input_example=np.zeros((2, 3)))
    with pytest.raises(RecipeError, match="executor='gpu'"):
        mlpublish.mlflow.log_model(converted, executor="gpu")
    other = infer_signature(np.zeros((1, 3)))
    with pytest.raises(ConversionError, match=r"not what the signature says: Shape of input .* does not match") as unlike:
        mlpublish.mlflow.log_model(converted, signature=other, input_example=given.rows[:2])
    assert "\n" not in str(unlike.value)
    for setting in ("pip_requirements", "extra_pip_requirements"):
        with pytest.raises(RecipeError, match=r"nowhere\.txt is no file"):
            mlpublish.mlflow.log_model(converted, **{setting: "nowhere.txt"})
    assert logged_models() == before


def test_a_model_that_changed_since_it_was_converted_does_not_travel_under_its_evidence(trained, kept):
    converted, _ = kept(trained(binary))
    before = logged_models()
    with converted.path.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(FormatError, match="changed after digits was converted"):
        mlpublish.mlflow.log_model(converted)
    assert logged_models() == before


def test_a_folder_that_is_in_use_is_not_written_to(trained, kept, here):
    converted, _ = kept(trained(binary))
    (here / "used").mkdir()
    (here / "used/mine").touch()
    for used in ("used", "used/mine"):
        with pytest.raises(RecipeError, match="not empty"):
            mlpublish.mlflow.save_model(converted, here / used)
    with pytest.raises(RecipeError, match="exists already"):
        mlpublish.mlflow.load_model(CHAMPION, converted.path.parent)
    assert [each.name for each in (here / "used").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("models:/kept@challenger", "alias challenger not found"),
        ("models:/kept/9", "version=9"),
        ("models:/nobody/1", "not found"),
        ("models:/kept/Production", "stages are not read. Set an alias in the registry and name it: models:/kept@"),
        (f"runs:/{'0' * 32}/model", "not found"),
        ("/nowhere/at/all", "not in MLflow"),
    ],
)
def test_a_model_that_is_not_there_is_not_found(trained, kept, here, uri, told):
    kept(trained(binary))
    with pytest.raises(NotFound) as missing:
        mlpublish.mlflow.load_model(uri)
    assert told in str(missing.value)
    assert "\n" not in str(missing.value)


def test_a_model_of_another_flavor_is_named_with_the_way_out(digits, here):
    with pytest.raises(ConversionError, match=r"has the flavor sklearn, not coreml\. Convert it with mlpublish\.convert"):
        mlpublish.mlflow.load_model("models:/digits@champion")


@pytest.mark.parametrize("lost", ["", "data", "data/coreml/digits.mlmodel"])
def test_a_store_that_lost_the_model_is_told_as_such(trained, kept, here, lost):
    place = artifacts_of(kept(trained(binary))[1]) / lost
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    for call in (mlpublish.mlflow.load_model, lambda uri: mlpublish.convert(uri, out=here / "out", progress=False)):
        with pytest.raises((NotFound, FormatError)) as gone:
            call(CHAMPION)
        assert "gone" in str(gone.value)
        assert "\n" not in str(gone.value)
    assert not (here / "out").exists()


@pytest.mark.parametrize("file", ["digits.mlmodel", "digits.golden/inputs-0.npy"])
def test_a_model_that_was_altered_in_the_store_is_taken_by_nobody(trained, kept, here, file):
    _, info = kept(trained(binary))
    altered = artifacts_of(info) / "data/coreml" / file
    altered.write_bytes(altered.read_bytes()[:-1] + b"?")
    with pytest.raises(FormatError, match="changed after digits was converted"):
        mlpublish.mlflow.load_model(CHAMPION)
    with pytest.raises(FormatError, match="changed after digits was converted"):
        mlpublish.convert(CHAMPION, out=here / "out", progress=False)
    with pytest.raises(MlflowException, match="changed after digits was converted"):
        mlflow.pyfunc.load_model(CHAMPION)
    assert not (here / "out").exists()


def test_what_needs_the_source_model_is_refused_for_a_kept_one(trained, kept, here):
    given = trained(multinomial)
    kept(given)
    for settings, told in (({"samples": given.rows}, "no samples can be proven"), ({"precision": "float16"}, "in float32")):
        with pytest.raises(ConversionError, match=told):
            mlpublish.convert(CHAMPION, out=here / "out", progress=False, **settings)
    with pytest.raises(ParityError, match=r"allowed 1\.0e-15"):
        mlpublish.convert(CHAMPION, tolerance=1e-15, out=here / "out", progress=False)
    assert not (here / "out").exists()


def test_predicting_tells_its_errors_as_mlflows_in_one_line(trained, kept):
    kept(trained(binary))
    loaded = mlflow.pyfunc.load_model(CHAMPION)
    with pytest.raises(MlflowException, match="outputs='some' is not known") as refused:
        loaded.predict(np.zeros((1, 64)), params={"outputs": "some"})
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException, match="The model's inputs are input; given are other"):
        loaded._model_impl.predict({"other": np.zeros((1, 64))})


def test_apples_runtime_is_asked_for_where_it_is(trained, kept):
    import platform

    if platform.system() == "Darwin":
        pytest.skip("this is macOS")
    kept(trained(binary))
    with pytest.raises(MlflowException, match=r"part of macOS, and this is .*'mlpublish'"):
        mlflow.pyfunc.load_model(CHAMPION, model_config={"executor": "apple"})
    assert mlflow.pyfunc.load_model(CHAMPION, model_config={"executor": "mlpublish"})


def test_a_kept_model_that_does_not_say_what_its_golden_rows_say_is_stopped(trained, kept, here):
    converted, _ = kept(trained(binary))
    golden = read(converted.golden)
    shutil.rmtree(converted.golden)
    other = {**golden.answers.outputs, "classLabel": 1 - golden.answers.outputs["classLabel"]}
    write(converted.golden, golden.inputs, replace(golden.answers, outputs=other))
    evidence = tuple(FileEntry.of(PurePosixPath(each.name), each) for each in converted.golden.iterdir())
    info = mlpublish.mlflow.log_model(replace(converted, evidence=evidence), name="untrue")
    with pytest.raises(ParityError, match=r"does not answer as the source model does.*labels agree on 0"):
        mlpublish.convert(info.model_uri, out=here / "out", progress=False)
    assert not (here / "out").exists()
