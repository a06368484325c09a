"""A device's clock that is wrong, in real processes: ``mlpublish check`` under Debian's faketime."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mlpublish.checking.device import Device
from mlpublish.checking.state import State
from mlpublish.formats.status import UpdateStatus
from mlpublish.trust import roles
from tests.simulator import CHANNELS, SNAPSHOT, TARGETS, TIMESTAMP, Simulator

INTEGRITY, SUCCESS = UpdateStatus.FAILURE_INTEGRITY.value, UpdateStatus.SUCCESS.value


def day(days: int) -> str:
    return f"{roles.now() + timedelta(days=days):%Y-%m-%d}"


def longer(lab: Simulator) -> None:
    """Snapshot and timestamp live as long as a year from now."""
    far = roles.after(365)
    lab.stamp(**{name: lambda role: setattr(role, "expires", far) for name in (SNAPSHOT, TIMESTAMP)})


def test_a_clock_that_is_a_year_ahead_is_told_and_costs_nothing(seasoned: Simulator) -> None:
    for device, kept in ((seasoned.phone, 2), (seasoned.fresh()["device"], None)):
        ahead = seasoned.check_with_clock(+365, device=device)
        assert (ahead["status"], ahead["installed"]) == (INTEGRITY, kept)
        assert f"this device's clock says {day(365)}" in ahead["detail"]
        assert "If the device's clock is wrong, set it" in ahead["detail"]
        seasoned.updates_to(2, device=device)  # and once it is right, all is well


def test_a_clock_that_is_a_year_behind_finds_what_is_current(seasoned: Simulator) -> None:
    for device in (seasoned.phone, seasoned.fresh()["device"]):
        behind = seasoned.check_with_clock(-365, device=device)
        assert (behind["status"], behind["installed"]) == (SUCCESS, 2)


@pytest.mark.parametrize("lost", [(), (TIMESTAMP, SNAPSHOT, TARGETS, CHANNELS)], ids=["history whole", "history lost"])
def test_a_clock_that_is_set_back_makes_no_frozen_state_acceptable(lab: Simulator, lost: tuple[str, ...]) -> None:
    """Even where a device has lost the versions that it had seen, the time at which everything verified stands."""
    lab.release()
    frozen = lab.keep()
    lab.release()
    longer(lab)
    assert lab.check_with_clock(+20)["installed"] == 2
    lab.serve(frozen)  # its timestamp ends in 14 days
    for name in lost:
        (lab.phone / "metadata" / f"{name}.json").unlink()
    report = lab.fails(UpdateStatus.FAILURE_INTEGRITY)
    assert report.installed == 2
    if lost:
        assert report.detail.startswith(f"The timestamp role expired on {day(14)}")
        assert f"this device's clock says {day(0)}" in report.detail
        assert f"but everything verified here on {day(20)}" in report.detail
    lab.updates_to(1, **lab.fresh())  # a fresh device has only its clock


@pytest.mark.parametrize("name", [TIMESTAMP, SNAPSHOT, TARGETS, CHANNELS])
def test_every_role_is_judged_by_the_time_seen(lab: Simulator, name: str) -> None:
    lab.release()
    assert lab.check_with_clock(+5)["status"] == SUCCESS
    short = roles.after(3)
    if name in (SNAPSHOT, TIMESTAMP):
        lab.stamp(**{name: lambda role: setattr(role, "expires", short)})
    else:
        lab.edit(name, lambda role: setattr(role, "expires", short))
        lab.stamp()
    lab.fails(UpdateStatus.FAILURE_INTEGRITY, f"The {name} role expired on {day(3)}")


def test_a_clock_that_ran_ahead_blocks_no_longer_than_what_it_saw_lives(lab: Simulator) -> None:
    """What is remembered lies before every expiry of what verified, so the next renewal lies beyond it."""
    lab.release()
    assert lab.check_with_clock(+13)["status"] == SUCCESS
    lab.updates_to(1)
    lab.stamp()
    lab.updates_to(1)


def test_an_expired_check_moves_no_time(seasoned: Simulator) -> None:
    with Device.opened(seasoned.phone, seasoned.app.id) as device:
        before = device.state
    assert before.verified_at is not None
    seasoned.check_with_clock(+20)
    with Device.opened(seasoned.phone, seasoned.app.id) as device:
        assert device.state == before


def test_a_state_of_an_older_mlpublish_is_read(lab: Simulator) -> None:
    """The time is an optional member: a device that never wrote one begins to."""
    lab.release()
    lab.updates_to(1)
    file = lab.phone / "state.json"
    with Device.opened(lab.phone, lab.app.id) as device:
        without = State(current=device.state.current)
        assert State.from_bytes(device.state.to_bytes()) == device.state
    file.write_bytes(without.to_bytes())
    assert b"verified_at" not in file.read_bytes()
    lab.updates_to(1)
    assert b"verified_at" in file.read_bytes()
