"""python-tuf's own client, unmodified, against our server: the repository is plain TUF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tuf.api.exceptions import RepositoryError
from tuf.ngclient import Updater

from mlpublish.publishing.to_server import open_server
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Commit

APP = "com.acme.digits"


@pytest.fixture
def updater(server: Any, development: Development, tmp_path: Path) -> Callable[[], Updater]:
    """A client that keeps what it trusts from one run to the next."""
    for folder in ("metadata", "targets"):
        (tmp_path / "client" / folder).mkdir(parents=True)

    def run() -> Updater:
        return Updater(
            metadata_dir=str(tmp_path / "client" / "metadata"),
            metadata_base_url=f"{server.url}/apps/{APP}/metadata/",
            target_dir=str(tmp_path / "client" / "targets"),
            target_base_url=f"{server.url}/apps/{APP}/targets/",
            bootstrap=development.first_root(APP),
        )

    return run


def test_it_downloads_releases_and_channels(
    server: Any,
    development: Development,
    updater: Callable[[], Updater],
    release_commit: Callable[..., Commit],
    channel_commit: Callable[..., Commit],
) -> None:
    endpoint = open_server(server.url, token=development.token())
    for number, content in ((1, b"first" * 50_000), (2, b"second")):
        endpoint.commit(APP, release_commit(content, number=number))
        client = updater()
        info = client.get_targetinfo(f"releases/{number}/bundle.zip")
        assert info is not None
        assert Path(client.download_target(info)).read_bytes() == content
    endpoint.commit(APP, channel_commit("stable"))
    client = updater()
    channel = client.get_targetinfo("channels/ios/stable.json")
    assert channel is not None
    assert b'"channel": "stable"' in Path(client.download_target(channel)).read_bytes()
    assert client.get_targetinfo("releases/3/bundle.zip") is None


def test_it_refuses_a_flipped_byte(
    server: Any, development: Development, updater: Callable[[], Updater], release_commit: Callable[..., Commit]
) -> None:
    open_server(server.url, token=development.token()).commit(APP, release_commit(b"bundle"))
    [place] = (development.repository / APP / "targets" / "releases" / "1").glob("*.bundle.zip")
    place.write_bytes(b"bundlE")
    client = updater()
    info = client.get_targetinfo("releases/1/bundle.zip")
    assert info is not None
    with pytest.raises(RepositoryError):
        client.download_target(info)
