"""Renewal: snapshot and timestamp are signed again long before they run out, so that a quiet app never looks frozen.

The rule: an app is due when less than half of a full life is left to its timestamp or its snapshot. A server asks about
hourly. Renewing twice at once is safe: the compare-and-swap of
the commit lets both through, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlpublish.errors import MlpublishError
from mlpublish.repository.head import Head
from mlpublish.repository.online import Online
from mlpublish.repository.repository import AppRepository
from mlpublish.trust import roles


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What one round did.

    Args:
        renewed: the apps whose snapshot and timestamp were signed again.
        fresh: the apps that were not due.
        failed: app id -> why; one broken repository never keeps the others from being renewed.
    """

    renewed: tuple[str, ...]
    fresh: tuple[str, ...]
    failed: dict[str, MlpublishError]


def is_due(head: Head, online: Online, *, now: datetime) -> bool:
    """Whether less than half of a full life (``online``'s days) is left to the timestamp or the snapshot."""
    return _short(head.timestamp.signed.expires, online.timestamp_days, now) or _short(
        head.snapshot.signed.expires, online.snapshot_days, now
    )


def renew(repositories: Iterable[AppRepository], online: Online, *, now: datetime | None = None) -> Renewal:
    """Sign snapshot and timestamp again wherever they are due.

    Args:
        repositories: the apps' repositories.
        online: who signs, and for how many days.
        now: the present in UTC; given by tests and dry runs only.

    Returns:
        A Renewal; errors of single repositories are in it.
    """
    renewed: list[str] = []
    fresh: list[str] = []
    failed: dict[str, MlpublishError] = {}
    for repository in repositories:
        try:
            due = is_due(repository.head(), online, now=now or roles.now())
            if due:
                repository.commit({}, online, lambda _target: None)
            (renewed if due else fresh).append(repository.app_id)
        except MlpublishError as error:
            failed[repository.app_id] = error
    return Renewal(renewed=tuple(renewed), fresh=tuple(fresh), failed=failed)


def _short(expires: datetime, days: float, now: datetime) -> bool:
    return expires - now < timedelta(days=days) / 2
