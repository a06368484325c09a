"""The signed roles of one app's repository, as values: make them, edit them, sign them, verify them.

``targets`` is the *app role*: it says what the releases are and who the operators are. It delegates one role, ``channels``,
for ``channels/*/*`` (TUF specification §4.5). Nothing here touches a disk or a network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

from mlpublish.errors import FormatError, SigningError, ThresholdNotMet, VerificationError
from mlpublish.formats.channel import NAME, Channel, ReleaseFacts, bundle_path, channel_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.formats.wire import digest_of
from mlpublish.trust.signer import Signer

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)

CHANNELS = "channels"
APP_FIELD = "x-mlpublish-app"
_CHANNEL_PATHS = rf"channels/{NAME}/{NAME}\.json"
_APP_PATHS = r"policy\.json|releases/[1-9][0-9]{0,18}/(bundle\.zip(\.sig)?|model\.sig)"
ROOT_DAYS, CHANNELS_DAYS = 365, 90
_DEEPEST = 32  # levels
SCHEMES = ("ecdsa-sha2-nistp256", "ed25519", "rsa-pkcs1v15-sha256")  # what a phone verifies with system frameworks


def now() -> datetime:
    """The present second in UTC, the resolution that TUF's dates have."""
    return datetime.now(UTC).replace(microsecond=0)


def after(days: float) -> datetime:
    """An expiry so many days from now."""
    return now() + timedelta(days=days)


def target_file(path: str, content: bytes, custom: Mapping[str, object] | None = None) -> TargetFile:
    """Describe a small target whose bytes are at hand."""
    return described(path, len(content), digest_of(content), custom)


def described(path: str, length: int, sha256: str, custom: Mapping[str, object] | None = None) -> TargetFile:
    """Describe a target by length and digest; ``custom`` is signed with them."""
    fields = {} if custom is None else {"custom": dict(custom)}
    return TargetFile(length, {"sha256": sha256}, path, fields)


def stored_at(target: TargetFile) -> str:
    """Where a target's bytes lie in the app's folder, under consistent snapshots (specification §6.2).

    Raises:
        FormatError: it is signed under another digest than sha256.
    """
    if "sha256" not in target.hashes:
        raise FormatError(f"{target.path} is signed without a sha256.", remedy="Sign it again.", field=target.path)
    folder, slash, name = target.path.rpartition("/")
    return f"targets/{folder}{slash}{target.hashes['sha256']}.{name}"


def new_channels_role(app_id: str) -> Metadata[Targets]:
    """Version 1 of a channels role without a channel, bound to its app; not signed yet.

    The binding is a signed field of our own beside TUF's (specification §4.2 lets readers ignore it): without it a role of
    another app would verify wherever operators' keys are shared.
    """
    return Metadata(Targets(version=1, expires=after(CHANNELS_DAYS), unrecognized_fields={APP_FIELD: app_id}))


def check_bound(role: Targets, app_id: str) -> None:
    """Hold a channels role against the app whose repository it stands in.

    Raises:
        VerificationError: it is another app's.
    """
    bound = role.unrecognized_fields.get(APP_FIELD)
    if bound != app_id:
        raise VerificationError(
            f"The channels role is {'bound to no app' if bound is None else f'of {bound}'}, not of {app_id}.",
            remedy="Take the app's own; set its channels again.",
            field=CHANNELS,
        )


def check_app_role_bound(role: Targets, app_id: str) -> None:
    """Hold an app role against the app whose repository it stands in: its policy names it.

    Raises:
        VerificationError: it is another app's, which verifies too wherever apps share keys.
        FormatError: it has no policy.
    """
    bound = policy_of(role).app_id
    if bound != app_id:
        raise VerificationError(
            f"The app role is for {bound}, not {app_id}.", remedy="Take the app's own; check the address.", field="app"
        )


def check_shape(name: str, role: Targets) -> None:
    """Hold an app role or a channels role against what such a role says.

    TUF gives both the same type; a person who holds both roles could be made to sign for one what would count for the other.

    Raises:
        VerificationError: it says what is the other role's to say.
    """
    channels = name == CHANNELS
    strange = next(
        (path for path in role.targets if re.fullmatch(_CHANNEL_PATHS if channels else _APP_PATHS, path) is None), None
    )
    if strange is not None:
        raise VerificationError(f"The {name} role names {strange[:80]!r}.", remedy="It has no place there.", field=name)
    if (role.delegations is not None) is channels or (not channels and APP_FIELD in role.unrecognized_fields):
        raise VerificationError(
            f"This {name} role is shaped as the other one is.", remedy="Make the edit again from the present state.", field=name
        )


