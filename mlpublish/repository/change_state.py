"""How a change stands to what is current: whether it landed, moved, ran out, or waits for signatures."""

from __future__ import annotations

from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import Conflict, Expired, FormatError, NotFound
from mlpublish.repository.head import Head, Read
from mlpublish.repository.records import Kept
from mlpublish.trust import approval, roles
from mlpublish.trust.approval import Present
from mlpublish.trust.changes import Change

OPEN_STATES = ("waiting", "complete", "moved", "expired")


def state_of(kept: Kept, head: Head | None, read: Read) -> str:
    """``committed``, ``rejected``, ``superseded``; or of an open one: ``moved`` (its base is current no more), ``expired``,
    ``complete`` (everybody signed, and it still was not committed) or ``waiting`` for signatures.
    """
    recorded = None if kept.closed is None else kept.closed.outcome
    if recorded == "committed" or (head is not None and landed(kept.change, head, read)):
        return "committed"
    if recorded is not None:
        return recorded
    if head is not None and moved(kept.change, head):
        return "moved"
    if expired_role(kept.change) is not None:
        return "expired"
    return "complete" if approval.complete(kept.signed, Present() if head is None else head.present) else "waiting"


def landed(change: Change, head: Head, read: Read) -> bool:
    """Whether everything that it says became current, also where a run broke off before it could record that."""
    return all(_stands(change.role(name), name, _current(head, name), read) for name in change.edits)


def moved(change: Change, head: Head) -> bool:
    """Whether a role that it edits was edited by somebody else since."""
    return any(_current(head, name) != edit.base for name, edit in change.edits.items())


def expired_role(change: Change) -> str | None:
    """The first of its roles that ran out before enough people had signed, if one did."""
    return next((name for name in change.edits if change.role(name).signed.is_expired(roles.now())), None)


def stale(change: Change, head: Head | None) -> bool:
    """Whether no signature can help it any more."""
    return expired_role(change) is not None or (head is not None and moved(change, head))


def refuse_stale(change: Change, head: Head | None) -> None:
    """Refuse what nobody must sign any more.

    Raises:
        Conflict: a role was edited by somebody else since.
        Expired: one of its roles ran out before enough people had signed.
    """
    remedy = f"Make it again, and sign anew: mlpublish review rebase {change.id} --app {change.app_id}."
    for name, edit in change.edits.items():
        if head is not None and _current(head, name) != edit.base:
            raise Conflict(
                f"Change {change.id} was made from version {edit.base} of the {name} role, which is at {_current(head, name)} "
                "now.",
                remedy=remedy,
                field=name,
            )
    gone = expired_role(change)
    if gone is not None:
        raise Expired(
            f"The {gone} role of change {change.id} ran out on {change.role(gone).signed.expires:%Y-%m-%d}.",
            remedy=f"Reject it, then: mlpublish repo add-app DIR --app {change.app_id}." if change.founds else remedy,
            field=gone,
        )


def refuse_closed(kept: Kept) -> None:
    """Raises Conflict if it is closed."""
    if kept.closed is not None:
        why = f" ({kept.closed.reason})" if kept.closed.reason else ""
        raise Conflict(
            f"Change {kept.change.id} is closed: {kept.closed.outcome} on {kept.closed.at}{why}.",
            remedy="Propose it anew if it is still wanted (sign the bundle again for a release).",
            field="change",
        )


def _stands(role: Metadata[Root] | Metadata[Targets], name: str, current: int, read: Read) -> bool:
    """Whether a role is current, or was; a file above what is current is only what a crashed run left."""
    if role.signed.version > current:
        return False
    try:
        standing = read(f"metadata/{role.signed.version}.{name}.json")
        return roles.parse_named(standing, name).signed_bytes == role.signed_bytes
    except (NotFound, FormatError):
        return False


def _current(head: Head, name: str) -> int:
    return head.root.signed.version if name == "root" else head.role(name).signed.version
