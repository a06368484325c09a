"""People with keys that are the same in every run, and the roles of an app that they hold.

Root 2-of-3 and app role 2-of-3 in the hands of Alice, Bob and Carol, channels in Olga's, snapshot and timestamp in a machine's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Root, Targets

from mlpublish.formats.channel import ReleaseFacts, bundle_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.formats.wire import digest_of
from mlpublish.trust import roles
from mlpublish.trust.approval import Present
from mlpublish.trust.changes import Change, Edit
from mlpublish.trust.intents import Intent
from mlpublish.trust.keys import KeySigner, crypto_signer, public_key, with_holder

APP_ID = "com.acme.digits"
HOLDERS = ("alice", "bob", "carol")


@cache
def signer(name: str) -> KeySigner:
    """Somebody's key: Ed25519, so that what it signs is the same in every run."""
    return crypto_signer(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest()))


class ECSigner(CryptoSigner):
    """Signs with ECDSA P-256 as RFC 6979 says, without a random number: the same in every run."""

    def __init__(self, name: str) -> None:
        secret = int.from_bytes(hashlib.sha256(name.encode()).digest())
        self._key = derive_private_key(secret, SECP256R1())
        super().__init__(self._key, public_key(self._key.public_key()))

    def sign(self, payload: bytes) -> Signature:
        return Signature(self.public_key.keyid, self._key.sign(payload, ECDSA(SHA256(), deterministic_signing=True)).hex())


def public(name: str) -> SSlibKey:
    """The public half, with its holder's name beside it."""
    return with_holder(signer(name).public_key, name)


def keyid(name: str) -> str:
    return public(name).keyid


def root(
    *,
    root: Iterable[str] = HOLDERS,
    targets: Iterable[str] = HOLDERS,
    threshold: int = 2,
    version: int = 1,
    expires: datetime | None = None,
) -> Metadata[Root]:
    """A root, not signed yet."""
    made = Root(version=version, expires=expires or roles.after(300), consistent_snapshot=True)
    for role, names in (("root", root), ("targets", targets), ("snapshot", ["machine"]), ("timestamp", ["machine"])):
        for name in names:
            made.add_key(public(name), role)
    made.roles["root"].threshold = made.roles["targets"].threshold = threshold
    return Metadata(made)


def app_role(
    policy: Policy | None = None,
    *,
    releases: Iterable[int] = (),
    operators: Iterable[str] = ("olga",),
    version: int = 1,
    expires: datetime | None = None,
) -> Metadata[Targets]:
    """An app role, not signed yet."""
    said = policy or Policy(app_id=APP_ID)
    made = Targets(version=version, expires=expires or roles.after(80))
    made.targets[POLICY_PATH] = roles.target_file(POLICY_PATH, said.to_bytes(), said.to_dict())
    made.delegations = Delegations({}, {roles.CHANNELS: DelegatedRole(roles.CHANNELS, [], 1, True, paths=["channels/*/*"])})
    for name in operators:
        made.add_key(public(name), roles.CHANNELS)
    for number in releases:
        path = bundle_path(number)
        made.targets[path] = roles.described(path, 1000 + number, digest_of(b"%d" % number), facts(number).to_dict())
    return Metadata(made)


def channels_role(*, version: int = 1, expires: datetime | None = None) -> Metadata[Targets]:
    """A channels role without a channel, not signed yet."""
    made = roles.new_channels_role(APP_ID)
    made.signed.version, made.signed.expires = version, expires or roles.after(80)
    return made


def facts(number: int) -> ReleaseFacts:
    return ReleaseFacts(
        app_id=APP_ID,
        platform="ios",
        app_versions=("2.0", "2.1"),
        number=number,
        name="digits",
        version=str(number),
        minimum_os="16.0",
        unpacked_length=2000 + number,
        manifest=digest_of(b"manifest %d" % number),
    )


def present() -> Present:
    """What is current: release 1, nothing withdrawn; every role signed by enough."""
    return Present(
        root=roles.signed_by(root(), signer("alice"), signer("bob")),
        targets=roles.signed_by(app_role(releases=[1]), signer("alice"), signer("bob")),
        channels=roles.signed_by(channels_role(), signer("olga")),
    )


def change(
    edits: Mapping[str, Metadata[Root] | Metadata[Targets]],
    intent: Intent | None = None,
    *,
    by: str = "",
    before: Present | None = None,
) -> Change:
    """A change that says it was made from the version before each of these roles, by default from ``present()``."""
    return Change(
        app_id=APP_ID,
        intent=intent or Intent(kind="policy"),
        proposed_by=keyid(by) if by else "",
        edits={name: _edit(name, role, before or present()) for name, role in edits.items()},
    )


def _edit(name: str, role: Metadata[Root] | Metadata[Targets], present: Present) -> Edit:
    base, before = role.signed.version - 1, present.role(name)
    said = digest_of(before.signed_bytes) if base and before is not None else ""
    return Edit(base=base, metadata=role.to_bytes(), present=said)


def one_key_root(holder: KeySigner) -> Metadata[Root]:
    """Version 1 of a root that gives every role to one key; not signed yet."""
    made = Root(version=1, expires=roles.after(300), consistent_snapshot=True)
    for name in ("root", "targets", "snapshot", "timestamp"):
        made.add_key(holder.public_key, name)
    return Metadata(made)
