"""``repo status``: who holds what, what runs out when, and who must act, with the command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import MlpublishError
from mlpublish.repository.access import Access
from mlpublish.repository.change_state import state_of
from mlpublish.repository.head import Head
from mlpublish.repository.records import Kept
from mlpublish.repository.renew import SOON
from mlpublish.repository.review import Where
from mlpublish.shown import Shown
from mlpublish.trust import approval, roles
from mlpublish.trust.approval import Present
from mlpublish.trust.intents import holder
from mlpublish.trust.lints import lint

_ONLINE_DAYS = {"snapshot": 7, "timestamp": 1}  # the least that a repository's holder gives them
_RENEWED_DAYS = 7  # a channels role that is renewed by itself


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
            when = "EXPIRED" if left <= timedelta() else _left(left)
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


def _left(left: timedelta) -> str:
    return f"{left.days} days left" if left.days > 1 else f"{left.total_seconds() / 3600:.0f} hours left"


def status(where: Where) -> Status:
    """Look at one app's repository; what is wrong with it is in the answer.

    Raises:
        EndpointUnreachable, RecipeError: the endpoint does not answer, or no root is trusted.
    """
    reached = where.access
    try:
        head = reached.head_as_it_is() if reached.stands() else None
    except MlpublishError as error:
        if error.exit_code in (2, 4, 7):
            raise
        return Status(app_id=where.app, failure=str(error))
    waiting, unseen = _open_change(reached)
    todos = () if waiting is None else tuple(_to_do(reached, waiting, head))
    if head is None:
        failure = None if todos else f"{where.app} has no repository at {reached.endpoint.uri}."
        return Status(app_id=where.app, todos=todos, notes=unseen, failure=failure)
    told = tuple(_roles(head))
    due = tuple(todo for role in told for todo in _due(reached, role, head))
    notes = (f"{each.problem} {each.remedy}" for each in lint(head.root, head.targets) if not each.ends)
    return Status(app_id=where.app, roles=told, todos=(*due, *todos), notes=(*_renewed(head), *notes, *unseen))


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


def _due(reached: Access, role: RoleStatus, head: Head) -> Iterator[Todo]:
    """A role that runs out soon, or did."""
    left, warned = role.expires - roles.now(), _warned(role, head)
    if left >= warned:
        return
    told = "expired" if left <= timedelta() else "expires"
    online = role.role in _ONLINE_DAYS
    yield Todo(
        who="whoever runs the repository" if online else _some(role.threshold, role.holders),
        why=f"The {role.role} role {told} on {role.expires:%Y-%m-%d %H:%M} UTC.",
        command=_command(reached, role.role),
    )


def _warned(role: RoleStatus, head: Head) -> timedelta:
    """How long before its end people are told: a quarter of a life; half of one is what renewal acts on by itself.

    A channels role that a server renews holds a week at most, so one with more than that left waits for its operators.
    """
    if role.role == roles.CHANNELS:
        left = role.expires - roles.now()
        return SOON if left > timedelta(days=_RENEWED_DAYS) else timedelta(days=_RENEWED_DAYS * 3 / 8)
    lives = {"root": roles.ROOT_DAYS, "targets": head.policy.expiry_days, **_ONLINE_DAYS}
    return timedelta(days=lives[role.role] / 4)


def _renewed(head: Head) -> Iterator[str]:
    """What is worth knowing of a channels role of which it does not show whether somebody renews it."""
    expires = head.channels.signed.expires
    if timedelta(days=_RENEWED_DAYS * 3 / 8) <= expires - roles.now() <= timedelta(days=_RENEWED_DAYS):
        yield (
            f"The channels role expires on {expires:%Y-%m-%d}. A server with an operator's key ([online] channels) renews it; "
            "if there is none, an operator must."
        )


def _command(reached: Access, role: str) -> str:
    where = f"--app {reached.app_id} --at {reached.endpoint.uri}"
    then = f", then the others: mlpublish review sign {where} --key KEYURI"
    return {
        "root": f"mlpublish repo rotate root {where} --key KEYURI{then}",
        "targets": f"mlpublish review propose {where} --key KEYURI{then}",
        roles.CHANNELS: f"mlpublish repo rotate operators {where} --key KEYURI",
    }.get(role, f"mlpublish repo renew --app {reached.app_id} where the repository lies, or let its server run")


def _open_change(reached: Access) -> tuple[Kept | None, tuple[str, ...]]:
    """The change that waits, and what to say if nobody lets one look: changes are shown to known tokens only."""
    try:
        waiting = reached.endpoint.changes(reached.app_id).open
        return (None if waiting is None else reached.endpoint.change(reached.app_id, waiting)), ()
    except MlpublishError as error:
        if error.exit_code != 4:
            raise
        return None, (f"Open changes are not looked at: {error}",)


def _to_do(reached: Access, kept: Kept, head: Head | None) -> Iterator[Todo]:
    """What the open change waits for: one thing, for it is one act for each holder."""
    change, state = kept.change, state_of(kept, head, reached.read)
    where = f"--app {reached.app_id} --at {reached.endpoint.uri}"
    told = f"Change {change.id} ({change.intent.summary})"
    sign = f"mlpublish review sign {change.id} {where} --key KEYURI"
    if state in ("moved", "expired"):
        why = "was made from what is current no more" if state == "moved" else "ran out before enough people had signed"
        command = f"mlpublish review rebase {where} --key KEYURI (or review reject)"
        yield Todo(who="whoever proposed it", why=f"{told} {why}.", command=command)
    elif state == "complete":
        why = f"{told} has every signature, and was not committed: a run broke off, or was refused and told why."
        yield Todo(who="one who signed it", why=why, command=f"{sign} (it tells what is in the way)")
    elif state == "waiting":
        missing = [need for need in approval.needs(kept.signed, Present() if head is None else head.present) if need.missing]
        who = dict.fromkeys(f"{_some(need.missing, need.waiting)} for {need.role}" for need in missing)
        yield Todo(
            who="; ".join(who),
            why=f"{told} waits for signatures.",
            command=f"mlpublish review show {change.id} {where}, then {sign}",
        )


def _some(count: int, keys: Sequence[Key]) -> str:
    names = [holder(key) for key in keys]
    return names[0] if len(names) == 1 else f"{count} of {', '.join(names)}"
