"""Renewal: what is online is signed again long before it runs out, so that a quiet app never looks frozen.

The rule: a role is due when less than half of a full life is left to it: the timestamp, the snapshot and, where an
operator's key is at hand, the channels role. A timestamp or a snapshot that was signed by a clock that was ahead is due too
(``Online.holds_too_long``); whether it is this clock that is behind, a person says (``Online.must_not_shorten``). A server asks
by itself, a folder has ``mlpublish repo renew``. Any number of processes may ask at once: exactly one renews. What only people
can renew is told in time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from mlpublish.errors import Conflict, MlpublishError, NotFound, RecipeError
from mlpublish.formats.problem import problem_of
from mlpublish.repository.head import Head, next_version
from mlpublish.repository.online import Online
from mlpublish.repository.place import Place
from mlpublish.repository.repository import AppRepository
from mlpublish.shown import Shown
from mlpublish.storage.in_folder import sweep
from mlpublish.trust import roles
from mlpublish.trust.changes import Edit
from mlpublish.trust.keys import holder_of

SOON = timedelta(days=14)  # what the holders of a role get to meet in
_ONLINE = ("snapshot", "timestamp")
_TRIES = 20
_LISTED = 5  # apps named in one line
_REMEDIES = {
    "root": "sign the next root: mlpublish repo rotate root",
    "targets": "sign the app role again: publish a release, or mlpublish review propose",
    roles.CHANNELS: "sign the channels again: mlpublish repo rotate operators, or let [online] channels name a key",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A role that runs out soon, or has, and that nobody here can renew.

    Args:
        role: ``root``, ``targets`` (the app role) or ``channels``.
        threshold: how many of its holders must sign.
        holders: each one's name, or else the key id's first 12 digits.
    """

    app_id: str
    role: str
    expires: datetime
    threshold: int
    holders: tuple[str, ...]

    def __str__(self) -> str:
        ends = "expired" if self.expires <= roles.now() else "expires"
        who = f"{self.threshold} of {', '.join(self.holders)}" if len(self.holders) > 1 else "".join(self.holders)
        return f"{self.app_id}: the {self.role} role {ends} on {self.expires:%Y-%m-%d}; {who} must {_REMEDIES[self.role]}."

    def to_dict(self) -> dict[str, Any]:
        return {
            "app": self.app_id,
            "role": self.role,
            "expires": f"{self.expires:%Y-%m-%dT%H:%M:%SZ}",
            "threshold": self.threshold,
            "holders": list(self.holders),
            "message": str(self),
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Renewal(Shown):
    """What one round did.

    Args:
        renewed: the apps where something was signed again.
        fresh: the apps where nothing was due.
        failed: app id -> why; one broken repository never keeps the others from being renewed.
        ending: what people must renew.
    """

    renewed: tuple[str, ...]
    fresh: tuple[str, ...]
    failed: Mapping[str, MlpublishError]
    ending: tuple[Ending, ...] = ()

    def rows(self) -> Mapping[str, object]:
        return {
            "renewed": _listed(self.renewed),
            "not due": len(self.fresh),
            "failed": _listed(tuple(self.failed)),
            "running out": _listed(tuple(f"{each.app_id} ({each.role})" for each in self.ending)),
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            "renewed": list(self.renewed),
            "fresh": list(self.fresh),
            "failed": {app_id: problem_of(error) for app_id, error in self.failed.items()},
            "ending": [each.to_dict() for each in self.ending],
        }


def due(head: Head, online: Online, *, now: datetime) -> frozenset[str]:
    """The roles to which less than half of a full life (``online``'s days) is left, of those that ``online`` can sign.

    The timestamp and the snapshot also where they hold too long; an operator may give channels any life.
    """
    lives = {
        "timestamp": (head.timestamp.signed.expires, online.timestamp_days),
        "snapshot": (head.snapshot.signed.expires, online.snapshot_days),
    }
    if _is_operator(head, online):
        lives[roles.CHANNELS] = (head.channels.signed.expires, online.channels_days)
    waning = {name for name, (expires, days) in lives.items() if expires - now < timedelta(days=days) / 2}
    return frozenset(waning | {name for name in _ONLINE if online.holds_too_long(name, lives[name][0], now=now)})


def renew(repositories: Iterable[AppRepository], online: Online, *, now: datetime | None = None) -> Renewal:
    """Sign again whatever is due.

    Args:
        repositories: the apps' repositories.
        online: who signs, and for how many days.
        now: the present in UTC; given by tests and dry runs only.

    Returns:
        A Renewal; errors of single repositories are in it.
    """
    done: dict[str, bool] = {}
    failed: dict[str, MlpublishError] = {}
    ending: list[Ending] = []
    for repository in repositories:
        try:
            head = repository.head()
            ending += _ending(repository.app_id, head, online, now or roles.now())
            done[repository.app_id] = _renewed(repository, head, online, now)
        except MlpublishError as error:
            failed[repository.app_id] = error
    return Renewal(
        renewed=tuple(app_id for app_id, signed in done.items() if signed),
        fresh=tuple(app_id for app_id, signed in done.items() if not signed),
        failed=failed,
        ending=tuple(ending),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What ``mlpublish repo renew`` does, as often as it is called.

    Args:
        place: the folder of repositories.
        online: its keys, opened once.
        app_ids: the apps that are meant; none means all, also those that come later.
    """

    place: Place
    online: Online
    app_ids: tuple[str, ...] = ()

    @classmethod
    def at(cls, where: str | Path | None, app_ids: tuple[str, ...] = (), *, shorten: bool = False) -> Rounds:
        """Find the folder and open its keys.

        Args:
            where: a folder of repositories or a ``file:`` URI.
            shorten: see ``Online``.

        Raises:
            RecipeError: none is named, a server's URL is, or nobody names its online keys.
            NotFound: there is no such folder, or no such app in it.
            SigningError: a key cannot be opened.
        """
        if where is None or str(where).startswith(("http:", "https:")):
            raise RecipeError(
                "No folder of repositories is named." if where is None else f"{where} is a server, which renews by itself.",
                remedy="Pass --repository DIR, the folder that holds the repositories.",
                field="repository",
            )
        place = Place.find(where)
        if not place.repository.is_dir():
            raise NotFound(f"There is no folder {place.repository}.", remedy="Check --repository DIR.", field="repository")
        for app_id in app_ids:
            place.apps.repository(app_id)
        online = place.online()
        if online is None:
            raise RecipeError(
                f"No online keys are named for {place.repository}.",
                remedy="Name the folder that holds its server.toml, or snapshot and timestamp under [keys] in mlpublish.toml.",
                field="repository",
            )
        return cls(place=place, online=replace(online, shorten=shorten), app_ids=app_ids)

    def must_come_in_time(self, seconds: float) -> None:
        """Refuse a pause between rounds after which a role may have run out: a round must fall into its second half.

        Raises:
            RecipeError: it is longer than half of the shortest life.
        """
        longest = self.online.shortest_days * 86400 / 2
        if seconds > longest:
            raise RecipeError(
                f"A round every {seconds:g} seconds is too rare: what is signed here holds {2 * longest:g} seconds.",
                remedy=f"Give --every {longest:.0f}s or less.",
                field="every",
            )

    def play(self, stopped: Callable[[], bool] = lambda: False) -> Renewal:
        """One round: renew what is due, and remove what crashed runs left.

        Args:
            stopped: asked between apps; once it says so, the rest is left to the next round.
        """
        apps = [self.place.apps.repository(app_id) for app_id in self.app_ids] if self.app_ids else self.place.apps
        renewal = renew(takewhile(lambda _: not stopped(), apps), self.online)
        if not stopped():
            sweep(self.place.repository)
        return renewal


def _renewed(repository: AppRepository, head: Head, online: Online, now: datetime | None) -> bool:
    """Whether this process signed something; a commit of the channels role renews the other two by the way."""
    wanted = due(head, online, now=now or roles.now())
    channels = roles.CHANNELS in wanted and _channels_renewed(repository, online, now)
    return channels or (bool(wanted) and repository.renew(online, partial(_due_stamps, online, now), standing=head))


def _due_stamps(online: Online, now: datetime | None, head: Head) -> Collection[str]:
    return due(head, online, now=now or roles.now()) - {roles.CHANNELS}


def _channels_renewed(repository: AppRepository, online: Online, now: datetime | None) -> bool:
    """Commit the channels role anew, saying what it says; whoever steers in the meantime wins, and dueness is asked again."""
    assert online.channels is not None
    for _ in range(_TRIES):
        head = repository.head()
        if roles.CHANNELS not in due(head, online, now=now or roles.now()):
            return False
        base = head.channels.signed.version
        version = next_version(repository.store.read, roles.CHANNELS, base)
        role = roles.signed_by(roles.following(head.channels, version, online.channels_days), online.channels)
        try:
            return repository.commit({roles.CHANNELS: Edit(base=base, metadata=role.to_bytes())}, online, lambda _target: None)
        except Conflict:
            continue
    raise Conflict(f"The channels of {repository.app_id} moved on {_TRIES} times.", remedy="Try again in a moment.")


def _is_operator(head: Head, online: Online) -> bool:
    return online.channels is not None and online.channels.public_key.keyid in _appointed(head, roles.CHANNELS)[1]


def _ending(app_id: str, head: Head, online: Online, now: datetime) -> Iterable[Ending]:
    """The channels role is left out where a key at hand renews it."""
    people = {"root": head.root.signed.expires, "targets": head.targets.signed.expires}
    if not _is_operator(head, online):
        people[roles.CHANNELS] = head.channels.signed.expires
    for name, expires in people.items():
        if expires - now < SOON:
            threshold, keyids = _appointed(head, name)
            yield Ending(
                app_id=app_id, role=name, expires=expires, threshold=threshold, holders=tuple(_name(head, id) for id in keyids)
            )


def _appointed(head: Head, name: str) -> tuple[int, tuple[str, ...]]:
    role = head.delegator(name).get_delegated_role(name)
    return role.threshold, tuple(role.keyids)


def _name(head: Head, keyid: str) -> str:
    delegations = head.targets.signed.delegations
    known = head.root.signed.keys | ({} if delegations is None else delegations.keys)
    return (holder_of(known[keyid]) if keyid in known else None) or keyid[:12]


def _listed(names: tuple[str, ...]) -> str | None:
    if not names:
        return None
    return f"{len(names)}: {', '.join(names[:_LISTED])}{', …' if len(names) > _LISTED else ''}"
