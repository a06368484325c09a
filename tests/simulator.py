"""An app's repository as a production one is held, that does whatever the holder of any keys could make it do.

Root 2-of-3, app role 2-of-3 reviewers, channels one of two operators, snapshot and timestamp one online key each; every key
in its own hands. It is made of signed roles alone, past every rule of publishing, so that a test can sign what no command
of ours would; what a device makes of it is then the device's own doing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from mlpublish.artifacts import App, Bundle
from mlpublish.formats.archive import Archive
from mlpublish.formats.channel import Channel, Entry, bundle_path, channel_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.signing.sign import describe
from mlpublish.trust import roles
from mlpublish.trust.bundles import manifest_digest
from mlpublish.trust.keys import crypto_signer
from tests.phones import Phones
from tests.web import Web

S = TypeVar("S", Root, Targets, Snapshot, Timestamp)
Change = Callable[[Any], object]

TARGETS, CHANNELS, ROOT, SNAPSHOT, TIMESTAMP = "targets", "channels", "root", "snapshot", "timestamp"
HOLDERS = {ROOT: 3, TARGETS: 3, CHANNELS: 2, SNAPSHOT: 1, TIMESTAMP: 1}
THRESHOLDS = {ROOT: 2, TARGETS: 2, CHANNELS: 1, SNAPSHOT: 1, TIMESTAMP: 1}


def new_keys(count: int) -> list[CryptoSigner]:
    """Keys that nobody held before."""
    return [crypto_signer(ec.generate_private_key(ec.SECP256R1())) for _ in range(count)]


def new_pin() -> CryptoSigner:
    """A key as the predecessor's apps pin it."""
    return crypto_signer(rsa.generate_private_key(65537, 2048))


def nothing(_: object) -> None:
    """The change that changes nothing but the version."""


def expired(role: Root | Targets | Snapshot | Timestamp) -> None:
    """The change that lets a role have run out yesterday."""
    role.expires = roles.now() - timedelta(days=1)


