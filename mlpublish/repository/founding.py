"""A new app's repository: who will hold which role, the first version of every role, and the moment it stands.

The holders of the offline roles sign the first versions wherever their keys are; the repository stands once its first
``timestamp.json`` does, which is written last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Root, Targets

from mlpublish.errors import Conflict, FormatError, MlpublishError, NotFound, RecipeError
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.formats.wire import Reader, digest_of, dump
from mlpublish.repository import rules
from mlpublish.repository.head import TIMESTAMP, Read, read_head
from mlpublish.repository.online import Online
from mlpublish.repository.repository import AppRepository
from mlpublish.trust import approval, lints, roles
from mlpublish.trust.approval import Present
from mlpublish.trust.changes import Change, Edit
from mlpublish.trust.intents import Intent, key_from, key_to_dict

HOLDERS_FORMAT = 1
HELD = ("root", "targets", "channels", "snapshot", "timestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One role's keys, and how many of them must sign."""

    keys: tuple[Key, ...]
    threshold: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """Who holds the roles of a new app's repository.

    Args:
        roles: ``root``, ``targets`` (the app role), ``channels`` (the operators), ``snapshot``, ``timestamp``.
        pin: the predecessor's pinned key, which co-signs the first root, if apps pin one.
    """

    roles: Mapping[str, Held]
    pin: Key | None = None

    def __post_init__(self) -> None:
        for name in HELD:
            held = self.roles.get(name)
            if held is None or not held.keys:
                raise RecipeError(f"Nobody would hold the {name} role.", remedy="Name at least one key.", field=name)
            if name in ("channels", "snapshot", "timestamp") and held.threshold != 1:
                raise RecipeError(
                    f"The {name} role takes one signature, not {held.threshold}.", remedy="Leave out its threshold.", field=name
                )

    def to_bytes(self) -> bytes:
        held = {
            name: {"threshold": each.threshold, "keys": [key_to_dict(key) for key in each.keys]}
            for name, each in self.roles.items()
        }
        pin = {} if self.pin is None else {"pin": key_to_dict(self.pin)}
        return dump({"format": HOLDERS_FORMAT, "roles": held, **pin})

    @classmethod
    def from_bytes(cls, data: bytes) -> Holders:
        reader = Reader.parse(data, what="holders.json")
        reader.version("format", known=HOLDERS_FORMAT)
        held = reader.inner("roles")
        read = {name: held.inner(name) for name in held.values}
        return cls(
            roles={
                name: Held(
                    keys=tuple(key_from(key) for key in each.each("keys")), threshold=each.whole_number("threshold", least=1)
                )
                for name, each in read.items()
            },
            pin=reader.optional("pin", lambda name: key_from(reader.inner(name))),
        )


def founding(policy: Policy, holders: Holders) -> Change:
    """The first version of every role that people sign, not signed yet.

    Raises:
        SigningError: keys or thresholds that nobody may be appointed with.
    """
    bound = {roles.APP_FIELD: policy.app_id}
    root = Root(version=1, expires=roles.after(roles.ROOT_DAYS), consistent_snapshot=True, unrecognized_fields=bound)
    for name in ("root", "targets", "snapshot", "timestamp"):
        for key in holders.roles[name].keys:
            root.add_key(key, name)
        root.roles[name].threshold = holders.roles[name].threshold
    targets = Targets(version=1, expires=roles.after(policy.expiry_days))
    targets.targets[POLICY_PATH] = roles.target_file(POLICY_PATH, policy.to_bytes(), policy.to_dict())
    operators = holders.roles["channels"]
    delegated = DelegatedRole(roles.CHANNELS, [], operators.threshold, True, paths=["channels/*/*"])
    targets.delegations = Delegations({}, {roles.CHANNELS: delegated})
    for key in operators.keys:
        targets.add_key(key, roles.CHANNELS)
    first: dict[str, Metadata[Any]] = {
        "root": Metadata(root),
        "targets": Metadata(targets),
        roles.CHANNELS: roles.new_channels_role(policy.app_id),
    }
    lints.refuse(*first.values())
    return Change(
        app_id=policy.app_id,
        intent=Intent(kind="found", pin=holders.pin),
        proposed_by="",
        edits={name: Edit(base=0, metadata=role.to_bytes()) for name, role in first.items()},
    )


