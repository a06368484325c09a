"""Roots: every key can be replaced, a device follows from where it began, and nobody talks it into beginning again."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from mlpublish.formats.status import UpdateStatus
from mlpublish.trust import roles
from tests.rotations import ROTATIONS, appoint, everything, root_keys
from tests.simulator import HOLDERS, ROOT, TARGETS, THRESHOLDS, TIMESTAMP, Simulator, new_keys, new_pin

INTEGRITY, SUCCESS = UpdateStatus.FAILURE_INTEGRITY, UpdateStatus.SUCCESS


def pin_of(lab: Simulator) -> str:
    assert lab.pin is not None
    return str(lab.pin.public_key.keyval["public"])


@pytest.mark.parametrize("name", ROTATIONS)
def test_a_rotation_is_followed_by_everyone(seasoned: Simulator, name: str) -> None:
    """With the old state as it is, and with what the new keys sign next."""
    ROTATIONS[name](seasoned)
    seasoned.updates_to(2)
    seasoned.updates_to(2, **seasoned.fresh())
    seasoned.release()
    seasoned.updates_to(3)
    seasoned.updates_to(3, **seasoned.fresh())


@pytest.mark.parametrize("name", [TARGETS, "channels", TIMESTAMP])
def test_the_old_keys_are_worth_nothing_after_a_rotation(seasoned: Simulator, name: str) -> None:
    old = dict(seasoned.keys)
    everything(seasoned)
    seasoned.updates_to(2)
    if name == TIMESTAMP:
        seasoned.stamp(by={TIMESTAMP: old[TIMESTAMP]})
    else:
        seasoned.edit(name, by=old[name])
        seasoned.stamp()
    seasoned.fails(INTEGRITY, f"{name} was signed by 0/")
    seasoned.fails(INTEGRITY, f"{name} was signed by 0/", **seasoned.fresh())


def test_fifty_rotations_from_the_first_root_are_followed_at_once(lab: Simulator) -> None:
    lab.release()
    lab.updates_to(1)
    for _ in range(50):
        root_keys(lab)
    lab.release()
    for device in ({}, lab.fresh()):
        lab.updates_to(2, **device)
        kept = roles.parse((device.get("device", lab.phone) / "metadata" / "root.json").read_bytes(), roles.Root, "root")
        assert kept.signed.version == 51


@pytest.mark.parametrize(
    ("old", "status"), [(2, SUCCESS), (1, INTEGRITY), (0, INTEGRITY)], ids=["two of three old", "one old", "attacker alone"]
)
def test_a_new_root_needs_the_old_roots_threshold(seasoned: Simulator, old: int, status: UpdateStatus) -> None:
    new = new_keys(HOLDERS[ROOT])
    by = [*seasoned.keys[ROOT][:old], *new[: THRESHOLDS[ROOT]]]
    seasoned.edit(ROOT, lambda root: appoint(root, ROOT, new), by=by)
    assert seasoned.check().status is status
    assert seasoned.check(**seasoned.fresh()).status is status
    assert seasoned.check().installed == 2


def test_a_new_root_needs_its_own_threshold_too(seasoned: Simulator) -> None:
    """Else a root whose keys nobody holds could lock everybody out."""
    new = new_keys(HOLDERS[ROOT])
    seasoned.edit(ROOT, lambda root: appoint(root, ROOT, new), by=[*seasoned.keys[ROOT][:2], new[0]])
    seasoned.fails(INTEGRITY, "root was signed by 1/2 keys")
    seasoned.fails(INTEGRITY, "root was signed by 1/2 keys", **seasoned.fresh())


def gap(lab: Simulator) -> None:
    """The host has root 3 and says that there is no root 2."""
    lab.edit(ROOT)
    (lab.served / "metadata" / "2.root.json").unlink()


HIDDEN: dict[str, Callable[[Simulator], None]] = {
    "404": lambda lab: lab.web.bend("2.root.json", status=404),
    "403": lambda lab: lab.web.bend("2.root.json", status=403),
    "a gap": gap,
}


@pytest.mark.parametrize("how", HIDDEN)
def test_a_hidden_root_leaves_devices_on_the_old_one_until_that_expires(seasoned: Simulator, how: str) -> None:
    """The thief of an online key hides the root that revoked it: who has not seen that root follows him for its life."""
    stolen = seasoned.keys[TIMESTAMP]
    seen = seasoned.fresh()
    seasoned.keys[TIMESTAMP] = new_keys(1)
    seasoned.edit(ROOT, lambda root: appoint(root, TIMESTAMP, seasoned.keys[TIMESTAMP]))
    seasoned.stamp()
    seasoned.updates_to(2, **seen)
    HIDDEN[how](seasoned)
    far = roles.after(900)
    seasoned.stamp(timestamp=lambda role: setattr(role, "expires", far), by={TIMESTAMP: stolen})
    seasoned.fails(INTEGRITY, "timestamp was signed by 0/1 keys", **seen)
    seasoned.updates_to(2)
    seasoned.updates_to(2, **seasoned.fresh())
    for device in (seasoned.phone, seasoned.fresh()["device"]):
        late = seasoned.check_with_clock(+366, device=device)
        assert late["status"] == INTEGRITY.value
        assert "The root role expired" in late["detail"]


# forks, and the predecessor's pin


def fork(lab: Simulator, new_lab: Callable[..., Simulator], **keywords: object) -> Simulator:
    """A mirror's own repository in the same place, every role signed by the mirror."""
    shutil.rmtree(lab.served)
    forked = new_lab(**keywords)
    forked.release(b"evil")
    return forked


