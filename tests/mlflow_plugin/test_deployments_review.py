"""Deployments where several people approve: a release waits as a change, is shown so, and is offered once they signed."""

from __future__ import annotations

import logging

import pytest
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException

from mlpublish.formats.status import UpdateStatus

NAME = "com.acme.digits/2.0/stable"


@pytest.fixture
def client(digits, production, here):
    """Of somebody who holds alice's key (1 of 2 that must sign) and olga's (an operator)."""
    production.stand()
    (here / "mlpublish.toml").write_text(
        f'[profiles.prod]\nendpoint = "file:{production.tree}"\nkeys.targets = "{production.uri("alice")}"\n'
        f'keys.channels = "{production.uri("olga")}"\n[apps."com.acme.digits"]\nroot = "{production.first_root}"\n'
    )
    return get_deploy_client("mlpublish:/prod")


def test_a_release_waits_for_the_second_signature_and_is_offered_after_it(client, production, caplog):
    with caplog.at_level(logging.WARNING):
        made = client.create_deployment(NAME, "models:/digits/1")
    assert made["change"] is not None
    assert f"as change {made['change']}" in caplog.text
    shown = client.get_deployment(NAME)
    assert (shown["release"], shown["since"]) == (None, None)
    (waiting,) = shown["waiting"]
    assert waiting == {
        "change": made["change"],
        "what": "add release 1",
        "state": "waiting",
        "signatures": "targets 1 of 2",
        "releases": {1: "digits 1"},
    }
    with pytest.raises(MlflowException) as error:  # a release of another app version waits, none of this one
        client.get_deployment("com.acme.digits/3.0")
    assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert client.list_deployments() == []
    production.sign("bob", made["change"])
    offered = client.create_deployment(NAME, "models:/digits/1")
    assert (offered["change"], offered["number"], offered["created"]) == (None, 1, False)
    live = client.get_deployment(NAME)
    assert (live["release"], live["waiting"]) == (1, [])
    assert production.checked() == (UpdateStatus.SUCCESS, 1)
    client.update_deployment(NAME, "models:/digits/2")
    live = client.get_deployment(NAME)
    assert (live["release"], live["waiting"][0]["releases"]) == (1, {2: "digits 2"})


def test_whoever_may_not_read_changes_still_sees_what_is_live(client, production, serving, here, monkeypatch):
    client.create_deployment(NAME, "models:/digits/1")
    production.sign("bob")
    client.create_deployment(NAME, "models:/digits/1")
    with serving(production.folder) as server:
        shown = get_deploy_client(server.url.replace("http", "mlpublish")).get_deployment(NAME)
    assert shown["release"] == 1
    assert "token" in shown["waiting"][0]["problem"]
