"""What one update check did on a device: CheckReport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlpublish.artifacts import App
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.reports.verified import RoleReport
from mlpublish.shown import Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What one phase of a check cost.

    Args:
        seconds: how long it took.
        received: bytes of bodies that went over the wire.
        requests: how many were sent, those that failed too.
        retries: how many of them asked again for what had failed.
    """

    seconds: float
    received: int = 0
    requests: int = 0
    retries: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 3),
            "received": self.received,
            "requests": self.requests,
            "retries": self.retries,
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
        phases: ``metadata``, ``channel``, ``download``, ``self-test``, ``unzip`` -> what each cost, as far as the check got.
        roles: the signed roles that verified, root first, and who signed them.
        verified: what else holds of what was installed, one sentence each.
        self_tests: model name -> how its golden inputs went (``passed …``, ``not run: …``).
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

    def to_dict(self) -> dict[str, Any]:
        return {
            "status": self.status.value,
            "app": self.app.id,
            "app_version": self.app.version,
            "platform": self.app.platform,
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
