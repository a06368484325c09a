"""Ctrl-C at system calls that change a device's disk, once or held down: one true report, and nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from scenarios import SCENARIOS
from sweep import Sweep, sample
from tracing import Call

from mlpublish.formats.channel import bundle_path
from mlpublish.formats.status import UpdateStatus

pytestmark = pytest.mark.usefixtures("tracer")
MOST = 5  # per scenario
CANCELED = UpdateStatus.CANCELED


def picked(calls: Sequence[Call]) -> Iterator[tuple[Call, bool]]:
    """A sample of a run's calls and every change of its state; and whether something is still to be canceled there."""
    unpacking = [number for number, call in enumerate(calls) if call.name == "write" and "/.incoming-" in call.paths[0]]
    chosen = {id(call) for call in sample(calls, most=MOST)} | {id(calls[number]) for number in unpacking[-1:]}
    for number, call in enumerate(calls):
        if id(call) in chosen or (call.name == "rename" and call.paths[-1].endswith("/state.json")):
            yield call, number <= max(unpacking, default=-1)


@pytest.mark.parametrize("held", [False, True], ids=["once", "held down"])
@pytest.mark.parametrize("name", [name for name in SCENARIOS if name.startswith("device")])
def test_an_interrupt_cancels_what_is_not_done_yet_and_breaks_nothing(
    name: str, held: bool, base: Path, tmp_path: Path
) -> None:
    sweep = Sweep(name, base, tmp_path)
    for call, open_ in picked(sweep.calls()):
        ran, broken = sweep.interrupt(call, on=held)
        assert broken == "", f"{call}: {ran.told}"
        assert ran.code in {CANCELED.exit_code} | (set() if open_ else {sweep.scenario.code}), f"{call}: {ran.told}"
        assert (CANCELED.value in ran.told) == (ran.code == CANCELED.exit_code)
        assert "Traceback" not in ran.told


def test_an_interrupt_in_the_self_test_is_canceled(base: Path, tmp_path: Path) -> None:
    """It changes nothing on the disk; so the moment is when the golden data that was unpacked is opened again."""
    sweep = Sweep("device self-test", base, tmp_path)
    with sweep.copy() as state:
        sha256 = state.head().targets.signed.targets[bundle_path(3)].hashes["sha256"]
        golden = state.root / "old" / "releases" / f".incoming-3-{sha256[:12]}" / "evidence" / "digits" / "golden.json"
        options = ["-f", "-o", os.devnull, "-P", str(golden), "-e", "trace=openat", "-e", "inject=openat:signal=INT:when=2"]
        command = ["strace", *options, sys.executable, "-m", "mlpublish", *state.words(sweep.scenario.command), "--json"]
        ran = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=120,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job begins deaf to it
        )
        result = json.loads(ran.stdout)["result"]
        assert (ran.returncode, result["status"], result["installed"]) == (CANCELED.exit_code, CANCELED.value, 1)
        assert result["phases"]["self-test"]["passed"] is False
        assert result["self_tests"] == {}
        assert state.held("old") == 1
        assert state.updated("old") == 3
