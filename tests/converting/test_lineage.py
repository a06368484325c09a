"""A model's lineage: all that says where it came from, nothing that is secret, and never too much for a manifest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.converting import lineage
from mlpublish.converting.lineage import LONGEST, MOST, lineage_of
from mlpublish.formats.evidence import MlflowLineage
from mlpublish.formats.wire import Reader, dump


@pytest.fixture
def noted(store, binary):
    """``noted(log)``: the lineage of a model that was logged in a run in which ``log(model_id)`` ran too."""
    import mlflow

    experiment = mlflow.MlflowClient().get_experiment_by_name("tests").experiment_id

    def run(log):
        with mlflow.start_run(experiment_id=experiment, tags={"mlflow.source.git.commit": "c0ffee"}):
            model = mlflow.sklearn.log_model(binary, name="model", pip_requirements=[])
            log(model.model_id)
        return lineage_of(mlflow.models.get_model_info(f"models:/{model.model_id}"), None, "sklearn")

    return run


def test_run_model_flavor_versions_commit_and_data_are_told(noted):
    import mlflow

    def log(model_id):
        seen = mlflow.data.from_numpy(np.zeros((3, 2)), name="seen")
        held = mlflow.data.from_numpy(np.ones((3, 2)), name="held")
        mlflow.log_input(seen, context="training")
        mlflow.log_metric("loss", 0.5)
        mlflow.log_metric("accuracy", 0.75, model_id=model_id, dataset=held)

    told = noted(log)
    assert (told.flavor, told.mlflow_version, told.git_commit) == ("sklearn", mlflow.__version__, "c0ffee")
    assert told.run_id
    assert told.model_id.startswith("m-")
    assert told.metrics == {"accuracy": "0.75", "loss": "0.5"}
    assert set(told.datasets) == {"seen", "held"}
    assert told.left_out == {}


def test_two_data_of_one_name_are_both_told(noted):
    import mlflow

    def log(_):
        for value in (0, 1):
            mlflow.log_input(mlflow.data.from_numpy(np.full((3, 2), value), name="digits"), context="training")

    datasets = noted(log).datasets
    assert len(set(datasets.values())) == 2
    assert all(name == f"digits ({digest})" for name, digest in datasets.items())


def test_secrets_and_what_mlpublish_and_the_machine_noted_stay_out(noted):
    import mlflow

    def log(_):
        mlflow.log_params({"C": 1, "db_password": "hunter2", "source": "https://who:hunter2@data.acme.com", "mlpublish.x": "y"})
        mlflow.log_metrics({"mlpublish.parity.samples": 3, "system/cpu_utilization_percentage": 9, "loss": 1})

    told = noted(log)
    assert (told.params, told.metrics) == ({"C": "1"}, {"loss": "1.0"})
    assert told.left_out == {"params": 2}
    assert "hunter2" not in dump(told.to_dict()).decode()


def test_a_thousand_long_parameters_are_cut_and_counted(noted):
    import mlflow

    told = noted(lambda _: mlflow.log_params({f"p{number:04}": "x" * 6000 for number in range(MOST + 7)}))
    assert len(told.params) == MOST
    assert told.params["p0000"] == "x" * LONGEST + "… (6000 characters)"
    assert told.left_out == {"params": 7}


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), st.text(max_size=2 * LONGEST), max_size=20))
def test_what_is_short_is_told_whole(values):
    cut = lineage._cut(values)
    assert cut.keys() == values.keys()
    assert all(cut[name] == value for name, value in values.items() if len(value) <= LONGEST)


def test_a_lineage_of_an_older_mlpublish_is_read_and_written_as_it_was():
    older = {"registered_model": "digits", "version": "3", "model_id": "m-1", "run_id": "r-1", "git_commit": None}
    older |= {"metrics": {"accuracy": "0.9"}, "params": {}, "datasets": {}}
    read = MlflowLineage.from_reader(Reader.parse(dump(older), what="lineage"))
    assert (read.flavor, read.left_out) == (None, {})
    assert read.to_dict() == older
