"""A store of trained models, an app to release them for, and everything that MLflow wrote down, to be compared."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run
from mlflow.entities.model_registry import ModelVersion

from mlpublish.artifacts import Receipt
from mlpublish.recipe import release
from mlpublish.repository import channels

APP_ID = "com.acme.digits"


@dataclass(frozen=True, slots=True)
class Store:
    """What stands in the MLflow store of this test."""

    database: Path

    @property
    def client(self) -> MlflowClient:
        return MlflowClient()

    def version(self, number: int = 2) -> ModelVersion:
        return self.client.get_model_version("digits", str(number))

    def logged(self, number: int = 2) -> LoggedModel:
        return self.client.get_logged_model(self.version(number).source.removeprefix("models:/"))

    def release_runs(self) -> list[Run]:
        experiments = [each.experiment_id for each in self.client.search_experiments()]
        found = self.client.search_runs(experiments, "tags.kind = 'release'", order_by=["attributes.start_time ASC"])
        return [self.client.get_run(run.info.run_id) for run in found]  # a search leaves the inputs out

    def everything(self) -> list[str]:
        """Every row of every table."""
        with closing(sqlite3.connect(self.database)) as database:
            return list(database.iterdump())

    def execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self.database)) as database, database:
            database.execute(statement)

    def spoil(self, table: str, verb: str = "INSERT") -> None:
        """From now on the database refuses to write into a table, as a full disk or a missing grant would make it."""
        refusal = f"SELECT RAISE(ABORT, 'no room in {table}')"
        self.execute(f"CREATE TRIGGER spoiled BEFORE {verb} ON {table} BEGIN {refusal}; END")

    def mend(self) -> None:
        self.execute("DROP TRIGGER spoiled")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(here: Path) -> None:
    """Every test of this folder begins in an empty folder."""


@pytest.fixture
def store(digits, tmp_path: Path) -> Store:
    return Store(tmp_path / "mlflow.db")


@pytest.fixture
def released(store, development, app) -> Callable[..., Receipt]:
    """``released()``: ``release("models:/digits@champion")`` to the development repository."""

    def run(model: object = "models:/digits@champion", **keywords: object) -> Receipt:
        return release(model, **({"app": app, "to": development.folder, "progress": False} | keywords))

    return run


@pytest.fixture
def offered(development) -> Callable[[], int]:
    """The release that the app's stable channel offers."""

    def number() -> int:
        (entry,) = channels.show(APP_ID, at=development.folder).channel.entries
        return entry.release

    return number
