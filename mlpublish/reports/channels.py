"""What a channel says, and who would get what from it: ChannelState, PlanReport."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mlpublish.formats.channel import Channel, DeviceFacts, Entry
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.reports.verified import told
from mlpublish.shown import Badge, Block, Facts, Shown, Table


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ChannelState(Shown):
    """What a channel says now.

    Args:
        version: of the signed channels role.
        changed: whether this call changed it.
    """

    endpoint: str
    app_id: str
    channel: Channel
    version: int
    changed: bool = False

    def rows(self) -> Mapping[str, object]:
        shown: dict[str, object] = {"channel": f"{self.channel.channel} of {self.app_id} ({self.channel.platform})"}
        for entry in self.channel.entries:
            shown[f"app version {entry.app_version}"] = told(entry)
        return shown | {"endpoint": self.endpoint}

    def brief(self) -> str:
        entries = "; ".join(f"{entry.app_version}: {told(entry)}" for entry in self.channel.entries) or "nothing"
        return f"{self.channel.channel} of {self.app_id} ({self.channel.platform}) offers {entries}"

    def blocks(self) -> Iterable[Block]:
        yield Badge(f"{self.channel.channel} of {self.app_id}")
        if any(entry.paused for entry in self.channel.entries):
            yield Badge("paused")
        yield Facts({"platform": self.channel.platform, "endpoint": self.endpoint, "version of the role": self.version})
        columns = ("app version", "release", "rollout", "the others get", "")
        yield Table("Offers", columns, tuple(map(_offer, self.channel.entries)))

    def to_dict(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "app": self.app_id,
            "platform": self.channel.platform,
            "channel": self.channel.channel,
            "entries": [entry.to_dict() for entry in self.channel.entries],
            "version": self.version,
            "changed": self.changed,
        }


def _offer(entry: Entry) -> tuple[str, ...]:
    others = "nothing new" if entry.otherwise is None else f"release {entry.otherwise}"
    everybody = entry.rollout == 100
    return (
        entry.app_version,
        str(entry.release),
        f"{entry.rollout} %",
        "" if everybody else others,
        "paused" if entry.paused else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOutcome:
    """What a device would get, or why not.

    Args:
        status: SUCCESS, or FAILURE_INTEGRITY where the channel points at what a device refuses.
        release: the number that it would install, if any.
        reason: why it would get nothing new.
        detail: what it would refuse, in one sentence.
    """

    status: UpdateStatus = UpdateStatus.SUCCESS
    release: int | None = None
    reason: Reason | None = None
    detail: str = ""

    def __str__(self) -> str:
        if self.release is not None:
            return f"release {self.release}"
        return self.status.value if self.reason is None else self.reason.value

    def to_dict(self) -> dict[str, Any]:
        return {
            "status": self.status.value,
            "release": self.release,
            "reason": None if self.reason is None else self.reason.value,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDevice:
    """What one device would get; ``extra`` are the columns of its row that the offer rule does not read."""

    device: DeviceFacts
    outcome: PlannedOutcome
    extra: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def to_dict(self) -> dict[str, Any]:
        return {
            "device_id": self.device.device_id,
            "app_version": self.device.app_version,
            "os_version": self.device.os_version,
            "installed": self.device.installed,
            "shipped": self.device.shipped,
            "platform": self.device.platform,
            **self.extra,
            **self.outcome.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGroup:
    """Devices of one app version on one system version (None: not told) that would get the same.

    Args:
        share: of the devices of this app version on this system version, 0 to 1.
    """

    platform: str
    app_version: str
    os_version: str | None
    outcome: PlannedOutcome
    devices: int
    share: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "platform": self.platform,
            "app_version": self.app_version,
            "os_version": self.os_version,
            **self.outcome.to_dict(),
            "devices": self.devices,
            "share": round(self.share, 4),
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlanReport(Shown):
    """Who would get what from a channel, and why not.

    Args:
        version: of the signed channels role that it was planned from.
        assumed: the entries that were planned as if they had been set; none, for the channel as it is.
    """

    endpoint: str
    app_id: str
    channel: str
    version: int
    assumed: tuple[Entry, ...]
    groups: tuple[PlannedGroup, ...]

    @property
    def devices(self) -> int:
        return sum(group.devices for group in self.groups)

    @property
    def sound(self) -> bool:
        """Whether no device would answer FAILURE_INTEGRITY."""
        return all(group.outcome.status is UpdateStatus.SUCCESS for group in self.groups)

    @property
    def outcomes(self) -> Mapping[str, int]:
        """Outcome -> how many devices of the whole fleet, the most frequent first."""
        counted: Counter[str] = Counter()
        for group in self.groups:
            counted[str(group.outcome)] += group.devices
        return dict(counted.most_common())

    def rows(self) -> Mapping[str, object]:
        shown: dict[str, object] = {"plan": f"channel {self.channel} of {self.app_id}, {self.devices} devices"}
        for entry in self.assumed:
            others = "" if entry.otherwise is None else f", the others release {entry.otherwise}"
            shown[f"if app version {entry.app_version}"] = f"were offered release {entry.release} for {entry.rollout} %{others}"
        return shown | {outcome: f"{count} ({count / self.devices:.1%})" for outcome, count in self.outcomes.items()}

    def brief(self) -> str:
        outcomes = ", ".join(f"{outcome} {count}" for outcome, count in self.outcomes.items())
        return f"channel {self.channel} of {self.app_id}, {self.devices} devices: {outcomes}"

    def blocks(self) -> Iterable[Block]:
        yield Badge("sound" if self.sound else "some would refuse it", self.sound)
        yield Facts(self.rows())
        columns = ("app version", "system", "outcome", "devices", "share")
        yield Table("Devices", columns, tuple(map(_group, self.groups)))

    def to_dict(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "app": self.app_id,
            "channel": self.channel,
            "version": self.version,
            "assumed": [entry.to_dict() for entry in self.assumed],
            "devices": self.devices,
            "outcomes": dict(self.outcomes),
            "groups": [group.to_dict() for group in self.groups],
        }


def _group(group: PlannedGroup) -> tuple[str, ...]:
    return group.app_version, group.os_version or "not told", str(group.outcome), str(group.devices), f"{group.share:.1%}"
