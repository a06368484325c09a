"""What a thief can do with which keys: on a device with a history, and on a fresh one.

Old metadata replayed is told from a rollback on purpose by the versions of the signed roles, never by release numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mlpublish.artifacts import App
from mlpublish.formats.channel import Channel, bundle_path
from mlpublish.formats.policy import POLICY_PATH
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.trust import roles
from tests.rotations import online_keys
from tests.simulator import CHANNELS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Simulator, expired, new_keys

INTEGRITY, SUCCESS = UpdateStatus.FAILURE_INTEGRITY, UpdateStatus.SUCCESS


# one operator's key


def test_stolen_operator_key_can_offer_any_approved_release_at_or_above_the_floor(seasoned: Simulator) -> None:
    seasoned.offer(1, by=seasoned.keys[CHANNELS][1:])
    seasoned.updates_to(1)
    seasoned.updates_to(1, **seasoned.fresh())


def test_stolen_operator_key_cannot_go_below_the_floor(seasoned: Simulator) -> None:
    seasoned.policy(floors={"ios/2.0": 2})
    seasoned.offer(1, by=seasoned.keys[CHANNELS][1:])
    seasoned.fails(INTEGRITY, "below the floor 2")
    seasoned.fails(INTEGRITY, "below the floor 2", **seasoned.fresh())


UNAPPROVED: dict[str, dict[str, object]] = {
    "another platform": {"platform": "android"},
    "another app version": {"app_versions": ("3.0",)},
    "another app": {"app_id": "com.acme.other"},
}


@pytest.mark.parametrize("what", ["never approved", *UNAPPROVED])
def test_stolen_operator_key_cannot_offer_what_was_not_approved_for_this_app(seasoned: Simulator, what: str) -> None:
    if what in UNAPPROVED:
        seasoned.release(offer=False, **UNAPPROVED[what])
    seasoned.offer(3, by=seasoned.keys[CHANNELS][1:])
    seasoned.fails(INTEGRITY, "The channel offers release 3")
    seasoned.fails(INTEGRITY, "The channel offers release 3", **seasoned.fresh())


def test_stolen_operator_key_cannot_bring_a_withdrawn_release_back(seasoned: Simulator) -> None:
    seasoned.policy(withdrawn={1: "biased"})
    seasoned.offer(1, by=seasoned.keys[CHANNELS][1:])
    assert seasoned.updates_to(2).reason is Reason.WITHDRAWN
    shipped = seasoned.folder / "Shipped.mlmodelc"
    report = seasoned.updates_to(None, shipped=shipped, **seasoned.fresh())
    assert (report.reason, report.path) == (Reason.WITHDRAWN, shipped)


def test_stolen_operator_key_cannot_sign_a_release(seasoned: Simulator) -> None:
    seasoned.release(by=seasoned.keys[CHANNELS])
    seasoned.fails(INTEGRITY, "targets was signed by 0/2 keys")
    seasoned.fails(INTEGRITY, "targets was signed by 0/2 keys", **seasoned.fresh())


def test_stolen_operator_key_cannot_name_a_bundle_outside_its_paths(seasoned: Simulator) -> None:
    """TUF takes a delegated role's word for ``channels/*/*`` alone."""
    target = seasoned.bundled(9, b"never approved")
    seasoned.edit(CHANNELS, lambda role: role.targets.update({target.path: target}))
    seasoned.offer(9)
    seasoned.fails(INTEGRITY, "does not name")
    seasoned.fails(INTEGRITY, "does not name", **seasoned.fresh())


# one reviewer's key, one root key


def test_one_reviewer_of_two_approves_nothing(seasoned: Simulator) -> None:
    seasoned.release(by=seasoned.keys[TARGETS][:1])
    seasoned.fails(INTEGRITY, "targets was signed by 1/2 keys")
    seasoned.fails(INTEGRITY, "targets was signed by 1/2 keys", **seasoned.fresh())


def test_one_root_key_of_two_appoints_nobody(seasoned: Simulator) -> None:
    thief = new_keys(1)[0]
    seasoned.edit(ROOT, lambda root: root.add_key(thief.public_key, TARGETS), by=[seasoned.keys[ROOT][0], thief])
    seasoned.fails(INTEGRITY, "root was signed by 1/2 keys")
    seasoned.fails(INTEGRITY, "root was signed by 1/2 keys", **seasoned.fresh())


# the online keys, with and without an operator's


def test_online_keys_and_host_cannot_make_a_release(seasoned: Simulator) -> None:
    """All that a server holds: whoever takes it over can withhold, not forge."""
    seasoned.release(by=[*seasoned.keys[SNAPSHOT], *seasoned.keys[TIMESTAMP]])
    seasoned.fails(INTEGRITY, "targets was signed by 0/2 keys")
    seasoned.fails(INTEGRITY, "targets was signed by 0/2 keys", **seasoned.fresh())


