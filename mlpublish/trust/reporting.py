"""A verified role as the reports show it: who signed, out of whom, until when."""

from __future__ import annotations

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from mlpublish.reports import RoleReport
from mlpublish.trust import roles


def report_on(delegator: Root | Targets, name: str, role: Metadata[roles.S]) -> RoleReport:
    """Describe a role that has been verified under whoever appoints its keys."""
    return RoleReport(
        role=name,
        version=role.signed.version,
        threshold=delegator.get_delegated_role(name).threshold,
        signed_by=roles.signers_of(delegator, name, role),
        expires=role.signed.expires,
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
