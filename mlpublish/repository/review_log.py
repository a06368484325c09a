"""``review log``: who said what about which bytes and when, for ever; each line holds by the key of whoever it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.exceptions import VerificationError as SignatureError
from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import FormatError, NotFound, VerificationError
from mlpublish.repository.access import Access
from mlpublish.repository.change_state import landed
from mlpublish.repository.head import Head
from mlpublish.repository.records import Kept
from mlpublish.repository.review import Where
from mlpublish.shown import Shown
from mlpublish.trust import roles
from mlpublish.trust.intents import holder


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One thing that happened.

    Args:
        at: when, by the clock of whoever did it; empty where only the role's own signatures tell.
        received: when it reached the repository, by its clock.
        event: ``proposed`` (with what the change says of itself), ``approve``, ``reject``, ``committed``, ``superseded``, or
            ``signed`` (a role without a change).
        who: the holder's name and key id, if a key did it.
        verified: whether the statement holds by that key; None where nothing is signed.
    """

    at: str
    received: str
    change: str
    event: str
    who: str | None
    told: str
    verified: bool | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "received": self.received,
            "change": self.change,
            "event": self.event,
            "who": self.who,
            "told": self.told,
            "verified": self.verified,
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ReviewLog(Shown):
    """Everything that was said and done to an app's roles, the oldest first."""

    app_id: str
    entries: tuple[LogEntry, ...]

    def rows(self) -> dict[str, object]:
        marks = {True: "", False: "  SIGNATURE DOES NOT HOLD", None: ""}
        return {
            f"{index:>3} {each.received or each.at or '-'}": f"{each.change}  {each.event}"
            f"{f' by {each.who}' if each.who else ''}{f': {each.told}' if each.told else ''}{marks[each.verified]}"
            for index, each in enumerate(self.entries, 1)
        }

    def brief(self) -> str:
        return f"of {self.app_id}, {len(self.entries)} entries"

    def to_dict(self) -> dict[str, Any]:
        return {"app": self.app_id, "entries": [each.to_dict() for each in self.entries]}


def log(where: Where) -> ReviewLog:
    """Read the whole record of an app and verify every statement in it.

    Raises:
        NotFound: the app has no repository there.
        VerificationError: what is current does not verify.
    """
    reached = where.access
    listed = [reached.endpoint.change(where.app, each) for each in reached.endpoint.changes(where.app).ids]
    claimed = _claimed(listed)
    if not reached.stands():
        if not listed:
            raise NotFound(
                f"{where.app} has no repository at {reached.endpoint.uri}.", remedy="Check --app and the address.", field="app"
            )
        return ReviewLog(app_id=where.app, entries=tuple(each for kept in listed for each in _entries(kept, claimed, claimed)))
    head = reached.head()
    versions = dict(_versions(reached, head))
    appointed = _appointed(head, versions.values())
    entries = [each for kept in listed for each in (*_entries(kept, appointed, claimed), *_landed(kept, head, reached))]
    return ReviewLog(app_id=where.app, entries=(*_unrecorded(versions, listed, appointed), *entries))


def _entries(kept: Kept, appointed: Mapping[str, Key], claimed: Mapping[str, Key]) -> Iterator[LogEntry]:
    """What happened to one change; a name is told only of a key that was appointed, not of what a change says of itself."""
    change_id = kept.change.id
    if kept.reviews:
        said = f"in its own words: {kept.change.intent.summary}"  # which nobody signs
        came = kept.reviews[0].at
        yield LogEntry(at=came, received=came, change=change_id, event="proposed", who=None, told=said, verified=None)
    for each in kept.reviews:
        named = appointed.get(each.review.keyid)
        key = named or claimed.get(each.review.keyid)
        yield LogEntry(
            at=each.review.at,
            received=each.at,
            change=change_id,
            event=each.review.verdict,
            who=each.review.keyid[:12] if named is None else holder(named),
            told=each.review.comment,
            verified=key is not None and each.review.change_id == change_id and _holds(each.review.verify, key),
        )
    if kept.closed is not None:
        yield LogEntry(
            at=kept.closed.at,
            received=kept.closed.at,
            change=change_id,
            event=kept.closed.outcome,
            who=None,
            told=kept.closed.reason,
            verified=None,
        )


def _holds(verify: Callable[[Key], None], key: Key) -> bool:
    try:
        verify(key)
    except VerificationError:
        return False
    return True


def _landed(kept: Kept, head: Head, reached: Access) -> Iterator[LogEntry]:
    """That a change became current, where the run that saw to it broke off before it said so, or a rejection came too late."""
    if (kept.closed is None or kept.closed.outcome != "committed") and landed(kept.change, head, reached.read):
        told = "its record was not written" if kept.closed is None else "all the same: its signatures were complete"
        yield LogEntry(at="", received="", change=kept.change.id, event="committed", who=None, told=told, verified=None)


def _versions(reached: Access, head: Head) -> Iterator[tuple[int, Metadata[Targets]]]:
    """Every version of the app role that stands there; crashed runs may have left one out."""
    for version in range(1, head.targets.signed.version + 1):
        try:
            yield version, roles.parse(reached.read(f"metadata/{version}.targets.json"), Targets, "targets")
        except (NotFound, FormatError):
            continue


def _unrecorded(
    versions: Mapping[int, Metadata[Targets]], listed: list[Kept], appointed: Mapping[str, Key]
) -> Iterator[LogEntry]:
    """Versions of the app role that no change tells of: who signed them stands in them."""
    recorded = {kept.change.role("targets").signed_bytes for kept in listed if "targets" in kept.change.edits}
    for version, role in versions.items():
        if role.signed_bytes not in recorded:
            who = ", ".join(holder(key) for key in _signers(role, appointed)) or "nobody who was ever appointed"
            change = f"targets {version}"
            yield LogEntry(at="", received="", change=change, event="signed", who=who, told="without a change", verified=None)


def _signers(role: Metadata[Targets], appointed: Mapping[str, Key]) -> Iterator[Key]:
    """The keys whose signatures on a role hold; what else lies beside them says nothing."""
    for keyid, signature in role.signatures.items():
        key = appointed.get(keyid)
        try:
            if key is not None:
                key.verify_signature(signature, role.signed_bytes)
                yield key
        except (UnverifiedSignatureError, SignatureError):
            continue


def _appointed(head: Head, versions: Iterable[Metadata[Targets]]) -> dict[str, Key]:
    """Every key that was ever appointed, by the trusted chain of roots or by an app role that one of them vouches for."""
    chain = [roles.parse(data, Root, "root").signed for data in head.roots]
    found: dict[str, Key] = {}
    for role in versions:
        if role.signed.delegations is not None and any(roles.holds(root, "targets", role) for root in chain):
            found |= role.signed.delegations.keys
    for root in chain:
        found |= root.keys
    return found


def _claimed(listed: list[Kept]) -> dict[str, Key]:
    """Every key that a change would appoint, or names as an old pin."""
    found: dict[str, Key] = {}
    for kept in listed:
        root, targets, pin = kept.change.root, kept.change.targets(), kept.change.intent.pin
        found |= {} if root is None else root.signed.keys
        found |= {} if targets is None or targets.signed.delegations is None else targets.signed.delegations.keys
        found |= {} if pin is None else {pin.keyid: pin}
    return found
