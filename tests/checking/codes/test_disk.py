"""A disk that fills up under a device, at every page of it: NOT_ENOUGH_SPACE, and on with it once there is room."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

PROGRAM = Path(__file__).with_name("small_disk.py")
MOST = 40  # pages; a check that brings metadata alone has enough


@pytest.mark.parametrize(
    ("when", "last", "least"),
    [
        ("fresh", MOST, 8),  # pages: the device's own files, metadata, then what an update needs
        ("before", 12, 12),
        ("start", 3, 4),
        ("downloading", 3, 4),
        ("unzipping", 3, 4),
        ("swap", 3, 1),  # the last file is on the disk; what is left to write is state.json
    ],
)
def test_a_disk_that_fills_up_at_any_page_is_not_enough_space_and_heals(
    waiting: Lab, tmp_path: Path, mounting: Callable[..., list[str]], when: str, last: int, least: int
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    root = waiting.store.folder / "metadata" / "1.root.json"
    command = [sys.executable, PROGRAM, waiting.web.url, root, waiting.phone, disk, when, last]
    mounted = mounting("tmpfs -o size=12m tmpfs", disk)
    ran = subprocess.run([*mounted, *map(str, command)], check=True, stdout=subprocess.PIPE, text=True)
    rounds = [round_ for line in ran.stdout.splitlines() if (round_ := json.loads(line)) != "enough"]
    assert len(rounds) >= least
    for each in rounds:
        told = each.pop("told")
        assert "Free some space" in told, told
        assert each == {
            "status": "FAILURE_NOT_ENOUGH_SPACE",
            "installed": None if when == "fresh" else 1,
            "whole": True,
            "again": ["SUCCESS", 2],
        }, told