class Simulator(Phones):
    """One app's repository in a folder that a web serves, the keys of everybody, and phones that ask.

    Args:
        served: the folder that holds ``<app id>/…``.
        keys: role -> who holds it; by default everybody's are new.
    """

    def __init__(
        self,
        folder: Path,
        app: App,
        web: Web,
        new_bundle: Callable[..., Bundle],
        *,
        keys: Mapping[str, list[CryptoSigner]] | None = None,
        pin: CryptoSigner | None = None,
    ) -> None:
        super().__init__(folder, app, web)
        self.new_bundle = new_bundle
        self.keys = {name: list((keys or {}).get(name) or new_keys(count)) for name, count in HOLDERS.items()}
        self.pin = pin
        self.contents: dict[str, Channel] = {}
        self.root, self.targets, self.channels = self._first_root(), self._first_app_role(), roles.new_channels_role(app.id)
        self.versions = {SNAPSHOT: 0, TIMESTAMP: 0}
        for name in (ROOT, TARGETS, CHANNELS):
            self.write(name, roles.signed_by(self.role(name), *self.signers(name)))
        self.stamp()

    # who signs, and what is current

    @property
    def served(self) -> Path:
        """Where the app's files lie."""
        return self.web.folder / self.app.id

    def signers(self, name: str) -> list[CryptoSigner]:
        """As many holders of a role as its threshold asks for."""
        return self.keys[name][: THRESHOLDS[name]] + ([self.pin] if name == ROOT and self.pin is not None else [])

    def role(self, name: str) -> Metadata[Any]:
        """What is current of a role that people sign."""
        current: Metadata[Any] = getattr(self, name)
        return current

    def first_root(self) -> bytes:
        return (self.served / "metadata" / "1.root.json").read_bytes()

    def write(self, name: str, role: Metadata[Any]) -> Path:
        """Put a role where the world finds it, whatever lies there."""
        version = "" if name == TIMESTAMP else f"{role.signed.version}."
        file = self.served / "metadata" / f"{version}{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(role.to_bytes())
        return file

    def newest(self, name: str) -> Path:
        """The file of what is current of a role."""
        version = self.versions[name] if name in self.versions else self.role(name).signed.version
        return self.served / "metadata" / ("timestamp.json" if name == TIMESTAMP else f"{version}.{name}.json")

    # what the holders of keys do, whoever they are

    def edit(self, name: str, change: Change = nothing, *, by: Iterable[CryptoSigner] | None = None) -> None:
        """The next version of root, app role or channels role, signed by its holders or by others; not stamped yet."""
        following = Metadata(deepcopy(self.role(name).signed))
        following.signed.version += 1
        change(following.signed)
        self.write(name, roles.signed_by(following, *(self.signers(name) if by is None else by)))
        setattr(self, name, following)

    def stamp(
        self, *, snapshot: Change = nothing, timestamp: Change = nothing, by: Mapping[str, Iterable[CryptoSigner]] | None = None
    ) -> None:
        """The next snapshot and timestamp, which make what is there the present."""
        signers = {name: self.signers(name) for name in (SNAPSHOT, TIMESTAMP)} | dict(by or {})
        for name in (SNAPSHOT, TIMESTAMP):
            self.versions[name] += 1
        view = roles.new_snapshot(self.versions[SNAPSHOT], 30, self.targets.signed.version, self.channels.signed.version)
        snapshot(view.signed)
        self.write(SNAPSHOT, roles.signed_by(view, *signers[SNAPSHOT]))
        now = roles.new_timestamp(self.versions[TIMESTAMP], 14, view.signed.version)
        timestamp(now.signed)
        self.write(TIMESTAMP, roles.signed_by(now, *signers[TIMESTAMP]))

    def approve(self, change: Change = nothing, *, by: Iterable[CryptoSigner] | None = None) -> None:
        """What reviewers say from now on."""
        self.edit(TARGETS, change, by=by)
        self.stamp()

    def steer(self, change: Change = nothing, *, by: Iterable[CryptoSigner] | None = None) -> None:
        """What operators say from now on."""
        self.edit(CHANNELS, change, by=by)
        self.stamp()

    def put(self, path: str, content: bytes, custom: Mapping[str, object] | None = None) -> TargetFile:
        """Lay a target where it is found, and describe it."""
        target = roles.target_file(path, content, custom)
        file = self.served / roles.stored_at(target)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return target

    def release(
        self, content: bytes = b"", *, offer: bool = True, by: Iterable[CryptoSigner] | None = None, **facts: Any
    ) -> int:
        """A bundle of one model that reviewers approved, offered on the stable channel."""
        numbers = roles.releases_of(self.targets.signed)
        number = facts.get("number", max(numbers, default=0) + 1)
        target = self.bundled(number, content or b"weights of %d" % number, **facts)
        self.approve(lambda role: role.targets.update({target.path: target}), by=by)
        if offer:
            self.offer(number)
        return number

    def bundled(self, number: int, content: bytes, **facts: Any) -> TargetFile:
        """A bundle of one model, laid where it is found, and what is said of it."""
        made = self.new_bundle(content)
        with made.path.open("rb") as stream:
            digest = manifest_digest(Archive.read(stream))
        said = replace(describe(made.manifest, app=self.app, number=number, digest=digest), **facts)
        return self.put(bundle_path(number), made.path.read_bytes(), said.to_dict())

    def offer(self, release: int, *, channel: str = "stable", by: Iterable[CryptoSigner] | None = None, **entry: Any) -> None:
        """What a channel says of the app version."""
        named = Entry(**({"app_version": self.app.version, "release": release} | entry))
        present = self.contents.get(channel, Channel(channel=channel, platform=self.app.platform))
        self.contents[channel] = present.with_entry(named)
        target = self.put(channel_path(self.app.platform, channel), self.contents[channel].to_bytes())
        self.steer(lambda role: role.targets.update({target.path: target}), by=by)

    def policy(self, *, by: Iterable[CryptoSigner] | None = None, **policy: Any) -> None:
        """Floors and withdrawals from now on."""
        wanted = Policy(**({"app_id": self.app.id} | policy))
        target = self.put(POLICY_PATH, wanted.to_bytes(), wanted.to_dict())
        self.approve(lambda role: role.targets.update({POLICY_PATH: target}), by=by)

    def channel_file(self, channel: str = "stable") -> Path:
        """Where a channel's content lies."""
        return self.served / roles.stored_at(self.channels.signed.targets[channel_path(self.app.platform, channel)])

    def bundle_file(self, number: int) -> Path:
        """Where a release's bundle lies."""
        return self.served / roles.stored_at(self.targets.signed.targets[bundle_path(number)])

    # what hosts and mirrors do

    def keep(self) -> Path:
        """A copy of what is served now."""
        self.made += 1
        return Path(shutil.copytree(self.served, self.folder / "kept" / str(self.made)))

    def serve(self, kept: Path) -> None:
        """Serve a copy instead."""
        shutil.rmtree(self.served)
        shutil.copytree(kept, self.served)

    # how it begins

    def _first_root(self) -> Metadata[Root]:
        root = Root(version=1, expires=roles.after(365), consistent_snapshot=True)
        for name in (ROOT, TARGETS, SNAPSHOT, TIMESTAMP):
            for key in self.keys[name]:
                root.add_key(key.public_key, name)
            root.roles[name].threshold = THRESHOLDS[name]
        return Metadata(root)

    def _first_app_role(self) -> Metadata[Targets]:
        role = Targets(version=1, expires=roles.after(90))
        policy = Policy(app_id=self.app.id)
        role.targets[POLICY_PATH] = self.put(POLICY_PATH, policy.to_bytes(), policy.to_dict())
        role.delegations = Delegations({}, {CHANNELS: DelegatedRole(CHANNELS, [], 1, True, paths=["channels/*/*"])})
        for key in self.keys[CHANNELS]:
            role.add_key(key.public_key, CHANNELS)
        return Metadata(role)
