"""Who is offered what, and why not (formats/channel.py: the offer rule)."""

from __future__ import annotations

from dataclasses import replace

from mlpublish.artifacts import App
from mlpublish.conformance.forge import Forge
from mlpublish.conformance.script import Group, Script
from mlpublish.formats.channel import bundle_path
from mlpublish.formats.status import Reason

group = Group("offers")
# Their buckets for release 2 are 24.986 and 25.006, as near to a share of 25 percent as ten thousand devices come.
JUST_INSIDE, JUST_OUTSIDE = "device-6055", "device-6288"


@group("A fresh device installs what the channel offers.")
def first_install(play: Script) -> None:
    play.forge.release()
    play.installs(1)


@group("A newer release takes the place of the one in use.")
def update(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.forge.release(2)
    play.installs(2)


@group("The release in use is offered again: nothing new.")
def nothing_new(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.brings_nothing(Reason.ALREADY_INSTALLED, installed=1, offered=1)


@group("A newer channel names an older release: it is installed. Role versions are compared, never release numbers.")
def rollback_on_purpose(play: Script) -> None:
    play.forge.release(offer=False)
    play.forge.release(2)
    play.installs(2)
    play.forge.offer(1)
    play.installs(1)


@group("The app has no channel of that name.")
def no_such_channel(play: Script) -> None:
    play.forge.release()
    play.brings_nothing(Reason.NO_SUCH_CHANNEL, channel="beta")


@group("The app role appoints nobody for channels: the app has none.")
def no_operators(play: Script) -> None:
    play.forge.release()
    play.forge.approve(lambda role: setattr(role, "delegations", None))
    play.brings_nothing(Reason.NO_SUCH_CHANNEL)


@group("App versions are compared exactly: 2 and 2.0.0 are not 2.0.")
def app_version_is_exact(play: Script) -> None:
    play.forge.release()
    for version in ("2", "2.0.0", "2.1"):
        play.brings_nothing(Reason.NO_RELEASE_FOR_APP_VERSION, app_version=version)


@group("Each app version has its own entry; a model that was installed for another one does not count.")
def app_version_changes(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.forge.release(2, offer=False, app_versions=["2.1"])
    play.brings_nothing(Reason.NO_RELEASE_FOR_APP_VERSION, app_version="2.1")
    play.forge.offer(2, app_version="2.1")
    play.installs(2, app_version="2.1")


@group("Each platform has its own channel files.")
def platform_has_its_own_channel(play: Script) -> None:
    mac = play.begins_with(Forge(App(id=play.forge.app.id, version="2.0", platform="macos")))
    mac.release()
    play.installs(1)
    play.brings_nothing(Reason.NO_SUCH_CHANNEL, platform="ios", installed=None)


@group("A rollout to 25 percent: the bucket of this device is 24.986.")
def rollout_just_inside(play: Script) -> None:
    _rolled_out(play, 25)
    play.installs(2, device_id=JUST_INSIDE)


@group("A rollout to 25 percent: the bucket of this device is 25.006, so it gets what the others keep getting.")
def rollout_just_outside(play: Script) -> None:
    _rolled_out(play, 25)
    play.installs(1, device_id=JUST_OUTSIDE)


@group("Outside the rollout, and nothing is offered to the others.")
def rollout_outside_without_otherwise(play: Script) -> None:
    play.forge.release(2, offer=False)
    play.forge.offer(2, rollout=25)
    play.brings_nothing(Reason.NOT_IN_ROLLOUT, device_id=JUST_OUTSIDE)


@group("A rollout to 0 percent reaches nobody, one to 100 percent everybody.")
def rollout_ends(play: Script) -> None:
    _rolled_out(play, 0)
    play.installs(1, device_id=JUST_INSIDE)
    play.forge.offer(2, rollout=100)
    play.installs(2, device_id=JUST_OUTSIDE)


@group("A rollout is lowered: who has the release keeps it.")
def rollout_lowered(play: Script) -> None:
    _rolled_out(play, 25)
    play.installs(2, device_id=JUST_INSIDE)
    play.forge.offer(2, rollout=0, otherwise=1)
    play.brings_nothing(Reason.ALREADY_INSTALLED, installed=2, offered=2, device_id=JUST_INSIDE)


@group("A paused channel brings nothing, and takes nothing away.")
def paused(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.forge.release(2, offer=False)
    play.forge.offer(2, paused=True)
    play.brings_nothing(Reason.PAUSED, installed=1)


@group("A release that needs a newer system is not taken; systems are compared as numbers, 9.3 is older than 16.")
def os_too_old(play: Script) -> None:
    play.forge.release()
    for system in ("9.3", "15.9.9"):
        play.brings_nothing(Reason.OS_TOO_OLD, offered=1, os_version=system)
    play.installs(1, os_version="16")


@group("The app ships release 3; the channel offers 2.")
def older_than_shipped(play: Script) -> None:
    play.forge.release(2)
    play.brings_nothing(Reason.OLDER_THAN_SHIPPED, offered=2, shipped_release=3)


@group("The app ships the offered release: there is nothing to fetch.")
def shipped_is_offered(play: Script) -> None:
    play.forge.release(2)
    play.brings_nothing(Reason.ALREADY_INSTALLED, offered=2, shipped_release=2)


@group("The app ships release 1; the channel offers 2.")
def newer_than_shipped(play: Script) -> None:
    play.forge.release(2)
    play.installs(2, shipped_release=1)


@group("The release in use is withdrawn: the device goes back to the one before.")
def withdrawn_in_use(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.forge.release(2)
    play.installs(2)
    play.forge.policy(withdrawn={2: "wrong labels"})
    play.brings_nothing(Reason.WITHDRAWN, installed=1, offered=2)


@group("The only release is withdrawn: the device has none, and a fresh one gets none.")
def withdrawn_alone(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.forge.policy(withdrawn={1: "wrong labels"})
    play.brings_nothing(Reason.WITHDRAWN, offered=1)
    play.brings_nothing(Reason.WITHDRAWN, offered=1)


@group("The release in use is withdrawn, and the channel offers another: it is installed.")
def withdrawn_and_replaced(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.forge.release(2)
    play.forge.policy(withdrawn={1: "wrong labels"})
    play.installs(2)


@group("A release is removed, and the channel names it no more: who has it keeps it.")
def removed(play: Script) -> None:
    forge = play.forge
    forge.release()
    play.installs(1)
    forge.approve(lambda role: role.targets.pop(bundle_path(1)))
    forge.channel = replace(forge.channel, entries=())
    forge.channel_says(forge.channel.to_bytes())
    play.brings_nothing(Reason.NO_RELEASE_FOR_APP_VERSION, installed=1)


@group("A floor lets pass what is at it.")
def floor_lets_pass(play: Script) -> None:
    play.forge.release(offer=False)
    play.forge.policy(floors={"ios/2.0": 2, "ios/1.0": 9, "android/2.0": 9})
    play.forge.release(2)
    play.installs(2)


@group("A newer app role lies there that no snapshot names: what the snapshot names counts.")
def files_of_two_states(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.forge.edit("targets", lambda role: role.targets.pop(bundle_path(1)))
    play.brings_nothing(Reason.ALREADY_INSTALLED, installed=1, offered=1)


def _rolled_out(play: Script, percent: int) -> None:
    """Release 2 for a share of the devices, release 1 for the others."""
    play.forge.release(offer=False)
    play.forge.release(2, offer=False)
    play.forge.offer(2, rollout=percent, otherwise=1)
