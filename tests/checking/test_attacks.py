"""The attack table (docs/security.md), row by row, as far as a stolen key or a lying host can go today.

Each row says what a device with a history does and what a fresh one does. Old metadata replayed is told from a rollback on
purpose by the versions of the signed roles, never by release numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tuf.api.metadata import Metadata, Root

from mlpublish.errors import VerificationError
from mlpublish.formats.channel import Channel, Entry
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.repository.development import KEYS
from mlpublish.repository.endpoint import Edit
from mlpublish.trust import roles
from mlpublish.trust.keys import crypto_signer
from mlpublish.trust.signer import Signer

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

INTEGRITY, SUCCESS = UpdateStatus.FAILURE_INTEGRITY, UpdateStatus.SUCCESS


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def seasoned(lab: Lab) -> Lab:
    """Releases 1 and 2 came and went through the phone; 2 is in use. ``lab.kept`` is what was served at release 1."""
    lab.release()
    lab.updates_to(1)
    lab.release()
    lab.updates_to(2)
    return lab


def fresh(lab: Lab) -> dict[str, Any]:
    lab.made += 1
    return {"device": lab.folder / f"fresh-{lab.made}"}


# a stolen channels key


def test_stolen_channels_key_can_offer_any_approved_release_at_or_above_the_floor(seasoned: Lab) -> None:
    seasoned.bend_entry(release=1)
    seasoned.updates_to(1)
    seasoned.updates_to(1, **fresh(seasoned))


def test_stolen_channels_key_cannot_go_below_the_floor(seasoned: Lab) -> None:
    seasoned.policy(floors={"ios/2.0": 2})
    seasoned.bend_entry(release=1)
    seasoned.fails(INTEGRITY, "below the floor 2")
    seasoned.fails(INTEGRITY, "below the floor 2", **fresh(seasoned))


def test_stolen_channels_key_cannot_offer_what_was_never_approved(seasoned: Lab) -> None:
    seasoned.bend_entry(release=9)
    seasoned.fails(INTEGRITY, "does not name")
    seasoned.fails(INTEGRITY, "does not name", **fresh(seasoned))


def test_stolen_channels_key_cannot_bring_a_withdrawn_release_back(seasoned: Lab) -> None:
    seasoned.policy(withdrawn={1: "biased"})
    seasoned.bend_entry(release=1)
    assert seasoned.updates_to(2).reason is Reason.WITHDRAWN
    report = seasoned.check(**fresh(seasoned))
    assert (report.status, report.installed, report.reason) == (SUCCESS, None, Reason.WITHDRAWN)


def test_stolen_channels_key_cannot_sign_a_release(seasoned: Lab) -> None:
    seasoned.bend(targets=lambda _: None, signers={"targets": seasoned.development.signer("channels")})
    seasoned.fails(INTEGRITY)
    seasoned.fails(INTEGRITY, **fresh(seasoned))


def test_stolen_channels_key_cannot_name_a_bundle_outside_its_paths(seasoned: Lab) -> None:
    """TUF takes a delegated role's word for ``channels/*/*`` alone."""
    head = seasoned.head()
    stolen = head.targets.signed.targets["releases/1/bundle.zip"]
    facts = stolen.custom | {"release": 9}
    target = roles.described("releases/9/bundle.zip", stolen.length, stolen.hashes["sha256"], facts)
    seasoned.bend(channels=lambda role: role.targets.update({target.path: target}))
    seasoned.bend_entry(release=9)
    seasoned.fails(INTEGRITY, "does not name")


# a floor, once seen


def test_a_floor_once_seen_is_kept_even_if_the_policy_forgets_it(seasoned: Lab) -> None:
    seasoned.policy(floors={"ios/2.0": 2})
    seasoned.updates_to(2)
    seasoned.policy(floors={})
    seasoned.bend_entry(release=1)
    seasoned.fails(INTEGRITY, "below the floor 2")
    seasoned.updates_to(1, **fresh(seasoned))


# stolen online keys, and lying mirrors


