"""The changes of one app's repository: kept beside it, reviewed, committed at the threshold, readable for ever.

    changes/open.json                     {"format": 1, "change": id}     replaced by compare-and-swap; one open change per app
    changes/<id>/change.json              what was proposed
    changes/<id>/reviews/<key id>.json    {"format": 1, "received": when, "review": {…}}
    changes/<id>/closed.json              {"format": 1, "outcome": …, "at": when, "by": key id, "reason": …}

All but ``open.json`` are create-only. A crash leaves a change that the next review, or the same command again, finishes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from securesystemslib.signer import Key

from mlpublish.errors import Conflict, EndpointRefused, MlpublishError, NotFound, VerificationError
from mlpublish.formats.wire import Reader, dump
from mlpublish.repository import founding
from mlpublish.repository.change_state import landed, refuse_closed, refuse_stale, stale
from mlpublish.repository.head import TIMESTAMP, Head
from mlpublish.repository.online import Online
from mlpublish.repository.records import RECORD_FORMAT, ChangeList, Closed, Kept, Received
from mlpublish.repository.repository import AppRepository
from mlpublish.repository.rules import FindBlob
from mlpublish.trust import approval, roles
from mlpublish.trust.approval import Present
from mlpublish.trust.changes import CHANGE_ID, Change, Review

OPEN = "changes/open.json"


class Changes:
    """The changes of one app."""

    def __init__(self, repository: AppRepository) -> None:
        self._repository = repository
        self._store = repository.store

    def list(self) -> ChangeList:
        """Every change that was ever proposed."""
        ids = [name for name in self._store.list("changes") if self._store.exists(f"changes/{name}/change.json")]
        waiting = self.open()
        return ChangeList(ids=tuple(sorted(ids, key=self._came)), open=None if waiting is None else waiting.change.id)

    def read(self, change_id: str) -> Kept:
        """One change.

        Raises:
            NotFound: there is none of that id.
        """
        folder = f"changes/{change_id}"
        if not self._knows(change_id):
            raise NotFound(
                f"{self._repository.app_id} has no change {change_id!r}.", remedy="See: mlpublish review list.", field="change"
            )
        change = Change.from_bytes(self._store.read(f"{folder}/change.json"))
        if (change.app_id, change.id) != (self._repository.app_id, change_id):
            raise VerificationError(
                f"What is kept as change {change_id} is {change.id} of {change.app_id}.",
                remedy="Somebody wrote into the repository's folder: restore it from a backup.",
                field="change",
            )
        reviews = [self._received(f"{folder}/reviews/{name}") for name in self._store.list(f"{folder}/reviews")]
        closed = f"{folder}/closed.json"
        return Kept(
            change=change,
            reviews=tuple(sorted(reviews, key=lambda each: (each.at, each.review.keyid))),
            closed=Closed.from_reader(Reader.parse(self._store.read(closed), what=closed))
            if self._store.exists(closed)
            else None,
        )

    def open(self) -> Kept | None:
        """The change that waits for signatures, if one does."""
        if not self._store.exists(OPEN):
            return None
        found = self.read(Reader.parse(self._store.read(OPEN), what=OPEN).text("change", CHANGE_ID))
        return None if found.closed is not None else found

    def propose(self, change: Change, reviews: tuple[Review, ...], online: Online, find_blob: FindBlob) -> Kept:
        """Take a change and what was said to it already; commit it if that is enough.

        Raises:
            Conflict: another change is open, its base moved, or it was rejected.
            AlreadyPublished, EndpointRefused, VerificationError: see ``Endpoint.commit``.
        """
        head = self._head()
        if head is not None and landed(change, head, self._store.read):
            return self._finished(change)
        head = self._held_against_rules(change, head, find_blob)
        present = Present() if head is None else head.present
        verified = tuple(self._verified(change, present, review) for review in reviews)
        signed = replace(change, edits=change.signed_with(verified))
        whole = approval.complete(signed, present)  # then nobody's no can stop it: one holder must not outvote the threshold
        if self._knows(change.id) and not whole:
            refuse_closed(self.read(change.id))
        if head is not None and not any(_by_an_appointed(change, head, review) for review in verified):
            raise VerificationError(
                f"Change {change.id} is signed by nobody who holds one of its roles now.",
                remedy="Sign it with the key of whoever proposes it.",
                field="reviews",
            )
        if not whole:
            self._making_room(change, head)  # before anything is written
        self._keep_blobs(change, head, find_blob)
        self._store.create(f"changes/{change.id}/change.json", change.to_bytes())
        for review in verified:
            self._keep_review(change.id, review)
        kept = self.read(change.id)
        if whole:
            kept = replace(kept, change=signed, closed=None)
        elif not approval.complete(kept.signed, present):
            self._make_open(kept, head)
        return self._settled(kept, present, online, find_blob)

    def add(self, change_id: str, review: Review, online: Online, find_blob: FindBlob) -> Kept:
        """Take one more review; at the threshold the change is committed, at a rejection it is closed.

        Raises:
            Conflict: it is closed, or its base moved.
            VerificationError: the review is of other bytes, or of a key that holds none of its roles.
        """
        kept, head = self.read(change_id), self._head()
        if head is not None and landed(kept.change, head, self._store.read):
            kept = self._finished(kept.change)
        if kept.closed is not None and kept.closed.outcome == "committed" and review.verdict == "approve":
            return kept
        refuse_closed(kept)
        present = Present() if head is None else head.present
        review = self._verified(kept.change, present, review)
        if review.verdict == "reject":
            return self._rejected(kept.change, head, review)
        refuse_stale(kept.change, head)
        self._refuse_untrue(kept.change, head, find_blob)
        self._keep_review(change_id, review)
        return self._settled(self.read(change_id), present, online, find_blob)

    def _rejected(self, change: Change, head: Head | None, review: Review) -> Kept:
        if head is not None and not _by_an_appointed(change, head, review):
            raise VerificationError(
                f"The key {review.keyid[:12]} holds none of the roles of {change.id} yet.",
                remedy="Whoever holds one now rejects it; mlpublish repo status tells who.",
                field="key",
            )
        self._keep_review(change.id, review)
        self._close(change.id, Closed(outcome="rejected", at=_now(), by=review.keyid, reason=review.comment))
        now = self._head()  # somebody may have committed it at this very moment; what became current was not rejected
        if now is not None and landed(change, now, self._store.read):
            return replace(self.read(change.id), closed=Closed(outcome="committed", at=_now()))
        return self.read(change.id)

    def _head(self) -> Head | None:
        return self._repository.head() if self._store.exists(TIMESTAMP) else None

    def _held_against_rules(self, change: Change, head: Head | None, find_blob: FindBlob) -> Head | None:
        """Everything but signatures; gives what it was held against."""
        app_id = self._repository.app_id
        if change.app_id != app_id:
            raise EndpointRefused(
                f"The change is for {change.app_id}, not {app_id}.", remedy="Hand it to its own app.", field="app"
            )
        if change.founds:
            if head is not None:
                raise Conflict(
                    f"{app_id} has a repository already.", remedy="Change its keys with: mlpublish repo rotate.", field="app"
                )
            founding.check(change, app_id)
            return None
        if head is None:
            raise NotFound(f"{app_id} has no repository here.", remedy="Make it with: mlpublish repo add-app.", field="app")
        head = self._repository.check(change.edits, find_blob)
        approval.refuse_other_base(change, head.present)
        return head

    def _keep_blobs(self, change: Change, head: Head | None, find_blob: FindBlob) -> None:
        """Store what it names anew, so that reviewers can look at it."""
        self._refuse_untrue(change, head, find_blob)
        for name in ("targets", roles.CHANNELS):
            role = change.targets(name)
            if role is not None and head is not None:
                self._repository.keep_blobs(head.role(name).signed, role.signed, find_blob)

    def _refuse_untrue(self, change: Change, head: Head | None, find_blob: FindBlob) -> None:
        """A release that is not what is said of it; also one that waited while whoever made its model.sig was dropped."""
        targets = change.targets()
        if head is not None and targets is not None:
            self._repository.refuse_untrue(head, targets.signed, find_blob)

    def _verified(self, change: Change, present: Present, review: Review) -> Review:
        """A review of these very bytes, by a key that holds one of the roles, with signatures that count."""
        if (review.app_id, review.change_id) != (change.app_id, change.id):
            raise VerificationError(
                f"This is a review of {review.change_id} of {review.app_id}, not of {change.id} of {change.app_id}: "
                "you looked at other bytes.",
                remedy=_LOOK_AGAIN,
                field="change",
            )
        key = holders_of(change, present).get(review.keyid)
        if key is None:
            raise VerificationError(
                f"The key {review.keyid[:12]} holds none of the roles of {change.id}.",
                remedy="Sign with a key that does; mlpublish repo status tells who holds what.",
                field="key",
            )
        review.verify(key)
        for name, digest in review.digests.items():
            if name not in change.edits or change.digests[name] != digest:
                raise VerificationError(
                    f"The review means other bytes of the {name} role (sha256 {digest[:12]}…).", remedy=_LOOK_AGAIN, field=name
                )
        signed = replace(change, edits=change.signed_with((review,)))
        counted = {need.role for need in approval.needs(signed, present) if key in need.signed}
        if review.verdict == "approve" and (counted != set(review.signatures) or not counted):
            raise VerificationError(
                f"The signature of {review.keyid[:12]} on {', '.join(sorted(set(review.signatures) - counted)) or 'a role'} "
                "does not hold.",
                remedy="Sign again with: mlpublish review sign.",
                field="signatures",
            )
        return review

    def _making_room(self, change: Change, head: Head | None) -> Kept | None:
        """The change that is open, if it makes room for this one.

        Raises:
            Conflict: it does not.
        """
        other = self.open()
        if other is None or other.change.id == change.id:
            return other
        if stale(other.change, head) or (head is not None and landed(other.change, head, self._store.read)):
            return other
        raise Conflict(
            f"Change {other.change.id} ({other.change.intent.summary}) is open; an app has one at a time.",
            remedy=f"Sign or reject it first: mlpublish review show {other.change.id} --app {other.change.app_id}.",
            field="change",
        )

    def _make_open(self, kept: Kept, head: Head | None) -> None:
        """Point ``open.json`` at it; what was open and cannot be signed any more makes room."""
        while True:
            tag = self._store.read_tagged(OPEN)[1] if self._store.exists(OPEN) else None
            other = self._making_room(kept.change, head)
            if other is not None and other.change.id == kept.change.id:
                return
            if other is not None and head is not None and landed(other.change, head, self._store.read):
                self._finished(other.change)
            elif other is not None:
                reason = f"its base moved or it ran out; {kept.change.id} was proposed"
                self._close(other.change.id, Closed(outcome="superseded", at=_now(), reason=reason))
            if self._store.replace_if(OPEN, dump({"format": RECORD_FORMAT, "change": kept.change.id}), tag=tag):
                return

    def _settled(self, kept: Kept, present: Present, online: Online, find_blob: FindBlob) -> Kept:
        """The change, committed if everybody signed who has to."""
        if kept.closed is not None or not approval.complete(kept.signed, present):
            return kept
        try:
            if kept.change.founds:
                founding.found(self._repository, kept.signed, online)
            else:
                self._repository.commit(kept.signed.edits, online, find_blob)
        except Conflict:
            raise  # somebody else was faster, and no signature here counts any more
        except MlpublishError as error:
            error.remedy = (
                f"{error.remedy} No signature on {kept.change.id} is lost: once that is done, one who signed it runs "
                f"mlpublish review sign {kept.change.id} --app {kept.change.app_id} once more."
            )
            raise
        return self._finished(kept.change)

    def _finished(self, change: Change) -> Kept:
        """A change that is current, recorded as such; one that became so without being kept here has no record.

        A rejection that was recorded at the same moment came too late: what is current says how it ended.
        """
        closed = Closed(outcome="committed", at=_now())
        if not self._knows(change.id):
            return Kept(change=change, closed=closed)
        self._close(change.id, closed)
        kept = self.read(change.id)
        return kept if kept.closed is not None and kept.closed.outcome == "committed" else replace(kept, closed=closed)

    def _knows(self, change_id: str) -> bool:
        return self._store.exists(f"changes/{change_id}/change.json")

    def _keep_review(self, change_id: str, review: Review) -> None:
        received = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")  # the log's order
        record = dump(Received(review=review, at=received).to_dict())
        name = review.keyid if review.verdict == "approve" else f"{review.keyid}.reject"
        self._store.create(f"changes/{change_id}/reviews/{name}.json", record)

    def _close(self, change_id: str, closed: Closed) -> None:
        self._store.create(f"changes/{change_id}/closed.json", dump(closed.to_dict()))

    def _came(self, change_id: str) -> tuple[str, int, str]:
        """When the first word was said to it; the order of changes."""
        return min(self._times(change_id), default=""), int(change_id.split("-")[1]), change_id

    def _times(self, change_id: str) -> Iterator[str]:
        folder = f"changes/{change_id}/reviews"
        return (self._received(f"{folder}/{name}").at for name in self._store.list(folder))

    def _received(self, path: str) -> Received:
        return Received.from_reader(Reader.parse(self._store.read(path), what=path))


def _by_an_appointed(change: Change, head: Head, review: Review) -> bool:
    """Whether a key speaks that holds one of the roles by the word of what is current, not of the change alone."""
    root, targets = head.root.signed, head.targets.signed
    names = review.signatures if review.verdict == "approve" else change.edits
    return any(
        review.keyid in (targets if name == roles.CHANNELS else root).get_delegated_role(name).keyids
        for name in names
        if name != roles.CHANNELS or targets.delegations is not None
    )


def holders_of(change: Change, present: Present) -> dict[str, Key]:
    """key id -> the key, for everybody who may sign one of the change's roles."""
    return {key.keyid: key for need in approval.needs(change, present) for key in (*need.signed, *need.waiting)}


def _now() -> str:
    return f"{roles.now():%Y-%m-%dT%H:%M:%SZ}"


_LOOK_AGAIN = "Get the change again (mlpublish review show), look at it, and sign that."
