"""What was true once: roles that ran out, older versions, files of another state under a newer name, hidden roots."""

from __future__ import annotations

from collections.abc import Callable

from mlpublish.conformance.forge import CHANNELS, NAMES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Forge, expired, new_keys, nothing
from mlpublish.conformance.script import Group, Script

group = Group("freshness")


def _expired(name: str) -> Callable[[Script], None]:
    def play(play: Script) -> None:
        play.forge.release()
        if name not in (SNAPSHOT, TIMESTAMP):
            play.forge.edit(name, expired)
        play.forge.stamp(snapshot=expired if name == SNAPSHOT else nothing, timestamp=expired if name == TIMESTAMP else nothing)
        play.fails()

    return play


for _name, _file in NAMES.items():
    group.add(f"expired-{_file}", f"The {_file.replace('-', ' ')} has expired.", _expired(_name))


@group("The timestamp in use has expired, and no newer one is served: the model in use stays.")
def expired_and_installed(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.forge.stamp(timestamp=expired)
    play.fails(installed=1)


@group("Everything is as it was before the last update.")
def older_state(play: Script) -> None:
    older = _updated(play)
    play.forge.files = older
    play.fails(installed=2)


@group("An older timestamp alone.")
def older_timestamp(play: Script) -> None:
    older = _updated(play)
    play.forge.files[play.forge.path(TIMESTAMP)] = older[play.forge.path(TIMESTAMP)]
    play.fails(installed=2)


@group("A new timestamp names an older snapshot.")
def older_snapshot(play: Script) -> None:
    _updated(play)
    play.forge.edit(TIMESTAMP, lambda role: setattr(role.snapshot_meta, "version", 1))
    play.fails(installed=2)


@group("A new snapshot names an older app role.")
def older_app_role(play: Script) -> None:
    _older(play, TARGETS)


@group("A new snapshot names an older channels role.")
def older_channels_role(play: Script) -> None:
    _older(play, CHANNELS)


@group("A new snapshot names no channels role any more.")
def dropped_channels_role(play: Script) -> None:
    _updated(play)
    play.forge.stamp(snapshot=lambda snapshot: snapshot.meta.pop("channels.json"))
    play.fails(installed=2)


@group("A snapshot names no channels role, to a fresh device.")
def no_channels_role(play: Script) -> None:
    play.forge.release()
    play.forge.stamp(snapshot=lambda snapshot: snapshot.meta.pop("channels.json"))
    play.fails()


@group("An older snapshot lies under the new one's name.")
def renamed_snapshot(play: Script) -> None:
    _renamed(play, SNAPSHOT)


@group("An older app role lies under the new one's name.")
def renamed_app_role(play: Script) -> None:
    _renamed(play, TARGETS)


@group("An older channels role lies under the new one's name.")
def renamed_channels_role(play: Script) -> None:
    _renamed(play, CHANNELS)


@group("An older channel file lies under the new one's name.")
def renamed_channel_file(play: Script) -> None:
    forge = play.forge
    forge.release()
    older = forge.files[forge.channel_file()]
    forge.release(2)
    forge.files[forge.channel_file()] = older
    play.fails()


@group("Root 3 is there and root 2 is not: who is left on root 1 does not know the new online key.")
def root_gap(play: Script) -> None:
    forge = play.forge
    forge.release()
    forge.edit(ROOT)
    second = forge.path(ROOT)
    forge.replace_keys(SNAPSHOT, TIMESTAMP)
    forge.stamp()
    del forge.files[second]
    play.fails()


@group("The file of root 2 holds a root 3.")
def root_jump(play: Script) -> None:
    forge = play.forge
    forge.release()
    forge.edit(ROOT)
    second = forge.path(ROOT)
    forge.edit(ROOT)
    forge.files[second] = forge.files.pop(forge.path(ROOT))
    play.fails()


@group("Somebody's own repository in the same place: a device follows the root that it began with.")
def fork(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.forge = _foreign()
    play.fails(installed=1)


@group("… even if the device is handed the root of the other repository: what it has accepted stands for ever.")
def fork_with_its_root(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.forge = _foreign()
    play.embeds_its_root()
    play.fails(installed=1)


def _foreign() -> Forge:
    forge = Forge(keys={name: new_keys(name, "foreign ") for name in NAMES})
    forge.release()
    return forge


def _updated(play: Script) -> dict[str, bytes]:
    """Release 1, then release 2, both installed; gives what was served before the update."""
    play.forge.release()
    play.installs(1)
    before = dict(play.forge.files)
    play.forge.release(2)
    play.installs(2)
    return before


def _older(play: Script, name: str) -> None:
    _updated(play)
    play.forge.stamp(snapshot=lambda snapshot: setattr(snapshot.meta[f"{name}.json"], "version", 1))
    play.fails(installed=2)


def _renamed(play: Script, name: str) -> None:
    forge = play.forge
    forge.release()
    older = forge.files[forge.path(name)]
    forge.release(2)
    forge.files[forge.path(name)] = older
    play.fails()
