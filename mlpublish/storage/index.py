"""The contract of the index: what a server must look up or keep in order, beside the blobs.

Tokens are kept as digests only. Reports of devices will join here; what a release is never does: that is in signed files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token as it is remembered.

    Args:
        id: its name in the audit; the first 12 hex digits of the digest.
        role: admin, deployer, operator or monitor.
        digest: sha256 of the token, 64 lower-case hex digits.
    """

    id: str
    role: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who tried what, and what came of it.

    Args:
        at: when, in UTC.
        who: ``<role>:<token id>``, or ``nobody`` where no known token was shown.
        app: the app's id, where one was named.
        what: the request in words, such as ``commit targets``.
        outcome: ``created``, ``unchanged``, or an error's code.
    """

    at: datetime
    who: str
    app: str | None
    what: str
    outcome: str


class Index(Protocol):
    """Small facts in a database; every method raises StorageError where the database fails."""

    def tokens(self) -> tuple[Token, ...]:
        """Every token that counts."""

    def replace_tokens(self, tokens: Iterable[Token]) -> None:
        """Let these count from now on, and no others."""

    def record(self, entry: AuditEntry) -> None:
        """Write an audit entry durably; there is no method that changes or removes one."""

    def audit(self, *, app: str | None = None, limit: int = 100) -> tuple[AuditEntry, ...]:
        """The latest entries, newest first; of one app, or of all."""

    def close(self) -> None:
        """Let the database go."""