def check_root_bound(root: Root, app_id: str) -> None:
    """Hold a root against the app whose repository it stands in.

    Apps of one house often share their root keys; then another app's next root would verify here, and hand this app to
    whoever holds the roles there. A root that names no app (another tool made it) is bound by its keys alone.

    Raises:
        VerificationError: it names another app.
    """
    bound = root.unrecognized_fields.get(APP_FIELD, app_id)
    if bound != app_id:
        raise VerificationError(
            f"Root {root.version} is of {bound}, not of {app_id}.", remedy="Take the app's own root.", field="root"
        )


def new_snapshot(version: int, days: float, targets: int, channels: int) -> Metadata[Snapshot]:
    """A snapshot that names one version of each signed role; not signed yet."""
    meta = {"targets.json": MetaFile(targets), f"{CHANNELS}.json": MetaFile(channels)}
    return Metadata(Snapshot(version=version, expires=after(days), meta=meta))


def new_timestamp(version: int, days: float, snapshot: int) -> Metadata[Timestamp]:
    """A timestamp that names one snapshot; not signed yet."""
    return Metadata(Timestamp(version=version, expires=after(days), snapshot_meta=MetaFile(snapshot)))


def with_release(role: Metadata[Targets], facts: ReleaseFacts, *, length: int, sha256: str, version: int) -> Metadata[Targets]:
    """The app role's next version, which names one more release; signatures of the old one are gone."""
    path = bundle_path(facts.number)
    edited = following(role, version, policy_of(role.signed).expiry_days)
    edited.signed.targets[path] = described(path, length, sha256, facts.to_dict())
    return edited


def with_channel(role: Metadata[Targets], channel: Channel, *, version: int) -> Metadata[Targets]:
    """The channels role's next version, which names this content for one channel."""
    path = channel_path(channel.platform, channel.channel)
    edited = following(role, version, CHANNELS_DAYS)
    edited.signed.targets[path] = target_file(path, channel.to_bytes())
    return edited


def with_policy(role: Metadata[Targets], policy: Policy, *, version: int, without: Iterable[int] = ()) -> Metadata[Targets]:
    """The app role's next version, which signs this policy and names some releases no more."""
    edited = following(role, version, policy.expiry_days)
    edited.signed.targets[POLICY_PATH] = target_file(POLICY_PATH, policy.to_bytes(), policy.to_dict())
    for number in without:
        folder = f"{bundle_path(number).rpartition('/')[0]}/"
        for path in [path for path in edited.signed.targets if path.startswith(folder)]:
            del edited.signed.targets[path]
    return edited


def following(role: Metadata[S], version: int, days: float) -> Metadata[S]:
    """The role under its next version and with a new expiry; signatures of the old one are gone."""
    signed = deepcopy(role.signed)
    signed.version = version
    signed.expires = after(days)
    return Metadata(signed)


def signed_by(role: Metadata[S], *signers: Signer) -> Metadata[S]:
    """The role with these signatures too."""
    for signer in signers:
        signature = signer.sign(role.signed_bytes)
        role.signatures[signature.keyid] = signature
    return role


def parse(data: bytes, kind: type[S], what: str) -> Metadata[S]:
    """Read a role's bytes.

    Raises:
        FormatError: they are no metadata, of another type, or say what TUF's canonical JSON cannot write, and nobody signs.
    """
    try:
        role: Metadata[S] = Metadata[S].from_bytes(data)
    except DeserializationError as exc:
        raise FormatError(f"{what} is no TUF metadata.", remedy=_AGAIN, field=what) from exc
    if not isinstance(role.signed, kind):
        raise FormatError(f"{what} is of type {role.signed.type}, not {kind.type}.", remedy=_AGAIN, field=what)
    if not _is_signable(role.signed.to_dict()):
        raise FormatError(
            f"{what} is not all whole numbers and proper text, at most {_DEEPEST} levels deep.", remedy=_AGAIN, field=what
        )
    return role


