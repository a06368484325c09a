"""MLflow's deployments, with a store of trained models, a real server, and the environment of somebody who deploys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mlflow.deployments import BaseDeploymentClient, get_deploy_client
from mlflow.deployments.cli import commands


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def target(digits, development, server, monkeypatch) -> str:
    """``mlpublish://127.0.0.1:port``, with the development repository configured."""
    monkeypatch.setenv("MLPUBLISH_REPOSITORY", str(development.folder))
    return server.url.replace("http://", "mlpublish://")


@pytest.fixture
def client(target) -> BaseDeploymentClient:
    return get_deploy_client(target)


@pytest.fixture
def mlflow_cli(target) -> Callable[..., Result]:
    """``mlflow_cli("get", "--name", name)``: ``mlflow deployments get -t <target> --name <name>``."""

    def run(verb: str, *arguments: str) -> Result:
        return CliRunner().invoke(commands, [verb, "-t", target, *arguments])

    return run
