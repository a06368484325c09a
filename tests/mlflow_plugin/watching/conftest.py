"""A real ``mlflow server`` for all tests of this folder, and a watcher's configuration for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent

from mlpublish.artifacts import App
from mlpublish.repository.development import Development
from tests.gate import Gate
from tests.mlflow_server import MlflowServer, mlflow_server
from tests.watching import SECRET, Watch, Watching

EVENTS = [
    WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED),
    WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.DELETED),
]


@pytest.fixture(scope="session")
def tracking(digits_template, tmp_path_factory) -> Iterator[MlflowServer]:
    with mlflow_server(digits_template.folder / "mlflow.db", tmp_path_factory.mktemp("served") / "mlflow") as server:
        yield server


@pytest.fixture
def gate(tracking: MlflowServer) -> Iterator[Gate]:
    """What the watcher takes for the tracking server."""
    gate = Gate(int(tracking.url.rpartition(":")[2]))
    yield gate
    gate.close()


@pytest.fixture
def registry(tracking: MlflowServer) -> MlflowClient:
    return MlflowClient(tracking_uri=tracking.url, registry_uri=tracking.url)


@pytest.fixture
def watch(here: Path, development: Development, app: App, gate: Gate, registry: MlflowClient) -> Watch:
    """Where the alias is at version 1."""
    alias = f"live-{uuid4().hex[:8]}"
    registry.set_registered_model_alias("digits", alias, "1")
    return Watch(folder=here, development=development, app=app, tracking_uri=gate.url, alias=alias)


@pytest.fixture
def hooked(registry: MlflowClient) -> Callable[[Watching], AbstractContextManager[str]]:
    """``with hooked(watcher) as webhook_id``: MLflow's webhook leads to the watcher."""

    @contextmanager
    def hook(watcher: Watching) -> Iterator[str]:
        made = registry.create_webhook(name="mlpublish", url=f"{watcher.url}/webhook", events=EVENTS, secret=SECRET)
        time.sleep(1.2)  # MLflow looks its webhooks up once a second
        try:
            yield made.webhook_id
        finally:
            registry.delete_webhook(made.webhook_id)

    return hook
