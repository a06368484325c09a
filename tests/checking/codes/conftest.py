"""What the rows of docs/statuses.md share: a device with a history, and worlds that only a process of its own can have."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

BIG = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture
def waiting(lab: Lab) -> Lab:
    """Release 1 is in use, and release 2 (2 MiB) waits."""
    lab.release()
    lab.updates_to(1)
    lab.release(BIG)
    return lab


@pytest.fixture(scope="session")
def mounting() -> Callable[[str, Path], list[str]]:
    """``mounting("tmpfs -o size=8m tmpfs", folder)``: what a command line is put behind to have that mounted there."""

    def behind(mount: str, folder: Path) -> list[str]:
        words = ["unshare", "-rm", "sh", "-c", f'mount -t {mount} "$0" && exec "$@"', str(folder)]
        if shutil.which("unshare") is None or subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
            missing = "needs unshare (Debian: apt install util-linux) and the right to mount"
            pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
        return words

    return behind
