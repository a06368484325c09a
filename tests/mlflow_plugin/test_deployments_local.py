"""``mlflow deployments run-local``: a real server for the moment, and nothing that is configured as production is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from mlpublish.errors import EndpointUnreachable, SigningError
from mlpublish.mlflow_plugin import deployments
from mlpublish.mlflow_plugin.deployments_local import serving
from mlpublish.publishing.to_server import open_server

NAME = "com.acme.digits/2.0/stable"


def test_it_releases_serves_and_plays_a_device_and_keeps_it_where_a_development_repository_is_configured(
    digits, development, monkeypatch, capsys
):
    monkeypatch.setenv("MLPUBLISH_REPOSITORY", str(development.folder))
    deployments.run_local(NAME, "models:/digits/1")
    deployments.run_local(NAME, "models:/digits/2")
    first, second = capsys.readouterr().out.splitlines()
    assert f"{NAME}: release 1 (digits 1), SUCCESS" in first
    assert f"{NAME}: release 2 (digits 2), SUCCESS" in second
    assert str(development.folder) in second
    assert list(development.app("com.acme.digits").head().releases) == [1, 2]


def test_without_a_repository_it_is_a_trial_that_leaves_nothing(digits, here, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    deployments.run_local(NAME, "models:/digits/1")
    assert "release 1 (digits 1), SUCCESS" in capsys.readouterr().out
    assert list(here.iterdir()) == []
    assert "mlpublish.release" not in MlflowClient().get_model_version("digits", "1").tags


def test_a_configured_production_place_its_keys_and_its_token_are_left_alone(
    digits, production, below, here, monkeypatch, capsys
):
    production.stand()
    (here / "mlpublish.toml").write_text(
        f'repository = "{production.tree}"\nendpoint = "https://updates.acme.com"\ntoken = "env:NOT_SET"\n'
        f'[keys]\ntargets = "{production.uri("alice")}"\nchannels = "pkcs11:token=ops"\n'
        f'[apps."com.acme.digits"]\nversion = "2.0"\nroot = "{production.first_root}"\n'
    )
    monkeypatch.setenv("MLPUBLISH_TOKEN", "x" * 43)
    before = below(production.folder)
    deployments.run_local("com.acme.digits", "models:/digits/1")
    assert "release 1 (digits 1), SUCCESS" in capsys.readouterr().out
    assert below(production.folder) == before


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"to": "http://127.0.0.1:1"}, "takes no 'to'"),
        ({"key": "file:k.pem"}, "takes no 'key'"),
        ({"repository": "nowhere"}, "no development repository"),
        ({"chanel": "beta"}, "Did you mean 'channel'"),
        ({"token": "hunter2"}, "MLPUBLISH_TOKEN"),
    ],
)
def test_what_would_go_elsewhere_is_refused(config, told):
    with pytest.raises(MlflowException, match=told) as error:
        deployments.run_local(NAME, "models:/digits/1", config=config)
    assert "hunter2" not in str(error.value)


def test_the_server_answers_inside_of_the_block_and_not_after_it(development):
    development.app("com.acme.digits")
    with serving(development.folder) as url:
        assert open_server(url, token=development.token()).apps() == ("com.acme.digits",)
    with pytest.raises(EndpointUnreachable):
        open_server(url, token=development.token()).apps()


def test_a_server_that_cannot_start_is_told(development):
    Path(development.folder, "keys", "timestamp.pem").unlink()
    with pytest.raises(SigningError, match=r"timestamp\.pem"), serving(development.folder):
        raise AssertionError("it started")
