"""A device's folder that its owner may not write: the fact and the remedy, and all is well once it may."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlpublish.formats.status import UpdateStatus
from tests.phones import files_in

if TYPE_CHECKING:
    from tests.checking.conftest import Lab


@pytest.fixture(scope="module")
def unprivileged() -> list[str]:
    """What a command line is put behind so that modes hold for it: for root, too."""
    if os.geteuid():
        return []
    behind = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
    if shutil.which("setpriv") is None:
        missing = "needs setpriv (Debian: apt install util-linux)"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    return behind


@pytest.fixture
def asked(waiting: Lab) -> Callable[..., tuple[int, dict[str, Any]]]:
    """A check as a process of its own, behind these words; its exit code and envelope."""
    root = waiting.store.folder / "metadata" / "1.root.json"
    of_app = ["--app", waiting.app.id, "--app-version", waiting.app.version]
    words = [*of_app, "--at", waiting.web.url, "--root", root, "--device", waiting.phone]

    def ran(*behind: str) -> tuple[int, dict[str, Any]]:
        command = [*behind, sys.executable, "-m", "mlpublish", "check", *map(str, words), "--json"]
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        return done.returncode, json.loads(done.stdout)

    return ran


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    mode = place.stat().st_mode
    place.chmod(mode & ~0o222)
    try:
        yield
    finally:
        place.chmod(mode)


@pytest.mark.parametrize("place", [".", "metadata", "cache", "downloads", "releases"])
def test_a_place_in_the_folder_that_may_not_be_written_is_unknown_and_named(
    waiting: Lab, asked: Callable[..., tuple[int, dict[str, Any]]], unprivileged: list[str], place: str
) -> None:
    before = files_in(waiting.phone / "releases")
    with read_only(waiting.phone / place):
        code, told = asked(*unprivileged)
    result = told["result"]
    assert (code, result["status"], result["installed"]) == (17, UpdateStatus.FAILURE_UNKNOWN.value, 1)
    assert "Permission denied" in result["detail"]
    assert str(waiting.phone) in result["detail"]
    assert "--device" in result["detail"]
    assert files_in(waiting.phone / "releases") == before
    waiting.updates_to(2)


def test_a_folder_that_is_another_users_is_an_error_of_the_call(
    waiting: Lab, asked: Callable[..., tuple[int, dict[str, Any]]], unprivileged: list[str]
) -> None:
    with read_only(waiting.phone / "lock"):
        code, told = asked(*unprivileged)
    assert (code, told["ok"], told["error"]["field"]) == (2, False, "device")
    assert "Permission denied" in told["error"]["message"]
    assert "--device" in told["error"]["remedy"]
    waiting.updates_to(2)


def test_a_disk_that_is_mounted_read_only_is_an_error_of_the_call(
    waiting: Lab, asked: Callable[..., tuple[int, dict[str, Any]]], mounting: Callable[..., list[str]]
) -> None:
    mounted = mounting(f'none -o bind,ro "{waiting.phone}"', waiting.phone)
    code, told = asked(*mounted)
    assert (code, told["ok"]) == (2, False)
    assert "Read-only file system" in told["error"]["message"]
    waiting.updates_to(2)
