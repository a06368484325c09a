"""Pytest imports these tests by file; what they share with the sweep command is imported by name, from this folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from prepared import prepare
from tracing import missing


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state that every scenario begins from; the tests copy it."""
    return prepare(tmp_path_factory.mktemp("crash") / "base" / "state").root


@pytest.fixture(scope="session")
def tracer() -> None:
    """strace, and the right to use it."""
    if why := missing():
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
