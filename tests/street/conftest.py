"""The whole street: real models, a real server, a device that nobody simulates but ``check`` itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import mlpublish
from mlpublish import CheckReport

APP_ID, APP_VERSION = "com.acme.digits", "2.0"
Phone = Callable[[], CheckReport]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(here: Path) -> None:
    """Every test of this folder begins in an empty folder."""


@pytest.fixture
def configured(development, monkeypatch) -> None:
    monkeypatch.setenv("MLPUBLISH_REPOSITORY", str(development.folder))


@pytest.fixture
def phone(server, development, tmp_path) -> Phone:
    """The app's device asks the server once."""
    return lambda: mlpublish.check(
        APP_ID, at=server.url, app_version=APP_VERSION, device=tmp_path / "phone", repository=development.folder
    )
