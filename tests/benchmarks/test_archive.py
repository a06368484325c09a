"""The benchmark of archives runs, on a few megabytes; its figures are read by people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("archive.py")


def test_it_measures_everything_it_shows(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--size", "3M", "--rounds", "2", "--folder", str(tmp_path), "--json"]
    done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
    measured = json.loads(done.stdout)
    shown = {"write, raw files", "write, converted model", "strict read", "strict read, own sha256", "unpack"}
    assert measured["ratios"].keys() == shown
    assert all(len(ratios) == 2 and min(ratios) > 0 for ratios in measured["ratios"].values())
    assert measured["peak_mb"] > 0
    assert not any(tmp_path.iterdir())
