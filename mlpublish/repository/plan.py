"""The verb ``plan``: who would get what from a channel, and why not, by the rule that devices follow.

It reads the verified metadata and the channel file, no bundle, and signs nothing. An edit can be planned before it is made:
it goes through the rules of ``channel set``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlpublish.artifacts import App
from mlpublish.errors import FormatError, RecipeError, VerificationError
from mlpublish.formats.channel import Channel, DeviceFacts, Entry, Offer, offer_for
from mlpublish.formats.minimum_os import PLATFORMS
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.reports import PlannedDevice, PlannedGroup, PlannedOutcome, PlanReport
from mlpublish.repository.access import Access, access
from mlpublish.repository.channels import channel_name
from mlpublish.repository.head import Head, channel_in
from mlpublish.repository.matrix import Row, made_up, rows_of
from mlpublish.repository.offering import Approved
from mlpublish.trust import roles

_DEVICES = 10_000  # a share is met within about a percentage point
_Kind = tuple[str, str, str | None, PlannedOutcome]  # platform, app version, system version, what they get


def plan(
    app: str,
    *,
    at: str | Path,
    channel: str = "stable",
    platform: str = "ios",
    matrix: Path | str | Iterable[Mapping[str, object]] | None = None,
    app_versions: Sequence[str] = (),
    os_versions: Sequence[str] = (),
    devices: int | None = None,
    if_release: int | None = None,
    rollout: int | None = None,
    otherwise: int | None = None,
    on_device: Callable[[PlannedDevice], None] | None = None,
    repository: str | Path | None = None,
    root: Path | str | bytes | None = None,
    token: str | None = None,
) -> PlanReport:
    """Say who would get what from a channel, and why not; nothing is downloaded, signed or written.

    Args:
        app: the app's bundle id.
        at: ``http(s)://host[:port]`` or ``file:DIR``.
        channel: which channel.
        platform: of the devices that do not say theirs.
        matrix: the fleet: a CSV file, or mappings, with ``device_id``, ``app_version`` and where known ``os_version``,
            ``installed``, ``shipped`` (release numbers), ``platform``. Other columns are carried along unread.
        app_versions: without a matrix, the app versions of a fleet that is made up; by default those of the channel.
        os_versions: the system versions of that fleet; by default untold, and then no release is too new.
        devices: how many devices that fleet has in all, 10,000 by default, spread evenly.
        if_release: plan as if this release were set first, for every app version that it is for.
        rollout: with ``if_release``, the percentage that would get it, 100 by default.
        otherwise: with ``if_release``, what the others would keep getting; by default as in ``channel set``.
        on_device: hears of every device in turn; the report itself only counts them.
        repository: a development folder to take the root and the token from.
        root: the app's ``1.root.json`` (path or bytes).
        token: the bearer token for a server.

    Returns:
        A PlanReport. A device that has a withdrawn release is taken to go back to the app's own model; what else it had
        before is not told.

    Raises:
        RecipeError: the call makes no sense, or the planned edit would be refused.
        NotFound: the app has no repository there, the planned release is not published, or the file cannot be read.
        FormatError: the matrix is none.
        VerificationError, Expired: the metadata does not verify, or has run out; no device would take anything.
    """
    if platform not in PLATFORMS:
        raise RecipeError(f"{platform!r} is no platform.", remedy=f"Use one of: {', '.join(PLATFORMS)}.", field="platform")
    where = access(app, at, repository=repository, token=token, root=root)
    head = _trusted(where)
    standing = _Standing(where=where, head=head, name=channel_name(channel), approved=Approved.of(head))
    standing.assume(platform, if_release, rollout, otherwise)
    fleet = _fleet(standing, matrix, app_versions, os_versions, devices, platform)
    counted: Counter[_Kind] = Counter()
    for row in fleet:
        planned = PlannedDevice(device=row.device, outcome=standing.outcome(row.device), extra=row.extra)
        counted[row.device.platform, row.device.app_version, row.device.os_version, planned.outcome] += 1
        if on_device is not None:
            on_device(planned)
    if not counted:
        raise FormatError("The matrix names no device.", remedy="Give it a line for each device.", field="matrix")
    return PlanReport(
        endpoint=where.endpoint.uri,
        app_id=app,
        channel=standing.name,
        version=head.channels.signed.version,
        assumed=standing.assumed,
        groups=_groups(counted),
    )


@dataclass(kw_only=True)
class _Standing:
    """What the devices find: the channel on each of their platforms, as it is or as it would be."""

    where: Access
    head: Head
    name: str
    approved: Approved
    assumed: tuple[Entry, ...] = ()
    channels: dict[str, Channel | None] = field(default_factory=dict)

    def channel(self, platform: str) -> Channel | None:
        """The verified channel of a platform, read once."""
        if platform not in self.channels:
            found = channel_in(self.head, self.where.read, platform, self.name)
            if found is not None and (found.platform, found.channel) != (platform, self.name):
                raise VerificationError("A channel file stands under another's name.", remedy="Set the channel again.")
            self.channels[platform] = found
        return self.channels[platform]

    def assume(self, platform: str, release: int | None, rollout: int | None, otherwise: int | None) -> None:
        """Make the edit that ``channel set`` would make, for every app version that the release is for."""
        if release is None:
            if rollout is not None or otherwise is not None:
                raise RecipeError(
                    "A rollout of no release is planned.", remedy="Name it with --if-release N.", field="if_release"
                )
            return
        facts = self.approved.facts(self.where.app_id, release)
        if facts.platform != platform:
            raise RecipeError(
                f"Release {release} is for {facts.platform}, the plan for {platform}.",
                remedy=f"Pass --platform {facts.platform}, or name another release.",
                field="if_release",
            )
        edited = self.channel(platform) or Channel(channel=self.name, platform=platform)
        for version in facts.app_versions:
            app = App(id=self.where.app_id, version=version, platform=platform)
            share = 100 if rollout is None else rollout
            entry = self.approved.offering(app, edited.entry(version), release, share, otherwise)
            edited, self.assumed = edited.with_entry(entry), (*self.assumed, entry)
        self.channels[platform] = edited

    def outcome(self, device: DeviceFacts) -> PlannedOutcome:
        """What the offer rule gives one device."""
        policy = self.approved.policy
        leaves = device.installed in policy.withdrawn
        facts = replace(device, installed=None) if leaves else device
        channel = self.channel(device.platform)
        try:
            offer = offer_for(channel, policy, self.approved.releases, facts)
        except FormatError as exc:  # where a device answers FAILURE_INTEGRITY, and keeps what it has
            return PlannedOutcome(status=UpdateStatus.FAILURE_INTEGRITY, detail=exc.problem)
        if isinstance(offer, Offer):
            return PlannedOutcome(release=offer.release)
        return PlannedOutcome(reason=Reason.WITHDRAWN if leaves else offer)


def _trusted(where: Access) -> Head:
    """The head, held against what a device would hold it against."""
    head = where.head()
    head.refuse_expired()
    roles.check_bound(head.channels.signed, where.app_id)
    if head.policy.app_id != where.app_id:
        raise VerificationError(f"The repository is for {head.policy.app_id}.", remedy="Ask the app's own.", field="app")
    return head


def _fleet(
    standing: _Standing,
    matrix: Path | str | Iterable[Mapping[str, object]] | None,
    app_versions: Sequence[str],
    os_versions: Sequence[str],
    devices: int | None,
    platform: str,
) -> Iterator[Row]:
    if matrix is not None:
        if app_versions or os_versions or devices is not None:
            raise RecipeError(
                "A matrix is given, and a fleet to make up.", remedy="Give --matrix, or versions and --devices.", field="matrix"
            )
        return rows_of(matrix, platform=platform)
    channel = standing.channel(platform)
    versions = app_versions or [entry.app_version for entry in (() if channel is None else channel.entries)]
    if not versions:
        raise RecipeError(
            f"Channel {standing.name} names no app version on {platform}.",
            remedy="Pass --app-versions 1.0,2.0 or --matrix devices.csv.",
            field="app_versions",
        )
    return made_up(versions, os_versions, _DEVICES if devices is None else devices, platform=platform)


def _groups(counted: Mapping[_Kind, int]) -> tuple[PlannedGroup, ...]:
    """The counts by app version and system version, versions as numbers, the most frequent outcome first."""
    together: Counter[tuple[str, str, str | None]] = Counter()
    for (platform, app_version, os_version, _), count in counted.items():
        together[platform, app_version, os_version] += count
    return tuple(
        PlannedGroup(
            platform=platform,
            app_version=app_version,
            os_version=os_version,
            outcome=outcome,
            devices=count,
            share=count / together[platform, app_version, os_version],
        )
        for (platform, app_version, os_version, outcome), count in sorted(counted.items(), key=_place)
    )


def _place(counted: tuple[_Kind, int]) -> tuple[str, list[int], list[int], int, str]:
    (platform, app_version, os_version, outcome), count = counted
    app, system = ([int(part) for part in version.split(".") if part] for version in (app_version, os_version or ""))
    return platform, app, system, -count, str(outcome)