def check(change: Change, app_id: str) -> None:
    """Hold a change that makes a repository against every rule but signatures.

    Raises:
        RecipeError: it makes none.
        Expired, EndpointRefused, VerificationError: a rule is broken.
    """
    root, targets, channels = _first_roles(change)
    for name, role in (("root", root), ("targets", targets), (roles.CHANNELS, channels)):
        rules.refuse_expired(name, role)
        rules.refuse_mistakes(role)
    roles.check_root_bound(root.signed, app_id)
    rules.refuse_other_app(app_id, targets.signed, channels.signed)
    rules.refuse_unreachable(root.signed, roles.policy_of(targets.signed))
    target = targets.signed.targets[POLICY_PATH]
    if digest_of(roles.policy_of(targets.signed).to_bytes()) != target.hashes.get("sha256"):
        raise RecipeError("The policy is not the one that is signed.", remedy="Make the change again.", field=POLICY_PATH)


def found(repository: AppRepository, change: Change, online: Online) -> bool:
    """Make a repository stand; a run that broke off is finished by the next one.

    Returns:
        False if it stood already.

    Raises:
        ThresholdNotMet: who must sign first is told.
        Conflict: another repository stands there, or was begun there with other keys.
        EndpointRefused: a rule is broken, or the online keys here are not those that the root names.
    """
    approval.refuse_unless_met(change, Present())
    check(change, repository.app_id)
    root, targets, _ = _first_roles(change)
    rules.refuse_foreign_online(root.signed, online)
    store = repository.store
    if store.exists(TIMESTAMP):
        if made(change, store.read):
            return False
        raise Conflict(
            f"{repository.app_id} has a repository already, and it is another one.",
            remedy="Change its keys with: mlpublish repo rotate.",
            field="app",
        )
    store.create(roles.stored_at(targets.signed.targets[POLICY_PATH]), roles.policy_of(targets.signed).to_bytes())
    for path, content in _written(change, online):
        store.create(path, content)
    stamp = roles.signed_by(roles.new_timestamp(1, online.timestamp_days, 1), *online.timestamp).to_bytes()
    _refuse_mixed(repository, stamp)
    return store.replace_if(TIMESTAMP, stamp, tag=None)


def made(change: Change, read: Read) -> bool:
    """Whether the first versions that stand there say what this change says."""
    try:
        standing = {name: roles.parse_named(read(f"metadata/1.{name}.json"), name) for name in change.edits}
    except (NotFound, FormatError):
        return False
    return all(role.signed_bytes == change.role(name).signed_bytes for name, role in standing.items())


def _first_roles(change: Change) -> tuple[Metadata[Root], Metadata[Targets], Metadata[Targets]]:
    root, targets, channels = change.root, change.targets(), change.targets(roles.CHANNELS)
    if root is None or targets is None or channels is None or {root.signed.version, targets.signed.version} != {1}:
        raise RecipeError("This change makes no repository.", remedy="Make one with: mlpublish repo add-app.", field="change")
    return root, targets, channels


def _written(change: Change, online: Online) -> Iterator[tuple[str, bytes]]:
    for name in ("root", "targets", roles.CHANNELS):
        yield f"metadata/1.{name}.json", change.edits[name].metadata
    snapshot = roles.new_snapshot(1, online.snapshot_days, 1, 1)
    yield "metadata/1.snapshot.json", roles.signed_by(snapshot, *online.snapshot).to_bytes()


def _refuse_mixed(repository: AppRepository, stamp: bytes) -> None:
    """What was begun there before must be of the same keys, or the repository would never verify."""
    try:
        read_head(lambda path: stamp if path == TIMESTAMP else repository.store.read(path), app_id=repository.app_id)
    except MlpublishError as exc:
        raise Conflict(
            f"A repository of {repository.app_id} was begun here with other keys, and never finished.",
            remedy=f"Remove the folder {repository.app_id} from the repository (no device ever saw it), then try again.",
            field="app",
        ) from exc
