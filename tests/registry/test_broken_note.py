"""Nothing that a registry does, or that happens to a note, takes a release back; running it again completes the note."""

from __future__ import annotations

import json
import subprocess
import sys

import mlflow
import pytest

from mlpublish import check, convert, release
from mlpublish.errors import ConversionError, EndpointUnreachable, MlpublishError, NotFound
from tests.mlflow_server import mlflow_server

WRITES = [
    *((table, "INSERT") for table in ("runs", "tags", "model_version_tags", "logged_model_tags", "inputs")),
    *((table, "INSERT") for table in ("metrics", "logged_model_metrics")),
    *(("model_versions", "UPDATE"), ("runs", "UPDATE")),
]


@pytest.mark.parametrize(("table", "verb"), WRITES, ids="-".join)
def test_a_note_that_breaks_off_anywhere_is_completed_by_the_next_run(store, released, offered, table, verb):
    store.spoil(table, verb)
    broken = released()
    assert broken.registry.state == "failed"
    assert "run the same release again" in broken.registry.remedy
    assert "\n" not in broken.registry.detail
    assert offered() == broken.number == 1
    store.mend()
    completed = released()
    assert (completed.number, completed.created, completed.registry.state) == (1, False, "written")
    assert [run.info.status for run in store.release_runs()] == ["FINISHED"]
    (run,) = store.release_runs()
    assert len(run.inputs.model_inputs) == 1
    assert run.data.metrics.keys() >= {"mlpublish.parity.samples"}
    assert store.version().tags["mlpublish.release.com.acme.digits/2.0/stable"] == "1"
    assert store.version().description.count("mlpublish:") == 1
    assert released().registry.state == "unchanged"


def test_a_crash_between_release_and_note_is_completed_by_the_next_run(store, released):
    assert released(write_back=False).registry is None
    assert store.version().tags == {}
    assert store.release_runs() == []
    assert released().registry.state == "written"
    assert len(store.release_runs()) == 1


def test_another_model_of_the_same_name_is_told_nothing(store, released, tmp_path):
    model = convert("models:/digits@champion", out=tmp_path / "out", progress=False)
    store.execute("UPDATE model_versions SET run_id = 'another' WHERE version = 2")
    before = store.everything()
    receipt = released(model)
    assert (receipt.created, receipt.registry.state) == (True, "failed")
    assert "another model" in receipt.registry.detail
    assert store.everything() == before


def test_a_store_that_is_not_there_is_not_made_and_the_command_says_what_to_do(store, development, tmp_path, monkeypatch, here):
    model = convert("models:/digits@champion", out=tmp_path / "out", progress=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    command = [sys.executable, "-m", "mlpublish", "release", str(model.path.parent), "--json"]
    command += ["--app", "com.acme.digits", "--app-version", "2.0", "--to", str(development.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("Warning: The MLflow store")
    assert "MLFLOW_TRACKING_URI" in warning
    result = json.loads(done.stdout)["result"]
    assert (result["created"], result["registry"]["state"]) == (True, "failed")
    assert list(here.iterdir()) == []
    silent = subprocess.run([*command, "--no-write-back"], capture_output=True, text=True, timeout=120)
    assert (silent.stderr, json.loads(silent.stdout)["result"]["registry"]) == ("", None)


def test_without_a_model_from_mlflow_nothing_is_noted_and_mlflow_is_not_loaded(development, new_model, here):
    new_model()
    script = (
        "import sys; from mlpublish import release; "
        "r = release(sys.argv[1], app='com.acme.digits', app_version='2.0', to=sys.argv[2], progress=False); "
        "print(r.registry, 'mlflow' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(new_model().path.parent), str(development.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == "None False\n", done.stderr


BAD = {
    "models:/digits@nobody": (NotFound, ConversionError),
    "models:/digits/99": (NotFound,),
    "models:/digits/Production": (ConversionError, NotFound),
    "runs:/00000000000000000000000000000000/model": (NotFound,),
}


@pytest.mark.parametrize("uri", BAD)
def test_a_model_that_is_not_there_is_one_line_and_nothing_is_written(store, released, development, below, uri):
    before, published = store.everything(), below(development.folder)
    with pytest.raises(BAD[uri]) as told:
        released(uri)
    assert isinstance(told.value, MlpublishError)
    assert told.value.remedy
    assert "\n" not in told.value.problem
    assert store.everything() == before
    assert below(development.folder) == published


def test_a_registry_that_is_down_before_the_work_is_told_and_nothing_is_published(development, below, app, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://who:secret@127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = below(development.folder)
    with pytest.raises(EndpointUnreachable) as told:
        release("models:/digits@champion", app=app, to=development.folder, progress=False)
    assert "secret" not in str(told.value)
    assert below(development.folder) == before


def test_a_registry_that_goes_down_meanwhile_leaves_the_release_standing(
    digits_template, development, app, tmp_path, monkeypatch
):
    """A real server, killed at the moment when the channel is pointed at the release; then it is back."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    served = tmp_path / "served"
    with mlflow_server(digits_template.folder / "mlflow.db", served) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)

        def at_the_channel(sentence: str) -> None:
            if sentence.startswith("Pointing"):
                server.stop()

        receipt = release("models:/digits@champion", app=app, to=development.folder, progress=at_the_channel)
    assert (receipt.number, receipt.channel, receipt.registry.state) == (1, "stable", "failed")
    assert "\n" not in receipt.registry.detail
    assert check(app, at=development.folder, device=tmp_path / "phone").installed == 1
    with mlflow_server(served / "mlflow.db", tmp_path / "again") as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        states = [release("models:/digits@champion", app=app, to=development.folder).registry.state for _ in range(2)]
        client = mlflow.MlflowClient()
        runs = client.search_runs([each.experiment_id for each in client.search_experiments()], "tags.kind = 'release'")
        tags = client.get_model_version("digits", "2").tags
    assert states == ["written", "unchanged"]
    assert [run.info.status for run in runs] == ["FINISHED"]
    assert tags["mlpublish.release"] == "1"
