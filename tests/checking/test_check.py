"""The verb itself: a report whatever happens, what its listener hears, and Ctrl-C at any line of it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

import mlpublish.checking
from mlpublish.checking.check import check
from mlpublish.checking.device import Device
from mlpublish.errors import RecipeError
from mlpublish.formats.status import ProgressStatus, UpdateStatus
from mlpublish.reports import CheckReport
from tests.phones import files_in

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

DOWNLOAD, UNZIP = ProgressStatus.DOWNLOAD_IN_PROGRESS, ProgressStatus.UNZIP_IN_PROGRESS
UNKNOWN = UpdateStatus.FAILURE_UNKNOWN


# ── the report ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_report_says_where_it_asked_what_it_cost_and_who_signed(waiting: Lab) -> None:
    report = waiting.updates_to(2)
    assert (report.endpoint, report.channel, report.device) == (waiting.web.url, "stable", waiting.phone)
    assert list(report.phases)[:4] == ["installed", "metadata", "channel", "download"]
    assert all(phase.passed for phase in report.phases.values())
    assert report.downloaded == waiting.stored(2).stat().st_size
    assert [role.role for role in report.roles] == ["root", "timestamp", "snapshot", "targets", "channels"]
    shown = report.sheet()
    assert shown.passed
    assert not [case.name for case in shown.cases if case.failed or case.skipped]


def test_the_phase_that_did_not_pass_is_told(waiting: Lab) -> None:
    waiting.web.bend("bundle.zip", cut=1000)
    report = waiting.fails(UpdateStatus.FAILURE_DOWNLOADING)
    assert [name for name, phase in report.phases.items() if not phase.passed] == ["download"]
    assert [case.name for case in report.sheet().cases if case.failed] == ["download", "status"]


# ── the listener ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Ear:
    """Hears everything, and may do something at a step of it."""

    def __init__(self, at: object = None, act: Callable[[], object] = lambda: None) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self._at, self._act = at, act

    def _hear(self, *what: Any) -> None:
        self.heard.append(what)
        if what[0] is self._at:
            self._act()

    def on_start(self, total: int) -> None:
        self._hear("start", total)

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        self._hear(status, total, done)

    def on_finish(self, status: UpdateStatus) -> None:
        self._hear("finish", status)


def assert_lawful(ear: Ear, report: CheckReport) -> None:
    """What holds of whatever a listener hears of one check."""
    steps = [what[0] for what in ear.heard]
    assert ear.heard[-1] == ("finish", report.status)
    assert steps.count("finish") == 1
    assert steps.count("start") == (1 if len(steps) > 1 else 0)
    assert steps[0] == ("start" if len(steps) > 1 else "finish")
    inner = steps[1:-1]
    assert inner == sorted(inner, key=[DOWNLOAD, UNZIP].index)
    for step in (DOWNLOAD, UNZIP):
        told = [(total, done) for status, total, done in ear.heard[1:-1] if status is step]
        assert len({total for total, _ in told}) <= 1
        assert [done for _, done in told] == sorted(done for _, done in told)
        assert all(0 <= done <= total for total, done in told)
        if told and report.status is UpdateStatus.SUCCESS:
            assert told[-1][0] == told[-1][1]


# what happens -> (what is bent, how it ends, whether there was progress)
HAPPENINGS: dict[str, tuple[Callable[[Lab], object], UpdateStatus, bool]] = {
    "an update": (lambda lab: None, UpdateStatus.SUCCESS, True),
    "a cut": (lambda lab: lab.web.bend("bundle.zip", cut=500_000), UpdateStatus.FAILURE_DOWNLOADING, True),
    "nothing new": (lambda lab: lab.offer(1), UpdateStatus.SUCCESS, False),
    "a server that is down": (lambda lab: lab.web.close(), UpdateStatus.FAILURE_NETWORK_PROBLEM, False),
    "altered bytes": (
        lambda lab: lab.web.bend("bundle.zip", body=bytes(lab.stored(2).stat().st_size)),
        UpdateStatus.FAILURE_INTEGRITY,
        True,
    ),
    "an archive that is none": (lambda lab: lab.signed_bytes(b"no zip"), UpdateStatus.FAILURE_UNZIPPING, True),
}


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_what_a_listener_hears_follows_the_laws_whatever_happens(waiting: Lab, happening: str) -> None:
    happen, status, progress = HAPPENINGS[happening]
    happen(waiting)
    ear = Ear()
    report = waiting.fails(status, listener=ear) if status is not UpdateStatus.SUCCESS else waiting.check(listener=ear)
    assert report.status is status
    assert_lawful(ear, report)
    assert (len(ear.heard) > 1) is progress


def test_a_resumed_download_goes_on_from_where_it_was(waiting: Lab) -> None:
    waiting.web.bend("bundle.zip", cut=500_000)
    waiting.fails(UpdateStatus.FAILURE_DOWNLOADING)
    waiting.web.heal()
    ear = Ear()
    assert_lawful(ear, waiting.updates_to(2, listener=ear))
    first = next(done for status, _, done in ear.heard[1:] if status is DOWNLOAD)
    assert first >= 500_000


def test_a_check_that_meets_another_finishes_for_its_listener_too(waiting: Lab) -> None:
    ear = Ear()
    with Device.opened(waiting.phone, waiting.app.id):
        report = waiting.check(listener=ear)
    assert ear.heard == [("finish", UpdateStatus.FAILURE_ALREADY_IN_PROGRESS)]
    assert_lawful(ear, report)


def test_a_call_that_makes_no_sense_is_no_check_and_nobody_hears_of_one(waiting: Lab) -> None:
    ear = Ear()
    with pytest.raises(RecipeError):
        waiting.check(listener=ear, os_version="x")
    assert ear.heard == []


def broken() -> None:
    raise ValueError("the window is gone")


@pytest.mark.parametrize("at", ["start", DOWNLOAD, UNZIP])
def test_a_listener_that_raises_ends_the_check_and_leaves_the_device_whole_and_free(waiting: Lab, at: object) -> None:
    ear = Ear(at, broken)
    report = waiting.fails(UNKNOWN, "The listener of this check failed: ValueError: the window is gone.", listener=ear)
    assert report.installed == 1
    assert ear.heard[-1] == ("finish", UNKNOWN)
    waiting.updates_to(2)


def test_what_a_listener_raises_at_the_end_goes_to_the_caller_when_all_is_done(waiting: Lab) -> None:
    with pytest.raises(ValueError, match="the window is gone"):
        waiting.check(listener=Ear("finish", broken))
    assert waiting.updates_to(2).phases.keys() == {"installed", "metadata", "channel"}


# ── Ctrl-C ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

ROOM = str(Path(mlpublish.checking.__file__).parent)


@contextmanager
def interrupted_at(line: int) -> Iterator[list[str]]:
    """Ctrl-C where Python comes to the so manyth line of this room; gives that line, if it comes to it."""
    seen, hit = 0, list[str]()

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal seen
        if not frame.f_code.co_filename.startswith(ROOM):
            return None
        if event == "line":
            seen += 1
            if seen == line:
                hit.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        yield hit
    finally:
        sys.settrace(None)


def lines_of(run: Callable[[], object]) -> int:
    """How many lines of this room a check goes through."""
    seen = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal seen
        seen += event == "line"
        return trace if frame.f_code.co_filename.startswith(ROOM) else None

    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)
    return seen


def test_ctrl_c_at_any_line_is_canceled_with_a_whole_model_and_a_true_report(lab: Lab, tmp_path: Path) -> None:
    """Over a folder, so that lines do not depend on how bytes come in; every seventeenth line of the whole check."""
    lab.release()
    lab.release(offer=False)
    lab.updates_to(1)
    lab.offer(2)
    shutil.copytree(lab.phone, tmp_path / "before", symlinks=True)
    asked = {"at": f"file:{lab.development.repository}", "root": lab.first_root()}
    whole = lines_of(lambda: check(lab.app, device=lab.phone, **asked))
    ends = set[str]()
    for line in range(1, whole, 17):
        phone, report = tmp_path / str(line), None
        shutil.copytree(tmp_path / "before", phone, symlinks=True)
        try:
            with interrupted_at(line):
                report = check(lab.app, device=phone, **asked)
        except KeyboardInterrupt:
            ends.add("passed on")  # before there was a device, or after it was let go
        else:
            ends.add(f"{report.status.value} {report.installed}")
            assert report.status in (UpdateStatus.CANCELED, UpdateStatus.SUCCESS)
            assert report.path is not None
            assert report.path.name.startswith(f"{report.installed}-")
        with Device.opened(phone, lab.app.id) as device:
            current = device.state.current
            assert current is not None
            place = device.path_of(current)
            assert report is None or report.installed == current.release
        assert files_in(place) == files_in(tmp_path / "before" / "releases" / place.name) or current.release == 2
        assert check(lab.app, device=phone, **asked).installed == 2
        shutil.rmtree(phone)
    assert {"CANCELED 1", "CANCELED 2"} <= ends
