"""One app's repository: commit signed roles so that nobody's work is lost.

The protocol of a commit: adopt what an earlier run finished signing but did not make current; write roles and blobs
create-only; write a snapshot under a number nobody took; then compare-and-swap ``timestamp.json``, the one file that is
ever replaced, or start over. A crash at any write leaves the old state current, and the next run repairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from tuf.api.metadata import Metadata, TargetFile, Targets

from mlpublish.errors import AlreadyPublished, Conflict, EndpointRefused, Expired, FormatError, VerificationError
from mlpublish.repository.endpoint import Edit
from mlpublish.repository.head import LARGEST_JUMP, TIMESTAMP, Head, read_head
from mlpublish.repository.online import Online
from mlpublish.storage.blobs import BlobStore
from mlpublish.trust import roles

_TRIES = 50
_LARGEST_ROLE = 4_500_000  # bytes; python-tuf's client takes 5,000,000
_LARGEST_CHANNEL = 1024 * 1024  # bytes


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
        head = read_head(lambda path: stamp if path == TIMESTAMP else self.store.read(path))
        return replace(head, tag=tag)

    def commit(self, edits: Mapping[str, Edit], online: Online, find_blob: Callable[[TargetFile], bytes | Path | None]) -> bool:
        """Make signed roles current.

        Args:
            edits: role name -> the edit; none at all renews snapshot and timestamp.
            online: who signs snapshot and timestamp.
            find_blob: gives the bytes of a target that the edits name anew, their digest verified.

        Returns:
            False if all of it was current already.

        Raises:
            Conflict, AlreadyPublished, EndpointRefused, VerificationError: see ``Endpoint.commit``.
        """
        for attempt in range(_TRIES):
            standing = self.head()
            todo = {name: edit for name, edit in edits.items() if not self._is_current(standing, name, edit)}
            if edits and not todo:
                return attempt > 0
            head = self._adopt(standing)
            if head is not standing:  # made current by itself: an edit that knows nothing of it must be made again
                if self._publish(head, {}, online) and not edits:
                    return True
                continue
            new = self._checked(head, todo)
            for name, edit in todo.items():
                self._keep_blobs(head.role(name).signed, new[name].signed, find_blob)
                self._keep_role(name, new[name].signed.version, edit.metadata)
            if self._publish(head, new, online):
                return True
        raise Conflict(
            f"The repository of {self.app_id} moved on {_TRIES} times during one commit.", remedy="Try again in a moment."
        )

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
            _fresh(name, role)
            _closed(head, {name: role})
            whole = all(self.store.exists(roles.stored_at(target)) for target in role.signed.targets.values())
        except (VerificationError, FormatError):
            return None  # junk, run out, or signed by who no longer holds the role; numbers step over it
        return role if whole and role.signed.version == number else None

    def _is_current(self, head: Head, name: str, edit: Edit) -> bool:
        current = head.role(name).signed.version
        proposed = roles.parse(edit.metadata, Targets, name).signed.version
        return proposed == current and self.store.read(f"metadata/{current}.{name}.json") == edit.metadata

    def _checked(self, head: Head, edits: Mapping[str, Edit]) -> dict[str, Metadata[Targets]]:
        """The edits as roles, once every rule holds."""
        new = {name: roles.parse(edit.metadata, Targets, name) for name, edit in edits.items()}
        if "targets" in new:
            _refuse_other_bytes(head, new["targets"].signed)
        for name, role in new.items():
            _fresh(name, role)
            _sane(name, role, len(edits[name].metadata), head)
            current = head.role(name).signed.version
            if edits[name].base != current or role.signed.version <= current:
                raise Conflict(
                    f"The {name} role of {self.app_id} is at version {current}; this edit was made from {edits[name].base}.",
                    remedy="Read the present state and make the edit again (sign the bundle again).",
                    field=name,
                )
        _closed(head, new)
        if roles.CHANNELS in new:
            roles.check_bound(new[roles.CHANNELS].signed, self.app_id)
        policy = roles.policy_of(new.get("targets", head.targets).signed)
        if policy.app_id != self.app_id:
            raise EndpointRefused(
                f"The app role is for {policy.app_id}, not {self.app_id}.", remedy="Publish to the app it was signed for."
            )
        return new

    def _keep_blobs(self, old: Targets, new: Targets, find_blob: Callable[[TargetFile], bytes | Path | None]) -> None:
        for path, target in new.targets.items():
            place = roles.stored_at(target)
            if old.targets.get(path) == target or self.store.exists(place):
                continue
            content = find_blob(target)
            if content is None:
                raise EndpointRefused(
                    f"The bytes of {path} (sha256 {target.hashes['sha256'][:12]}) were not handed in.",
                    remedy="Upload them first, then commit again.",
                    field=path,
                )
            self.store.create(place, content)

    def _keep_role(self, name: str, version: int, metadata: bytes) -> None:
        path = f"metadata/{version}.{name}.json"
        if not self.store.create(path, metadata) and self.store.read(path) != metadata:
            raise Conflict(
                f"Version {version} of the {name} role of {self.app_id} stands for other bytes.",
                remedy="Read the present state and make the edit again (sign the bundle again).",
                field=name,
            )

    def _publish(self, head: Head, new: Mapping[str, Metadata[Targets]], online: Online) -> bool:
        """Snapshot, then the compare-and-swap that makes everything current."""
        targets, channels = new.get("targets", head.targets), new.get(roles.CHANNELS, head.channels)
        number = head.snapshot.signed.version + 1
        while True:
            snapshot = roles.new_snapshot(number, online.snapshot_days, targets.signed.version, channels.signed.version)
            if self.store.create(f"metadata/{number}.snapshot.json", roles.signed_by(snapshot, *online.snapshot).to_bytes()):
                break
            number += 1
        stamp = roles.new_timestamp(head.timestamp.signed.version + 1, online.timestamp_days, number)
        return self.store.replace_if(
            "metadata/timestamp.json", roles.signed_by(stamp, *online.timestamp).to_bytes(), tag=head.tag
        )


def _fresh(name: str, role: Metadata[Targets]) -> None:
    """A role that has run out would end in FAILURE_INTEGRITY on every device."""
    if role.signed.is_expired(roles.now()):
        raise Expired(
            f"The {name} role to commit expired on {role.signed.expires:%Y-%m-%d}.", remedy="Sign it again.", field=name
        )


def _sane(name: str, role: Metadata[Targets], length: int, head: Head) -> None:
    """What would verify and yet be read by nobody: a device's client has bounds, and so has everybody who edits next."""
    jump = role.signed.version - head.role(name).signed.version
    longest = max((target.length for target in role.signed.targets.values()), default=0) if name == roles.CHANNELS else 0
    if jump > LARGEST_JUMP or length > _LARGEST_ROLE or longest > _LARGEST_CHANNEL:
        raise EndpointRefused(
            f"The {name} role has {length} bytes, jumps {jump} versions, or names a channel file of {longest} bytes.",
            remedy=f"At most are {_LARGEST_ROLE} bytes, {LARGEST_JUMP} versions and {_LARGEST_CHANNEL} bytes; retire old "
            "releases, and make the edit from the present state.",
            field=name,
        )
    if name == "targets":
        roles.releases_of(role.signed)  # each must be readable, or nobody could sign the next one
        roles.policy_of(role.signed)


def _closed(head: Head, new: Mapping[str, Metadata[Targets]]) -> None:
    """Every role verifies under whoever appoints its keys once the new ones are current: channels too."""
    targets = new.get("targets", head.targets)
    channels = new.get(roles.CHANNELS, head.channels)
    roles.verify(head.root.signed, "targets", targets)
    roles.verify(targets.signed, roles.CHANNELS, channels)


def _refuse_other_bytes(head: Head, new: Targets) -> None:
    """A release number stands for one content for ever."""
    for path, target in head.targets.signed.targets.items():
        if not path.startswith("releases/") or path not in new.targets:
            continue
        if new.targets[path].hashes != target.hashes:
            raise AlreadyPublished(
                f"{path.rpartition('/')[0].replace('releases/', 'Release ')} stands for other bytes already.",
                remedy="Sign the bundle under the next number (leave out --number).",
                field="number",
            )