def test_a_mirror_that_replays_the_whole_old_state_is_refused_by_a_device_with_history(lab: Lab) -> None:
    lab.release()
    lab.updates_to(1)
    old = lab.keep()
    lab.release()
    lab.updates_to(2)
    lab.serve(old)
    lab.fails(INTEGRITY)
    lab.updates_to(1, **fresh(lab))  # until the old timestamp expires


def test_stolen_online_keys_cannot_bring_an_older_channels_role_back(seasoned: Lab) -> None:
    older = seasoned.head().channels.signed.version - 1
    seasoned.bend(snapshot=lambda snapshot: setattr(snapshot.meta["channels.json"], "version", older))
    seasoned.fails(INTEGRITY)
    seasoned.updates_to(1, **fresh(seasoned))  # accepted until the older role expires


def test_stolen_online_keys_cannot_bring_an_older_app_role_back(seasoned: Lab) -> None:
    seasoned.policy(withdrawn={1: "biased"})
    seasoned.updates_to(2)
    older = seasoned.head().targets.signed.version - 1
    seasoned.bend_entry(release=1)
    seasoned.bend(snapshot=lambda snapshot: setattr(snapshot.meta["targets.json"], "version", older))
    seasoned.fails(INTEGRITY)
    seasoned.updates_to(1, **fresh(seasoned))  # accepted until the older role expires


def test_an_old_channels_role_under_the_new_name_is_refused(seasoned: Lab) -> None:
    current = seasoned.head().channels.signed.version
    seasoned.offer(1)
    folder = seasoned.store.folder / "metadata"
    (folder / f"{current + 1}.channels.json").write_bytes((folder / f"{current}.channels.json").read_bytes())
    seasoned.fails(INTEGRITY)
    seasoned.fails(INTEGRITY, **fresh(seasoned))


def test_an_old_channel_file_under_the_new_name_is_refused(seasoned: Lab) -> None:
    def stored() -> str:
        return roles.stored_at(seasoned.head().channels.signed.targets["channels/ios/stable.json"])

    old = seasoned.store.read(stored())
    seasoned.offer(1)
    (seasoned.store.folder / stored()).write_bytes(old)
    seasoned.fails(INTEGRITY)
    seasoned.fails(INTEGRITY, **fresh(seasoned))


def test_a_mirror_that_lost_the_channels_role_does_not_matter_to_who_has_it(seasoned: Lab) -> None:
    (seasoned.store.folder / "metadata" / f"{seasoned.head().channels.signed.version}.channels.json").unlink()
    seasoned.updates_to(2)
    seasoned.fails(UpdateStatus.FAILURE_NETWORK_PROBLEM, "404", **fresh(seasoned))


def test_a_delegation_that_is_gone_leaves_no_such_channel(seasoned: Lab) -> None:
    seasoned.bend(targets=lambda role: setattr(role, "delegations", None))
    assert seasoned.updates_to(2).reason is Reason.NO_SUCH_CHANNEL


def test_a_fast_forward_with_stolen_online_keys_is_healed_by_a_root_rotation(seasoned: Lab) -> None:
    old = seasoned.keep()
    seasoned.bend(timestamp=lambda timestamp: setattr(timestamp, "version", 2**31))
    seasoned.updates_to(2)
    seasoned.serve(old)
    seasoned.fails(INTEGRITY)
    keys = {name: crypto_signer(new_key()) for name in ("snapshot", "timestamp")}

    def replace_online_keys(root: Root) -> None:
        for name, signer in keys.items():
            root.revoke_key(seasoned.development.signer(name).public_key.keyid, name)
            root.add_key(signer.public_key, name)

    head = seasoned.head()
    seasoned.rotate_root(replace_online_keys)
    number = head.snapshot.signed.version + 1
    view = roles.new_snapshot(number, 30, head.targets.signed.version, head.channels.signed.version)
    seasoned.store.create(f"metadata/{number}.snapshot.json", roles.signed_by(view, keys["snapshot"]).to_bytes())
    stamp = roles.signed_by(roles.new_timestamp(head.timestamp.signed.version + 1, 14, number), keys["timestamp"])
    assert seasoned.store.replace_if("metadata/timestamp.json", stamp.to_bytes(), tag=head.tag)
    seasoned.updates_to(2)


