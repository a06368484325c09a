"""A check that is ended, that meets another one, or that finds no room: what was in use stays in use."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from mlpublish.checking.device import Device
from mlpublish.formats.status import ProgressStatus, UpdateStatus
from mlpublish.reports import Phase
from tests.checking.conftest import BIG, CanceledAt, Lab

CANCELED = UpdateStatus.CANCELED
FAILED = Phase(seconds=0.0, passed=False)


class Stopper:
    """A listener that asks for the end as soon as a phase is heard of."""

    def __init__(self, at: object) -> None:
        self.at, self.cancel = at, threading.Event()

    def on_start(self, total: int) -> None:
        if self.at == "start":
            self.cancel.set()

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        if self.at is status:
            self.cancel.set()

    def on_finish(self, status: UpdateStatus) -> None:
        assert status is CANCELED


@pytest.mark.parametrize("at", ["start", ProgressStatus.DOWNLOAD_IN_PROGRESS, ProgressStatus.UNZIP_IN_PROGRESS])
def test_a_check_is_canceled_while_it_downloads_and_while_it_unzips(waiting: Lab, at: object) -> None:
    stopper = Stopper(at)
    assert waiting.fails(CANCELED, "was canceled", listener=stopper, cancel=stopper.cancel).installed == 1
    assert [folder.name[0] for folder in (waiting.phone / "releases").iterdir()] == ["1"]
    waiting.updates_to(2)


@pytest.mark.parametrize(
    "path", ["2.root.json", "timestamp.json", "snapshot.json", "targets.json", "channels.json", "stable.json"]
)
def test_a_check_is_canceled_at_every_request_for_metadata(waiting: Lab, path: str) -> None:
    cancel = threading.Event()
    waiting.web.bend(path, then=cancel.set)
    waiting.fails(CANCELED, cancel=cancel)
    assert not [asked for asked, _ in waiting.web.asked if "releases/2" in asked]


def test_a_check_that_is_canceled_before_it_begins_asks_nobody(waiting: Lab) -> None:
    waiting.web.asked.clear()
    cancel = threading.Event()
    cancel.set()
    waiting.fails(CANCELED, cancel=cancel)
    assert waiting.web.asked == []


@pytest.mark.parametrize("altered", ["nothing", "the current release"])
def test_a_check_is_canceled_at_every_piece_that_it_reads_of_what_is_installed(lab: Lab, altered: str) -> None:
    """However large a file is. What is altered is left for the previous release, which is read before that."""
    for content in (BIG * 2, b"small"):
        lab.release(content)
        lab.updates_to(lab.made)
    if altered == "nothing":
        lab.offer(1)
        lab.updates_to(1)
    else:
        (model,) = (lab.phone / "releases").glob("2-*/models/*")
        model.write_bytes(b"large")
    for look in count(1):
        report = lab.check(cancel=CanceledAt(look))
        if report.status is not CANCELED or "metadata" in report.phases or report.phases.get("installed", FAILED).passed:
            break
    assert look > len(BIG * 2) // 2**18


@pytest.mark.parametrize("path", ["timestamp.json", "bundle.zip"])
def test_a_check_is_canceled_on_a_network_that_drips(waiting: Lab, path: str) -> None:
    """One byte every twentieth of a second: it would go on for hours, and no timeout would end it."""
    cancel = threading.Event()
    waiting.web.bend(path, drip=0.05, then=lambda: threading.Timer(0.5, cancel.set).start())
    waiting.fails(CANCELED, cancel=cancel)


CHECK = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins deaf to it
from mlpublish.checking.check import check
report = check("com.acme.digits", app_version="2.0", at=sys.argv[1], device=sys.argv[2], root=sys.argv[3])
print(report.status.value, report.installed)
"""


def other_process(lab: Lab, device: Path | None = None) -> subprocess.Popen[str]:
    root = lab.store.folder / "metadata" / "1.root.json"
    arguments = [sys.executable, "-c", CHECK, lab.web.url, str(device or lab.phone), str(root)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_an_interrupt_from_the_keyboard_is_canceled_and_keeps_what_came(waiting: Lab) -> None:
    asked = threading.Event()
    waiting.web.bend("bundle.zip", drip=0.02, then=asked.set)
    process = other_process(waiting)
    assert asked.wait(60)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert (out.split(), errors) == (["CANCELED", "1"], "")
    waiting.web.heal()
    waiting.updates_to(2)


def test_a_device_that_another_process_holds_is_already_in_progress(waiting: Lab) -> None:
    asked = threading.Event()
    waiting.web.bend("bundle.zip", drip=0.02, then=asked.set)
    process = other_process(waiting)
    assert asked.wait(60)
    report = waiting.check()
    assert report.status is UpdateStatus.FAILURE_ALREADY_IN_PROGRESS
    assert str(waiting.phone) in report.detail
    process.kill()  # and the lock goes with it
    process.communicate(timeout=60)
    waiting.web.heal()
    waiting.updates_to(2)


def test_of_two_processes_at_once_one_updates_and_the_other_waits_for_nobody(lab: Lab) -> None:
    lab.release(BIG)
    running = [other_process(lab) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in running]
    statuses = {out.split()[0] for out, _ in said}
    assert statuses <= {"SUCCESS", "FAILURE_ALREADY_IN_PROGRESS"}
    assert "SUCCESS" in statuses
    lab.updates_to(1)


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_a_check_that_is_killed_leaves_a_device_that_goes_on(waiting: Lab, after: float) -> None:
    begun = threading.Event()
    waiting.web.bend("timestamp.json", then=begun.set)
    process = other_process(waiting)
    assert begun.wait(60)
    time.sleep(after)
    process.kill()
    process.communicate(timeout=60)
    waiting.web.close()
    report = waiting.check()
    assert report.installed in (1, 2)
    with Device.opened(waiting.phone, waiting.app.id) as device:
        assert device.state.current is not None
        assert device.unpacked(device.state.current).wrong_in(device.path_of(device.state.current)) is None


def test_an_update_that_needs_more_than_there_is_takes_nothing(waiting: Lab) -> None:
    waiting.facts(2, unpacked_length=2**62)
    waiting.web.asked.clear()
    report = waiting.fails(UpdateStatus.FAILURE_NOT_ENOUGH_SPACE, "are free on the device")
    assert report.offered == 2
    assert not [path for path, _ in waiting.web.asked if "bundle.zip" in path]


ON_A_SMALL_DISK = """
import sys
from mlpublish.checking.check import check
at, device, root = sys.argv[1:]
for channel in ("small", "stable", "small"):
    report = check("com.acme.digits", app_version="2.0", at=at, device=device, root=root, channel=channel)
    print(report.status.value, report.installed, report.models["digits"].read_bytes()[:7].decode())
"""


def test_a_disk_that_fills_up_while_unzipping_is_not_enough_space(
    waiting: Lab, tmp_path: Path, mounting: Callable[[str, Path], list[str]]
) -> None:
    """A disk of 3 MiB, and a release that claims to need no room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = mounting("tmpfs -o size=3m tmpfs", disk)
    waiting.offer(1, channel="small")
    waiting.facts(2, unpacked_length=0)
    root = waiting.store.folder / "metadata" / "1.root.json"
    arguments = [sys.executable, "-c", ON_A_SMALL_DISK, waiting.web.url, str(disk / "phone"), str(root)]
    ran = subprocess.run([*mounted, *arguments], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines() == ["SUCCESS 1 weights", "FAILURE_NOT_ENOUGH_SPACE 1 weights", "SUCCESS 1 weights"]
