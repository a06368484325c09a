"""A verified role as the reports show it: who signed, out of whom, until when; and what is to be warned of in it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from mlpublish.reports import RoleReport
from mlpublish.trust import roles
from mlpublish.trust.intents import holder
from mlpublish.trust.lints import lint

# where a server renews them, they live 7, 7 and 1 days
_SOON = timedelta(days=14)
_RENEWED = {"channels": timedelta(days=3), "snapshot": timedelta(days=2), "timestamp": timedelta(hours=6)}


def report_on(delegator: Root | Targets, name: str, role: Metadata[roles.S]) -> RoleReport:
    """Describe a role that has been verified under whoever appoints its keys."""
    appointed, signed_by = delegator.get_delegated_role(name), roles.signers_of(delegator, name, role)
    return RoleReport(
        role=name,
        version=role.signed.version,
        threshold=appointed.threshold,
        signed_by=signed_by,
        expires=role.signed.expires,
        signers=tuple(holder(delegator.get_key(keyid)) for keyid in signed_by),
        keys=len(appointed.keyids),
    )


def report_of(delegator: Root | Targets, name: str, data: bytes) -> RoleReport:
    """The same from the role's bytes.

    Raises:
        FormatError: they are no such role's.
    """
    match name:
        case "root":
            return report_on(delegator, name, roles.parse(data, Root, name))
        case "timestamp":
            return report_on(delegator, name, roles.parse(data, Timestamp, name))
        case "snapshot":
            return report_on(delegator, name, roles.parse(data, Snapshot, name))
    return report_on(delegator, name, roles.parse(data, Targets, name))


def warnings_on(reports: Iterable[RoleReport], root: Metadata[Root], targets: Metadata[Targets]) -> tuple[str, ...]:
    """What runs out soon, and what mlpublish would never sign: one key under two ids is one signer that counts for two."""
    return (*_ending(reports), *(f"{found.problem} {found.remedy}" for found in lint(root, targets) if found.refused))


def _ending(reports: Iterable[RoleReport]) -> tuple[str, ...]:
    """A sentence for each role that runs out soon: within 14 days, or, where a machine renews it, when that is overdue."""
    return tuple(
        f"The {each.role} role expires on {each.expires:%Y-%m-%d %H:%M} UTC; devices refuse what is expired."
        for each in reports
        if each.expires - roles.now() < _RENEWED.get(each.role, _SOON)
    )
