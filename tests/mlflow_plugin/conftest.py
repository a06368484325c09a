"""MLflow's deployments, with a store of trained models, a real server, and the environment of somebody who deploys."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from click.testing import CliRunner, Result
from mlflow.deployments import BaseDeploymentClient, get_deploy_client
from mlflow.deployments.cli import commands

import mlpublish
from mlpublish.artifacts import ConvertedModel
from tests.trained import Trained


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(here: Path) -> None:
    """Every test of this folder begins in an empty folder."""


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
    """``mlflow_cli("get", "--name", name)``: ``mlflow deployments get -t <target> --name <name>``, in this process."""

    def run(verb: str, *arguments: str) -> Result:
        return CliRunner().invoke(commands, [verb, "-t", target, *arguments])

    return run


@pytest.fixture(scope="session")
def mlflow_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """``mlflow_command("get", "-t", target)``: the real ``mlflow deployments get -t <target>``, a process of its own."""
    script = Path(sys.executable).with_name("mlflow")

    def run(verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(script), "deployments", verb, *arguments]
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)

    return run


# ── the flavor: models that were converted and logged ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def trained(digits, request) -> Callable[..., Trained]:
    """``trained(binary)``; the network is trained only where it is asked for."""
    return lambda source: source(digits, lambda: request.getfixturevalue("cnn"))


@pytest.fixture
def kept(here) -> Callable[..., Any]:
    """Convert, log and register a model as ``kept@champion``; returns (converted, ModelInfo)."""

    def keep(source: Trained, *, precision: str = "auto", **settings: Any) -> tuple[ConvertedModel, Any]:
        converted = mlpublish.convert(source.model, name="digits", samples=source.rows, precision=precision, progress=False)
        info = mlpublish.mlflow.log_model(converted, registered_model_name="kept", **settings)
        mlflow.MlflowClient().set_registered_model_alias("kept", "champion", info.registered_model_version)
        return converted, info

    return keep
