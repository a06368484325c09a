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

from securesystemslib.signer import Key

from mlpublish.errors import Conflict, EndpointRefused, NotFound, VerificationError
from mlpublish.formats.wire import Reader, dump
from mlpublish.repository import founding
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
        came = {each: min((at for at in self._times(each)), default="") for each in ids}
        waiting = self.open()
        return ChangeList(
            ids=tuple(sorted(ids, key=lambda each: (came[each], each))), open=None if waiting is None else waiting.change.id
        )

    def read(self, change_id: str) -> Kept:
        """One change.

        Raises:
            NotFound: there is none of that id.
        """
        folder = f"changes/{change_id}"
        try:
            change = Change.from_bytes(self._store.read(f"{folder}/change.json"))
        except NotFound as exc:
            raise NotFound(
                f"{self._repository.app_id} has no change {change_id}.", remedy="See: mlpublish review list.", field="change"
            ) from exc
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
            Conflict: another change is open, or its base moved.
            AlreadyPublished, EndpointRefused, VerificationError: see ``Endpoint.commit``.
        """
        head = self._held_against_rules(change, find_blob)
        present = Present() if head is None else head.present
        verified = [self._verified(change, present, review) for review in reviews]
        if head is not None and not any(change.edits.keys() & review.signatures.keys() for review in verified):
            raise VerificationError(
                f"Change {change.id} is signed by nobody who holds one of its roles.",
                remedy="Sign it with the key of whoever proposes it.",
                field="reviews",
            )
        self._store.create(f"changes/{change.id}/change.json", change.to_bytes())
        for review in verified:
            self._keep_review(change.id, review)
        kept = self.read(change.id)
        if kept.closed is None and not approval.complete(kept.signed, present):
            self._make_open(kept, head)
        return self._settled(kept, present, online, find_blob)

    def add(self, change_id: str, review: Review, online: Online, find_blob: FindBlob) -> Kept:
        """Take one more review; at the threshold the change is committed, at a rejection it is closed.

        Raises:
            Conflict: it is closed, or its base moved.
            VerificationError: the review is of other bytes, or of a key that holds none of its roles.
        """
        kept = self.read(change_id)
        head = self._head()
        present = Present() if head is None else head.present
        if kept.closed is not None and kept.closed.outcome != "committed":
            raise Conflict(
                f"Change {change_id} is closed: {kept.closed.outcome} on {kept.closed.at}.",
                remedy="Propose it anew if it is still wanted.",
                field="change",
            )
        if kept.closed is None:
            review = self._verified(kept.change, present, review)
            if head is not None:
                refuse_moved(kept.change, head)
            self._keep_review(change_id, review)
        if kept.closed is None and review.verdict == "reject":
            self._close(change_id, Closed(outcome="rejected", at=_now(), by=review.keyid, reason=review.comment))
            return self.read(change_id)
        return self._settled(self.read(change_id), present, online, find_blob)

    def _head(self) -> Head | None:
        return self._repository.head() if self._store.exists(TIMESTAMP) else None

    def _held_against_rules(self, change: Change, find_blob: FindBlob) -> Head | None:
        """Everything but signatures; the blobs that it names are stored, so that reviewers can look at them."""
        if change.app_id != self._repository.app_id:
            raise EndpointRefused(
                f"The change is for {change.app_id}, not {self._repository.app_id}.",
                remedy="Hand it to its own app.",
                field="app",
            )
        if change.founds:
            if self._store.exists(TIMESTAMP):
                raise Conflict(
                    f"{change.app_id} has a repository already.",
                    remedy="Change its keys with: mlpublish repo rotate.",
                    field="app",
                )
            return None
        head = self._head()
        if head is None:
            raise NotFound(
                f"{change.app_id} has no repository here.", remedy="Make it with: mlpublish repo add-app.", field="app"
            )
        head = self._repository.check(change.edits, find_blob)
        for name in ("targets", roles.CHANNELS):
            role = change.targets(name)
            if role is not None:
                self._repository.keep_blobs(head.role(name).signed, role.signed, find_blob)
        return head

    def _verified(self, change: Change, present: Present, review: Review) -> Review:
        """A review of these very bytes, by a key that holds one of the roles, with signatures that count."""
        if (review.app_id, review.change_id) != (change.app_id, change.id):
            raise VerificationError(
                f"This is a review of {review.change_id} of {review.app_id}, not of {change.id} of {change.app_id}: "
                "you looked at other bytes.",
                remedy="Get the change again (mlpublish review show), look at it, and sign that.",
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
                    f"The review means other bytes of the {name} role (sha256 {digest[:12]}…).",
                    remedy="Get the change again (mlpublish review show), look at it, and sign that.",
                    field=name,
                )
        signed = replace(change, edits=change.signed_with((review,)))
        counted = {need.role for need in approval.needs(signed, present) if key in need.signed}
        if review.verdict == "approve" and counted != set(review.signatures):
            raise VerificationError(
                f"The signature of {review.keyid[:12]} on {', '.join(sorted(set(review.signatures) - counted)) or 'a role'} "
                "does not hold.",
                remedy="Sign again with: mlpublish review sign.",
                field="signatures",
            )
        return review

    def _make_open(self, kept: Kept, head: Head | None) -> None:
        """Point ``open.json`` at it; a change whose base moved makes room."""
        while True:
            tag = self._store.read_tagged(OPEN)[1] if self._store.exists(OPEN) else None
            other = self.open()
            if other is not None and other.change.id == kept.change.id:
                return
            if other is not None:
                if head is not None and not moved(other.change, head):
                    raise Conflict(
                        f"Change {other.change.id} ({other.change.intent.summary}) is open; an app has one at a time.",
                        remedy=f"Sign or reject it first: mlpublish review show {other.change.id} --app {other.change.app_id}.",
                        field="change",
                    )
                reason = f"its base moved; {kept.change.id} was proposed"
                self._close(other.change.id, Closed(outcome="superseded", at=_now(), reason=reason))
            pointer = dump({"format": RECORD_FORMAT, "change": kept.change.id})
            if self._store.replace_if(OPEN, pointer, tag=tag):
                return

    def _settled(self, kept: Kept, present: Present, online: Online, find_blob: FindBlob) -> Kept:
        """The change, committed if everybody signed who has to."""
        if kept.closed is not None or not approval.complete(kept.signed, present):
            return kept
        if kept.change.founds:
            founding.found(self._repository, kept.signed, online)
        else:
            self._repository.commit(kept.signed.edits, online, find_blob)
        self._close(kept.change.id, Closed(outcome="committed", at=_now()))
        return self.read(kept.change.id)

    def _keep_review(self, change_id: str, review: Review) -> None:
        record = dump(Received(review=review, at=_now()).to_dict())
        name = review.keyid if review.verdict == "approve" else f"{review.keyid}.reject"
        self._store.create(f"changes/{change_id}/reviews/{name}.json", record)

    def _close(self, change_id: str, closed: Closed) -> None:
        self._store.create(f"changes/{change_id}/closed.json", dump(closed.to_dict()))

    def _times(self, change_id: str) -> Iterator[str]:
        folder = f"changes/{change_id}/reviews"
        return (self._received(f"{folder}/{name}").at for name in self._store.list(folder))

    def _received(self, path: str) -> Received:
        return Received.from_reader(Reader.parse(self._store.read(path), what=path))


def moved(change: Change, head: Head) -> bool:
    """Whether a role that it edits was edited by somebody else since."""
    return any(_current(head, name) != edit.base for name, edit in change.edits.items())


def refuse_moved(change: Change, head: Head) -> None:
    """Raises Conflict if its base moved; unless what it says is current already."""
    for name, edit in change.edits.items():
        current, version = _current(head, name), change.role(name).signed.version
        if current != edit.base and current != version:
            raise Conflict(
                f"Change {change.id} was made from version {edit.base} of the {name} role, which is at {current} now.",
                remedy=f"Make it again from there, and sign anew: mlpublish review rebase {change.id} --app {change.app_id}.",
                field=name,
            )


def holders_of(change: Change, present: Present) -> dict[str, Key]:
    """key id -> the key, for everybody who may sign one of the change's roles."""
    return {key.keyid: key for need in approval.needs(change, present) for key in (*need.signed, *need.waiting)}


def _current(head: Head, name: str) -> int:
    return head.root.signed.version if name == "root" else head.role(name).signed.version


def _now() -> str:
    return f"{roles.now():%Y-%m-%dT%H:%M:%SZ}"
