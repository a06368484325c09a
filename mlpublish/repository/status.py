"""``repo status``: who holds what, what runs out when, and who must act, with the command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import MlpublishError, NotFound
from mlpublish.repository.changes import moved
from mlpublish.repository.head import Head
from mlpublish.repository.review import Where
from mlpublish.shown import Shown
from mlpublish.trust import approval, roles
from mlpublish.trust.intents import holder
from mlpublish.trust.lints import lint

_ONLINE_DAYS = {"snapshot": 7, "timestamp": 1}  # the least that a repository's holder gives them


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleStatus:
    """One role: who holds it, and until when what it says holds."""

    role: str
    version: int
    threshold: int
    holders: tuple[Key, ...]
    expires: datetime

    def to_dict(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "version": self.version,
            "threshold": self.threshold,
            "holders": [{"keyid": key.keyid, "name": holder(key), "scheme": key.scheme} for key in self.holders],
            "expires": f"{self.expires:%Y-%m-%dT%H:%M:%SZ}",
            "days_left": (self.expires - roles.now()).days,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """Something that somebody must do.

    Args:
        who: the holders' names, or ``whoever runs the repository``.
        why: the fact.
        command: what does it.
    """

    who: str
    why: str
    command: str

    def to_dict(self) -> dict[str, Any]:
        return {"who": self.who, "why": self.why, "command": self.command}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Status(Shown):
    """One app's repository.

    Args:
        todos: what must be done; empty where nobody must act.
        notes: what is allowed and still worth a thought.
        failure: why the repository could not be read; then there is nothing else.
    """

    app_id: str
    roles: tuple[RoleStatus, ...] = ()
    todos: tuple[Todo, ...] = ()
    notes: tuple[str, ...] = ()
    failure: str | None = None

    def rows(self) -> dict[str, object]:
        shown: dict[str, object] = {"app": self.app_id}
        for role in self.roles:
            left = role.expires - roles.now()
            when = f"{left.days} days left" if left > timedelta() else "EXPIRED"
            who = ", ".join(holder(key) for key in role.holders)
            shown[f"{role.role} {role.version}"] = (
                f"{role.threshold} of {who}; until {role.expires:%Y-%m-%d %H:%M} UTC ({when})"
            )
        for index, todo in enumerate(self.todos, 1):
            shown[f"to do {index}"] = f"{todo.who}: {todo.why} Run: {todo.command}"
        for index, note in enumerate(self.notes, 1):
            shown[f"note {index}"] = note
        return shown | {"failure": self.failure, "must anybody act": "no" if not self.todos and self.failure is None else "yes"}

    def to_dict(self) -> dict[str, Any]:
        return {
            "app": self.app_id,
            "roles": [role.to_dict() for role in self.roles],
            "must_act": bool(self.todos) or self.failure is not None,
            "todos": [todo.to_dict() for todo in self.todos],
            "notes": list(self.notes),
            "failure": self.failure,
        }


def status(where: Where) -> Status:
    """Look at one app's repository; what is wrong with it is in the answer.

    Raises:
        EndpointUnreachable, RecipeError: the endpoint does not answer, or no root is trusted.
    """
    reached = where.access
    try:
        head = reached.head_as_it_is()
    except NotFound:
        return _unmade(where)
    except MlpublishError as error:
        if error.exit_code in (2, 4, 7):
            raise
        return Status(app_id=where.app, failure=str(error))
    told = tuple(_roles(head))
    todos = (*(todo for role in told for todo in _due(where.app, role, head)), *_open_change(where, head))
    notes = tuple(f"{each.problem} {each.remedy}" for each in lint(head.root, head.targets) if "expire" not in each.problem)
    return Status(app_id=where.app, roles=told, todos=todos, notes=notes)


def _roles(head: Head) -> Iterator[RoleStatus]:
    held: tuple[tuple[str, Root | Targets, Metadata[Any]], ...] = (
        ("root", head.root.signed, head.root),
        ("targets", head.root.signed, head.targets),
        (roles.CHANNELS, head.targets.signed, head.channels),
        ("snapshot", head.root.signed, head.snapshot),
        ("timestamp", head.root.signed, head.timestamp),
    )
    for name, delegator, role in held:
        appointed = delegator.get_delegated_role(name)
        yield RoleStatus(
            role=name,
            version=role.signed.version,
            threshold=appointed.threshold,
            holders=tuple(delegator.get_key(keyid) for keyid in appointed.keyids),
            expires=role.signed.expires,
        )


def _due(app_id: str, role: RoleStatus, head: Head) -> Iterator[Todo]:
    """A role of which less than a quarter of its life is left; half a life is what renewal acts on by itself."""
    life = {"root": roles.ROOT_DAYS, "targets": head.policy.expiry_days, roles.CHANNELS: 7, **_ONLINE_DAYS}[role.role]
    left = role.expires - roles.now()
    if left >= timedelta(days=life / 4):
        return
    fact = f"The {role.role} role expired on" if left <= timedelta() else f"The {role.role} role expires on"
    who = ", ".join(holder(key) for key in role.holders)
    command = {
        "root": f"mlpublish repo rotate root --app {app_id} --key KEYURI, then mlpublish review sign",
        "targets": f"mlpublish review propose --app {app_id} --key KEYURI, then mlpublish review sign",
        roles.CHANNELS: f"mlpublish repo renew --app {app_id} with [keys] channels in mlpublish.toml",
    }.get(role.role, f"mlpublish repo renew --app {app_id}, or let a server run")
    online = role.role in _ONLINE_DAYS
    yield Todo(
        who="whoever runs the repository" if online else who, why=f"{fact} {role.expires:%Y-%m-%d %H:%M} UTC.", command=command
    )


def _open_change(where: Where, head: Head | None) -> Iterator[Todo]:
    """The change that waits, and for whom."""
    reached = where.access
    try:
        waiting = reached.endpoint.changes(where.app).open
    except MlpublishError as error:
        if error.exit_code != 4:
            raise
        return  # changes are shown to known tokens only
    if waiting is None:
        return
    kept = reached.endpoint.change(where.app, waiting)
    if head is not None and moved(kept.change, head):
        yield Todo(
            who="whoever proposed it",
            why=f"The base of change {waiting} ({kept.change.intent.summary}) moved.",
            command=f"mlpublish review rebase --app {where.app}",
        )
        return
    present = approval.Present() if head is None else head.present
    for need in approval.needs(kept.signed, present):
        if need.missing:
            yield Todo(
                who=f"{need.missing} of {', '.join(holder(key) for key in need.waiting)}",
                why=f"Change {waiting} ({kept.change.intent.summary}) waits for signatures on the {need.role} role.",
                command=f"mlpublish review show --app {where.app}, then mlpublish review sign --app {where.app} --key KEYURI",
            )


def _unmade(where: Where) -> Status:
    """A repository that is to be made, or none at all."""
    todos = tuple(_open_change(where, None))
    failure = None if todos else f"{where.app} has no repository at {where.access.endpoint.uri}."
    return Status(app_id=where.app, todos=todos, failure=failure)