def test_another_apps_repository_under_shared_keys_leaves_no_trace(seasoned: Lab) -> None:
    """The other app's online keys are this app's too; its higher timestamp must not make the app's own look rolled back."""
    other = seasoned.development.app("com.acme.other")
    for _ in range(9):
        other.commit({}, seasoned.development.online(), lambda _: None)
    own, root = seasoned.keep(), seasoned.development.first_root(seasoned.app.id)
    seasoned.serve(seasoned.development.repository / "com.acme.other")
    seasoned.fails(INTEGRITY, root=root)
    seasoned.serve(own)
    seasoned.release()
    seasoned.updates_to(3)


def test_another_apps_channels_role_under_shared_keys_steers_nobody(seasoned: Lab) -> None:
    """An operator's token and the other app's public files are all that this takes; the role says whose it is."""
    other = seasoned.development.app("com.acme.other")
    role = roles.with_channel(other.head().channels, Channel(channel="stable", platform="ios"), version=50)
    stolen = roles.signed_by(role, seasoned.development.signer("channels"))
    own = seasoned.development.app(seasoned.app.id)
    edit = Edit(base=own.head().channels.signed.version, metadata=stolen.to_bytes())
    with pytest.raises(VerificationError, match=r"of com\.acme\.other, not of"):
        own.commit({"channels": edit}, seasoned.development.online(), lambda _: b"{}")
    seasoned.updates_to(2)


# roots


def test_a_root_rotation_replaces_the_publishers_key_and_devices_follow(seasoned: Lab) -> None:
    new = crypto_signer(new_key())

    def add(root: Root) -> None:
        root.add_key(new.public_key, "targets")

    seasoned.rotate_root(add)
    seasoned.bend(targets=lambda role: role.targets.pop("releases/1/bundle.zip"), signers={"targets": new})
    seasoned.updates_to(2)
    seasoned.rotate_root(lambda root: root.revoke_key(seasoned.development.signer("targets").public_key.keyid, "targets"))
    seasoned.updates_to(2)
    seasoned.updates_to(2, **fresh(seasoned))
    seasoned.bend(targets=lambda _: None)  # signed by the old key, which holds the role no more
    seasoned.fails(INTEGRITY)


def test_the_old_publishers_key_is_worth_nothing_after_the_rotation(seasoned: Lab) -> None:
    new = crypto_signer(new_key())
    seasoned.rotate_root(lambda root: root.add_key(new.public_key, "targets"))
    seasoned.bend(targets=lambda _: None, signers={"targets": new})
    seasoned.rotate_root(lambda root: root.revoke_key(seasoned.development.signer("targets").public_key.keyid, "targets"))
    seasoned.updates_to(2)
    seasoned.bend(targets=lambda _: None)
    seasoned.fails(INTEGRITY)
    seasoned.fails(INTEGRITY, **fresh(seasoned))


def test_a_root_that_the_old_root_did_not_sign_is_refused(seasoned: Lab) -> None:
    """It holds by its own word alone: the attacker made itself the holder of every role."""
    attacker = crypto_signer(new_key())
    own = roles.new_root(dict.fromkeys(KEYS, attacker)).signed
    seasoned.rotate_root(lambda root: (root.keys.update(own.keys), root.roles.update(own.roles)), by=(attacker,))
    seasoned.fails(INTEGRITY)
    seasoned.fails(INTEGRITY, **fresh(seasoned))


