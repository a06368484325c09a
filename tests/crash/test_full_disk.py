"""A disk that fills up under a publisher or an operator: one clear error, the old state current, and on with it afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("full_disk.py")
MOUNT = 'mount -t tmpfs -o size=24m tmpfs "$0" && exec "$@"'


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """What a command line is put behind to have a disk of 24 MiB at ``tmp_path/disk``."""
    disk = tmp_path / "disk"
    disk.mkdir()
    behind = ["unshare", "-rm", "sh", "-c", MOUNT, str(disk)]
    if shutil.which("unshare") is None or subprocess.run([*behind, "true"], check=False, capture_output=True).returncode:
        missing = "needs unshare (Debian: apt install util-linux) and the right to mount a tmpfs"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    return behind


@pytest.mark.parametrize(
    ("line", "pages", "releases", "offered"),
    [
        ("publish {root}/signed/3 --to file:{dev}", (0, 2), 3, 1),  # the bundle alone has 269
        ("publish {root}/signed/3 --to file:{dev}", (268, 290), 3, 1),
        ("channel set {app} --release 2 --to file:{dev}", (0, 20), 2, 2),
    ],
)
def test_a_full_disk_is_told_and_leaves_what_was_current(
    line: str, pages: tuple[int, int], releases: int, offered: int, base: Path, tmp_path: Path, small_disk: list[str]
) -> None:
    own = Path(shutil.copytree(base, tmp_path / "own" / "state"))
    command = [*small_disk, sys.executable, str(PROGRAM), str(own), str(tmp_path / "disk"), line, *map(str, pages)]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    rounds = [json.loads(each) for each in ran.stdout.splitlines()]
    assert len(rounds) >= 3
    for each in rounds[:-1] if rounds[-1] == "enough" else rounds:
        told = each.pop("told")
        assert "No space left on device" in told, told
        assert "the space left, then run the command again" in told, told
        assert len(told.splitlines()) == 1, told
        expected = {"code": 1, "moved": False, "device": "SUCCESS", "again": 0, "releases": releases, "offered": offered}
        assert each == expected, told
