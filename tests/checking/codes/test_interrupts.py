"""Ctrl-C in ``mlpublish check`` as a real process, wherever it waits for the network: one report, CANCELED, and no traceback.

Wherever it works on its own disk: ``tests/crash/test_interrupts.py``.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mlpublish.formats.status import UpdateStatus

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

PLACES = ["2.root.json", "timestamp.json", "snapshot.json", "targets.json", "channels.json", "stable.json", "bundle.zip"]


def started(lab: Lab) -> subprocess.Popen[str]:
    root = lab.store.folder / "metadata" / "1.root.json"
    asked = ["--app", lab.app.id, "--app-version", lab.app.version, "--at", lab.web.url, "--root", root, "--device", lab.phone]
    command = [sys.executable, "-m", "mlpublish", "check", *map(str, asked), "--json"]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # where a test run itself is a shell's background job, what it starts begins deaf to Ctrl-C
    return subprocess.Popen(command, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes)


@pytest.mark.parametrize(("place", "times"), [*((place, 1) for place in PLACES), (PLACES[1], 2), (PLACES[-1], 2)])
def test_an_interrupt_is_canceled_wherever_a_check_waits(waiting: Lab, place: str, times: int) -> None:
    asked, over = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        over.wait(30)

    waiting.web.bend(place, **({"drip": 0.02, "then": asked.set} if place == "bundle.zip" else {"then": hold}))
    process = started(waiting)
    try:
        assert asked.wait(60)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)  # two at once are one
        out, errors = process.communicate(timeout=20)
    finally:
        over.set()
        process.kill()
    told = json.loads(out)
    assert (told["ok"], told["result"]["status"], told["result"]["installed"]) == (True, "CANCELED", 1)
    assert (process.returncode, "Traceback" in errors) == (UpdateStatus.CANCELED.exit_code, False)
    waiting.web.heal()
    waiting.updates_to(2)
