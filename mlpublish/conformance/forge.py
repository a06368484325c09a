"""An app's repository whose every key is at hand, so that it says whatever a case needs, past every rule of publishing.

Root 2-of-2, app role 2-of-2, channels one operator, snapshot and timestamp one online key; all dates are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from mlpublish.artifacts import App
from mlpublish.conformance.bundles import Made, bundle_of
from mlpublish.conformance.fixed_keys import FixedKey, Kind
from mlpublish.formats.channel import Channel, Entry, ReleaseFacts, bundle_path, channel_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.formats.wire import digest_of
from mlpublish.trust import roles

APP = App(id="com.example.digits", version="2.0")
OTHER = App(id="com.example.other", version="2.0")
ROOT, TARGETS, CHANNELS, SNAPSHOT, TIMESTAMP = "root", "targets", "channels", "snapshot", "timestamp"
NAMES = {
    ROOT: "root",
    TARGETS: "app-role",
    CHANNELS: "channels-role",
    SNAPSHOT: "snapshot",
    TIMESTAMP: "timestamp",
}  # in those of cases
HOLDERS = {ROOT: 2, TARGETS: 2, CHANNELS: 1, SNAPSHOT: 1, TIMESTAMP: 1}
THRESHOLDS = {ROOT: 2, TARGETS: 2, CHANNELS: 1, SNAPSHOT: 1, TIMESTAMP: 1}
FAR, PAST = datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
_SPECIFICATION = "1.0.31"  # written down here, because tuf's own constant moves with its versions
# What a role may be changed to: each case knows which role it changes, and may write what no type would let it.
Change = Callable[[Any], object]


def nothing(_: object) -> None:
    """The change that changes nothing but the version."""


def expired(role: Root | Targets | Snapshot | Timestamp) -> None:
    """The change that lets a role have run out long ago."""
    role.expires = PAST


def new_keys(name: str, tag: str = "", kind: Kind = "ecdsa") -> list[FixedKey]:
    """As many keys as a role has holders; snapshot and timestamp share theirs."""
    whose = "online" if name in (SNAPSHOT, TIMESTAMP) else name
    return [FixedKey(f"{tag}{whose} {number}", kind) for number in range(HOLDERS[name])]


def appoint(role: Root | Targets, name: str, keys: Iterable[FixedKey]) -> None:
    """Let these keys, and no others, hold a role."""
    for keyid in list(role.get_delegated_role(name).keyids):
        role.revoke_key(keyid, name)
    for key in keys:
        role.add_key(key.public_key, name)


def _both(first: Change, second: Change) -> Change:
    def change(role: object) -> None:
        first(role)
        second(role)

    return change


class Forge:
    """One app's repository, in memory.

    Args:
        keys: role -> who holds it, where it is not the usual keys (which all apps share).
        pin: co-signs version 1 of the root.
    """

    def __init__(
        self, app: App = APP, *, keys: Mapping[str, list[FixedKey]] | None = None, pin: FixedKey | None = None
    ) -> None:
        self.app = app
        self.keys = {name: new_keys(name) for name in HOLDERS} | dict(keys or {})
        self.files: dict[str, bytes] = {}
        self.channel = Channel(channel="stable", platform=app.platform)
        self.roles: dict[str, Any] = {ROOT: self._first_root(), TARGETS: self._first_app_role()}
        self.roles[CHANNELS] = self._role(Targets, unrecognized_fields={roles.APP_FIELD: app.id})
        self.roles[SNAPSHOT] = self._role(Snapshot, meta={})
        self.roles[TIMESTAMP] = self._role(Timestamp, snapshot_meta=MetaFile(1))
        self._written: set[str] = set()
        self.edit(ROOT, by=[*self.signers(ROOT), *([] if pin is None else [pin])])

    # what is there

    def signers(self, name: str) -> list[FixedKey]:
        """As many holders of a role as its threshold asks for."""
        return self.keys[name][: THRESHOLDS[name]]

    def path(self, name: str) -> str:
        """Where the newest version of a role lies."""
        return self._path(name, self.roles[name].version)

    def bundle_file(self, number: int) -> str:
        """Where a release's bundle lies."""
        return self._stored(self.roles[TARGETS].targets[bundle_path(number)])

    def channel_file(self) -> str:
        """Where the channel file lies."""
        return self._stored(self.roles[CHANNELS].targets[channel_path(self.app.platform, self.channel.channel)])

    def path_of_root(self, version: int) -> str:
        """Where a version of the root lies."""
        return self._path(ROOT, version)

    # what holders of keys do, whoever they are

    def edit(self, name: str, change: Change = nothing, *, by: Iterable[FixedKey] | None = None) -> None:
        """The next version of a role, signed by its holders or by others."""
        role = deepcopy(self.roles[name])
        role.version += 1 if name in self._written else 0
        change(role)
        signed = roles.signed_by(Metadata(role), *(self.signers(name) if by is None else by))
        self.files[self._path(name, role.version)] = signed.to_bytes()
        self.roles[name] = role
        self._written.add(name)

    def stamp(
        self,
        *,
        snapshot: Change = nothing,
        timestamp: Change = nothing,
        by: Mapping[str, Iterable[FixedKey]] | None = None,
    ) -> None:
        """The next snapshot and timestamp, which make what is there the present."""
        for name in (TARGETS, CHANNELS):
            if name not in self._written:
                self.edit(name)
        signers = by or {}
        self.edit(SNAPSHOT, _both(self._names_roles, snapshot), by=signers.get(SNAPSHOT))
        self.edit(TIMESTAMP, _both(self._names_snapshot, timestamp), by=signers.get(TIMESTAMP))

    def replace_keys(self, *names: str) -> None:
        """The next root appoints new keys for roles below it."""
        new = {name: new_keys(name, "new ") for name in names}

        def change(root: Root) -> None:
            for name, keys in new.items():
                appoint(root, name, keys)

        self.edit(ROOT, change)
        self.keys |= new

    def approve(self, change: Change = nothing, *, by: Iterable[FixedKey] | None = None) -> None:
        """What reviewers say from now on."""
        self.edit(TARGETS, change, by=by)
        self.stamp()

    def steer(self, change: Change = nothing, *, by: Iterable[FixedKey] | None = None) -> None:
        """What operators say from now on."""
        self.edit(CHANNELS, change, by=by)
        self.stamp()

    def release(
        self,
        number: int = 1,
        made: Made | None = None,
        *,
        content: bytes | None = None,
        offer: bool = True,
        by: Iterable[FixedKey] | None = None,
        **facts: object,
    ) -> None:
        """A release that reviewers approve, offered on the stable channel.

        Args:
            made: its bundle, if it is another than the usual.
            content: other bytes for it, which are signed all the same.
            facts: what is signed of it, if it is other than the truth (members of the target's ``custom``).
        """
        target = self._release_target(number, made or bundle_of(number), content, facts)
        self.edit(TARGETS, lambda role: role.targets.update({target.path: target}), by=by)
        if offer:
            self.offer(number)
        else:
            self.stamp()

    def offer(self, release: int, *, by: Iterable[FixedKey] | None = None, **entry: Any) -> None:
        """What the channel says of an app version."""
        named: dict[str, Any] = {"app_version": self.app.version, "release": release} | entry
        self.channel = self.channel.with_entry(Entry(**named))
        self.channel_says(self.channel.to_bytes(), by=by)

    def channel_says(self, content: bytes, *, name: str = "stable", by: Iterable[FixedKey] | None = None) -> None:
        """Any bytes as a channel file."""
        target = self.put(channel_path(self.app.platform, name), content)
        self.steer(lambda role: role.targets.update({target.path: target}), by=by)

    def policy(self, *, custom: Mapping[str, object] | None = None, **policy: Any) -> None:
        """Floors and withdrawals from now on; ``custom`` adds members, or overrides them."""
        said = Policy(**({"app_id": self.app.id} | policy))
        target = self.put(POLICY_PATH, said.to_bytes(), said.to_dict() | dict(custom or {}))
        self.approve(lambda role: role.targets.update({POLICY_PATH: target}))

    def put(self, path: str, content: bytes, custom: Mapping[str, object] | None = None) -> TargetFile:
        """Lay a target where it is found, and describe it."""
        target = roles.target_file(path, content, custom)
        self.files[self._stored(target)] = content
        return target

    # what hosts do

    def alter(self, path: str, old: bytes, new: bytes) -> None:
        """Change the first of these bytes in a file."""
        assert self.files[path].count(old) >= 1, f"{path} holds no {old!r}"
        self.files[path] = self.files[path].replace(old, new, 1)

    # how it is made

    def _path(self, name: str, version: int) -> str:
        return f"{self.app.id}/metadata/{'' if name == TIMESTAMP else f'{version}.'}{name}.json"

    def _stored(self, target: TargetFile) -> str:
        return f"{self.app.id}/{roles.stored_at(target)}"

    def _release_target(self, number: int, made: Made, content: bytes | None, facts: Mapping[str, object]) -> TargetFile:
        true = ReleaseFacts(
            app_id=self.app.id,
            platform=self.app.platform,
            app_versions=(self.app.version,),
            number=number,
            name=made.manifest.name,
            version=made.manifest.version,
            minimum_os="16.0",
            unpacked_length=made.manifest.unpacked_length,
            manifest=digest_of(made.manifest.to_bytes()),
        )
        return self.put(bundle_path(number), made.content if content is None else content, true.to_dict() | dict(facts))

    def _names_roles(self, role: Snapshot) -> None:
        role.meta = {f"{name}.json": MetaFile(self.roles[name].version) for name in (TARGETS, CHANNELS)}

    def _names_snapshot(self, role: Timestamp) -> None:
        role.snapshot_meta = MetaFile(self.roles[SNAPSHOT].version)

    def _role(self, kind: Callable[..., Any], **fields: Any) -> Any:
        return kind(version=1, spec_version=_SPECIFICATION, expires=FAR, **fields)

    def _first_root(self) -> Root:
        held = {name: Role([], THRESHOLDS[name]) for name in (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)}
        bound = {roles.APP_FIELD: self.app.id}
        root: Root = self._role(Root, keys={}, roles=held, consistent_snapshot=True, unrecognized_fields=bound)
        for name in held:
            for key in self.keys[name]:
                root.add_key(key.public_key, name)
        return root

    def _first_app_role(self) -> Targets:
        policy = Policy(app_id=self.app.id)
        said = self.put(POLICY_PATH, policy.to_bytes(), policy.to_dict())
        appointed = Delegations({}, {CHANNELS: DelegatedRole(CHANNELS, [], THRESHOLDS[CHANNELS], True, ["channels/*/*"])})
        role: Targets = self._role(Targets, targets={POLICY_PATH: said}, delegations=appointed)
        for key in self.keys[CHANNELS]:
            role.add_key(key.public_key, CHANNELS)
        return role
