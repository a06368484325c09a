"""The channel file, and the one rule that says what a device is offered.

``offer_for`` is pure: the device, the server and a dry run call it and so agree. The device derives a bundle's path from
the release number alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlpublish.errors import FormatError
from mlpublish.formats.policy import Policy
from mlpublish.formats.status import Reason
from mlpublish.formats.wire import Reader, dump

CHANNEL_FORMAT = 1
NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
APP_VERSION = r"(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){0,3}"
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"


def channel_path(platform: str, channel: str) -> str:
    """The target path of a channel file."""
    return f"channels/{platform}/{channel}.json"


def bundle_path(number: int) -> str:
    """The target path of a release's bundle."""
    return f"releases/{number}/bundle.zip"


def signature_path(number: int) -> str:
    """The target path of the detached signature beside a bundle, for clients that know nothing of TUF."""
    return f"{bundle_path(number)}.sig"


def model_signature_path(number: int) -> str:
    """The target path of the OpenSSF Model Signing signature over what is in a bundle."""
    return f"releases/{number}/model.sig"


def beside_paths(number: int) -> tuple[str, ...]:
    """The target paths of what may lie beside a release's bundle."""
    return signature_path(number), model_signature_path(number)


def release_paths(number: int) -> tuple[str, ...]:
    """Every target path that a release may have: its bundle's, and those of what lies beside it."""
    return bundle_path(number), *beside_paths(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one app version is offered.

    Args:
        release: the release number.
        rollout: percent of devices, 0 to 100, that get it.
        otherwise: what the devices outside the rollout keep getting, if anything.
        paused: nobody gets anything new; nothing is uninstalled.
        since: when this release began to be offered, UTC, to the second. People read it and no offer depends on it, so it does
            not count in comparisons. None in channels of before it was noted.
    """

    app_version: str
    release: int
    rollout: int = 100
    otherwise: int | None = None
    paused: bool = False
    since: str | None = field(default=None, compare=False)

    @property
    def releases(self) -> tuple[int, ...]:
        """The releases that it names."""
        return (self.release,) if self.otherwise is None else (self.release, self.otherwise)

    def following(self, present: Entry | None, *, at: str) -> Entry:
        """This entry in place of the present one: the release's time goes on, or begins now (``at``) if it is another."""
        if present is not None and present.release == self.release:
            return replace(self, since=present.since)
        return replace(self, since=at)

    def to_dict(self) -> dict[str, Any]:
        return {
            "app_version": self.app_version,
            "release": self.release,
            "rollout": self.rollout,
            "otherwise": self.otherwise,
            "paused": self.paused,
        } | ({} if self.since is None else {"since": self.since})

    @classmethod
    def from_reader(cls, reader: Reader) -> Entry:
        return cls(
            app_version=reader.text("app_version", APP_VERSION),
            release=reader.whole_number("release", least=1),
            rollout=reader.whole_number("rollout", most=100),
            otherwise=reader.optional("otherwise", lambda name: reader.whole_number(name, least=1)),
            paused=reader.truth("paused"),
            since=reader.optional("since", lambda name: reader.text(name, _MOMENT)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A named pointer per app version, on one platform."""

    channel: str
    platform: str
    entries: tuple[Entry, ...] = ()

    def entry(self, app_version: str) -> Entry | None:
        """The entry for exactly this app version."""
        return next((entry for entry in self.entries if entry.app_version == app_version), None)

    def with_entry(self, entry: Entry) -> Channel:
        """The channel with this entry in place of the app version's present one."""
        return replace(self.without(entry.app_version), entries=_sorted((*self.without(entry.app_version).entries, entry)))

    def without(self, app_version: str) -> Channel:
        """The channel without the app version's entry."""
        return replace(self, entries=tuple(entry for entry in self.entries if entry.app_version != app_version))

    def to_bytes(self) -> bytes:
        return dump(
            {
                "format": CHANNEL_FORMAT,
                "channel": self.channel,
                "platform": self.platform,
                "entries": [entry.to_dict() for entry in self.entries],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Channel:
        reader = Reader.parse(data, what="channel file")
        reader.version("format", known=CHANNEL_FORMAT)
        entries = tuple(Entry.from_reader(each) for each in reader.each("entries"))
        if len({entry.app_version for entry in entries}) != len(entries):
            reader.refuse("entries", "at most one entry per app version")
        return cls(channel=reader.text("channel", NAME), platform=reader.text("platform", NAME), entries=entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFacts:
    """What the app role signs about a release beside its bytes (the target's ``custom``).

    Args:
        app_versions: the app versions it is for, compared exactly.
        minimum_os: the lowest operating system version of the platform that loads its models.
        unpacked_length: bytes that the bundle's files take on the device.
        manifest: sha256 of the manifest inside.
    """

    app_id: str
    platform: str
    app_versions: tuple[str, ...]
    number: int
    name: str
    version: str
    minimum_os: str
    unpacked_length: int
    manifest: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "app": self.app_id,
            "platform": self.platform,
            "app_versions": list(self.app_versions),
            "release": self.number,
            "name": self.name,
            "version": self.version,
            "minimum_os": self.minimum_os,
            "unpacked_length": self.unpacked_length,
            "manifest_sha256": self.manifest,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ReleaseFacts:
        reader = Reader(values, "release")
        return cls(
            app_id=reader.text("app"),
            platform=reader.text("platform"),
            app_versions=reader.texts("app_versions"),
            number=reader.whole_number("release", least=1),
            name=reader.text("name"),
            version=reader.text("version"),
            minimum_os=reader.text("minimum_os", r"[0-9]+(\.[0-9]+){0,2}"),
            unpacked_length=reader.whole_number("unpacked_length"),
            manifest=reader.digest("manifest_sha256"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What a device knows of itself when it asks.

    Args:
        device_id: any stable text; only its hash decides about a rollout.
        os_version: dotted integers, or None if it is not told (then no release is too new for it).
        installed: the release number in use, if any.
        shipped: the release number of the model that came with the app, if any.
    """

    platform: str
    app_version: str
    device_id: str
    os_version: str | None = None
    installed: int | None = None
    shipped: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Take this release."""

    release: int


def bucket(device_id: str, release: int) -> float:
    """Where a device stands in a release's rollout, from 0 to below 100; stable, and another one for every release."""
    digest = hashlib.sha256(f"{device_id}\n{release}".encode()).digest()
    return min(int.from_bytes(digest[:8], "big") * 100 / 2**64, _LAST)  # rounded up to 100 it would miss every rollout


_LAST = math.nextafter(100, 0)


def pointed_at(channel: Channel | None, device: DeviceFacts) -> int | Reason:
    """The release that the channel names for a device, before anything is asked of the release itself."""
    if channel is None:
        return Reason.NO_SUCH_CHANNEL
    entry = channel.entry(device.app_version)
    if entry is None:
        return Reason.NO_RELEASE_FOR_APP_VERSION
    if entry.paused:
        return Reason.PAUSED
    if bucket(device.device_id, entry.release) < entry.rollout:
        return entry.release
    if entry.release == device.installed:  # a lowered rollout never uninstalls
        return entry.release
    return entry.otherwise if entry.otherwise is not None else Reason.NOT_IN_ROLLOUT


def offer_for(
    channel: Channel | None, policy: Policy, releases: Mapping[int, ReleaseFacts], device: DeviceFacts, *, floor: int = 0
) -> Offer | Reason:
    """What a device gets, or why not.

    Args:
        channel: the verified channel file, or None if the app has none of that name.
        policy: the verified policy of the app.
        releases: what the app role says of the releases that the channel names.
        device: the device that asks.
        floor: the highest floor that this device has seen.

    Returns:
        An Offer, or the Reason why there is nothing new.

    Raises:
        FormatError: the channel points where an approved channel cannot point (a release that the app role does not
            name, of another platform, app version or app, or below the floor); for a device that is INTEGRITY.
    """
    number = pointed_at(channel, device)
    if isinstance(number, Reason):
        return number
    if number in policy.withdrawn:
        return Reason.WITHDRAWN
    facts = releases.get(number)
    if facts is None:
        raise _wrong(f"release {number}, which the app role does not name")
    if facts.app_id != policy.app_id or facts.number != number:
        raise _wrong(f"release {number}, which is signed as release {facts.number} of {facts.app_id}")
    if facts.platform != device.platform or device.app_version not in facts.app_versions:
        raise _wrong(f"release {number}, which is for {facts.platform} {', '.join(facts.app_versions)}")
    lowest = max(floor, policy.floor(device.platform, device.app_version))
    if number < lowest:
        raise _wrong(f"release {number}, below the floor {lowest}")
    if number == (device.installed if device.installed is not None else device.shipped):
        return Reason.ALREADY_INSTALLED
    if device.os_version is not None and _numbers(device.os_version) < _numbers(facts.minimum_os):
        return Reason.OS_TOO_OLD
    if device.shipped is not None and number < device.shipped:
        return Reason.OLDER_THAN_SHIPPED
    return Offer(release=number)


def _wrong(what: str) -> FormatError:
    return FormatError(
        f"The channel offers {what}.", remedy="Point the channel at an approved release for this app version.", field="release"
    )


def _numbers(version: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in version.split("."))
    return numbers + (0,) * (3 - len(numbers))


def _sorted(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: [int(part) for part in entry.app_version.split(".")]))
