"""Changes from the side of whoever proposes or reviews them: what is current is verified here, under a root trusted here.

A reviewer never trusts what a change says of itself: its roles are held against the verified present ones
(``looking.py``), what it does is recomputed from that, and the bundle's bytes are held against what is signed. Through an
endpoint the change is committed as soon as enough holders have signed; by files see ``review_files.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlpublish.errors import Conflict, RecipeError, SigningError, VerificationError
from mlpublish.formats.channel import release_paths
from mlpublish.formats.wire import digest_of
from mlpublish.repository import defaults
from mlpublish.repository.access import Access, access
from mlpublish.repository.change_report import ChangeReport, listed, report_on
from mlpublish.repository.change_state import moved, refuse_closed, refuse_stale, stale, state_of
from mlpublish.repository.development import Development
from mlpublish.repository.edits import edits_for
from mlpublish.repository.looking import fetched, found, look_at
from mlpublish.repository.records import Kept
from mlpublish.trust import approval, lints, roles
from mlpublish.trust.approval import Present
from mlpublish.trust.changes import Change, Review, reviewed
from mlpublish.trust.diff import beyond, differences
from mlpublish.trust.intents import Intent
from mlpublish.trust.signer import Signer, signer_for

_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Whose changes, and who looks at them.

    Args:
        app: the app's bundle id.
        at: the endpoint, ``http(s)://host[:port]`` or ``file:DIR``.
        repository: a development folder that keys, token and root come from; by default the configured one.
        root: the app's trusted root; by default mlpublish.toml's, or the development folder's. Nobody signs without one.
        signer: whose key signs; by default mlpublish.toml's ``[keys]`` or the development folder's.
        token: the bearer token for a server.
    """

    app: str
    at: str | Path
    repository: str | Path | None = None
    root: Path | str | bytes | None = None
    signer: Signer | str | None = None
    token: str | None = None

    @property
    def access(self) -> Access:
        return access(self.app, self.at, repository=self.repository, token=self.token, root=self.root)

    @property
    def development(self) -> Development | None:
        return defaults.development_among(self.at, defaults.repository_for(self.repository))


def propose(where: Where, intent: Intent, *, even_if_offered: bool = False, comment: str = "") -> ChangeReport:
    """Edit the app role's policy or the keys of a role: a change, signed by the proposer as far as the key reaches.

    Args:
        intent: of kind ``policy`` or ``rotate``.
        even_if_offered: see ``edits_for``.

    Returns:
        The change as it stands: committed, if this signature was enough.

    Raises:
        RecipeError, NotFound: it cannot be meant of what is current.
        Conflict: another change is open.
        SigningError, PublishError: the key or the endpoint refuses.
    """
    reached = where.access
    for attempt in range(_TRIES):
        head = reached.trusted_head()
        edits = edits_for(intent, head, reached.read, even_if_offered=even_if_offered)
        change = Change(app_id=where.app, intent=intent, proposed_by="", edits=edits)
        change, reviews = _signed(where, change, head.present, comment)
        try:
            kept = reached.endpoint.propose(where.app, change, reviews, policy_blob(change))
        except Conflict:
            if attempt == _TRIES - 1 or not moved(change, reached.head()):
                raise
            continue
        return report_on(kept, head.present, _outcome(kept, head.present), {})
    raise AssertionError("the last try returns or raises")


def changes(where: Where) -> Iterator[ChangeReport]:
    """Every change of an app, the newest first; neither bundles nor differences are looked at."""
    reached = where.access
    head = reached.head() if reached.stands() else None
    present = Present() if head is None else head.present
    for change_id in reversed(reached.endpoint.changes(where.app).ids):
        kept = reached.endpoint.change(where.app, change_id)
        yield listed(kept, present, state_of(kept, head, reached.read))


def show(where: Where, change_id: str | None = None) -> ChangeReport:
    """What a change does, recomputed here; its bundle is fetched and held against what is signed.

    Args:
        change_id: by default the open one; the beginning of an id is enough.

    Raises:
        NotFound: there is no such change, or none is open.
        DigestMismatch: the bundle is not the one that is signed.
        VerificationError: what is current does not verify under the trusted root.
    """
    reached = where.access
    look = look_at(reached, found(reached, change_id))
    with fetched(reached, look.kept.change, look.present) as bundles:
        return report_on(look.kept, look.present, look.state, bundles)


def sign(
    where: Where,
    change_id: str | None = None,
    *,
    comment: str = "",
    confirm: Callable[[ChangeReport], None] = lambda _: None,
) -> ChangeReport:
    """Sign a change with one's own key, after everything that ``show`` verifies; a committed one is left as it is.

    Args:
        confirm: is shown what would be signed, and stops it by raising; what it saw is what is signed.

    Returns:
        The change as it stands then: committed, if this was the last signature that it needed.

    Raises:
        NotFound, DigestMismatch, VerificationError: see ``show``; nothing is signed.
        Conflict: it is closed, or its base moved: rebase it.
        SigningError: the key holds none of its roles, or it appoints who must never be appointed so.
    """
    reached = where.access
    look = look_at(reached, found(reached, change_id))
    kept, change, present = look.kept, look.kept.change, look.present
    if look.state == "committed":
        return report_on(kept, present, look.state, {})
    refuse_closed(kept)
    refuse_stale(change, look.head)
    lints.refuse(*(change.role(name) for name in change.edits))
    with fetched(reached, change, present) as bundles:
        signers = _signers(where, change, present)
        confirm(report_on(kept, present, look.state, bundles))
        for signer in signers:
            kept = reached.endpoint.review(where.app, change.id, _approved(change, present, signer, comment))
        return report_on(kept, present, _outcome(kept, present), bundles)


