"""python-tuf's own client, unmodified, against what we write and serve: the repository is plain TUF, whoever holds its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tuf.api.exceptions import RepositoryError
from tuf.ngclient import Updater

from mlpublish.artifacts import App, Bundle
from mlpublish.formats.channel import Channel, bundle_path, channel_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.publishing.to_server import open_server
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Commit
from tests.rotations import ROTATIONS
from tests.simulator import CHANNELS, ROOT, TARGETS, TIMESTAMP, Simulator
from tests.web import Web

APP = "com.acme.digits"


class Client:
    """A client that keeps what it trusts from one run to the next.

    Args:
        folder: where it keeps that.
        url: where the apps lie.
        root: what it trusts at first.
    """

    def __init__(self, folder: Path, url: str, root: bytes) -> None:
        self.folder, self.url, self.root = folder, url, root
        for name in ("metadata", "targets"):
            (folder / name).mkdir(parents=True)

    def updater(self) -> Updater:
        return Updater(
            metadata_dir=str(self.folder / "metadata"),
            metadata_base_url=f"{self.url}/apps/{APP}/metadata/",
            target_dir=str(self.folder / "targets"),
            target_base_url=f"{self.url}/apps/{APP}/targets/",
            bootstrap=self.root,
        )

    def reads(self, path: str) -> bytes | None:
        """A target's bytes, asked for anew; None if nobody signs it."""
        updater = self.updater()
        info = updater.get_targetinfo(path)
        return None if info is None else Path(updater.download_target(info)).read_bytes()


# what our server serves


@pytest.fixture
def client(server: Any, development: Development, tmp_path: Path) -> Client:
    return Client(tmp_path / "client", server.url, development.first_root(APP))


def test_it_downloads_releases_and_channels(
    server: Any,
    development: Development,
    client: Client,
    release_commit: Callable[..., Commit],
    channel_commit: Callable[..., Commit],
) -> None:
    endpoint = open_server(server.url, token=development.token())
    for number, content in ((1, b"first" * 50_000), (2, b"second")):
        commit = release_commit(content, number=number)
        endpoint.commit(APP, commit)
        assert client.reads(bundle_path(number)) == next(iter(commit.blobs.values()))
    endpoint.commit(APP, channel_commit("stable"))
    assert client.reads(channel_path("ios", "stable")) == Channel(channel="stable", platform="ios").to_bytes()
    assert client.reads(POLICY_PATH) == Policy(app_id=APP).to_bytes()
    assert client.reads(bundle_path(3)) is None


def test_it_refuses_a_flipped_byte(
    server: Any, development: Development, client: Client, release_commit: Callable[..., Commit]
) -> None:
    open_server(server.url, token=development.token()).commit(APP, release_commit(b"bundle"))
    [place] = (development.repository / APP / "targets" / "releases" / "1").glob("*.bundle.zip")
    content = bytearray(place.read_bytes())
    content[60] ^= 1
    place.write_bytes(content)
    with pytest.raises(RepositoryError):
        client.reads(bundle_path(1))


# before and after every rotation


@pytest.fixture
def lab(tmp_path: Path, app: App, new_bundle: Callable[..., Bundle]) -> Iterator[Simulator]:
    (tmp_path / "served").mkdir()
    web = Web(tmp_path / "served")
    yield Simulator(tmp_path / "lab", app, web, new_bundle)
    web.close()


@pytest.mark.parametrize("name", ROTATIONS)
def test_it_reads_a_repository_before_and_after_a_rotation(lab: Simulator, tmp_path: Path, name: str) -> None:
    """The client that was there before, one that begins at version 1 afterwards, and one that ships the newest root."""
    lab.release()
    old = Client(tmp_path / "old", lab.web.url, lab.first_root())
    assert old.reads(bundle_path(1)) == lab.bundle_file(1).read_bytes()
    ROTATIONS[name](lab)
    clients = [
        old,
        Client(tmp_path / "late", lab.web.url, lab.first_root()),
        Client(tmp_path / "new", lab.web.url, lab.newest(ROOT).read_bytes()),
    ]
    for client in clients:
        assert client.reads(bundle_path(1)) == lab.bundle_file(1).read_bytes()
        assert client.reads(bundle_path(2)) is None
    lab.release()
    for client in clients:
        assert client.reads(bundle_path(2)) == lab.bundle_file(2).read_bytes()
        assert client.reads(channel_path("ios", "stable")) == lab.channel_file().read_bytes()


REPLACED = {"root keys": ROOT, "app keys": TARGETS, "operator keys": CHANNELS, "online keys": TIMESTAMP}


@pytest.mark.parametrize("name", REPLACED)
def test_it_refuses_what_the_old_keys_sign_after_a_rotation(lab: Simulator, tmp_path: Path, name: str) -> None:
    role = REPLACED[name]
    old = lab.keys[role]
    ROTATIONS[name](lab)
    lab.release()
    client = Client(tmp_path / "client", lab.web.url, lab.first_root())
    assert client.reads(bundle_path(1)) is not None
    if role == TIMESTAMP:
        lab.stamp(by={TIMESTAMP: old})
    else:
        lab.edit(role, by=old)
        lab.stamp()
    with pytest.raises(RepositoryError, match=f"{role} was signed by 0/"):
        client.reads(channel_path("ios", "stable"))
