"""A fleet is many real devices: what it counts is what each of them did."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpublish.artifacts import App
from mlpublish.checking.fleet import _members, fleet
from mlpublish.errors import EndpointRefused, FormatError, MlpublishError, RecipeError
from mlpublish.formats.channel import bucket
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.reports import FleetCheck, FleetReport
from mlpublish.reports.fleets import Latency, grouped, rolled_out
from tests.checking.conftest import Lab


def sent(lab: Lab, devices: int, **keywords: Any) -> FleetReport:
    trusted = {"root": lab.first_root(), "app_versions": [lab.app.version], "jobs": 2, "retries": 0}
    return fleet(lab.app.id, devices=devices, **({"at": lab.web.url} | trusted | keywords))


def test_a_rollout_reaches_the_devices_that_the_offer_rule_names_and_no_others(lab: Lab) -> None:
    first, second = lab.release(), lab.release(offer=False)
    lab.offer(second, rollout=40, otherwise=first)
    report = sent(lab, 40)
    ids = [member.device_id for member in _members(40, ("2.0",), (None,), "fleet")]
    inside = sum(bucket(each, second) < 40 for each in ids)
    assert {each.release: each.devices for each in report.rollouts} == {first: 40 - inside, second: inside}
    assert 0 < inside < 40
    assert report.outcomes == {f"release {second}": inside, f"release {first}": 40 - inside}
    assert report.worst is UpdateStatus.SUCCESS


def test_what_a_fleet_counts_is_what_the_server_saw(lab: Lab) -> None:
    lab.release()
    report = sent(lab, 6, turns=2)
    assert (report.checks, report.requests) == (12, len(lab.web.asked))
    assert report.received == sum(lab.web.sent.values())
    kinds = {kind: latency.checks for kind, latency in report.latencies.items()}
    assert kinds == {"installed": 6, "nothing new": 6}
    assert [(each.turn, each.outcome, each.checks) for each in report.groups] == [
        (1, "release 1", 6),
        (2, "already_installed", 6),
    ]


def test_app_versions_and_systems_are_dealt_out_evenly_and_each_gets_its_reason(lab: Lab) -> None:
    lab.facts(lab.release(), minimum_os="17.0")
    report = sent(lab, 8, app_versions=["2.0", "9.9"], os_versions=["16.4", "17.2"])
    counted = {(each.app_version, each.os_version, each.outcome): (each.checks, each.share) for each in report.groups}
    assert counted == {
        ("2.0", "16.4", Reason.OS_TOO_OLD.value): (2, 1.0),
        ("2.0", "17.2", "release 1"): (2, 1.0),
        ("9.9", "16.4", Reason.NO_RELEASE_FOR_APP_VERSION.value): (2, 1.0),
        ("9.9", "17.2", Reason.NO_RELEASE_FOR_APP_VERSION.value): (2, 1.0),
    }


def test_failures_are_counted_by_status_and_say_what_happened(lab: Lab) -> None:
    lab.release()
    lab.web.bend("bundle.zip", cut=3)
    report = sent(lab, 3)
    assert report.outcomes == {"FAILURE_DOWNLOADING": 3}
    assert report.worst is UpdateStatus.FAILURE_DOWNLOADING
    assert "download" in report.groups[0].detail
    assert [(each.release, each.share) for each in report.rollouts] == [(None, 1.0)]


def test_no_device_is_left_behind(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    lab.release()
    sent(lab, 2)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_another_machine_is_asked_only_if_that_was_meant(lab: Lab) -> None:
    lab.release()
    with pytest.raises(RecipeError, match=r"example.*another machine") as refused:
        sent(lab, 2, at="https://models.example")
    assert "--yes" in refused.value.remedy
    report = sent(lab, 1, at="http://models.invalid", confirmed=True)
    assert report.worst is UpdateStatus.FAILURE_NETWORK_PROBLEM


@pytest.mark.parametrize(("field", "value"), [("devices", 0), ("devices", -1), ("jobs", 0), ("jobs", 65), ("turns", 0)])
def test_a_fleet_that_makes_no_sense_is_refused_before_anybody_asks(lab: Lab, field: str, value: int) -> None:
    lab.release()
    with pytest.raises(RecipeError) as refused:
        sent(lab, **({"devices": 2} | {field: value}))
    assert (refused.value.field, lab.web.asked) == (field, [])


def test_what_a_device_refuses_to_begin_with_is_an_error_here_too(lab: Lab) -> None:
    with pytest.raises(RecipeError, match="no trust on first use"):
        fleet(lab.app.id, at=lab.web.url, devices=1, app_versions=["2.0"], jobs=1)


@pytest.mark.parametrize(
    "error",
    [
        RecipeError("no", remedy="yes", field="at"),
        FormatError("no", remedy="yes"),
        EndpointRefused("no", remedy="yes", status=404),
    ],
)
def test_an_error_survives_the_way_between_processes(error: MlpublishError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def a_check(version: str, installed: int | None, *, took: bool, seconds: float = 1.0) -> FleetCheck:
    return FleetCheck(
        app_version=version,
        os_version=None,
        turn=1,
        status=UpdateStatus.SUCCESS,
        reason=None if took else Reason.NOT_IN_ROLLOUT,
        installed=installed,
        offered=installed,
        took=took,
        seconds=seconds,
        received=0,
        requests=0,
        retries=0,
        detail="",
    )


@given(st.lists(st.tuples(st.sampled_from(["1.0", "2.0"]), st.sampled_from([None, 1, 2])), min_size=1))
def test_shares_are_of_all_devices_of_an_app_version(drawn: Sequence[tuple[str, int | None]]) -> None:
    checks = [a_check(version, installed, took=installed is not None) for version, installed in drawn]
    for found in (rolled_out(checks), grouped(checks)):
        shares: Counter[str] = Counter()
        for each in found:
            shares[each.app_version] += each.share  # type: ignore[assignment]
        assert all(abs(share - 1) < 1e-9 for share in shares.values())
    assert sum(each.devices for each in rolled_out(checks)) == sum(each.checks for each in grouped(checks)) == len(checks)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_percentile_is_a_duration_that_happened_and_so_many_were_no_longer(seconds: list[float]) -> None:
    latency = Latency.of(seconds)
    for percent, value in ((50, latency.p50), (90, latency.p90), (99, latency.p99)):
        assert value in seconds
        assert sum(each <= value for each in seconds) * 100 >= percent * len(seconds)
        assert sum(each < value for each in seconds) * 100 < percent * len(seconds)
    assert latency.longest == max(seconds)


def test_an_address_is_refused_without_telling_its_password(lab: Lab) -> None:
    lab.release()
    with pytest.raises(RecipeError) as refused:
        sent(lab, 2, at="https://user:geheim@models.example")
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_a_fleet_whose_parent_is_gone_ends_and_leaves_nothing(lab: Lab, tmp_path: Path, sign: signal.Signals) -> None:
    parent, scratch = begun(lab, tmp_path, devices=100_000)
    parent.send_signal(sign)
    parent.wait(30)
    until(lambda: not list(scratch.iterdir()) and not processes_of(tmp_path))
    asked = len(lab.web.asked)
    time.sleep(0.5)
    assert len(lab.web.asked) == asked


def test_a_player_that_is_killed_is_told_as_such(lab: Lab, tmp_path: Path) -> None:
    parent, scratch = begun(lab, tmp_path, devices=100_000)
    os.kill(min(processes_of(tmp_path) - {parent.pid}), signal.SIGKILL)
    _, told = parent.communicate(timeout=60)
    assert (parent.returncode, told.count("\n")) == (1, 1)
    assert "was killed" in told
    assert "--jobs" in told
    until(lambda: not list(scratch.iterdir()) and not processes_of(tmp_path))


def begun(lab: Lab, folder: Path, *, devices: int) -> tuple[subprocess.Popen[str], Path]:
    """A fleet in a process of its own that has begun to ask, and where its devices live."""
    lab.release()
    scratch, root = folder / "scratch", folder / "r.json"
    scratch.mkdir()
    root.write_bytes(lab.first_root())
    asked = ["--at", lab.web.url, "--app", lab.app.id, "--app-versions", "2.0", "--root", str(root)]
    command = [sys.executable, "-m", "mlpublish", "check", "--fleet", str(devices), "--jobs", "2", *asked]
    mark = os.environ | {"TMPDIR": str(scratch), "FLEET_OF": str(folder)}
    parent = subprocess.Popen(command, env=mark, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until(lambda: len(lab.web.asked) > 20)
    return parent, scratch


def processes_of(folder: Path) -> set[int]:
    """The players of a fleet and its parent, by a mark in their environment; multiprocessing's own tracker aside."""
    found = set()
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if (
                f"FLEET_OF={folder}".encode() in (each / "environ").read_bytes()
                and b"resource_tracker" not in (each / "cmdline").read_bytes()
            ):
                found.add(int(each.name))
        except OSError:
            continue
    return found


def until(holds: Callable[[], bool]) -> None:
    """Wait for what must come to be; pytest's own limit ends a wait for what does not."""
    while not holds():
        time.sleep(0.05)


def test_an_app_is_named_as_for_a_check() -> None:
    with pytest.raises(RecipeError):
        fleet("no id", at="http://127.0.0.1:1", devices=1, app_versions=[App(id="com.acme.a", version="1.0").version])
