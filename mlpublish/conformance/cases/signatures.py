"""Signatures that are too few, or not those of whoever holds the role; one flipped bit in each signed document."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mlpublish.conformance.fixed_keys import FixedKey
from mlpublish.conformance.forge import (
    CHANNELS,
    NAMES,
    ROOT,
    SNAPSHOT,
    TARGETS,
    THRESHOLDS,
    TIMESTAMP,
    Forge,
    appoint,
    new_keys,
)
from mlpublish.conformance.script import Group, Script

group = Group("signatures")


def _flipped(name: str) -> Callable[[Script], None]:
    def play(play: Script) -> None:
        play.forge.release()
        if name == ROOT:
            play.forge.edit(ROOT)
        play.forge.alter(play.forge.path(name), b"2099-12-31", b"2098-12-31")
        play.fails()

    return play


for _name, _file in NAMES.items():
    group.add(f"flipped-{_file}", f"One bit of the {_file.replace('-', ' ')} is another than was signed.", _flipped(_name))


@group("One reviewer of the two that it takes.")
def app_role_by_one(play: Script) -> None:
    play.forge.release(by=play.forge.keys[TARGETS][:1])
    play.fails()


@group("One reviewer's signature stands there twice.")
def app_role_by_one_twice(play: Script) -> None:
    play.forge.release(by=play.forge.keys[TARGETS][:1])
    _resign(play.forge, TARGETS, lambda signatures: signatures * 2)
    play.fails()


@group("One reviewer's signature stands there under another one's key id too.")
def app_role_by_one_under_two_ids(play: Script) -> None:
    one, two = play.forge.keys[TARGETS]
    play.forge.release(by=[one])
    _resign(play.forge, TARGETS, lambda signatures: [*signatures, signatures[0] | {"keyid": two.public_key.keyid}])
    play.fails()


@group("Keys that nobody appointed.")
def app_role_by_strangers(play: Script) -> None:
    play.forge.release(by=new_keys(TARGETS, "unknown "))
    play.fails()


@group("Operators sign a release: it is not theirs to approve.")
def app_role_by_operators(play: Script) -> None:
    play.forge.release(by=play.forge.keys[CHANNELS])
    play.fails()


@group("The signatures are those of the version before.")
def app_role_with_older_signatures(play: Script) -> None:
    play.forge.release()
    older = json.loads(play.forge.files[play.forge.path(TARGETS)])["signatures"]
    play.forge.release(2, by=())
    _resign(play.forge, TARGETS, lambda _: older)
    play.fails()


@group("The online key signs a channel: it is not its to steer.")
def channels_role_by_the_online_key(play: Script) -> None:
    play.forge.edit(TARGETS)
    play.forge.release(offer=False)
    play.forge.offer(1, by=play.forge.keys[TIMESTAMP])
    play.fails()


@group("A snapshot by a key that nobody appointed.")
def snapshot_by_a_stranger(play: Script) -> None:
    play.forge.release()
    play.forge.stamp(by={SNAPSHOT: [FixedKey("a stranger")]})
    play.fails()


@group("A timestamp by a key that nobody appointed.")
def timestamp_by_a_stranger(play: Script) -> None:
    play.forge.release()
    play.forge.stamp(by={TIMESTAMP: [FixedKey("a stranger")]})
    play.fails()


@group("A timestamp by the key that the newest root has replaced.")
def timestamp_by_the_replaced_key(play: Script) -> None:
    forge, old = play.forge, play.forge.keys[TIMESTAMP]
    forge.release()
    forge.replace_keys(SNAPSHOT, TIMESTAMP)
    forge.stamp(by={TIMESTAMP: old})
    play.fails()


@group("A new root by one of the old root's keys, and by all of its own.")
def root_by_one_old_key(play: Script) -> None:
    _new_root(play, old=1, new=THRESHOLDS[ROOT])


@group("A new root by its own keys alone.")
def root_by_its_own_keys_alone(play: Script) -> None:
    _new_root(play, old=0, new=THRESHOLDS[ROOT])


@group("A new root by enough of the old root's keys, but by one of its own two.")
def root_below_its_own_threshold(play: Script) -> None:
    _new_root(play, old=THRESHOLDS[ROOT], new=1)


@group("The root is not signed by the pinned key.")
def pin_did_not_sign(play: Script) -> None:
    play.begins_with(Forge(pin=FixedKey("another pin", "rsa")), pin=FixedKey("pin", "rsa").pem())
    play.forge.release()
    play.fails()


@group("The pinned key's signature stands there, and does not hold.")
def pin_signed_something_else(play: Script) -> None:
    key = FixedKey("pin", "rsa")
    play.begins_with(Forge(pin=key), pin=key.pem())
    play.forge.release()
    play.forge.alter(play.forge.path(ROOT), b"2099-12-31", b"2098-12-31")
    play.fails()


def _new_root(play: Script, *, old: int, new: int) -> None:
    play.forge.release()
    keys = new_keys(ROOT, "new ")
    play.forge.edit(ROOT, lambda root: appoint(root, ROOT, keys), by=[*play.forge.keys[ROOT][:old], *keys[:new]])
    play.fails()


def _resign(forge: Forge, name: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Change the list of a role's signatures."""
    path = forge.path(name)
    document = json.loads(forge.files[path])
    document["signatures"] = change(document["signatures"])
    forge.files[path] = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
