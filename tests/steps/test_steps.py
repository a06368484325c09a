"""What a step refuses, and how: the field is named, a secret is a reference, an artifact is checked before it is used."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from jsonschema import Draft202012Validator, ValidationError
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from skops.io import dump

from mlpublish import steps
from mlpublish.errors import DigestMismatch, FormatError, MlpublishError, NotFound, RecipeError

WHO = {"app": "com.acme.digits", "app_version": "2.0"}
STEPS = ("convert", "bundle", "sign", "verify", "publish", "channel", "check", "release")


@pytest.fixture
def signed(step, new_model, new_bundle, development, tmp_path):
    """What the sign step answers, for a bundle that lies in the store."""
    kept = steps.ArtifactStore(str(tmp_path / "store")).keep(new_bundle().path, steps.BUNDLE_TYPE)
    artifact = {name: getattr(kept, name) for name in ("uri", "sha256", "size", "media_type")}
    return step("sign", bundle=artifact, repository=str(development.folder), **WHO)


def place_of(artifact: dict[str, str]) -> Path:
    return Path(artifact["uri"].removeprefix("file:"))


@pytest.mark.parametrize("name", STEPS)
def test_every_step_has_schemas_that_are_schemas(name):
    schemas = steps.schema(name)
    for each in schemas.values():
        Draft202012Validator.check_schema(each)
        assert each["additionalProperties"] is False


def test_there_are_these_steps_and_no_other():
    assert tuple(steps.STEPS) == STEPS
    with pytest.raises(RecipeError, match="Use one of: convert, bundle"):
        steps.run_json("train", {})


@pytest.mark.parametrize("name", STEPS)
def test_an_empty_payload_names_what_it_lacks(name):
    if name == "bundle":
        with pytest.raises(RecipeError, match="nothing to bundle"):
            steps.run_json(name, {})
        return
    required = steps.schema(name)["input"]["required"]
    with pytest.raises(FormatError) as told:
        steps.run_json(name, {})
    assert told.value.field == f"{name}.{required[0]}"


def test_a_slip_in_a_payload_is_answered_with_the_nearest_field():
    with pytest.raises(FormatError, match="Did you mean 'app_version'") as told:
        steps.run_json("check", {"app": "com.acme.digits", "app_verson": "2.0", "at": "file:x"})
    assert told.value.field == "check.app_verson"


@pytest.mark.parametrize("bend", ["altered", "gone"])
def test_an_artifact_that_changed_between_two_steps_is_refused(step, signed, development, bend):
    place = place_of(signed["release"])
    if bend == "gone":
        place.unlink()
    else:
        place.chmod(0o644)
        place.write_bytes(place.read_bytes()[:-1] + b"x")
    with pytest.raises(NotFound if bend == "gone" else DigestMismatch, match="Run the step that made it again"):
        step("publish", release=signed["release"], to=f"file:{development.folder}")


@pytest.mark.parametrize("name", ["../labels.txt", "/etc/labels.txt", "a/b", "..", "", ".hidden"])
def test_a_file_is_never_written_where_a_payload_says(step, signed, tmp_path, below, name):
    content = {key: signed["release"][key] for key in ("uri", "sha256", "size")} | {"media_type": "text/plain"}
    before = below(tmp_path)
    with pytest.raises(FormatError) as told:
        step("bundle", files=[{"name": name, "content": content}], name="labels")
    assert told.value.field == "bundle.files[0].name"
    assert below(tmp_path) == before


def test_two_files_of_one_name_are_refused(step, signed):
    file = {"name": "labels.txt", "content": signed["release"] | {"media_type": "text/plain"}}
    with pytest.raises(MlpublishError, match=r"Two files are called labels\.txt"):
        step("bundle", files=[file, file], name="labels")


def test_a_folder_is_one_artifact_and_its_release_verifies(step, signed, development):
    assert signed["release"]["media_type"].endswith("folder+zip")
    assert step("verify", release=signed["release"], repository=str(development.folder))["number"] == signed["number"]


def test_a_token_in_a_payload_is_refused_before_anything_is_sent(step, signed):
    with pytest.raises(RecipeError, match="is no reference") as told:
        step("publish", release=signed["release"], to="http://127.0.0.1:9", token="s3cr3t-t0ken-value")
    assert "s3cr3t" not in str(told.value)


def test_a_check_that_fails_is_an_answer_and_a_server_that_is_down_an_error_to_try_again(step, signed, development):
    publish = {"release": signed["release"], "to": "http://127.0.0.1:9"}
    with pytest.raises(MlpublishError) as told:
        step("publish", **publish)
    assert (told.value.code, told.value.retryable) == ("endpoint_unreachable", True)
    answer = step("check", at="http://127.0.0.1:9", repository=str(development.folder), **WHO)
    assert (answer["status"], answer["installed"]) == ("FAILURE_NETWORK_PROBLEM", None)


def test_the_schema_refuses_what_the_step_refuses(step):
    with pytest.raises(ValidationError):
        step("channel", app="com.acme.digits", app_version=2.0, to="file:x", release=1)
    with pytest.raises(FormatError):
        steps.run_json("channel", {"app": "com.acme.digits", "app_version": 2.0, "to": "file:x", "release": 1})


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("told", ["media type", "name", "neither"])
def test_samples_may_be_a_table(step, tmp_path, form, told):
    """Of a model on named columns: what has no suffix in the store is told by its media type."""
    frame = pd.DataFrame({"age": [30.0, 41.0, 25.0, 60.0], "city": ["Rome", "Oslo", "Rome", "Bern"]})
    model = make_pipeline(ColumnTransformer([("city", OneHotEncoder(), ["city"])], remainder="passthrough"), Ridge())
    dump(model.fit(frame, [1.0, 2.0, 3.0, 4.0]), tmp_path / "model.skops")
    held = tmp_path / f"held.{form}"
    frame.to_csv(held, index=False) if form == "csv" else frame.to_parquet(held)
    types = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
    media_type = types[form] if told == "media type" else "application/octet-stream"
    samples = asdict(steps.ArtifactStore(str(tmp_path / "store")).keep(held, media_type))
    if told == "name":
        samples["uri"] = f"file:{held}"
    if told == "neither":
        with pytest.raises(RecipeError, match="holds no arrays"):
            step("convert", model=str(tmp_path / "model.skops"), samples=samples)
        return
    converted = step("convert", model=str(tmp_path / "model.skops"), samples=samples)
    assert float(converted["max_rel_diff"]) < 1e-5