def test_a_mirrors_fork_is_refused_by_everyone(seasoned: Simulator, new_lab: Callable[..., Simulator]) -> None:
    root = seasoned.first_root()
    fork(seasoned, new_lab)
    seasoned.fails(INTEGRITY, root=root)
    seasoned.fails(INTEGRITY, root=root, **seasoned.fresh())


def test_a_device_keeps_the_root_it_began_with_even_if_it_is_handed_the_forks(
    seasoned: Simulator, new_lab: Callable[..., Simulator]
) -> None:
    forked = fork(seasoned, new_lab)
    seasoned.fails(INTEGRITY, "began at another root", root=forked.first_root())
    seasoned.updates_to(1, root=forked.first_root(), **seasoned.fresh())  # a fresh device believes what it embeds


def test_another_key_than_the_pinned_one_starts_nothing(pinned: Simulator) -> None:
    stranger = str(new_pin().public_key.keyval["public"])
    pinned.fails(INTEGRITY, "not signed by the pinned key", pin=stranger)
    assert not (pinned.phone / "metadata" / "root.json").exists()


def test_everything_is_rotated_and_the_pin_alone_still_leads_there(pinned: Simulator) -> None:
    """The pinned key has no power in TUF: it vouches for version 1 of the root and for nothing else."""
    pin = pin_of(pinned)
    pinned.updates_to(1, pin=pin)
    everything(pinned)
    everything(pinned)
    pinned.release()
    pinned.updates_to(2, pin=pin)
    pinned.updates_to(2, pin=pin, **pinned.fresh())


def test_a_pinned_key_signs_no_role(pinned: Simulator) -> None:
    pin = pin_of(pinned)
    pinned.updates_to(1, pin=pin)
    assert pinned.pin is not None
    pinned.release(by=[pinned.pin, pinned.keys[TARGETS][0]])
    pinned.fails(INTEGRITY, "targets was signed by 1/2 keys", pin=pin)
    pinned.fails(INTEGRITY, "targets was signed by 1/2 keys", pin=pin, **pinned.fresh())


def test_a_stolen_pin_forks_fresh_installs_only(pinned: Simulator, new_lab: Callable[..., Simulator]) -> None:
    """A device that has accepted a root never begins again from what a mirror says, not even with its metadata half gone."""
    pin = pin_of(pinned)
    pinned.updates_to(1, pin=pin)
    fork(pinned, new_lab, pin=pinned.pin)
    pinned.fails(INTEGRITY, pin=pin)
    for lost in ("timestamp.json", "snapshot.json", "root.json"):
        (pinned.phone / "metadata" / lost).unlink()
    pinned.fails(INTEGRITY, pin=pin)
    pinned.updates_to(1, pin=pin, **pinned.fresh())
