"""``mlflow deployments … -t mlpublish``: a deployment is what a channel offers one app version."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.deployments import BaseDeploymentClient, get_deploy_client
from mlflow.exceptions import MlflowException

from mlpublish import check
from mlpublish.mlflow_plugin import deployments

NAME = "com.acme.digits/2.0/stable"


@pytest.fixture
def created(client):
    """A client whose deployment of version 1 stands."""
    client.create_deployment(NAME, "models:/digits/1")
    return client


def test_the_entry_point_loads_a_module_with_one_client():
    (point,) = entry_points(group="mlflow.deployments", name="mlpublish")
    module = point.load()
    clients = [
        each
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, BaseDeploymentClient) and each is not BaseDeploymentClient
    ]
    assert clients == [module.MlpublishClient]
    assert isinstance(get_deploy_client("mlpublish"), module.MlpublishClient)
    assert "app_version" in module.target_help()


def test_a_deployment_is_made_found_moved_and_removed(client, digits):
    made = client.create_deployment(NAME, "models:/digits/1")
    assert (made["name"], made["flavor"], made["number"], made["version"]) == (NAME, "coreml", 1, "1")
    assert client.get_deployment(NAME)["release"] == 1
    moved = client.update_deployment(NAME, "models:/digits@champion")
    assert (moved["flavor"], moved["number"], moved["version"]) == ("coreml", 2, "2")
    assert [(each["name"], each["release"]) for each in client.list_deployments()] == [(NAME, 2)]
    client.delete_deployment(NAME)
    assert client.list_deployments() == []
    client.delete_deployment(NAME)


def test_deleting_what_never_was_is_no_error(client, development):
    client.delete_deployment("com.acme.digits/9.9/stable")
    client.delete_deployment("com.acme.other/1.0/beta", config={"to": f"file:{development.folder}"})


def test_creating_it_again_is_no_second_release(created):
    assert created.create_deployment(NAME, "models:/digits/1")["created"] is False


def test_the_device_gets_what_was_deployed(created, development, server, app, tmp_path):
    report = check(app, at=server.url, device=tmp_path / "phone")
    assert (report.status.value, report.installed) == ("SUCCESS", 1)


def test_predict_answers_as_the_source_model_does(created, digits):
    source = mlflow.sklearn.load_model("models:/digits/1")
    frame = pd.DataFrame(digits.rows[:100])
    answers = created.predict(NAME, frame)
    assert np.array_equal(answers["classLabel"], source.predict(digits.rows[:100]))
    chances = answers[[f"classProbability.{label}" for label in source.classes_]].to_numpy()
    assert np.allclose(chances, source.predict_proba(digits.rows[:100]), rtol=0, atol=1e-4)
    assert '"classLabel"' in answers.to_json()


@pytest.mark.parametrize(
    ("name", "config", "wanted"),
    [
        ("com.acme.digits/2.0", {}, "com.acme.digits/2.0/stable"),
        ("com.acme.digits/2.0/beta", {}, "com.acme.digits/2.0/beta"),
        ("com.acme.digits", {"app_version": "2.0", "channel": "beta"}, "com.acme.digits/2.0/beta"),
        ("whatever", {"app": "com.acme.digits", "app_version": "2.0"}, "com.acme.digits/2.0/stable"),
    ],
)
def test_a_name_says_app_version_and_channel_and_config_wins(client, name, config, wanted):
    assert client.create_deployment(name, "models:/digits/1", config=config)["name"] == wanted


WRONG, MISSING = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize(
    ("call", "code", "told"),
    [
        (lambda c: c.create_deployment(NAME, "models:/nobody/1"), MISSING, "MLFLOW_TRACKING_URI"),
        (lambda c: c.create_deployment(NAME, "models:/digits/1", config={"chanel": "x"}), WRONG, "Did you mean 'channel'"),
        (lambda c: c.create_deployment(NAME, "models:/digits/1", config={"token": "x"}), WRONG, "Known are"),
        (lambda c: c.create_deployment("com.acme.digits/two", "models:/digits/1"), WRONG, "such as 2.0"),
        (lambda c: c.create_deployment("com.acme.digits", "models:/digits/1"), WRONG, "app version"),
        (lambda c: c.update_deployment(NAME), WRONG, "--model-uri"),
        (lambda c: c.get_deployment(NAME), MISSING, "channel"),
        (lambda c: c.predict(NAME, pd.DataFrame([[0.0] * 64])), MISSING, "no model"),
    ],
)
def test_errors_carry_mlflows_code_and_our_remedy(client, call, code, told):
    with pytest.raises(MlflowException, match=told) as error:
        call(client)
    assert error.value.error_code == code


def test_a_deployment_of_another_app_version_is_not_there(created):
    with pytest.raises(MlflowException) as error:
        created.get_deployment("com.acme.digits/3.0/stable")
    assert error.value.error_code == MISSING


def test_a_server_that_is_down_and_a_token_that_is_wrong(client, server, monkeypatch):
    monkeypatch.setenv("MLPUBLISH_TOKEN", "x" * 43)
    with pytest.raises(MlflowException) as error:
        client.create_deployment(NAME, "models:/digits/1")
    assert error.value.error_code == "UNAUTHENTICATED"
    server.process.kill()
    server.process.wait()
    with pytest.raises(MlflowException) as error:
        client.create_deployment(NAME, "models:/digits/1")
    assert error.value.error_code == "TEMPORARILY_UNAVAILABLE"


def test_the_command_line_creates_gets_lists_updates_and_deletes(mlflow_cli):
    created = mlflow_cli("create", "--name", NAME, "-m", "models:/digits/1")
    assert created.exit_code == 0, created.output
    assert f"deployment {NAME} is created" in created.output
    assert "release: 1" in mlflow_cli("get", "--name", NAME).output
    assert NAME in mlflow_cli("list").output
    assert mlflow_cli("update", "--name", NAME, "-m", "models:/digits/2", "-C", "version=7").exit_code == 0
    assert "release: 2" in mlflow_cli("get", "--name", NAME).output
    assert [mlflow_cli("delete", "--name", NAME).exit_code for _ in range(2)] == [0, 0]
    assert mlflow_cli("get", "--name", NAME).exit_code == 6


def test_the_command_line_tells_an_error_in_one_line_with_our_exit_code(mlflow_cli):
    ran = mlflow_cli("create", "--name", NAME, "-m", "models:/digits/1", "-C", "rollot=5")
    assert ran.exit_code == 2
    assert ran.output.startswith("Error: The key 'rollot' is unknown.")
    assert len(ran.output.splitlines()) == 1


def test_run_local_releases_and_plays_the_device(digits, development, monkeypatch, capsys):
    monkeypatch.setenv("MLPUBLISH_REPOSITORY", str(development.folder))
    deployments.run_local(NAME, "models:/digits/1")
    assert "release 1, SUCCESS" in capsys.readouterr().out


def test_run_local_without_a_repository_says_how_to_make_one(digits):
    with pytest.raises(MlflowException, match="mlpublish repo init --dev DIR"):
        deployments.run_local(NAME, "models:/digits/1")
