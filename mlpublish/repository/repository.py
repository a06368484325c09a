"""One app's repository: commit signed roles so that nobody's work is lost.

The protocol of a commit: adopt what an earlier run finished signing but did not make current; write roles and blobs
create-only; write a snapshot under a number nobody took; then compare-and-swap ``timestamp.json``, the one file that is
ever replaced, or start over. A crash at any write leaves the old state current, and the next run repairs.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import BinaryIO

from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from mlpublish.errors import Conflict, EndpointRefused, FormatError, RolledBack, VerificationError
from mlpublish.repository import rules
from mlpublish.repository.countersigning import countersigned
from mlpublish.repository.head import FIRST_ROOT, TIMESTAMP, Head, read_head
from mlpublish.repository.online import Online
from mlpublish.repository.rules import FindBlob
from mlpublish.storage.blobs import BlobStore
from mlpublish.trust import roles
from mlpublish.trust.changes import Edit

_TRIES = 50


class AppRepository:
    """One app's repository in a blob store.

    Args:
        store: its paths begin at the app's folder (``metadata/…``, ``targets/…``).
        app_id: for errors.
    """

    def __init__(self, store: BlobStore, app_id: str) -> None:
        self.store = store
        self.app_id = app_id

    def head(self) -> Head:
        """What is current, with the tag that the store gave its timestamp; see ``read_head``."""
        stamp, tag = self.store.read_tagged(TIMESTAMP)
        head = read_head(lambda path: stamp if path == TIMESTAMP else self.store.read(path), app_id=self.app_id)
        return replace(head, tag=tag)

    def commit(self, edits: Mapping[str, Edit], online: Online, find_blob: FindBlob) -> bool:
        """Make signed roles current: the app role and the channels role together, then a new root.

        Args:
            edits: role name -> the edit; none at all renews snapshot and timestamp.
            online: who signs snapshot and timestamp.
            find_blob: gives the bytes of a target that the edits name anew, their digest verified.

        Returns:
            False if all of it was current already.

        Raises:
            Conflict, AlreadyPublished, EndpointRefused, VerificationError: see ``Endpoint.commit``.
        """
        if self._countersigns(edits):
            return self._countersign(edits["root"])
        for attempt in range(_TRIES):
            standing = self.head()
            todo = {name: edit for name, edit in edits.items() if not self._is_current(standing, name, edit)}
            if edits and not todo:
                return attempt > 0
            online.must_not_shorten(standing.timestamp.signed.expires, now=roles.now())  # before anything is written
            head = self._adopt(standing)
            if head is not standing:  # made current by itself: an edit that knows nothing of it must be made again
                if self._publish(head, {}, online) and not edits:
                    return True
                continue
            new, root = self._checked(head, todo, online, find_blob)
            for name, role in new.items():
                self.keep_blobs(head.role(name).signed, role.signed, find_blob)
                self._keep_role(name, role.signed.version, todo[name].metadata)
            if root is None:
                if self._publish(head, new, online):
                    return True
            elif new or not _runs_under(root.signed, head):  # first what must be current before the root is
                self._publish(head, new, online)
            elif self._keep_root(head, todo["root"].metadata):
                return True
        raise Conflict(
            f"The repository of {self.app_id} moved on {_TRIES} times during one commit.", remedy="Try again in a moment."
        )

    def renew(self, online: Online, due: Callable[[Head], Collection[str]], *, standing: Head | None = None) -> bool:
        """Sign anew what is due; of many who ask at once exactly one does it, since each asks again after losing a swap.

        Args:
            online: who signs.
            due: says which of ``snapshot`` and ``timestamp`` are due in a head. Without the snapshot only the timestamp is
                signed, so that a device that is up to date fetches nothing else.
            standing: the head, if it was read a moment ago.

        Returns:
            False if nothing was due, or is any more.

        Raises:
            SigningError: the keys are not those of this repository, or this clock may be behind.
            Conflict: the repository moved on each time.
        """
        for _ in range(_TRIES):
            standing = standing or self.head()
            wanted = due(standing)
            if not wanted:
                return False
            head = self._adopt(standing)
            online.must_suffice(head.root.signed)
            online.must_not_shorten(head.timestamp.signed.expires, now=roles.now())
            if "snapshot" in wanted or head is not standing:
                done = self._publish(head, {}, online)
            else:
                done = self._stamp(head, head.snapshot.signed.version, online)
            if done:
                return True
            standing = None
        raise Conflict(f"The repository of {self.app_id} moved on {_TRIES} times.", remedy="Try again in a moment.")

    def check(self, edits: Mapping[str, Edit], find_blob: FindBlob) -> Head:
        """Hold edits that are not fully signed yet against every other rule; gives the head that they were held against.

        Raises:
            Conflict, AlreadyPublished, EndpointRefused, VerificationError: see ``Endpoint.commit``.
        """
        head = self.head()
        self._allowed(head, edits, find_blob)
        return head

    def _adopt(self, head: Head) -> Head:
        """The head with work that an earlier run signed and wrote in full but did not make current."""
        targets = self._next_whole(head, "targets")
        head = head if targets is None else replace(head, targets=targets)
        channels = self._next_whole(head, roles.CHANNELS)
        return head if channels is None else replace(head, channels=channels)

    def _next_whole(self, head: Head, name: str) -> Metadata[Targets] | None:
        number = head.role(name).signed.version + 1
        path = f"metadata/{number}.{name}.json"
        if not self.store.exists(path):
            return None
        try:
            role = roles.parse(self.store.read(path), Targets, name)
            rules.refuse_expired(name, role)
            _refuse_unsigned(head, {name: role})
            whole = all(self.store.exists(roles.stored_at(target)) for target in role.signed.targets.values())
            if whole and name == "targets":
                self.refuse_untrue(head, role.signed, lambda _: None)
        except (VerificationError, FormatError, EndpointRefused):
            return None  # junk, run out, against a rule, or signed by who no longer holds the role; numbers step over it
        return role if whole and role.signed.version == number else None

    def _is_current(self, head: Head, name: str, edit: Edit) -> bool:
        """Whether what it says is current; who else signed it does not matter."""
        current = head.root.signed.version if name == "root" else head.role(name).signed.version
        proposed = roles.parse_named(edit.metadata, name)
        if name == "root" and proposed.signed.version < current:
            current = proposed.signed.version  # a root is followed by others, and stays true
        if proposed.signed.version != current:
            return False
        standing = self.store.read(f"metadata/{current}.{name}.json")
        return standing == edit.metadata or roles.parse_named(standing, name).signed_bytes == proposed.signed_bytes

    def _checked(
        self, head: Head, edits: Mapping[str, Edit], online: Online, find_blob: FindBlob
    ) -> tuple[dict[str, Metadata[Targets]], Metadata[Root] | None]:
        """The edits as roles, once every rule holds and everybody has signed."""
        new, root = self._allowed(head, edits, find_blob)
        if root is not None:
            rules.refuse_foreign_online(root.signed, online)
            roles.verify(head.root.signed, "root", root)
            roles.verify(root.signed, "root", root)
            roles.verify(root.signed, "targets", new.get("targets", head.targets))
        _refuse_unsigned(head, new)
        if "targets" in new:
            self.refuse_untrue(head, new["targets"].signed, find_blob)
        return new, root

    def _allowed(
        self, head: Head, edits: Mapping[str, Edit], find_blob: FindBlob
    ) -> tuple[dict[str, Metadata[Targets]], Metadata[Root] | None]:
        """The edits as roles, once every rule holds but for signatures."""
        root = roles.parse(edits["root"].metadata, Root, "root") if "root" in edits else None
        new = {name: roles.parse(edit.metadata, Targets, name) for name, edit in edits.items() if name != "root"}
        if "targets" in new:
            rules.refuse_other_bytes(head, new["targets"].signed)
        for name, role in new.items():
            rules.refuse_expired(name, role)
            rules.refuse_unreadable(name, role, len(edits[name].metadata), head)
            self._refuse_moved(name, edits[name].base, role.signed.version, head.role(name).signed.version)
            rules.refuse_mistakes(role)
        if root is not None:
            rules.refuse_expired("root", root)
            rules.refuse_large_root(len(edits["root"].metadata))
            roles.check_root_bound(root.signed, self.app_id)
            rules.refuse_mistakes(root)
            current = head.root.signed.version
            self._refuse_moved("root", edits["root"].base, root.signed.version, current)
            if root.signed.version != current + 1:
                raise EndpointRefused(
                    f"Root {root.signed.version} does not follow {current}.", remedy=_EDIT_AGAIN, field="root"
                )
        if root is not None or "targets" in new:
            rules.refuse_unreachable((root or head.root).signed, roles.policy_of(new.get("targets", head.targets).signed))
        rules.refuse_other_app(
            self.app_id, new.get("targets", head.targets).signed, new.get(roles.CHANNELS, head.channels).signed
        )
        if roles.CHANNELS in new:
            rules.refuse_stranded(head, new, self._stored, find_blob)
        return new, root

    def _refuse_moved(self, name: str, base: int, version: int, current: int) -> None:
        if base > current:
            raise RolledBack(
                f"The {name} role of {self.app_id} is at version {current}, and this edit was made from {base}: what stands "
                "here is older than what somebody has seen.",
                remedy="Restore the newest state of the repository. Do not sign again: devices refuse versions they have seen.",
                field=name,
            )
        if base != current or version <= current:
            raise Conflict(
                f"The {name} role of {self.app_id} is at version {current}; this edit was made from {base}.",
                remedy=_EDIT_AGAIN,
                field=name,
            )

    def _stored(self, target: TargetFile) -> bytes | None:
        place = roles.stored_at(target)
        return self.store.read(place) if self.store.exists(place) else None

    def _countersigns(self, edits: Mapping[str, Edit]) -> bool:
        """Whether this adds a signature to the first root, for apps that pin a key of their own."""
        return set(edits) == {"root"} and roles.parse(edits["root"].metadata, Root, "root").signed.version == 1

    def _countersign(self, edit: Edit) -> bool:
        """The first root with more signatures; what it says stays as it is."""
        standing, tag = self.store.read_tagged(FIRST_ROOT)
        first, proposed = roles.parse(standing, Root, "root"), roles.parse(edit.metadata, Root, "root")
        signed = countersigned(first, proposed, edit.keys)
        if signed is None:
            return False
        rules.refuse_large_root(len(signed.to_bytes()))
        if not self.store.replace_if(FIRST_ROOT, signed.to_bytes(), tag=tag):
            raise Conflict("Somebody else signs the first root at this moment.", remedy="Try again.", field="root")
        return True

    def refuse_untrue(self, head: Head, new: Targets, find_blob: FindBlob) -> None:
        """Hold the releases that an app role adds or alters against their bytes; see ``rules.refuse_untrue``.

        Raises:
            EndpointRefused: something was not handed in.
            VerificationError, NewerFormat: one is not what is said of it.
        """
        rules.refuse_untrue(self.app_id, head, new, lambda target: self._opened(target, find_blob))

    def _opened(self, target: TargetFile, find_blob: FindBlob) -> BinaryIO:
        place = roles.stored_at(target)
        if self.store.exists(place):
            return self.store.open(place)
        content = find_blob(target)
        if content is None:
            raise rules.not_handed_in(target)
        return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")

    def keep_blobs(self, old: Targets, new: Targets, find_blob: FindBlob) -> None:
        """Store what a role names anew, each under its digest.

        Raises:
            EndpointRefused: something was not handed in.
        """
        for path, target in new.targets.items():
            place = roles.stored_at(target)
            if old.targets.get(path) == target or self.store.exists(place):
                continue
            content = find_blob(target)
            if content is None:
                raise rules.not_handed_in(target)
            self.store.create(place, content)

    def _keep_root(self, head: Head, metadata: bytes) -> bool:
        """Write the next root, which is live from then on, while nothing moved since it was held against what is current."""
        return self.store.create_if(_next_root(head), metadata, guard=TIMESTAMP, tag=head.tag)

    def _keep_role(self, name: str, version: int, metadata: bytes) -> None:
        path = f"metadata/{version}.{name}.json"
        if self.store.create(path, metadata):
            return
        standing = self.store.read(path)
        if standing != metadata and not _says_the_same(name, standing, metadata):
            raise Conflict(
                f"Version {version} of the {name} role of {self.app_id} stands for other bytes.",
                remedy=_EDIT_AGAIN,
                field=name,
            )

    def _publish(self, head: Head, new: Mapping[str, Metadata[Targets]], online: Online) -> bool:
        """Snapshot, then the compare-and-swap that makes everything current."""
        online.must_suffice(head.root.signed)
        targets, channels = new.get("targets", head.targets), new.get(roles.CHANNELS, head.channels)
        number = head.snapshot.signed.version + 1
        while True:
            snapshot = roles.new_snapshot(number, online.snapshot_days, targets.signed.version, channels.signed.version)
            if self.store.create(f"metadata/{number}.snapshot.json", roles.signed_by(snapshot, *online.snapshot).to_bytes()):
                break
            number += 1
        return self._stamp(head, number, online)

    def _stamp(self, head: Head, snapshot: int, online: Online) -> bool:
        stamp = roles.new_timestamp(head.timestamp.signed.version + 1, online.timestamp_days, snapshot)
        signed = roles.signed_by(stamp, *online.timestamp).to_bytes()
        # were a newer root written meanwhile, what was checked under the old one could strand everybody
        return self.store.replace_if(TIMESTAMP, signed, tag=head.tag, unless=_next_root(head))


def _next_root(head: Head) -> str:
    return f"metadata/{head.root.signed.version + 1}.root.json"


def _refuse_unsigned(head: Head, new: Mapping[str, Metadata[Targets]]) -> None:
    """Every role verifies under whoever appoints its keys once the new ones are current: channels too."""
    targets = new.get("targets", head.targets)
    channels = new.get(roles.CHANNELS, head.channels)
    roles.verify(head.root.signed, "targets", targets)
    if "targets" in new and not head.policy.publisher_may_approve:
        roles.verify_stricter(head.root.signed, "targets", targets)
    roles.verify(targets.signed, roles.CHANNELS, channels)


def _runs_under(root: Root, head: Head) -> bool:
    """Whether what is fresh now verifies under a root that becomes live the moment it is written."""
    return roles.holds(root, "timestamp", head.timestamp) and roles.holds(root, "snapshot", head.snapshot)


def _says_the_same(name: str, standing: bytes, metadata: bytes) -> bool:
    try:
        return roles.parse_named(standing, name).signed_bytes == roles.parse_named(metadata, name).signed_bytes
    except FormatError:
        return False  # junk that a crashed run left


_EDIT_AGAIN = "Read the present state and make the edit again (sign the bundle again; mlpublish review rebase for a change)."
