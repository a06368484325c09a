"""What the checks of many devices came to: FleetReport."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.reports.sheets import Case, Sheet, Table
from mlpublish.shown import Badge, Block, Facts, Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetCheck:
    """One check of one device of a fleet.

    Args:
        os_version: of the device; None where nobody tells.
        turn: 1 for the device's first check.
        installed: the release in use afterwards.
        took: whether this check installed it.
        seconds: how long it took.
        received: bytes of bodies.
    """

    app_version: str
    os_version: str | None
    turn: int
    status: UpdateStatus
    reason: Reason | None
    installed: int | None
    offered: int | None
    took: bool
    seconds: float
    received: int
    requests: int
    retries: int
    detail: str

    @property
    def outcome(self) -> str:
        """The release that it installed, why nothing new came, or the status of its failure."""
        if self.took:
            return f"release {self.installed}"
        return self.status.value if self.reason is None else self.reason.value


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetGroup:
    """Checks of one app version on one system version, in one turn, that ended alike.

    Args:
        share: of the checks of this app version on this system version in this turn, 0 to 1.
        detail: what one of them said.
    """

    app_version: str
    os_version: str | None
    turn: int
    outcome: str
    status: UpdateStatus
    checks: int
    share: float
    detail: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "app_version": self.app_version,
            "os_version": self.os_version,
            "turn": self.turn,
            "outcome": self.outcome,
            "status": self.status.value,
            "checks": self.checks,
            "share": round(self.share, 4),
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What the devices of one app version have in use at the end.

    Args:
        release: None for those that have none.
        share: of the app version's devices, 0 to 1.
    """

    app_version: str
    release: int | None
    devices: int
    share: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "app_version": self.app_version,
            "release": self.release,
            "devices": self.devices,
            "share": round(self.share, 4),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long checks of one kind took, in seconds: the nearest-rank percentiles."""

    checks: int
    p50: float
    p90: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Latency:
        """The percentiles of at least one duration."""
        ordered = sorted(seconds)

        def rank(percent: int) -> float:
            return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]

        return cls(checks=len(ordered), p50=rank(50), p90=rank(90), p99=rank(99), longest=ordered[-1])

    def __str__(self) -> str:
        shown = {"p50": self.p50, "p90": self.p90, "p99": self.p99, "longest": self.longest}
        return ", ".join(f"{name} {value * 1000:.0f} ms" for name, value in shown.items()) + f" ({self.checks} checks)"

    def to_dict(self) -> dict[str, Any]:
        return {
            "checks": self.checks,
            **{name: round(getattr(self, name), 4) for name in ("p50", "p90", "p99", "longest")},
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FleetReport(Shown):
    """What a fleet of simulated devices got.

    Args:
        jobs: how many processes played devices at the same time.
        seconds: from the first check to the end of the last.
        latencies: ``installed``, ``nothing new``, ``failed`` -> how long such checks took.
    """

    endpoint: str
    app_id: str
    platform: str
    channel: str
    devices: int
    jobs: int
    seconds: float
    checks: int
    received: int
    requests: int
    retries: int
    groups: tuple[FleetGroup, ...]
    rollouts: tuple[Rollout, ...]
    latencies: Mapping[str, Latency]

    @property
    def worst(self) -> UpdateStatus:
        """SUCCESS if every check ended so, else the most frequent failure."""
        failed: Counter[UpdateStatus] = Counter()
        for group in self._failed():
            failed[group.status] += group.checks
        return failed.most_common(1)[0][0] if failed else UpdateStatus.SUCCESS

    @property
    def outcomes(self) -> Mapping[str, int]:
        """Outcome -> how many checks, the most frequent first."""
        counted: Counter[str] = Counter()
        for group in self.groups:
            counted[group.outcome] += group.checks
        return dict(counted.most_common())

    def rows(self) -> Mapping[str, object]:
        shown: dict[str, object] = {
            "fleet": f"{self.devices} devices of {self.app_id} ({self.platform}), channel {self.channel}, at {self.endpoint}"
        }
        shown |= {name: f"{count} ({count / self.checks:.1%})" for name, count in self.outcomes.items()}
        for each in self.rollouts:
            name = f"app version {each.app_version}"
            has = "no release" if each.release is None else f"release {each.release}"
            before = f"{shown[name]}, " if name in shown else ""
            shown[name] = f"{before}{has} on {each.devices} ({each.share:.1%})"
        shown["throughput"] = (
            f"{self.checks / self.seconds:.1f} checks/s, {self.received / self.seconds / 1e6:.1f} MB/s, "
            f"{self.requests} requests ({self.retries} retries) in {self.seconds:.1f} s by {self.jobs} at a time"
        )
        return shown | {f"latency, {kind}": str(latency) for kind, latency in self.latencies.items()}

    def brief(self) -> str:
        outcomes = ", ".join(f"{outcome} {count}" for outcome, count in self.outcomes.items())
        return f"{self.devices} devices of {self.app_id} ({self.platform}), channel {self.channel}: {outcomes}"

    def blocks(self) -> Iterable[Block]:
        yield Badge(self.worst.value, self.worst is UpdateStatus.SUCCESS)
        yield Facts(self.rows())
        yield from self.sheet().tables

    def sheet(self) -> Sheet:
        return Sheet(
            title="mlpublish check --fleet",
            outcome=self.worst.value,
            passed=self.worst is UpdateStatus.SUCCESS,
            facts=self.rows(),
            cases=tuple(map(_case, self.groups)),
            tables=(
                Table(
                    "Outcomes",
                    ("app version", "system", "turn", "outcome", "checks", "share"),
                    tuple(
                        (
                            each.app_version,
                            each.os_version or "",
                            str(each.turn),
                            each.outcome,
                            str(each.checks),
                            f"{each.share:.1%}",
                        )
                        for each in self.groups
                    ),
                ),
                Table("Failures", ("status", "one of them said"), tuple(dict.fromkeys(map(_failure, self._failed())))),
            ),
        )

    def _failed(self) -> tuple[FleetGroup, ...]:
        return tuple(group for group in self.groups if group.status is not UpdateStatus.SUCCESS)

    def to_dict(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "app": self.app_id,
            "platform": self.platform,
            "channel": self.channel,
            "devices": self.devices,
            "jobs": self.jobs,
            "seconds": round(self.seconds, 3),
            "checks": self.checks,
            "checks_per_second": round(self.checks / self.seconds, 2),
            "received": self.received,
            "requests": self.requests,
            "retries": self.retries,
            "status": self.worst.value,
            "outcomes": dict(self.outcomes),
            "groups": [group.to_dict() for group in self.groups],
            "rollouts": [each.to_dict() for each in self.rollouts],
            "latencies": {kind: latency.to_dict() for kind, latency in self.latencies.items()},
        }


def _case(group: FleetGroup) -> Case:
    system = "" if group.os_version is None else f", system {group.os_version}"
    return Case(
        name=f"app {group.app_version}{system}, turn {group.turn}: {group.outcome}",
        told=f"{group.checks} checks ({group.share:.1%}): {group.detail}",
        failed=None if group.status is UpdateStatus.SUCCESS else group.status.value,
    )


def _failure(group: FleetGroup) -> tuple[str, str]:
    return group.status.value, group.detail


def grouped(checks: Sequence[FleetCheck]) -> tuple[FleetGroup, ...]:
    """Checks that ended alike, counted; by app version, system version and turn, the most frequent outcome first."""
    of: Counter[tuple[str, str | None, int]] = Counter((each.app_version, each.os_version, each.turn) for each in checks)
    alike: Counter[tuple[str, str | None, int, str]] = Counter()
    one: dict[tuple[str, str | None, int, str], FleetCheck] = {}
    for each in checks:
        key = (each.app_version, each.os_version, each.turn, each.outcome)
        alike[key] += 1
        one.setdefault(key, each)
    ordered = sorted(alike.items(), key=lambda item: (item[0][0], item[0][1] or "", item[0][2], -item[1], item[0][3]))
    return tuple(
        FleetGroup(
            app_version=key[0],
            os_version=key[1],
            turn=key[2],
            outcome=key[3],
            status=one[key].status,
            checks=count,
            share=count / of[key[:3]],
            detail=one[key].detail,
        )
        for key, count in ordered
    )


def rolled_out(checks: Sequence[FleetCheck]) -> tuple[Rollout, ...]:
    """What devices have in use after their last turn, by app version."""
    last = max((each.turn for each in checks), default=0)
    ends = [each for each in checks if each.turn == last]
    of = Counter(each.app_version for each in ends)
    counted = Counter((each.app_version, each.installed) for each in ends)
    return tuple(
        Rollout(app_version=version, release=release, devices=count, share=count / of[version])
        for (version, release), count in sorted(counted.items(), key=lambda item: (item[0][0], -(item[0][1] or 0)))
    )


def latencies(checks: Sequence[FleetCheck]) -> dict[str, Latency]:
    """How long checks took, by what they came to."""
    kinds: dict[str, list[float]] = {"installed": [], "nothing new": [], "failed": []}
    for each in checks:
        kind = "installed" if each.took else "nothing new" if each.status is UpdateStatus.SUCCESS else "failed"
        kinds[kind].append(each.seconds)
    return {kind: Latency.of(seconds) for kind, seconds in kinds.items() if seconds}
