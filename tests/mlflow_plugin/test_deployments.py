"""``mlflow deployments … -t mlpublish``: a deployment is what a channel offers one app version."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import entry_points

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.deployments import BaseDeploymentClient, get_deploy_client
from mlflow.exceptions import MlflowException

import mlpublish

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
    anywhere = get_deploy_client("mlpublish")
    anywhere.delete_deployment("com.acme.other/1.0/beta", config={"to": f"file:{development.folder}"})


def test_creating_it_again_is_no_second_release(created):
    assert created.create_deployment(NAME, "models:/digits/1")["created"] is False
    assert created.get_deployment(NAME)["release"] == 1


def test_creating_it_of_another_model_is_refused_and_publishes_nothing(created, development):
    with pytest.raises(MlflowException, match=r"offers release 1.*digits 2.*mlflow deployments update") as error:
        created.create_deployment(NAME, "models:/digits/2")
    assert error.value.error_code == "RESOURCE_ALREADY_EXISTS"
    assert list(development.app("com.acme.digits").head().releases) == [1]


def test_updating_what_is_not_there_is_refused_and_publishes_nothing(client, development):
    with pytest.raises(MlflowException, match="mlflow deployments create") as error:
        client.update_deployment(NAME, "models:/digits/1")
    assert error.value.error_code == MISSING
    assert not development.app("com.acme.digits").head().releases


def test_a_deployment_shows_what_is_live_since_when_and_for_whom(created, development, server):
    created.update_deployment(NAME, "models:/digits/2")
    live = development.app("com.acme.digits").head().targets.signed.targets["releases/2/bundle.zip"]
    where = {"to": server.url, "app_version": "2.0"}
    mlpublish.channel.rollout("com.acme.digits", 25, **where)
    mlpublish.channel.pause("com.acme.digits", **where)
    shown = created.get_deployment(NAME)
    assert re.fullmatch(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown.pop("since"))
    assert shown == {
        "name": NAME,
        "flavor": "coreml",
        "endpoint": server.url,
        "app": "com.acme.digits",
        "platform": "ios",
        "channel": "stable",
        "app_version": "2.0",
        "release": 2,
        "rollout": 25,
        "otherwise": None,
        "paused": True,
        "bundle": "digits",
        "version": "2",
        "sha256": live.hashes["sha256"],
        "waiting": [],
    }


def test_predict_runs_what_is_released_also_where_no_new_device_would_get_it(created, digits, server):
    mlpublish.channel.rollout("com.acme.digits", 0, to=server.url, app_version="2.0")
    mlpublish.channel.pause("com.acme.digits", to=server.url, app_version="2.0")
    assert len(created.predict(NAME, pd.DataFrame(digits.rows[:3]))) == 3


def test_of_several_models_the_one_behind_the_name_predicts(client, digits, development, server, app, tmp_path):
    models = [
        mlpublish.convert(f"models:/digits/{number}", name=name, out=tmp_path / name, progress=False)
        for number, name in ((1, "first"), (2, "second"))
    ]
    mlpublish.release(*models, name="both", app=app, to=server.url, progress=False)
    frame = pd.DataFrame(digits.rows[:20])
    with pytest.raises(MlflowException, match=r"holds 2 models: first, second\. .*com\.acme\.digits/2\.0/stable#first"):
        client.predict(NAME, frame)
    with pytest.raises(MlflowException, match="holds no model 'third'"):
        client.predict(f"{NAME}#third", frame)
    for number, name in ((1, "first"), (2, "second")):
        source = mlflow.sklearn.load_model(f"models:/digits/{number}")
        assert np.array_equal(client.predict(f"{NAME}#{name}", frame)["classLabel"], source.predict(digits.rows[:20]))


def test_another_bundle_in_place_of_the_released_one_predicts_nothing(created, digits, development, server):
    created.update_deployment(NAME, "models:/digits/2")
    stored = [next((development.repository / "com.acme.digits/targets/releases" / n).glob("*.bundle.zip")) for n in "12"]
    live = max((1, 2), key=lambda number: stored[number - 1].stat().st_size)  # so that a length gives nothing away
    mlpublish.channel.set("com.acme.digits", to=server.url, app_version="2.0", release=live)
    stored[live - 1].write_bytes(stored[2 - live].read_bytes())
    with pytest.raises(MlflowException) as error:
        created.predict(NAME, pd.DataFrame(digits.rows[:3]))
    assert error.value.exit_code == 3


def test_an_app_that_cannot_be_read_is_listed_with_the_reason_beside_the_others(created, development):
    development.app("com.acme.broken")
    (development.repository / "com.acme.broken" / "metadata" / "timestamp.json").write_text("{}")
    broken, whole = created.list_deployments()
    assert (broken["name"], whole["name"]) == ("com.acme.broken", NAME)
    assert "timestamp" in broken["problem"]


def test_a_profile_says_where(created, digits, server, development, here, monkeypatch):
    monkeypatch.delenv("MLPUBLISH_REPOSITORY")
    (here / "mlpublish.toml").write_text(
        f'[profiles.staging]\nendpoint = "{server.url}"\nrepository = "{development.folder}"\nchannel = "beta"\n'
    )
    client = get_deploy_client("mlpublish:/staging")
    assert client.create_deployment("com.acme.digits/2.0", "models:/digits/2")["name"] == "com.acme.digits/2.0/beta"
    assert client.get_deployment("com.acme.digits/2.0")["version"] == "2"
    assert {each["channel"] for each in client.list_deployments()} == {"stable", "beta"}
    with pytest.raises(MlflowException, match=r"There is no profile 'stagin'. Did you mean 'staging'"):
        get_deploy_client("mlpublish:/stagin").list_deployments()
    with pytest.raises(MlflowException, match="so does -C to"):
        client.create_deployment("com.acme.digits/2.0", "models:/digits/2", config={"to": "https://elsewhere.acme.com"})


def test_the_device_gets_what_was_deployed(created, development, server, app, tmp_path):
    report = mlpublish.check(app, at=server.url, device=tmp_path / "phone")
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
        (lambda c: c.create_deployment(NAME, "models:/digits/1", config={"token": "x"}), WRONG, "MLPUBLISH_TOKEN"),
        (
            lambda c: c.create_deployment(NAME, "models:/digits/1", config={"key": "file:k.pem?passphrase=x"}),
            WRONG,
            "passphrase-env",
        ),
        (lambda c: c.create_deployment(NAME, "models:/digits/1", config={"to": "http://x"}), WRONG, "Leave one of them out"),
        (lambda c: c.create_deployment(NAME, "models:/digits/1", endpoint="e"), WRONG, "has no endpoints"),
        (lambda c: c.create_deployment(f"{NAME}/ios/more", "models:/digits/1"), WRONG, "too many parts"),
        (lambda c: c.explain(NAME, pd.DataFrame()), WRONG, "explains no"),
        (lambda c: c.list_endpoints(), WRONG, "has no endpoints"),
        (lambda c: c.create_deployment("com.acme.digits/two", "models:/digits/1"), WRONG, "such as 2.0"),
        (lambda c: c.create_deployment("com.acme.digits", "models:/digits/1"), WRONG, "app version"),
        (lambda c: c.update_deployment(NAME), WRONG, "--model-uri"),
        (lambda c: c.get_deployment(NAME), MISSING, "mlflow deployments create"),
        (lambda c: c.get_deployment("com.acme.nobody/1.0"), MISSING, "has no repository"),
        (lambda c: c.predict(NAME, pd.DataFrame([[0.0] * 64])), MISSING, "no deployment"),
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