def reject(where: Where, change_id: str | None = None, *, reason: str) -> ChangeReport:
    """Close a change; whoever holds one of its roles may, and the reason stays readable.

    From then on only a complete set of signatures that is handed in at once (``review_files.submit``) commits it.

    Raises:
        RecipeError: no reason is given.
        Conflict: it is closed already.
        SigningError: the key holds none of its roles.
    """
    if not reason.strip():
        raise RecipeError("A rejection needs its reason.", remedy="Give one: --reason TEXT.", field="reason")
    reached = where.access
    kept = found(reached, change_id)
    refuse_closed(kept)
    present = reached.trusted_head().present if reached.stands() else Present()
    signer = _signers(where, kept.change, present)[0]
    review = reviewed(kept.change, (), signer, verdict="reject", comment=reason.strip())
    kept = reached.endpoint.review(where.app, kept.change.id, review)
    return listed(kept, present, _outcome(kept, present))


def rebase(where: Where, change_id: str | None = None) -> ChangeReport:
    """Make a change again from what is current now, from its intent; old signatures count no more.

    Raises:
        Conflict: nothing moved, and it did not run out.
        RecipeError, NotFound, AlreadyPublished: it cannot be meant any more.
        VerificationError: its intent means more than what it does, which is all that anybody looked at.
    """
    reached = where.access
    kept, head = found(reached, change_id), reached.trusted_head()
    if state_of(kept, head, reached.read) in ("committed", "rejected"):
        refuse_closed(kept)
    if not stale(kept.change, head):
        raise Conflict(
            f"Change {kept.change.id} stands on what is current.",
            remedy="Sign it as it is: mlpublish review sign.",
            field="change",
        )
    old, intent = kept.change.targets(), kept.change.intent
    named = {} if old is None or intent.release is None else old.signed.targets
    added = [named[path] for path in release_paths(intent.release or 0) if path in named]
    edits = edits_for(intent, head, reached.read, added=added)
    change = Change(app_id=where.app, intent=intent, proposed_by="", edits=edits)
    _refuse_more(kept.change, look_at(reached, kept).present, change, head.present)
    with fetched(reached, change, head.present) as bundles:
        change, reviews = _signed(where, change, head.present, "")
        kept = reached.endpoint.propose(where.app, change, reviews, policy_blob(change))
        return report_on(kept, head.present, _outcome(kept, head.present), bundles)


def _refuse_more(old: Change, base: Present, new: Change, present: Present) -> None:
    more = beyond(differences(old, base), differences(new, present))
    if more:
        raise VerificationError(
            f"Change {old.id} says that it means more than it does: {more[0].role}  {more[0].sentence}.",
            remedy="Reject it, and propose anew what is wanted.",
            field="intent",
        )


def _signed(where: Where, change: Change, present: Present, comment: str) -> tuple[Change, tuple[Review, ...]]:
    """A new change with the name and the reviews of whoever proposes it."""
    signers = _signers(where, change, present)
    change = replace(change, proposed_by=signers[0].public_key.keyid)
    return change, tuple(_approved(change, present, signer, comment) for signer in signers)


def _approved(change: Change, present: Present, signer: Signer, comment: str) -> Review:
    """The holder's signatures on every role of the change that the key reaches."""
    names = approval.may_sign(change, present, signer.public_key.keyid)
    if not names:
        raise not_a_holder(change, present, signer)
    return reviewed(change, names, signer, comment=comment)


def not_a_holder(change: Change, present: Present, signer: Signer) -> SigningError:
    """The error for a key that could sign, and is nobody's here."""
    who = "; ".join(need.sentence for need in approval.needs(change, present))
    return SigningError(
        f"The key {signer.public_key.keyid[:12]} holds none of the roles of {change.id}: {who}.",
        remedy="Sign with the key of one of them; or let it be appointed first: mlpublish repo rotate ROLE --add KEY.",
        field="key",
    )


def _signers(where: Where, change: Change, present: Present) -> list[Signer]:
    """Who signs: the key that is given, else whatever keys are configured for the roles of the change."""
    if where.signer is not None:
        given = signer_for(where.signer)
        if not approval.may_sign(change, present, given.public_key.keyid):
            raise not_a_holder(change, present, given)
        return [given]
    configured = [defaults.signer_of(name, None, where.development) for name in change.edits]
    holders = {
        signer.public_key.keyid: signer for signer in configured if approval.may_sign(change, present, signer.public_key.keyid)
    }
    if not holders:
        raise not_a_holder(change, present, configured[0])
    return list(holders.values())


def _outcome(kept: Kept, present: Present) -> str:
    """How a change stands that an endpoint just answered with."""
    if kept.closed is not None:
        return kept.closed.outcome
    return "complete" if approval.complete(kept.signed, present) else "waiting"


def policy_blob(change: Change) -> Mapping[str, bytes]:
    """The bytes of policy.json, which a policy's edit names anew."""
    targets = change.targets()
    if targets is None:
        return {}
    content = roles.policy_of(targets.signed).to_bytes()
    return {digest_of(content): content}
