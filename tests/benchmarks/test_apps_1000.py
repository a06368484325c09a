"""The benchmark runs, and an update check when nothing is new stays two small requests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("apps_1000.py")


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    command = [sys.executable, str(SCRIPT), "--apps", "3", "--releases", "20", "--json"]
    done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def test_it_measures_everything_it_shows(figures: dict[str, float]) -> None:
    assert (figures["apps"], figures["releases"]) == (3, 20)
    assert all(value > 0 for value in figures.values())


def test_a_check_that_finds_nothing_new_is_two_requests_of_at_most_a_kilobyte(figures: dict[str, float]) -> None:
    assert figures["check_requests"] == 2
    assert figures["check_bytes"] <= 1024