def _is_signable(value: object) -> bool:
    """Whether canonical JSON can write it; level by level, so that nothing is too deep to be looked at."""
    level = [value]
    for _ in range(_DEEPEST):
        texts = [each for each in level if isinstance(each, str)]
        texts += [name for each in level if isinstance(each, dict) for name in each]
        known = all(each is None or isinstance(each, dict | list | str | int) for each in level)
        if not known or any("\ud800" <= letter <= "\udfff" for text in texts if not text.isascii() for letter in text):
            return False
        nested = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [inner for each in nested for inner in each]
        if not level:
            return True
    return False


def parse_named(data: bytes, name: str) -> Metadata[Root] | Metadata[Targets]:
    """Read a role's bytes by the name of the role: ``root``, ``targets`` or ``channels``; see ``parse``."""
    return parse(data, Root, name) if name == "root" else parse(data, Targets, name)


def verify(delegator: Root | Targets, name: str, role: Metadata[S]) -> None:
    """Check a role's signatures against whoever appoints its keys.

    Raises:
        ThresholdNotMet: fewer than the threshold are valid.
    """
    try:
        result = delegator.get_verification_result(name, role.signed_bytes, role.signatures)
    except ValueError as exc:
        raise ThresholdNotMet(f"Nobody is appointed for the role {name}.", remedy=_SIGN, field=name) from exc
    if not result.verified:
        raise ThresholdNotMet(
            f"The {name} role (version {role.signed.version}) has {len(result.signed)} of {result.threshold} signatures.",
            remedy=_SIGN,
            field=name,
        )


def holds(delegator: Root | Targets, name: str, role: Metadata[S]) -> bool:
    """Whether ``verify`` would pass."""
    try:
        verify(delegator, name, role)
    except ThresholdNotMet:
        return False
    return True


def verify_stricter(delegator: Root, name: str, role: Metadata[S]) -> None:
    """Where the publisher's own signature does not count, one more than the threshold must be valid.

    Raises:
        ThresholdNotMet: there is not.
    """
    result = delegator.get_verification_result(name, role.signed_bytes, role.signatures)
    if len(result.signed) <= result.threshold:
        raise ThresholdNotMet(
            f"The {name} role (version {role.signed.version}) has {len(result.signed)} of {result.threshold + 1} signatures; "
            "the publisher's own does not count.",
            remedy="Let another holder of the role sign: mlpublish review sign.",
            field=name,
        )


def signers_of(delegator: Root | Targets, name: str, role: Metadata[S]) -> tuple[str, ...]:
    """The key ids whose signatures on a role count."""
    return tuple(sorted(delegator.get_verification_result(name, role.signed_bytes, role.signatures).signed))


def must_hold(signer: Signer, delegator: Root | Targets, name: str) -> None:
    """Refuse a key that the role's delegator does not appoint, before anything is signed with it.

    Raises:
        SigningError: the key is not one of the role's.
    """
    keyid = signer.public_key.keyid
    appointed = delegator.get_delegated_role(name).keyids
    if keyid not in appointed:
        raise SigningError(
            f"The key {keyid[:12]} is not one of the {name} role's ({', '.join(each[:12] for each in appointed)}).",
            remedy=f"Sign with a key that holds the {name} role of this app, or let the role appoint this key first.",
            field="key",
        )


def releases_of(role: Targets) -> dict[int, ReleaseFacts]:
    """What an app role says of its releases, by number.

    Raises:
        FormatError: an entry is not what its format says.
    """
    found: dict[int, ReleaseFacts] = {}
    for path, target in role.targets.items():
        if path.startswith("releases/") and path.endswith("/bundle.zip"):
            facts = ReleaseFacts.from_dict(custom_of(target))
            if path != bundle_path(facts.number):
                raise FormatError(f"{path} is signed as release {facts.number}.", remedy=_AGAIN, field=path)
            found[facts.number] = facts
    return found


def custom_of(target: TargetFile) -> Mapping[str, object]:
    """What is signed about a target beside its bytes; nothing, for one that carries none."""
    custom = target.custom
    return custom if isinstance(custom, dict) else {}


def policy_of(role: Targets) -> Policy:
    """The policy that an app role signs, read from its ``custom``."""
    target = role.targets.get(POLICY_PATH)
    if target is None:
        raise FormatError("The app role names no policy.json.", remedy=_AGAIN, field=POLICY_PATH)
    return Policy.from_dict(custom_of(target))


_AGAIN = "Get the repository's metadata again; it may be cut or altered."
_SIGN = "It is altered, of another repository, or not fully signed yet: get it again, or ask the holders of the role."
