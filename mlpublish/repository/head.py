"""What is current in one app's repository, read from wherever it lies and verified link by link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from mlpublish.errors import Expired, NotFound, VerificationError
from mlpublish.formats.channel import Channel, ReleaseFacts, channel_path
from mlpublish.formats.policy import Policy
from mlpublish.formats.wire import digest_of
from mlpublish.trust import roles
from mlpublish.trust.approval import Present

Read = Callable[[str], bytes]
TIMESTAMP = "metadata/timestamp.json"
FIRST_ROOT = "metadata/1.root.json"
LARGEST_JUMP = 1000  # versions; only what crashed runs left is stepped over


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is current, every signature verified.

    Args:
        root: the newest root, followed from version 1.
        roots: every root's bytes, from the trusted one on.
        tag: what the store must still say of ``timestamp.json`` for a compare-and-swap; None where nobody commits.
    """

    root: Metadata[Root]
    roots: tuple[bytes, ...]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]
    channels: Metadata[Targets]
    tag: str | None = None

    def role(self, name: str) -> Metadata[Targets]:
        """The app role or the channels role."""
        return self.targets if name == "targets" else self.channels

    @property
    def present(self) -> Present:
        return Present(root=self.root, targets=self.targets, channels=self.channels)

    def refuse_stale(self) -> None:
        """Refuse a state that nobody says is fresh: whoever answers may be replaying it.

        A root, app role or channels role that ran out is no reason: it is by reading it here that it is signed again.

        Raises:
            Expired: timestamp or snapshot has run out.
        """
        for name, role in (("timestamp", self.timestamp), ("snapshot", self.snapshot)):
            if role.signed.is_expired(roles.now()):
                raise Expired(
                    f"The {name} role expired on {role.signed.expires:%Y-%m-%d}.",
                    remedy="The server may be a stale mirror: check the address; whoever runs it renews: mlpublish repo renew.",
                    field=name,
                )

    def refuse_expired(self) -> None:
        """Refuse a state that a device would refuse.

        Raises:
            Expired: a role has run out; the first one is named, with who must act.
        """
        self.refuse_stale()
        for name, role in (("root", self.root), ("targets", self.targets), (roles.CHANNELS, self.channels)):
            if role.signed.is_expired(roles.now()):
                raise Expired(
                    f"The {name} role expired on {role.signed.expires:%Y-%m-%d}.",
                    remedy="Its holders sign it again; mlpublish repo status tells who, and the command.",
                    field=name,
                )

    def delegator(self, name: str) -> Root | Targets:
        """Who appoints a role's keys."""
        return self.targets.signed if name == roles.CHANNELS else self.root.signed

    @property
    def policy(self) -> Policy:
        return roles.policy_of(self.targets.signed)

    @property
    def releases(self) -> dict[int, ReleaseFacts]:
        return roles.releases_of(self.targets.signed)


def read_head(read: Read, *, app_id: str, trusted_root: bytes | None = None) -> Head:
    """Read and verify what is current.

    Args:
        read: gives a file of the app's repository by its path, or raises NotFound.
        app_id: whose it must be: where apps share keys, what is another app's has good signatures too.
        trusted_root: version 1 or newer of the root; by default the repository's own ``1.root.json`` is taken, which is
            right only for a repository on one's own disk.

    Raises:
        NotFound: the app has no repository there.
        VerificationError: a signature does not hold, or a role is another app's.
    """
    chain = _roots(read, trusted_root or read(FIRST_ROOT), app_id)
    root = roles.parse(chain[-1], Root, "root")
    timestamp = roles.parse(read(TIMESTAMP), Timestamp, "timestamp")
    roles.verify(root.signed, "timestamp", timestamp)
    number = timestamp.signed.snapshot_meta.version
    snapshot = roles.parse(read(f"metadata/{number}.snapshot.json"), Snapshot, "snapshot")
    roles.verify(root.signed, "snapshot", snapshot)
    targets = _role(read, snapshot, "targets", root.signed)
    roles.check_app_role_bound(targets.signed, app_id)
    channels = _role(read, snapshot, roles.CHANNELS, targets.signed)
    roles.check_bound(channels.signed, app_id)
    return Head(
        root=root,
        roots=chain,
        timestamp=timestamp,
        snapshot=snapshot,
        targets=targets,
        channels=channels,
    )


