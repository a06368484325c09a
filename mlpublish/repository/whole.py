"""One app's repository, verified whole: the chain of roots, every role, every release's bundle, every channel.

The order is that of a device, from the trusted root down, so that the first link that is broken is the one that is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, MetaFile, Root

from mlpublish.artifacts import App
from mlpublish.errors import DigestMismatch, Expired, FormatError, NotFound, RecipeError, VerificationError
from mlpublish.formats.channel import Channel, Entry, channel_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.formats.wire import Reader
from mlpublish.reports import RoleReport, VerifyReport
from mlpublish.repository.head import FIRST_ROOT, Head, channel_in, read_head, target_in
from mlpublish.repository.offering import Approved
from mlpublish.repository.sources import Source
from mlpublish.repository.standing import Standing
from mlpublish.trust import roles
from mlpublish.trust.chain import Chain, follow_roots, root_link
from mlpublish.trust.links import named
from mlpublish.trust.pin import root_under
from mlpublish.trust.reporting import report_on, warnings_on
from mlpublish.trust.trusted import Trust

Tell = Callable[[str], None]


def verify_repository(source: Source, app_id: str, trust: Trust, *, what: Path | str, tell: Tell) -> VerifyReport:
    """Verify one app's repository.

    Args:
        trust: a root of the app, or the pinned key that signed its first one.
        what: how the report calls it.
        tell: is told which bundle is read.

    Raises:
        VerificationError, FormatError, BundleError, NotFound, RecipeError: a link is broken; ``field`` names it.
        EndpointUnreachable, EndpointRefused: whoever shows it does not answer.
    """
    trusted = _trusted(source, trust)
    reading = _Reading(source, root_link(trusted))
    head = reading.head(app_id, trusted.to_bytes())
    chain = _hold_roots(source, head, trusted, app_id)
    _hold_versions(head, reading.contents)
    _refuse_expired(head)
    _hold_shapes(head)
    _hold_policy(source, head)
    standing = Standing(source=source, head=head, chain=chain, trust=trust, tell=tell)
    releases, found = standing.releases(), _channels(source, head)
    withdrawn = tuple(told for channel in found for told in _hold_channel(head, channel))
    told = _roles(head)
    return VerifyReport(
        what=what,
        kind="repository",
        app_id=app_id,
        roles=told,
        channels=found,
        parts=releases,
        warnings=(*warnings_on(told, head.root, head.targets), *withdrawn),
        proven=(
            f"The roots hold from {trusted.signed.version} to {head.root.signed.version}; every role has the signatures that "
            "it needs, none has expired, and timestamp and snapshot name exactly the versions that stand here.",
            f"The policy and every release ({len(releases)}) stand here as the app role signs them, bundles and all.",
            f"No channel ({len(found)}) names a release that a device of its app versions would refuse.",
        ),
        not_proven=(
            "Freshness: this was the newest state when its timestamp was signed. A newer one may stand elsewhere, and until "
            f"{head.timestamp.signed.expires:%Y-%m-%d %H:%M} UTC a device that knows of none takes this one.",
            "Versions of roles that are current no more, and changes that wait for signatures, were not looked at.",
        ),
    )


class _Reading:
    """Reads for ``read_head``, and knows which link was read last: what is wrong then is wrong with that."""

    def __init__(self, source: Source, link: str) -> None:
        self._read = source.read
        self.link = link
        self.contents: dict[str, bytes] = {}  # by link

    def __call__(self, path: str) -> bytes:
        self.link = _link(path)
        self.contents[self.link] = content = self._read(path)
        return content

    def head(self, app_id: str, trusted: bytes) -> Head:
        try:
            return read_head(self, app_id=app_id, trusted_root=trusted)
        except (FormatError, VerificationError, NotFound) as exc:
            exc.field = self.link
            raise


def _link(path: str) -> str:
    """``metadata/7.targets.json`` is ``targets.json``; a root keeps its number, for each of them is a link."""
    name = path.rpartition("/")[2]
    return name if name.endswith("root.json") else name.lstrip("0123456789").removeprefix(".")


def _trusted(source: Source, trust: Trust) -> Metadata[Root]:
    if trust.root is not None:
        return trust.root
    with named(_link(FIRST_ROOT)):
        first = source.read(FIRST_ROOT)
        return roles.parse(first if trust.pin is None else root_under(trust.pin, first), Root, "root")


def _hold_roots(source: Source, head: Head, trusted: Metadata[Root], app_id: str) -> Chain:
    """Every root from the first on has to stand there: apps start from any of them, and a pinned key from the first."""
    data = []
    for version in range(1, head.root.signed.version + 1):
        with named(f"{version}.root.json"):
            data.append(source.read(f"metadata/{version}.root.json"))
            root = roles.parse(data[-1], Root, "root")
            if root.signed.version != version:
                raise VerificationError(
                    f"Root {root.signed.version} stands under the number {version}.", remedy=_RESTORE, field="root"
                )
    return follow_roots(trusted.to_bytes(), data, app_id)


def _hold_versions(head: Head, contents: Mapping[str, bytes]) -> None:
    """What names another file by its version has to name the one that stands (of the roles ``read_head`` sees to that)."""
    with named("snapshot.json"):
        meta = head.timestamp.signed.snapshot_meta
        if head.snapshot.signed.version != meta.version:
            raise VerificationError(
                f"The snapshot says version {head.snapshot.signed.version}, the timestamp {meta.version}.",
                remedy=_RESTORE,
                field="snapshot",
            )
        _hold_bytes(meta, contents["snapshot.json"])
    for link in ("targets.json", f"{roles.CHANNELS}.json"):
        with named(link):
            _hold_bytes(head.snapshot.signed.meta[link], contents[link])


def _hold_bytes(meta: MetaFile, content: bytes) -> None:
    """Another tool may sign a length or a digest beside the version."""
    try:
        meta.verify_length_and_hashes(content)
    except LengthOrHashMismatchError as exc:
        raise DigestMismatch(f"It is not what is signed: {exc}.", remedy=_RESTORE) from exc


def _refuse_expired(head: Head) -> None:
    try:
        head.refuse_expired()
    except Expired as exc:
        exc.field = root_link(head.root) if exc.field == "root" else f"{exc.field}.json"
        raise


def _hold_shapes(head: Head) -> None:
    for name in ("targets", roles.CHANNELS):
        with named(f"{name}.json"):
            roles.check_shape(name, head.role(name).signed)


def _hold_policy(source: Source, head: Head) -> None:
    """The policy stands twice: in the app role, for devices, and as a file, for people."""
    with named(POLICY_PATH):
        content = target_in(source.read, head.targets.signed.targets[POLICY_PATH])
        if Policy.from_dict(Reader.parse(content, what=POLICY_PATH).values) != head.policy:
            raise VerificationError("The file says something else than the app role.", remedy=_RESTORE, field=POLICY_PATH)


def _channels(source: Source, head: Head) -> tuple[Channel, ...]:
    found = []
    for path in sorted(head.channels.signed.targets):
        _, platform, file = path.split("/")
        with named(path):
            channel = channel_in(head, source.read, platform, file.removesuffix(".json"))
        if channel is not None:
            found.append(channel)
    return tuple(found)


def _hold_channel(head: Head, channel: Channel) -> Iterator[str]:
    """Hold what a channel offers against the app role; what devices leave by themselves is told.

    Raises:
        VerificationError: it names a release that devices refuse.
    """
    path, approved = channel_path(channel.platform, channel.channel), Approved.of(head)
    for entry in channel.entries:
        for number in entry.releases:
            if number in approved.policy.withdrawn and number in approved.releases:
                why = approved.policy.withdrawn[number]
                yield f"{path} names release {number} for {entry.app_version}, which is withdrawn ({why}): devices leave it."
                continue
            _hold_offer(approved, path, channel, entry, number)


def _hold_offer(approved: Approved, path: str, channel: Channel, entry: Entry, number: int) -> None:
    try:
        approved.check(App(id=approved.policy.app_id, version=entry.app_version, platform=channel.platform), number)
    except (NotFound, RecipeError) as exc:
        raise VerificationError(
            f"{path} names for {entry.app_version} what devices refuse: {exc.problem}",
            remedy="Point it at an approved release: mlpublish channel set, or channel rollback.",
            field=path,
        ) from exc


def _roles(head: Head) -> tuple[RoleReport, ...]:
    return (
        report_on(head.root.signed, "root", head.root),
        report_on(head.root.signed, "timestamp", head.timestamp),
        report_on(head.root.signed, "snapshot", head.snapshot),
        report_on(head.root.signed, "targets", head.targets),
        report_on(head.targets.signed, roles.CHANNELS, head.channels),
    )


_RESTORE = "Get the repository again from where it is kept, or restore it from a backup."
