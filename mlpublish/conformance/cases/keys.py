"""Kinds of keys, rotations and pins that a client must follow."""

from __future__ import annotations

from mlpublish.conformance.fixed_keys import FixedKey
from mlpublish.conformance.forge import (
    CHANNELS,
    HOLDERS,
    ROOT,
    SNAPSHOT,
    TARGETS,
    THRESHOLDS,
    TIMESTAMP,
    Change,
    Forge,
    appoint,
    expired,
    new_keys,
)
from mlpublish.conformance.script import Group, Script

group = Group("keys")


@group("Every key is Ed25519.")
def keys_are_ed25519(play: Script) -> None:
    forge = play.begins_with(Forge(keys={name: new_keys(name, kind="ed25519") for name in HOLDERS}))
    forge.release()
    play.installs(1)


@group("One reviewer signs with RSA (PKCS#1 v1.5, SHA-256), the other with ECDSA.")
def keys_are_mixed(play: Script) -> None:
    forge = play.begins_with(Forge(keys={TARGETS: [_rsa("pin"), *new_keys(TARGETS)]}))
    forge.release()
    play.installs(1)


@group("Any two of the three reviewers do.")
def any_two_of_three(play: Script) -> None:
    forge = play.begins_with(Forge(keys={TARGETS: [*new_keys(TARGETS), FixedKey("a third reviewer")]}))
    forge.release(by=forge.keys[TARGETS][1:])
    play.installs(1)


@group("A signature by a key that nobody appointed lies beside enough good ones: it counts nothing, and harms nothing.")
def one_signature_too_many(play: Script) -> None:
    stranger = FixedKey("a stranger")
    play.forge.release(by=[stranger, *play.forge.signers(TARGETS)])
    play.installs(1)


@group("All root keys are replaced.")
def rotate_root_keys(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    _rotate_root(play.forge, "new ")
    play.forge.release(2)
    play.installs(2)


@group("Three roots later, a fresh device begins at the first.")
def rotate_three_times(play: Script) -> None:
    for tag in ("second ", "third ", "fourth "):
        _rotate_root(play.forge, tag)
    play.forge.release()
    play.installs(1)


@group("A root on the way has expired; the last one has not, and that is what counts.")
def rotate_through_an_expired_root(play: Script) -> None:
    play.forge.edit(ROOT, expired)
    play.forge.edit(ROOT, lambda root: setattr(root, "expires", play.forge.roles[TARGETS].expires))
    play.forge.release()
    play.installs(1)


@group("All reviewers are replaced.")
def rotate_reviewers(play: Script) -> None:
    _rotate_by_root(play, TARGETS)


@group("The online key is replaced: older snapshots and timestamps count nothing any more, the new ones may begin anew.")
def rotate_online_keys(play: Script) -> None:
    _rotate_by_root(play, SNAPSHOT, TIMESTAMP)


@group("The online key was stolen and used to jump far ahead; a root that replaces it lets the versions go back.")
def fast_forward_is_healed(play: Script) -> None:
    forge = play.forge
    forge.release()
    stood = {name: forge.roles[name] for name in (SNAPSHOT, TIMESTAMP)}
    honest = dict(forge.files)
    far: Change = lambda role: setattr(role, "version", 1_000_000)  # noqa: E731
    forge.stamp(snapshot=far, timestamp=far)
    play.installs(1)
    forge.files, forge.roles = honest, forge.roles | stood
    forge.replace_keys(SNAPSHOT, TIMESTAMP)
    forge.release(2)
    play.installs(2)


@group("The operator is replaced, by the app role.")
def rotate_operators(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.forge.keys[CHANNELS] = new_keys(CHANNELS, "new ")
    play.forge.edit(TARGETS, lambda role: appoint(role, CHANNELS, play.forge.keys[CHANNELS]))
    play.forge.release(2)
    play.installs(2)


@group("The app pins an RSA key, which signed version 1 of the root too.")
def pin(play: Script) -> None:
    play.begins_with(Forge(pin=_rsa("pin")), pin=_rsa("pin").pem())
    play.forge.release()
    play.installs(1)


@group("The app pins a whole certificate.")
def pin_is_a_certificate(play: Script) -> None:
    play.begins_with(Forge(pin=_rsa("pin")), pin=_rsa("pin").certificate())
    play.forge.release()
    play.installs(1)


@group("Every root key is replaced; the pin leads there still, because it vouches for version 1 alone.")
def pin_and_then_rotations(play: Script) -> None:
    play.begins_with(Forge(pin=_rsa("pin")), pin=_rsa("pin").pem())
    _rotate_root(play.forge, "new ")
    play.forge.release()
    play.installs(1)


def _rsa(name: str) -> FixedKey:
    return FixedKey(name, "rsa")


def _rotate_root(forge: Forge, tag: str) -> None:
    """Replace the root keys: the old ones appoint the new ones, which sign too."""
    new = new_keys(ROOT, tag)
    by = [*forge.signers(ROOT), *new[: THRESHOLDS[ROOT]]]
    forge.edit(ROOT, lambda root: appoint(root, ROOT, new), by=by)
    forge.keys[ROOT] = new


def _rotate_by_root(play: Script, *names: str) -> None:
    play.forge.release()
    play.installs(1)
    play.forge.replace_keys(*names)
    play.forge.release(2)
    play.installs(2)