def channel_in(head: Head, read: Read, platform: str, channel: str) -> Channel | None:
    """A channel's present content, its digest and its own name verified; None if there is no such channel."""
    target = head.channels.signed.targets.get(channel_path(platform, channel))
    if target is None:
        return None
    found = Channel.from_bytes(target_in(read, target))
    if (found.platform, found.channel) != (platform, channel):
        raise VerificationError(
            f"{target.path} says that it is channel {found.channel} on {found.platform}.",
            remedy="Set the channel again: mlpublish channel set.",
            field=target.path,
        )
    return found


def target_in(read: Read, target: TargetFile) -> bytes:
    """A small target's content, once it is what was signed.

    Raises:
        VerificationError: it is not.
    """
    content = read(roles.stored_at(target))
    if len(content) != target.length or digest_of(content) != target.hashes["sha256"]:
        raise VerificationError(
            f"{target.path} is not the one that was signed.",
            remedy="Restore it from a backup; a channel can be set again.",
            field=target.path,
        )
    return content


def channels_of(head: Head, read: Read) -> tuple[Channel, ...]:
    """Every channel of the app, verified."""
    named = [path.split("/") for path in sorted(head.channels.signed.targets) if path.count("/") == 2]
    found = (channel_in(head, read, platform, file.removesuffix(".json")) for _, platform, file in named)
    return tuple(each for each in found if each is not None)


def next_version(read: Read, name: str, current: int) -> int:
    """The next number for a role that nobody took: what a crashed run left there may be junk, and stays."""
    for number in range(current + 1, current + LARGEST_JUMP):
        try:
            read(f"metadata/{number}.{name}.json")
        except NotFound:
            return number
    raise VerificationError(
        f"{LARGEST_JUMP} versions of the {name} role above {current} are taken.",
        remedy="This is no repository of ours, or a mirror that answers everything: check the address.",
        field=name,
    )


def _roots(read: Read, first: bytes, app_id: str) -> tuple[bytes, ...]:
    """Follow the app's chain of roots; each is signed by its predecessor's keys and its own (specification §5.3)."""
    chain = [first]
    present = roles.parse(first, Root, "root")
    roles.verify(present.signed, "root", present)
    roles.check_root_bound(present.signed, app_id)
    while True:
        try:
            data = read(f"metadata/{present.signed.version + 1}.root.json")
        except NotFound:
            return tuple(chain)
        following = roles.parse(data, Root, "root")
        roles.verify(present.signed, "root", following)
        roles.verify(following.signed, "root", following)
        roles.check_root_bound(following.signed, app_id)
        if following.signed.version != present.signed.version + 1:
            raise VerificationError(
                f"Root {following.signed.version} stands under the number {present.signed.version + 1}.",
                remedy="Restore the repository from a backup.",
                field="root",
            )
        chain.append(data)
        present = following


def _role(read: Read, snapshot: Metadata[Snapshot], name: str, delegator: Root | Targets) -> Metadata[Targets]:
    meta = snapshot.signed.meta.get(f"{name}.json")
    if meta is None:
        raise VerificationError(
            f"The snapshot does not name the {name} role.", remedy="Restore the repository from a backup.", field=name
        )
    role = roles.parse(read(f"metadata/{meta.version}.{name}.json"), Targets, name)
    roles.verify(delegator, name, role)
    if role.signed.version != meta.version:
        raise VerificationError(
            f"The {name} role says version {role.signed.version}, the snapshot {meta.version}.",
            remedy="Restore the repository from a backup.",
            field=name,
        )
    return role
