"""The verbs of ``review``: propose an edit of who may what, look at a change, sign it, reject it, make it again.

A change is looked at and signed where the reviewer's key is: everything current is verified under the root that is trusted
there, what the change does is recomputed from that, and the bundle's bytes are held against what is signed. Through an
endpoint the change is committed as soon as enough holders have signed; by files see ``review_files.py``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tuf.api.metadata import Root

from mlpublish.artifacts import Bundle
from mlpublish.errors import Conflict, MlpublishError, NotFound, RecipeError, SigningError, VerificationError
from mlpublish.formats.channel import bundle_path
from mlpublish.formats.wire import digest_of
from mlpublish.repository import defaults
from mlpublish.repository.access import Access, access
from mlpublish.repository.change_report import ChangeReport, report_on
from mlpublish.repository.changes import moved
from mlpublish.repository.development import Development
from mlpublish.repository.edits import edits_for
from mlpublish.repository.head import FIRST_ROOT, TIMESTAMP, Head
from mlpublish.repository.records import Kept
from mlpublish.trust import approval, roles
from mlpublish.trust.approval import Present
from mlpublish.trust.changes import Change, Review, reviewed
from mlpublish.trust.intents import Intent
from mlpublish.trust.releases import held_bundle
from mlpublish.trust.signer import Signer, signer_for

_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Whose changes, and who looks at them.

    Args:
        app: the app's bundle id.
        at: the endpoint, ``http(s)://host[:port]`` or ``file:DIR``.
        repository: a development folder that keys, token and root come from; by default the configured one.
        root: the app's trusted root; by default mlpublish.toml's, or the development folder's.
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
        head = reached.head()
        edits = edits_for(intent, head, reached.read, even_if_offered=even_if_offered)
        change = Change(app_id=where.app, intent=intent, proposed_by="", edits=edits)
        signers = _signers(where, change, head.present)
        change = replace(change, proposed_by=next(iter(signers.values())).public_key.keyid)
        reviews = tuple(_approved(change, head.present, signer, comment) for signer in signers.values())
        try:
            kept = reached.endpoint.propose(where.app, change, reviews, policy_blob(change))
        except Conflict:
            if attempt == _TRIES - 1 or not moved(change, reached.head()):
                raise
            continue
        return report_on(kept, head.present, _state(kept, reached), {})
    raise AssertionError("the last try returns or raises")


def changes(where: Where) -> Iterator[ChangeReport]:
    """Every change of an app, the newest first; bundles are not looked at."""
    reached = where.access
    for change_id in reversed(reached.endpoint.changes(where.app).ids):
        kept = reached.endpoint.change(where.app, change_id)
        yield report_on(kept, _present(reached, kept.change), _state(kept, reached), {})


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
    kept = _found(where, reached, change_id)
    present = _present(reached, kept.change)
    with fetched(reached, kept.change, present) as bundles:
        return report_on(kept, present, _state(kept, reached), bundles)


def sign(where: Where, change_id: str | None = None, *, comment: str = "") -> ChangeReport:
    """Sign a change with one's own key, after everything that ``show`` verifies.

    Returns:
        The change as it stands then: committed, if this was the last signature that it needed.

    Raises:
        NotFound, DigestMismatch, VerificationError: see ``show``; nothing is signed.
        Conflict: it is closed, or its base moved: rebase it.
        SigningError: the key holds none of its roles.
    """
    reached = where.access
    kept = _found(where, reached, change_id)
    present = _present(reached, kept.change)
    _refuse_closed(kept)
    with fetched(reached, kept.change, present) as bundles:
        for signer in _signers(where, kept.change, present).values():
            review = _approved(kept.change, present, signer, comment)
            kept = reached.endpoint.review(where.app, kept.change.id, review)
        return report_on(kept, present, _state(kept, reached), bundles)


def reject(where: Where, change_id: str | None = None, *, reason: str) -> ChangeReport:
    """Close a change for good; whoever holds one of its roles may, and the reason stays readable.

    Raises:
        RecipeError: no reason is given.
        Conflict: it is closed already.
        SigningError: the key holds none of its roles.
    """
    if not reason.strip():
        raise RecipeError("A rejection needs its reason.", remedy="Give one: --reason TEXT.", field="reason")
    reached = where.access
    kept = _found(where, reached, change_id)
    present = _present(reached, kept.change)
    _refuse_closed(kept)
    signer = next(iter(_signers(where, kept.change, present).values()))
    review = reviewed(kept.change, (), signer, verdict="reject", comment=reason.strip())
    kept = reached.endpoint.review(where.app, kept.change.id, review)
    return report_on(kept, present, _state(kept, reached), {})


def rebase(where: Where, change_id: str | None = None) -> ChangeReport:
    """Make a change again from what is current now, from its intent; old signatures count no more.

    Raises:
        Conflict: its base did not move.
        RecipeError, NotFound, AlreadyPublished: it cannot be meant any more.
    """
    reached = where.access
    kept, head = _found(where, reached, change_id), reached.head()
    if kept.closed is not None and kept.closed.outcome in ("committed", "rejected"):
        _refuse_closed(kept)
    if not moved(kept.change, head):
        raise Conflict(
            f"Change {kept.change.id} stands on what is current.",
            remedy="Sign it as it is: mlpublish review sign.",
            field="change",
        )
    old, intent = kept.change.targets(), kept.change.intent
    added = None if old is None or intent.release is None else old.signed.targets.get(bundle_path(intent.release))
    edits = edits_for(intent, head, reached.read, added=added)
    change = Change(app_id=where.app, intent=intent, proposed_by="", edits=edits)
    with fetched(reached, change, head.present) as bundles:
        signers = _signers(where, change, head.present)
        change = replace(change, proposed_by=next(iter(signers.values())).public_key.keyid)
        reviews = tuple(_approved(change, head.present, signer, "") for signer in signers.values())
        kept = reached.endpoint.propose(where.app, change, reviews, policy_blob(change))
        return report_on(kept, head.present, _state(kept, reached), bundles)


@contextmanager
def fetched(reached: Access, change: Change, present: Present) -> Iterator[Mapping[int, Bundle]]:
    """The bundles that a change adds, each held byte for byte against what would be signed; gone afterwards."""
    targets = change.targets()
    with tempfile.TemporaryDirectory(prefix="mlpublish-review-") as scratch:
        found = {}
        for number in added_by(change, present):
            assert targets is not None
            place = Path(scratch, f"{number}.zip")
            reached.endpoint.download(change.app_id, roles.stored_at(targets.signed.targets[bundle_path(number)]), place)
            found[number] = held_bundle(targets.signed, number, place)
        yield found


def added_by(change: Change, present: Present) -> tuple[int, ...]:
    """The numbers of the releases that a change adds or alters."""
    targets = change.targets()
    if targets is None:
        return ()
    old: Mapping[str, object] = {} if present.targets is None else present.targets.signed.targets
    numbers = roles.releases_of(targets.signed)
    return tuple(
        number for number in sorted(numbers) if old.get(bundle_path(number)) != targets.signed.targets[bundle_path(number)]
    )


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


def _signers(where: Where, change: Change, present: Present) -> dict[str, Signer]:
    """Who signs: the key that is given, else whatever keys are configured for the roles of the change."""
    if where.signer is not None:
        given = signer_for(where.signer)
        if not approval.may_sign(change, present, given.public_key.keyid):
            raise not_a_holder(change, present, given)
        return {given.public_key.keyid: given}
    found: dict[str, Signer] = {}
    for name in change.edits:
        signer = defaults.signer_of(name, None, where.development)
        if approval.may_sign(change, present, signer.public_key.keyid):
            found[signer.public_key.keyid] = signer
    if not found:
        raise not_a_holder(change, present, defaults.signer_of(next(iter(change.edits)), None, where.development))
    return found


def _present(reached: Access, change: Change) -> Present:
    """What is current, verified; nothing, for an app whose repository is still to be made.

    That there is none yet is an endpoint's word. It is taken for first versions alone, and only where no root of the app is
    trusted: else whoever lies about it could have a later root signed by people who see nothing to hold it against.
    """
    try:
        reached.read(TIMESTAMP)
    except NotFound as exc:
        if change.founds and reached.root is None:
            return Present()
        raise VerificationError(
            f"{reached.endpoint.uri} shows no repository of {reached.app_id}, and yet a change of it.",
            remedy="Do not sign it. Check the address, and ask whoever runs the server.",
            field="change",
        ) from exc
    if change.founds:
        first = reached.read(FIRST_ROOT)
        root = change.root
        if root is not None and roles.parse(first, Root, "root").signed_bytes == root.signed_bytes:
            return Present()  # the repository that it made
        raise VerificationError(
            f"{reached.app_id} has a repository; {change.id} would make another one.", remedy="Reject it.", field="change"
        )
    return reached.head().present


def _found(where: Where, reached: Access, change_id: str | None) -> Kept:
    listed = reached.endpoint.changes(where.app)
    if change_id is None:
        if listed.open is None:
            raise NotFound(f"No change of {where.app} is open.", remedy="See all: mlpublish review list.", field="change")
        return reached.endpoint.change(where.app, listed.open)
    fitting = [each for each in listed.ids if each.startswith(change_id)]
    if len(fitting) != 1:
        known = ", ".join(listed.ids[-5:]) or "none"
        raise NotFound(
            f"{change_id} names {len(fitting)} changes of {where.app}.", remedy=f"The newest are: {known}.", field="change"
        )
    return reached.endpoint.change(where.app, fitting[0])


def _state(kept: Kept, reached: Access) -> str:
    if kept.closed is not None:
        return kept.closed.outcome
    try:
        head: Head = reached.head()
    except NotFound:
        return "waiting"
    if all(_says(reached, name, kept.change) for name in kept.change.edits):
        return "committed"  # a run broke off between the commit and its record
    return "moved" if moved(kept.change, head) else "waiting"


def _says(reached: Access, name: str, change: Change) -> bool:
    """Whether what the change says of a role became current."""
    role = change.role(name)
    try:
        standing = reached.read(f"metadata/{role.signed.version}.{name}.json")
        return roles.parse_named(standing, name).signed_bytes == role.signed_bytes
    except MlpublishError:
        return False


def _refuse_closed(kept: Kept) -> None:
    if kept.closed is not None:
        raise Conflict(
            f"Change {kept.change.id} is closed: {kept.closed.outcome} on {kept.closed.at}.",
            remedy="Propose it anew if it is still wanted.",
            field="change",
        )


def policy_blob(change: Change) -> Mapping[str, bytes]:
    """The bytes of policy.json, which a policy's edit names anew."""
    targets = change.targets()
    if targets is None:
        return {}
    content = roles.policy_of(targets.signed).to_bytes()
    return {digest_of(content): content}
