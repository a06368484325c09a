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
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the current one: a notebook's."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def configured(development, monkeypatch) -> None:
    monkeypatch.setenv("MLPUBLISH_REPOSITORY", str(development.folder))


@pytest.fixture
def phone(server, development, tmp_path) -> Phone:
    """The app's device asks the server once."""
    return lambda: mlpublish.check(
        APP_ID, at=server.url, app_version=APP_VERSION, device=tmp_path / "phone", repository=development.folder
    )
