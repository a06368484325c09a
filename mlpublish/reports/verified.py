"""What offline verification found: RoleReport, VerifyReport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlpublish.artifacts import App, Bundle
from mlpublish.shown import Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleReport:
    """One verified role: who signed it, out of whom, until when."""

    role: str
    version: int
    threshold: int
    signed_by: tuple[str, ...]
    expires: datetime

    def to_dict(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "version": self.version,
            "threshold": self.threshold,
            "signed_by": list(self.signed_by),
            "expires": self.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class VerifyReport(Shown):
    """What offline verification found; a broken link is an error, never a report.

    Args:
        roles: the signed roles that were checked, root first; empty for a bare bundle.
        proven: what holds, one sentence each.
        not_proven: what this cannot show, one sentence each.
    """

    what: Path
    kind: str
    bundle: Bundle
    app: App | None
    number: int | None
    roles: tuple[RoleReport, ...]
    proven: tuple[str, ...]
    not_proven: tuple[str, ...]

    def rows(self) -> Mapping[str, object]:
        return {
            "verified": f"{self.kind} {self.what}",
            "release": self.number,
            "bundle sha256": self.bundle.sha256,
            "proven": " ".join(self.proven),
            "not proven": " ".join(self.not_proven),
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            "what": str(self.what),
            "kind": self.kind,
            "bundle": self.bundle.to_dict(),
            "app": None if self.app is None else self.app.id,
            "app_version": None if self.app is None else self.app.version,
            "platform": None if self.app is None else self.app.platform,
            "number": self.number,
            "roles": [role.to_dict() for role in self.roles],
            "models": {
                model.name: None if model.parity is None else model.parity.to_dict() for model in self.bundle.manifest.models
            },
            "proven": list(self.proven),
            "not_proven": list(self.not_proven),
        }
