"""A fixed sample of the crash sweep; all of it: ``python tests/crash/sweep.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenarios import SCENARIOS
from sweep import Sweep, sample
from tracing import Call

pytestmark = pytest.mark.usefixtures("tracer")
MOST = {False: 6, True: 2}  # kills per scenario; a server takes longer to start than a command to run


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_breaks_nothing_and_the_same_command_again_gets_there(name: str, base: Path, tmp_path: Path) -> None:
    sweep = Sweep(name, base, tmp_path)
    calls = sweep.calls()
    for kill in map(sweep.kill, sample(calls, most=MOST[sweep.scenario.served])):
        assert (kill.missed, kill.broken, kill.unrepaired) == ("", "", ""), kill.at


def test_a_kill_that_never_comes_is_told(base: Path, tmp_path: Path) -> None:
    """The run has no hundredth rename, so nothing is proven by it."""
    sweep = Sweep("channel set", base, tmp_path)
    kill = sweep.kill(Call(thread=0, name="rename", count=100, paths=("dev/nothing",), failed=False))
    assert "no kill at rename dev/nothing" in kill.missed


def test_the_release_to_fall_back_to_is_never_found_half_there(base: Path, tmp_path: Path) -> None:
    """A rollback installs what was the previous release anew; the old copy goes file by file."""
    sweep = Sweep("device rollback", base, tmp_path)
    going = [call for call in sweep.calls() if call.name == "unlinkat" and "/releases/" in call.paths[0]]
    assert len(going) >= 3
    for kill in map(sweep.kill, going):
        assert (kill.missed, kill.broken, kill.unrepaired) == ("", "", ""), kill.at
