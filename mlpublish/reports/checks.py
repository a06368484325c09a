"""What one update check did on a device: CheckReport."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlpublish.artifacts import App
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.reports.sheets import Case, Sheet, Table
from mlpublish.reports.verified import ROLE_COLUMNS, RoleReport
from mlpublish.shown import Badge, Block, Facts, Sentences, Shown, size

PHASES = ("installed", "metadata", "channel", "download", "unzip", "self-test", "swap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What one phase of a check cost.

    Args:
        seconds: how long it took.
        received: bytes of bodies that went over the wire.
        requests: how many were sent, those that failed too.
        retries: how many of them asked again for what had failed.
        passed: whether it came to its end; the check ended in the one that did not.
    """

    seconds: float
    received: int = 0
    requests: int = 0
    retries: int = 0
    passed: bool = True

    def __str__(self) -> str:
        again = f" ({self.retries} of them again)" if self.retries else ""
        return f"{self.received} bytes in {self.requests} requests{again}" if self.requests else ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 3),
            "received": self.received,
            "requests": self.requests,
            "retries": self.retries,
            "passed": self.passed,
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CheckReport(Shown):
    """What one update check did on a device.

    Args:
        installed: the release number in use afterwards, if any.
        offered: the release number that the channel offers this device, if it got that far.
        reason: why nothing new arrived, where the check itself went well.
        path: the unpacked bundle in use afterwards (or the model shipped with the app), if any.
        models: model name -> its path under ``path``.
        detail: what happened, in one sentence.
        sha256: of the bundle in use afterwards, if one is installed.
        phases: those of PHASES that the check came to -> what each cost.
        roles: the signed roles that verified, root first, and who signed them.
        verified: what else holds of what was installed, one sentence each.
        self_tests: model name -> how its golden inputs went (``passed …``, ``not run: …``).
        endpoint: where the device asked.
        channel: what it asked for, where it asked a signed repository.
        device: its folder.
    """

    status: UpdateStatus
    app: App
    installed: int | None
    offered: int | None
    reason: Reason | None
    path: Path | None
    models: Mapping[str, Path]
    detail: str
    sha256: str | None = None
    phases: Mapping[str, Phase] = field(default_factory=lambda: MappingProxyType({}))
    roles: tuple[RoleReport, ...] = ()
    verified: tuple[str, ...] = ()
    self_tests: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    endpoint: str | None = None
    channel: str | None = None
    device: Path | None = None

    @property
    def downloaded(self) -> int:
        """Bytes of the bundle that went over the wire in this check."""
        return self.phases["download"].received if "download" in self.phases else 0

    @property
    def retries(self) -> int:
        """How often something was asked for again, in all phases."""
        return sum(phase.retries for phase in self.phases.values())

    @property
    def signed_by(self) -> Mapping[str, tuple[str, ...]]:
        """role -> key ids whose signatures counted."""
        return {role.role: role.signed_by for role in self.roles}

    def rows(self) -> Mapping[str, object]:
        return {
            "status": self.status.value,
            "installed": self.installed,
            "offered": self.offered,
            "reason": None if self.reason is None else self.reason.value,
            "path": self.path,
            "detail": self.detail,
        }

    def brief(self) -> str:
        why = "" if self.reason is None else f" ({self.reason.value})"
        return f"{self.status.value}{why} of {self.app}: installed {self.installed}, offered {self.offered}"

    def blocks(self) -> Iterable[Block]:
        yield Badge(self.status.value, self.status is UpdateStatus.SUCCESS)
        if self.reason is not None:
            yield Badge(self.reason.value)
        shown = {name: value for name, value in self.rows().items() if name not in ("status", "reason")}
        yield Facts({"told": shown.pop("detail"), "app": self.app, **shown, **self._asked(), "sha256": self.sha256})
        yield Table("Phases", ("phase", "seconds", "requests", "received", "retries", ""), tuple(self._steps()))
        yield self._signers()
        yield Sentences("Verified", self.verified)
        yield Table("Self-tests", ("model", "self-test"), tuple(self.self_tests.items()))
        yield Table("Models", ("model", "path"), tuple((name, str(path)) for name, path in self.models.items()))

    def sheet(self) -> Sheet:
        return Sheet(
            title="mlpublish check",
            outcome=self.status.value,
            passed=self.status is UpdateStatus.SUCCESS,
            facts={**self.rows(), "app": self.app, **self._asked(), "sha256": self.sha256},
            cases=(*map(self._case, (*PHASES, *(name for name in self.phases if name not in PHASES))), self._status()),
            tables=(
                Table("Phases", ("phase", "seconds", "requests", "bytes", "retries", "passed"), self._costs()),
                self._signers(),
                Table("Verified", ("verified",), tuple((sentence,) for sentence in self.verified)),
                Table("Self-tests", ("model", "self-test"), tuple(self.self_tests.items())),
                Table("Models", ("model", "path"), tuple((name, str(path)) for name, path in self.models.items())),
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "status": self.status.value,
            "app": self.app.id,
            "app_version": self.app.version,
            "platform": self.app.platform,
            "endpoint": self.endpoint,
            "channel": self.channel,
            "device": None if self.device is None else str(self.device),
            "installed": self.installed,
            "offered": self.offered,
            "reason": None if self.reason is None else self.reason.value,
            "path": None if self.path is None else str(self.path),
            "models": {name: str(path) for name, path in self.models.items()},
            "detail": self.detail,
            "sha256": self.sha256,
            "downloaded": self.downloaded,
            "retries": self.retries,
            "phases": {name: phase.to_dict() for name, phase in self.phases.items()},
            "roles": [role.to_dict() for role in self.roles],
            "verified": list(self.verified),
            "self_tests": dict(self.self_tests),
        }

    def _asked(self) -> dict[str, object]:
        return {"endpoint": self.endpoint, "channel": self.channel, "device": self.device}

    def _signers(self) -> Table:
        return Table("Roles", ROLE_COLUMNS, tuple(role.cells for role in self.roles))

    def _steps(self) -> Iterator[tuple[str, ...]]:
        """A phase for people: what it did not need is left empty."""
        for name, each in self.phases.items():
            asked = (str(each.requests), size(each.received), str(each.retries)) if each.requests else ("", "", "")
            yield name, f"{each.seconds:.3f}", *asked, "" if each.passed else "ended here"

    def _costs(self) -> tuple[tuple[str, ...], ...]:
        return tuple(
            (name, f"{each.seconds:.3f}", str(each.requests), str(each.received), str(each.retries), _passed(each))
            for name, each in self.phases.items()
        )

    def _case(self, name: str) -> Case:
        """A phase as a case: the status is that of the phase in which the check ended."""
        phase = self.phases.get(name)
        if phase is None:
            return Case(
                name=name,
                told="Not done: the check ended before, was told to leave it out, or has no need of it.",
                skipped=True,
            )
        tested = "; ".join(f"{model}: {told}" for model, told in self.self_tests.items())
        told = tested if name == "self-test" else str(phase)
        if phase.passed:
            return Case(name=name, told=told, seconds=phase.seconds)
        return Case(name=name, told=self.detail, seconds=phase.seconds, failed=self.status.value)

    def _status(self) -> Case:
        failed = None if self.status is UpdateStatus.SUCCESS else self.status.value
        return Case(name="status", told=self.detail, failed=failed)


def _passed(phase: Phase) -> str:
    return "yes" if phase.passed else "no"
