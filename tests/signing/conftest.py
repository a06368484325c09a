"""openssl, the judge from outside."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.keystores import needs


@pytest.fixture(scope="session")
def openssl() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs openssl with these arguments in a folder; a failure is the caller's to judge."""
    needs("openssl", "openssl")

    def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["openssl", *map(str, arguments)], cwd=cwd, check=False, capture_output=True, text=True)

    return run
