"""openssl, the judge from outside."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def openssl() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs openssl with these arguments in a folder; a failure is the caller's to judge."""
    if shutil.which("openssl") is None:
        missing = "needs openssl (Debian: apt install openssl)"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)

    def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["openssl", *map(str, arguments)], cwd=cwd, check=False, capture_output=True, text=True)

    return run
