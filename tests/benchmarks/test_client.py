"""The benchmark runs; and what it tells in counts, not in seconds, holds at any size: requests, bytes, memory, imports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("client.py")
LARGE = 64  # MiB; more than a check may hold in memory beside what its imports take


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    for program, package in (("curl", "curl"), ("sha256sum", "coreutils"), ("unzip", "unzip")):
        if shutil.which(program) is None:
            missing = f"needs {program} (Debian: apt install {package})"
            pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    command = [sys.executable, str(SCRIPT), "--megabytes", str(LARGE), "--files", "2", "--rounds", "1", "--json"]
    done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def test_it_measures_everything_it_shows(figures: dict[str, float]) -> None:
    assert figures["rounds"] == 1
    assert figures["bytes"] > LARGE * 1_000_000
    assert all(value > 0 for value in figures.values())


def test_a_check_that_finds_nothing_new_is_two_requests_of_at_most_a_kilobyte(figures: dict[str, float]) -> None:
    assert figures["nothing_new_requests"] == 2
    assert figures["nothing_new_bytes"] <= 1024


def test_a_check_takes_at_most_eighty_megabytes_of_memory_whatever_comes(figures: dict[str, float]) -> None:
    assert figures["peak_bytes"] <= 80_000_000
