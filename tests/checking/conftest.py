"""The lab: an app's repository with real keys that can be bent, served over real HTTP that can be bent, and one phone.

A bent repository is signed with the real keys of its roles, so what a test proves is what a device does when those keys do
that. A bent answer travels over a real socket, so what a test proves is what the device does on such a network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from mlpublish.artifacts import App, Bundle
from mlpublish.formats.channel import Channel, Entry, bundle_path, channel_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels
from mlpublish.repository.development import Development
from mlpublish.repository.head import Head
from mlpublish.signing.sign import sign
from mlpublish.storage.in_folder import FolderStore
from mlpublish.trust import roles
from mlpublish.trust.signer import Signer
from tests.phones import Phones
from tests.web import Web

BIG = bytes(range(256)) * 8192  # 2 MiB


class CanceledAt(threading.Event):
    """A cancel that somebody sets just before it is looked at for the so manyth time."""

    def __init__(self, look: int) -> None:
        super().__init__()
        self._left = look

    def is_set(self) -> bool:
        self._left -= 1
        return self._left <= 0


class Lab(Phones):
    """One app's repository, the web that it is served on, and its phones."""

    def __init__(self, folder: Path, development: Development, web: Web, app: App, new_bundle: Callable[..., Bundle]) -> None:
        super().__init__(folder, app, web)
        self.development = development
        self.new_bundle = new_bundle

    def first_root(self) -> bytes:
        return self.development.first_root(self.app.id)

    # what publishers and operators do

    def release(self, content: bytes = b"", *, offer: bool = True, app: App | None = None) -> int:
        """Bundle, sign, publish and offer a model with this content."""
        self.made += 1
        bundle = self.new_bundle(content or b"weights of %d" % self.made)
        out = self.folder / "signed" / str(self.made)
        signed = sign(bundle, repository=self.development.folder, app=app or self.app, out=out)
        publish(signed, to=self.development.folder)
        if offer:
            self.offer(signed.number)
        return signed.number

    def offer(self, release: int, **keywords: Any) -> None:
        where: dict[str, Any] = {"to": self.development.folder, "app_version": self.app.version}
        channels.set(self.app.id, release=release, **(where | keywords))

    # what their keys can be made to do

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.development.repository / self.app.id)

    def head(self) -> Head:
        return self.development.app(self.app.id).head()

    def bend(
        self,
        *,
        targets: Callable[[Targets], object] | None = None,
        channels: Callable[[Targets], object] | None = None,
        snapshot: Callable[[Snapshot], object] = lambda _: None,
        timestamp: Callable[[Timestamp], object] = lambda _: None,
        signers: dict[str, Signer] | None = None,
    ) -> None:
        """Change what roles say and make it current with their real keys, past every rule of the commit."""
        head, by = (
            self.head(),
            {name: self.development.signer(name) for name in ("targets", "channels", "snapshot", "timestamp")},
        )
        by |= signers or {}
        versions = {}
        for name, change in (("targets", targets), ("channels", channels)):
            role = Metadata(roles.parse(head.role(name).to_bytes(), Targets, name).signed)
            versions[name] = role.signed.version
            if change is not None:
                role.signed.version += 1
                change(role.signed)
                versions[name] = role.signed.version
                roles.signed_by(role, by[name])
                self.store.create(f"metadata/{role.signed.version}.{name}.json", role.to_bytes())
        number = head.snapshot.signed.version + 1
        view = roles.new_snapshot(number, 30, versions["targets"], versions["channels"])
        snapshot(view.signed)
        stamp = roles.new_timestamp(head.timestamp.signed.version + 1, 14, view.signed.version)
        timestamp(stamp.signed)
        self.store.create(f"metadata/{view.signed.version}.snapshot.json", roles.signed_by(view, by["snapshot"]).to_bytes())
        assert self.store.replace_if(
            "metadata/timestamp.json", roles.signed_by(stamp, by["timestamp"]).to_bytes(), tag=head.tag
        )

    def policy(self, **policy: Any) -> None:
        """What reviewers say: floors and withdrawals."""
        wanted = Policy(**({"app_id": self.app.id} | policy))

        def change(role: Targets) -> None:
            role.targets[POLICY_PATH] = roles.target_file(POLICY_PATH, wanted.to_bytes(), wanted.to_dict())

        self.bend(targets=change)

    def facts(self, number: int, **facts: object) -> None:
        """Bend what is signed about a release."""
        self.bend(targets=lambda role: role.targets[bundle_path(number)].unrecognized_fields["custom"].update(facts))

    def signed_bytes(self, data: bytes, *, like: int = 1, **facts: object) -> int:
        """Sign any bytes as a release, in all else like another one, and offer it."""
        head = self.head()
        number = max(head.releases) + 1
        custom = head.releases[like].to_dict() | {"release": number} | facts
        target = roles.target_file(bundle_path(number), data, custom)
        self.store.create(roles.stored_at(target), data)
        self.bend(targets=lambda role: role.targets.update({bundle_path(number): target}))
        self.offer(number)
        return number

    def channel_file(self, content: bytes, *, name: str = "stable") -> None:
        """Sign any bytes as a channel file."""
        target = roles.target_file(channel_path(self.app.platform, name), content)
        self.store.create(roles.stored_at(target), content)
        self.bend(channels=lambda role: role.targets.update({target.path: target}))

    def bend_entry(self, **entry: Any) -> None:
        """Say this of the app version in the channel, whatever it is."""
        named = Entry(**({"app_version": self.app.version} | entry))
        self.channel_file(Channel(channel="stable", platform=self.app.platform, entries=(named,)).to_bytes())

    def rotate_root(self, change: Callable[[Root], object], *, by: tuple[Signer, ...] | None = None) -> None:
        """Write the next root, signed by the root key unless others are named."""
        old = self.head().root
        root = Metadata(roles.parse(old.to_bytes(), Root, "root").signed)
        root.signed.version += 1
        change(root.signed)
        for signer in by or (self.development.signer("root"),):
            roles.signed_by(root, signer)
        self.store.create(f"metadata/{root.signed.version}.root.json", root.to_bytes())

    # what hosts and mirrors do

    def keep(self) -> Path:
        """A copy of what is served now."""
        self.made += 1
        return Path(shutil.copytree(self.store.folder, self.folder / "kept" / str(self.made)))

    def serve(self, kept: Path) -> None:
        """Serve a copy instead."""
        shutil.rmtree(self.store.folder)
        shutil.copytree(kept, self.store.folder)

    def stored(self, number: int) -> Path:
        """Where a release's bundle lies."""
        return self.store.folder / roles.stored_at(self.head().targets.signed.targets[bundle_path(number)])


@pytest.fixture
def web(development: Development) -> Iterator[Web]:
    one = Web(development.repository)
    yield one
    one.close()


@pytest.fixture
def lab(tmp_path: Path, development: Development, web: Web, app: App, new_bundle: Callable[..., Bundle]) -> Lab:
    return Lab(tmp_path / "lab", development, web, app, new_bundle)


@pytest.fixture
def waiting(lab: Lab) -> Lab:
    """Release 1 is in use, and release 2 (2 MiB) waits."""
    lab.release()
    lab.updates_to(1)
    lab.release(BIG)
    return lab


@pytest.fixture(scope="session")
def mounting() -> Callable[[str, Path], list[str]]:
    """``mounting("tmpfs -o size=8m tmpfs", folder)``: what a command line is put behind to have that mounted there."""

    def behind(mount: str, folder: Path) -> list[str]:
        words = ["unshare", "-rm", "sh", "-c", f'mount -t {mount} "$0" && exec "$@"', str(folder)]
        if shutil.which("unshare") is None or subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
            missing = "needs unshare (Debian: apt install util-linux) and the right to mount"
            pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
        return words

    return behind