def test_online_keys_cannot_steer_a_channel(seasoned: Simulator) -> None:
    seasoned.offer(1, by=[*seasoned.keys[SNAPSHOT], *seasoned.keys[TIMESTAMP]])
    seasoned.fails(INTEGRITY, "channels was signed by 0/1 keys")
    seasoned.fails(INTEGRITY, "channels was signed by 0/1 keys", **seasoned.fresh())


def older(name: str, version: int) -> Callable[[object], None]:
    """The snapshot that names an older version of a role."""
    return lambda snapshot: setattr(snapshot.meta[f"{name}.json"], "version", version)  # type: ignore[attr-defined]


def test_online_keys_bring_an_older_channels_role_to_fresh_installs_for_a_while(lab: Simulator) -> None:
    lab.release()
    lab.edit(CHANNELS, lambda role: setattr(role, "expires", roles.after(5)))
    lab.stamp()
    before = lab.channels.signed.version
    lab.release()
    lab.updates_to(2)
    lab.stamp(snapshot=older(CHANNELS, before))
    lab.fails(INTEGRITY, "Expected channels.json version")
    lab.updates_to(1, **lab.fresh())
    late = lab.check_with_clock(+6, device=lab.fresh()["device"])
    assert (late["status"], late["installed"]) == (INTEGRITY.value, None)
    assert "The channels role expired" in late["detail"]


def test_online_keys_bring_an_older_snapshot_to_fresh_installs_alone(seasoned: Simulator) -> None:
    def older_snapshot(timestamp: object) -> None:
        timestamp.snapshot_meta.version -= 3  # type: ignore[attr-defined]

    seasoned.release()
    seasoned.updates_to(3)
    seasoned.stamp(timestamp=older_snapshot)
    seasoned.fails(INTEGRITY, "New snapshot version must be >=")
    seasoned.updates_to(2, **seasoned.fresh())


def test_online_keys_that_drop_the_channels_role_stop_everyone(seasoned: Simulator) -> None:
    seasoned.stamp(snapshot=lambda snapshot: snapshot.meta.pop("channels.json"))
    seasoned.fails(INTEGRITY, "missing info for 'channels.json'")
    seasoned.fails(INTEGRITY, "not part of snapshot", **seasoned.fresh())


def test_operator_and_online_keys_bring_a_withdrawn_release_to_fresh_installs_for_a_while(
    lab: Simulator,
) -> None:
    lab.release()
    lab.approve(lambda role: setattr(role, "expires", roles.after(5)))
    before = lab.targets.signed.version
    lab.release()
    lab.policy(withdrawn={1: "biased"})
    lab.updates_to(2)
    lab.offer(1, by=lab.keys[CHANNELS][1:])
    lab.stamp(snapshot=older(TARGETS, before))
    lab.fails(INTEGRITY, "Expected targets.json version")
    lab.updates_to(1, **lab.fresh())
    late = lab.check_with_clock(+6, device=lab.fresh()["device"])
    assert (late["status"], late["installed"]) == (INTEGRITY.value, None)
    assert "The targets role expired" in late["detail"]


@pytest.mark.parametrize("name", [SNAPSHOT, TIMESTAMP])
def test_a_fast_forward_with_stolen_online_keys_is_healed_by_a_root_rotation(seasoned: Simulator, name: str) -> None:
    before = seasoned.keep()
    stood = dict(seasoned.versions)
    seasoned.versions[name] = 2**31
    seasoned.stamp()
    seasoned.updates_to(2)
    seasoned.serve(before)
    seasoned.versions = stood
    seasoned.release()
    seasoned.fails(INTEGRITY, "must be >= 2147483649")
    online_keys(seasoned)
    seasoned.updates_to(3)
    seasoned.updates_to(3, **seasoned.fresh())


# keys that several apps share


@pytest.fixture
def sharing(seasoned: Simulator, new_lab: Callable[..., Simulator]) -> tuple[Simulator, Simulator]:
    """An app with a history, and another one whose keys are all the same, far ahead in every version."""
    other = new_lab(App(id="com.acme.other", version="2.0"), keys=seasoned.keys)
    for _ in range(9):
        other.release()
    return seasoned, other


def test_another_apps_repository_under_shared_keys_is_refused_and_leaves_no_trace(sharing: tuple[Simulator, Simulator]) -> None:
    lab, other = sharing
    root, own = lab.first_root(), lab.keep()
    lab.serve(other.served)
    lab.fails(INTEGRITY, "is for com.acme.other", root=root)
    lab.fails(INTEGRITY, "is for com.acme.other", root=root, **lab.fresh())
    lab.serve(own)
    lab.release()
    lab.updates_to(3)  # the other app's higher versions do not make the app's own look rolled back


