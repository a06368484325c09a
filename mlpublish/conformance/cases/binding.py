"""What is well signed and still not for this app, this version or this channel; floors."""

from __future__ import annotations

from mlpublish.conformance.bundles import bundle_of
from mlpublish.conformance.forge import CHANNELS, OTHER, ROOT, TARGETS, Forge
from mlpublish.conformance.script import Group, Script
from mlpublish.formats.channel import Channel, bundle_path
from mlpublish.formats.policy import POLICY_PATH

group = Group("binding")


@group("Another app's whole repository, whose keys are all the same, lies where this app's should.")
def another_apps_repository(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    other = _other()
    for name in (TARGETS, CHANNELS):
        other.edit(name)
    other.stamp()
    play.forge.files = {path.replace(OTHER.id, play.forge.app.id): content for path, content in other.files.items()}
    play.fails(installed=1)


@group("Another app's next root, by the same root keys, hands this app to whoever holds the roles there.")
def another_apps_root(play: Script) -> None:
    play.forge.release()
    other = _other()
    other.edit(ROOT)
    play.forge.files[play.forge.path_of_root(2)] = other.files[other.path(ROOT)]
    play.fails()


@group("Another app's app role, by the same reviewers.")
def another_apps_app_role(play: Script) -> None:
    _takes_over(play, TARGETS)


@group("Another app's channels role, by the same operators.")
def another_apps_channels_role(play: Script) -> None:
    _takes_over(play, CHANNELS)


@group("The policy is for another app.")
def policy_for_another_app(play: Script) -> None:
    play.forge.release()
    play.forge.policy(app_id=OTHER.id)
    play.fails()


@group("The app role names no policy.")
def no_policy(play: Script) -> None:
    play.forge.release()
    play.forge.approve(lambda role: role.targets.pop(POLICY_PATH))
    play.fails()


@group("The file of the channel stable says that it is the channel beta.")
def channel_file_under_anothers_name(play: Script) -> None:
    play.forge.release()
    play.forge.channel_says(Channel(channel="beta", platform="ios", entries=play.forge.channel.entries).to_bytes())
    play.fails()


@group("The channel names a release below the floor.")
def below_the_floor(play: Script) -> None:
    play.forge.release()
    play.forge.policy(floors={"ios/2.0": 2})
    play.fails(offered=1)


@group("The policy forgets a floor that this device has seen: the device does not.")
def below_a_floor_once_seen(play: Script) -> None:
    play.forge.release(offer=False)
    play.forge.policy(floors={"ios/2.0": 2})
    play.forge.release(2)
    play.installs(2)
    play.forge.policy(floors={})
    play.forge.offer(1)
    play.fails(installed=2, offered=1)


@group("The channel names a release that nobody approved.")
def never_approved(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.forge.offer(7)
    play.fails(installed=1, offered=7)


@group("An operator names a bundle himself: his word counts for channels alone.")
def approved_by_an_operator(play: Script) -> None:
    forge = play.forge
    forge.release(2, offer=False)
    target = forge.roles[TARGETS].targets[bundle_path(2)]
    forge.edit(TARGETS, lambda role: role.targets.pop(bundle_path(2)))
    forge.edit(CHANNELS, lambda role: role.targets.update({bundle_path(2): target}))
    forge.offer(2)
    play.fails(offered=2)


@group("The release is for another version of the app.")
def release_for_another_app_version(play: Script) -> None:
    play.forge.release(app_versions=["3.0"])
    play.fails(offered=1)


@group("The release is for another platform.")
def release_for_another_platform(play: Script) -> None:
    play.forge.release(platform="android")
    play.fails(offered=1)


@group("The release is for another app.")
def release_for_another_app(play: Script) -> None:
    play.forge.release(app=OTHER.id)
    play.fails(offered=1)


@group("The release is signed under another number than its path has.")
def release_under_another_number(play: Script) -> None:
    play.forge.release(made=bundle_of(2), release=2)
    play.fails(offered=1)


def _other() -> Forge:
    """Another app whose keys are all the same."""
    other = Forge(OTHER)
    other.release()
    return other


def _takes_over(play: Script, name: str) -> None:
    """A role of the other app in place of this one's, made current by the same online key."""
    forge, other = play.forge, _other()
    forge.release()
    other.edit(name)
    forge.roles[name] = other.roles[name]
    forge.files[forge.path(name)] = other.files[other.path(name)]
    forge.stamp()
    play.fails()
