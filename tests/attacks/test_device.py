"""What befalls a device itself: power cuts, a full disk, files changed behind its back, and what its people decide."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpublish.formats.channel import bucket, bundle_path
from mlpublish.formats.status import Reason, UpdateStatus
from tests.simulator import Simulator

INTEGRITY, SUCCESS = UpdateStatus.FAILURE_INTEGRITY, UpdateStatus.SUCCESS


@pytest.mark.parametrize("file", ["timestamp.json", "snapshot.json", "targets.json", "channels.json", "root.json"])
def test_metadata_that_a_power_cut_left_half_written_heals(seasoned: Simulator, file: str) -> None:
    cached = seasoned.phone / "metadata" / file
    cached.write_bytes(cached.read_bytes()[:50])
    seasoned.release()
    seasoned.updates_to(3)


# files changed after they were unpacked


def change(file: Path) -> None:
    file.write_bytes(b"poisoned")


def add(file: Path) -> None:
    (file.parent / "smuggled").write_bytes(b"poisoned")


def link(file: Path) -> None:
    """The same content, but from where somebody else may write."""
    elsewhere = file.parents[4] / "elsewhere"
    elsewhere.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(elsewhere)


CHANGES = {"changed": change, "removed": Path.unlink, "added": add, "made a link": link}


@pytest.mark.parametrize("how", CHANGES)
def test_a_release_that_was_changed_after_it_was_unpacked_is_left_and_fetched_anew(seasoned: Simulator, how: str) -> None:
    model = seasoned.updates_to(2).models["digits"]
    CHANGES[how](model)
    report = seasoned.check()
    assert (report.status, report.installed) == (INTEGRITY, 1)
    assert "Something on the device changed release 2" in report.detail
    assert report.models["digits"].read_bytes() == b"weights of 1"
    assert seasoned.updates_to(2).models["digits"].read_bytes() == b"weights of 2"


def test_a_changed_release_is_left_without_a_network_too_and_never_for_a_changed_one(seasoned: Simulator) -> None:
    models = [file for file in (seasoned.phone / "releases").rglob("*.mlmodel") if file.is_file()]
    assert len(models) == 2
    for model in models:
        change(model)
    root = seasoned.first_root()
    seasoned.web.close()
    shipped = seasoned.folder / "Shipped.mlmodelc"
    report = seasoned.check(root=root, shipped=shipped)
    assert (report.status, report.installed, report.path) == (INTEGRITY, None, shipped)


def test_a_changed_release_is_not_left_for_a_withdrawn_one(seasoned: Simulator) -> None:
    seasoned.policy(withdrawn={1: "biased"})
    model = seasoned.updates_to(2).models["digits"]
    change(model)
    report = seasoned.check()
    assert (report.status, report.installed) == (INTEGRITY, None)


# what reviewers and operators decide


def test_a_rollback_on_purpose_is_installed_by_everyone(seasoned: Simulator) -> None:
    seasoned.offer(1)
    seasoned.updates_to(1)
    seasoned.updates_to(1, **seasoned.fresh())


def test_a_withdrawn_release_is_left_for_the_previous_one_or_the_apps_own(seasoned: Simulator) -> None:
    seasoned.policy(withdrawn={2: "biased"})
    assert seasoned.updates_to(1).reason is Reason.WITHDRAWN
    seasoned.policy(withdrawn={1: "biased too", 2: "biased"})
    shipped = seasoned.folder / "Shipped.mlmodelc"
    assert seasoned.updates_to(None, shipped=shipped).path == shipped
    assert seasoned.updates_to(None, **seasoned.fresh()).reason is Reason.WITHDRAWN


def test_a_removed_release_is_kept_by_who_has_it_and_given_to_nobody(seasoned: Simulator) -> None:
    seasoned.offer(1, app_version="1.9")  # the channel goes on; it names nothing for 2.0 any more
    seasoned.contents["stable"] = seasoned.contents["stable"].without("2.0")
    seasoned.offer(1, app_version="1.9")
    seasoned.approve(lambda role: role.targets.pop(bundle_path(2)))
    assert seasoned.updates_to(2).reason is Reason.NO_RELEASE_FOR_APP_VERSION
    assert seasoned.updates_to(None, **seasoned.fresh()).reason is Reason.NO_RELEASE_FOR_APP_VERSION


def test_a_channel_that_names_a_removed_release_is_refused(seasoned: Simulator) -> None:
    seasoned.approve(lambda role: role.targets.pop(bundle_path(2)))
    seasoned.fails(INTEGRITY, "does not name")
    seasoned.fails(INTEGRITY, "does not name", **seasoned.fresh())


def test_a_floor_once_seen_is_kept_even_if_the_policy_forgets_it(seasoned: Simulator) -> None:
    seasoned.policy(floors={"ios/2.0": 2})
    seasoned.updates_to(2)
    seasoned.policy(floors={})
    seasoned.offer(1)
    seasoned.fails(INTEGRITY, "below the floor 2")
    seasoned.updates_to(1, **seasoned.fresh())


def test_lowering_a_rollout_uninstalls_nothing(lab: Simulator) -> None:
    """20 devices, and a share that goes up and down: who has release 2 keeps it, everybody else gets ``otherwise``."""
    lab.release()
    lab.release(offer=False)
    devices = [f"device-{number}" for number in range(20)]
    reached = 0
    for percent in (0, 10, 50, 10, 100):
        lab.offer(2, rollout=percent, otherwise=1)
        reached = max(reached, percent)
        got = {name: lab.check(device=lab.folder / name, device_id=name).installed for name in devices}
        assert got == {name: 2 if bucket(name, 2) < reached else 1 for name in devices}
