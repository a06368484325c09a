"""To which run a logged model belongs, and what of its evidence stands there."""

from __future__ import annotations

import dataclasses
import re

import mlflow
import pytest
from mlflow import MlflowClient

import mlpublish
from mlpublish.errors import EndpointUnreachable, NotFound
from tests.trained import binary


@pytest.fixture
def from_registry(digits, here):
    """``models:/digits@champion``, converted."""
    return mlpublish.convert("models:/digits@champion", progress=False)


def parity_of(model_id: str) -> dict[str, float]:
    return {each.key: each.value for each in MlflowClient().get_logged_model(model_id).metrics if "parity" in each.key}


def test_a_model_goes_to_the_run_that_trained_it_which_stays_as_it_was(from_registry, monkeypatch):
    client, run_id = MlflowClient(), from_registry.provenance.mlflow.run_id
    client.set_terminated(run_id, status="FAILED")
    before = client.get_run(run_id)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "somewhere else")
    info = mlpublish.mlflow.log_model(from_registry, name="digits-coreml", params={"layers": 1}, tags={"team": "digits"})
    assert mlflow.active_run() is None
    after = client.get_run(run_id)
    assert (after.info.status, after.info.end_time) == (before.info.status, before.info.end_time)
    assert info.model_id in {each.model_id for each in after.outputs.model_outputs}
    logged = client.get_logged_model(info.model_id)
    assert (logged.source_run_id, logged.experiment_id) == (run_id, before.info.experiment_id)
    assert (logged.params, logged.tags["team"], logged.name) == ({"layers": "1", "C": "1.0"}, "digits", "digits-coreml")
    report = from_registry.parity
    assert parity_of(info.model_id) == {
        "mlpublish.parity.samples": report.samples,
        "mlpublish.parity.max_abs_diff": report.max_abs_diff,
        "mlpublish.parity.max_rel_diff": report.max_rel_diff,
        "mlpublish.parity.label_agreement": report.label_agreement,
    }
    assert "accuracy" in {each.key for each in logged.metrics}  # what the run noted of its model
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/parity.json") == report.to_dict()
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/digits-coreml/parity.json") == report.to_dict()


def test_core_ml_models_are_found_by_their_type(from_registry):
    info = mlpublish.mlflow.log_model(from_registry)
    experiment = mlflow.get_experiment_by_name("digits").experiment_id
    found = mlflow.search_logged_models([experiment], filter_string="model_type='coreml'", output_format="list")
    assert [each.model_id for each in found] == [info.model_id]


def test_evidence_in_the_store_changes_nothing_of_what_is_released(from_registry, tmp_path):
    before = mlpublish.bundle(from_registry, out=tmp_path / "before")
    mlpublish.mlflow.log_model(from_registry, name="digits-coreml")
    again = mlpublish.convert("models:/digits@champion", out=tmp_path / "again", progress=False)
    assert mlpublish.bundle(again, out=tmp_path / "after").sha256 == before.sha256


def test_an_active_run_comes_first(from_registry):
    with mlflow.start_run() as run:
        info = mlpublish.mlflow.log_model(from_registry)
    assert MlflowClient().get_logged_model(info.model_id).source_run_id == run.info.run_id


def test_a_model_that_no_run_made_gets_a_run_which_ends(trained, kept):
    _, info = kept(trained(binary))
    run = MlflowClient().get_run(MlflowClient().get_logged_model(info.model_id).source_run_id)
    assert (run.info.status, mlflow.active_run()) == ("FINISHED", None)
    assert parity_of(info.model_id)


def test_a_run_that_is_not_there_is_told_with_the_way_out(from_registry):
    lineage = dataclasses.replace(from_registry.provenance.mlflow, run_id="0" * 32)
    strayed = dataclasses.replace(from_registry, provenance=dataclasses.replace(from_registry.provenance, mlflow=lineage))
    with pytest.raises(NotFound, match=r"run 0{32}, which trained the model, is not in MLflow.*MLFLOW_TRACKING_URI"):
        mlpublish.mlflow.log_model(strayed)
    MlflowClient().delete_run(from_registry.provenance.mlflow.run_id)
    with pytest.raises(NotFound, match="was deleted"):
        mlpublish.mlflow.log_model(from_registry)
    with mlflow.start_run():
        assert mlpublish.mlflow.log_model(strayed).model_id


def test_a_server_that_is_down_is_one_line(trained, here, monkeypatch):
    given = trained(binary)
    converted = mlpublish.convert(given.model, samples=given.rows, progress=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # the discard port: nobody listens
    for call in (lambda: mlpublish.mlflow.log_model(converted), lambda: mlpublish.mlflow.load_model("models:/kept/1")):
        with pytest.raises(EndpointUnreachable, match="did not answer") as down:
            call()
        assert down.value.retryable
        assert re.search(r"\n", str(down.value)) is None