def forked(lab: Lab, pinned: Signer | None = None) -> bytes:
    """A mirror's own version 1 of everything, signed by the mirror; with a stolen pin, its root is co-signed by that."""
    by = {name: crypto_signer(new_key()) for name in ("root", "targets", "channels", "snapshot", "timestamp")}
    head, folder = lab.head(), lab.store.folder / "metadata"
    root = roles.signed_by(roles.new_root(by), by["root"])
    if pinned is not None:
        roles.signed_by(root, pinned)
    app_role = Metadata(head.targets.signed)
    app_role.signed.version += 100
    app_role.signed.revoke_key(lab.development.signer("channels").public_key.keyid, "channels")
    app_role.signed.add_key(by["channels"].public_key, "channels")
    evil = Channel(channel="stable", platform="ios", entries=(Entry(app_version="2.0", release=1),))
    steering = roles.with_channel(head.channels, evil, version=head.channels.signed.version + 100)
    lab.store.create(roles.stored_at(steering.signed.targets["channels/ios/stable.json"]), evil.to_bytes())
    view = roles.new_snapshot(500, 30, app_role.signed.version, steering.signed.version)
    stamp = roles.new_timestamp(500, 14, 500)
    files: dict[str, Metadata[Any]] = {
        "1.root": root,
        f"{app_role.signed.version}.targets": roles.signed_by(app_role, by["targets"]),
        f"{steering.signed.version}.channels": roles.signed_by(steering, by["channels"]),
        "500.snapshot": roles.signed_by(view, by["snapshot"]),
        "timestamp": roles.signed_by(stamp, by["timestamp"]),
    }
    for name, role in files.items():
        (folder / f"{name}.json").write_bytes(role.to_bytes())
    return root.to_bytes()


def test_a_mirrors_fork_of_the_root_is_refused_by_everyone(seasoned: Lab) -> None:
    true_root = seasoned.development.first_root(seasoned.app.id)
    forked(seasoned)
    seasoned.fails(INTEGRITY, root=true_root)
    seasoned.fails(INTEGRITY, root=true_root, **fresh(seasoned))


def test_a_device_with_history_keeps_its_root_even_if_it_is_handed_the_forks(seasoned: Lab) -> None:
    fork = forked(seasoned)
    seasoned.fails(INTEGRITY, root=fork)
    seasoned.updates_to(1, root=fork, **fresh(seasoned))  # it is what trust is: a fresh device believes what it embeds


@pytest.fixture
def pinned(lab: Lab) -> tuple[Lab, rsa.RSAPrivateKey]:
    """An app that pins one RSA key, which co-signed version 1 of the root, as the predecessor's apps do."""
    key = rsa.generate_private_key(65537, 2048)
    lab.release()
    file = lab.store.folder / "metadata" / "1.root.json"
    root = roles.parse(file.read_bytes(), Root, "root")
    file.write_bytes(roles.signed_by(root, crypto_signer(key)).to_bytes())
    return lab, key


def pin_of(key: rsa.RSAPrivateKey) -> str:
    return str(crypto_signer(key).public_key.keyval["public"])


def test_a_pin_starts_a_device_and_roots_go_on_from_there(pinned: tuple[Lab, rsa.RSAPrivateKey]) -> None:
    lab, key = pinned
    lab.updates_to(1, root=None, pin=pin_of(key))
    new = crypto_signer(new_key())

    def replace_root_key(root: Root) -> None:
        root.revoke_key(lab.development.signer("root").public_key.keyid, "root")
        root.add_key(new.public_key, "root")

    lab.rotate_root(replace_root_key, by=(lab.development.signer("root"), new))
    lab.release()
    lab.updates_to(2, root=None, pin=pin_of(key))
    lab.updates_to(2, root=None, pin=pin_of(key), **fresh(lab))


def test_another_key_than_the_pinned_one_starts_nothing(pinned: tuple[Lab, rsa.RSAPrivateKey]) -> None:
    lab, _ = pinned
    other = rsa.generate_private_key(65537, 2048)
    lab.fails(INTEGRITY, "not signed by the pinned key", root=None, pin=pin_of(other))
    assert not (lab.phone / "metadata" / "root.json").exists()


def test_a_stolen_pin_forks_fresh_installs_only(pinned: tuple[Lab, rsa.RSAPrivateKey]) -> None:
    lab, key = pinned
    lab.updates_to(1, root=None, pin=pin_of(key))
    lab.release(offer=False)
    forked(lab, crypto_signer(key))
    lab.fails(INTEGRITY, root=None, pin=pin_of(key))
    lab.updates_to(1, root=None, pin=pin_of(key), **fresh(lab))
