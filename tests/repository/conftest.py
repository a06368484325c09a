"""An app's repository with two releases and one channel, and stores that fail or hesitate where they are told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from tuf.api.metadata import TargetFile, Targets

from mlpublish.artifacts import App, Release
from mlpublish.checking.check import check
from mlpublish.errors import AlreadyPublished, Conflict
from mlpublish.formats.channel import Channel
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.formats.status import UpdateStatus
from mlpublish.formats.wire import digest_of
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Edit
from mlpublish.repository.head import Head, next_version
from mlpublish.repository.repository import AppRepository
from mlpublish.storage.in_folder import FolderStore
from mlpublish.trust import roles
from tests.production import Production, blobs_of


class BentStore:
    """A folder's store that something happens to before its writes.

    Args:
        before_write: called with the number of each write (from 0) and its path, before it is done.
        naive: replaces without comparing, as a plain PUT does.
    """

    def __init__(self, inner: FolderStore, before_write: Callable[[int, str], None], *, naive: bool = False) -> None:
        self._inner, self._before_write, self._naive = inner, before_write, naive
        self.writes = 0

    def read(self, path: str) -> bytes:
        return self._inner.read(path)

    def open(self, path: str) -> BinaryIO:
        return self._inner.open(path)

    def exists(self, path: str) -> bool:
        return self._inner.exists(path)

    def length(self, path: str) -> int:
        return self._inner.length(path)

    def read_tagged(self, path: str) -> tuple[bytes, str]:
        return self._inner.read_tagged(path)

    def list(self, folder: str) -> Iterator[str]:
        return self._inner.list(folder)

    def create(self, path: str, content: bytes | Path) -> bool:
        self._write(path)
        return self._inner.create(path, content)

    def create_if(self, path: str, content: bytes, *, guard: str, tag: str | None) -> bool:
        self._write(path)
        return self._inner.create(path, content) if self._naive else self._inner.create_if(path, content, guard=guard, tag=tag)

    def replace_if(self, path: str, content: bytes, *, tag: str | None, unless: str | None = None) -> bool:
        self._write(path)
        if self._naive:
            return self._inner.replace_if(path, content, tag=digest_of(self.read(path)))
        return self._inner.replace_if(path, content, tag=tag, unless=unless)

    def _write(self, path: str) -> None:
        number, self.writes = self.writes, self.writes + 1
        self._before_write(number, path)


@dataclass(frozen=True)
class Steered:
    """One app in a development repository, with the commits that operators and publishers make."""

    development: Development
    app: App
    new_release: Callable[..., Release]

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.development.repository / self.app.id)

    @property
    def to(self) -> Path:
        return self.development.folder

    def head(self) -> Head:
        return self.development.app(self.app.id).head()

    def bent(self, before_write: Callable[[int, str], None], *, naive: bool = False) -> AppRepository:
        return AppRepository(BentStore(self.store, before_write, naive=naive), self.app.id)

    def set(self, release: int, **keywords: object) -> Channel:
        wanted = {"to": self.to, "app_version": self.app.version, "release": release} | keywords
        return channels.set(self.app.id, **wanted).channel  # type: ignore[arg-type]

    def show(self, **keywords: str) -> Channel:
        return channels.show(self.app.id, at=self.to, **keywords).channel

    def channel_edit(self, channel: Channel) -> tuple[dict[str, Edit], Callable[[TargetFile], bytes]]:
        """The signed edit that makes a channel say this, and its content."""
        head = self.head()
        version = next_version(self.store.read, roles.CHANNELS, head.channels.signed.version)
        role = roles.with_channel(head.channels, channel, version=version)
        signed = roles.signed_by(role, self.development.signer("channels"))
        edit = Edit(base=head.channels.signed.version, metadata=signed.to_bytes())
        return {roles.CHANNELS: edit}, lambda _: channel.to_bytes()

    def release_edit(self, release: Release) -> tuple[dict[str, Edit], Callable[[TargetFile], Path]]:
        metadata = (release.folder / "targets.json").read_bytes()
        blobs = blobs_of(release)
        return {"targets": Edit(base=release.base, metadata=metadata)}, lambda target: blobs[target.hashes["sha256"]]

    def installed(self, device: Path) -> tuple[UpdateStatus, int | None]:
        """How a check of this device ends, and what it has then."""
        report = check(self.app, at=self.to, device=device)
        return report.status, report.installed

    def publish(self, content: bytes) -> int:
        """Publish a new bundle; on a conflict do what the remedies say: sign it again."""
        for attempt in range(5):
            release = self.new_release(content, out=self.to.parent / "signed" / f"{content.decode()}-{attempt}")
            try:
                return publish(release, to=self.to).number
            except (AlreadyPublished, Conflict):
                continue
        raise AssertionError("five conflicts in a row, and nobody else is there")

    def policy(self, **fields: Any) -> None:
        """What reviewers would do: a new app role with another policy."""
        head = self.head()
        role = roles.parse(head.targets.to_bytes(), Targets, "targets")
        wanted = Policy(app_id=self.app.id, **fields)
        role.signed.targets[POLICY_PATH] = roles.target_file(POLICY_PATH, wanted.to_bytes(), wanted.to_dict())
        role.signed.version += 1
        role.signatures.clear()
        signed = roles.signed_by(role, self.development.signer("targets")).to_bytes()
        edits = {"targets": Edit(base=head.targets.signed.version, metadata=signed)}
        self.development.app(self.app.id).commit(edits, self.development.online(), lambda _: wanted.to_bytes())

    def assert_whole(self) -> None:
        """Everything that is current verifies, and every target that it names is there with its bytes."""
        head = self.head()
        for target in (head.targets.signed.targets | head.channels.signed.targets).values():
            content = self.store.read(roles.stored_at(target))
            target.verify_length_and_hashes(content)


@pytest.fixture
def steered(development: Development, new_release: Callable[..., Release], app: App) -> Steered:
    """Releases 1 and 2 stand there, and the channel stable offers release 1."""
    for content in (b"one", b"two"):
        publish(new_release(content), to=development.folder)
    one = Steered(development, app, new_release)
    one.set(1)
    return one


@pytest.fixture(params=["folder", "server"])
def there(request: pytest.FixtureRequest, production: Production, serving: Any) -> Iterator[Production]:
    """An app that stands, reached by its folder and through a server."""
    production.stand()
    if request.param == "folder":
        yield production
        return
    with serving(production.folder) as server:
        yield production.served(server.url)


@pytest.fixture
def stood(production: Production) -> Production:
    return production.stand()