def test_another_apps_channels_role_under_shared_keys_steers_nobody(sharing: tuple[Simulator, Simulator]) -> None:
    """Online keys and the other app's public files are all that this takes; the role says whose it is."""
    lab, other = sharing
    lab.channels = other.channels
    lab.write(CHANNELS, other.channels)
    lab.stamp()
    lab.fails(INTEGRITY, "The channels role is of com.acme.other")
    lab.fails(INTEGRITY, "The channels role is of com.acme.other", **lab.fresh())


def test_another_apps_app_role_under_shared_keys_lowers_no_floor(sharing: tuple[Simulator, Simulator]) -> None:
    """The same reviewers approved it, for the other app: its policy says so, and this app's floor stands."""
    lab, other = sharing
    lab.policy(floors={"ios/2.0": 2})
    lab.updates_to(2)
    lab.targets = other.targets
    lab.write(TARGETS, other.targets)
    lab.offer(1)
    lab.fails(INTEGRITY, "is for com.acme.other")
    lab.fails(INTEGRITY, "is for com.acme.other", **lab.fresh())


# what reviewers themselves may say


def test_a_policy_for_another_app_is_refused(seasoned: Simulator) -> None:
    seasoned.policy(app_id="com.acme.other")
    seasoned.fails(INTEGRITY, "is for com.acme.other")
    seasoned.fails(INTEGRITY, "is for com.acme.other", **seasoned.fresh())


def test_an_app_role_without_a_policy_is_refused(seasoned: Simulator) -> None:
    seasoned.approve(lambda role: role.targets.pop(POLICY_PATH))
    seasoned.fails(INTEGRITY, "Nobody signs policy.json")
    seasoned.fails(INTEGRITY, "Nobody signs policy.json", **seasoned.fresh())


ELSEWHERE = ["../../../../etc/passwd", "releases/1/../../bundle.zip", "/etc/passwd", "com.acme.other/bundle.zip"]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_path_that_leads_elsewhere_is_never_asked_for(seasoned: Simulator, path: str) -> None:
    """A device derives every path from the app's own channel and a release number; what else is signed leads nowhere."""
    target = roles.target_file(path, b"root:x:0:0")
    seasoned.approve(lambda role: role.targets.update({path: target}))
    seasoned.web.asked.clear()
    seasoned.updates_to(2)
    seasoned.updates_to(2, **seasoned.fresh())
    assert not [asked for asked, _ in seasoned.web.asked if "passwd" in asked or ".." in asked or "com.acme.other" in asked]


def test_a_channel_file_under_anothers_name_is_refused(seasoned: Simulator) -> None:
    beta = Channel(channel="beta", platform="ios").to_bytes()
    target = seasoned.put("channels/ios/stable.json", beta)
    seasoned.steer(lambda role: role.targets.update({target.path: target}))
    seasoned.fails(INTEGRITY, "under another's name")
    seasoned.fails(INTEGRITY, "under another's name", **seasoned.fresh())


def test_a_release_that_is_signed_under_anothers_number_is_refused(seasoned: Simulator) -> None:
    def swap(role: object) -> None:
        role.targets[bundle_path(1)].unrecognized_fields["custom"]["release"] = 2  # type: ignore[attr-defined]

    seasoned.approve(swap)
    seasoned.offer(1)
    seasoned.fails(INTEGRITY, "signed as release 2")
    seasoned.fails(INTEGRITY, "signed as release 2", **seasoned.fresh())


# roles that ran out


REMEDIES = {
    TIMESTAMP: "mlpublish repo renew",
    SNAPSHOT: "mlpublish repo renew",
    TARGETS: "Publishers and reviewers must sign the app role again; mlpublish repo status",
    CHANNELS: "An operator must sign the channels role again; mlpublish repo status",
    ROOT: "The holders of the root keys must sign the next root; mlpublish repo status",
}


def run_out(lab: Simulator, name: str) -> None:
    if name in (TIMESTAMP, SNAPSHOT):
        lab.stamp(**{name: expired})
    else:
        lab.edit(name, expired)
        lab.stamp()


@pytest.mark.parametrize("name", REMEDIES)
def test_a_role_that_ran_out_names_its_date_and_who_must_act_and_heals(seasoned: Simulator, name: str) -> None:
    run_out(seasoned, name)
    detail = seasoned.fails(INTEGRITY, REMEDIES[name]).detail
    assert detail.startswith(f"The {name} role expired on {roles.after(-1):%Y-%m-%d}")
    assert f"this device's clock says {roles.now():%Y-%m-%d}" in detail
    assert seasoned.fails(INTEGRITY, REMEDIES[name], **seasoned.fresh()).path is None
    if name in (ROOT, TARGETS, CHANNELS):
        seasoned.edit(name, lambda role: setattr(role, "expires", roles.after(30)))
    seasoned.stamp()
    seasoned.updates_to(2)
    seasoned.updates_to(2, **seasoned.fresh())
