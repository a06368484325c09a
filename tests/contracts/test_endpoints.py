"""What every endpoint promises, asked of each: a folder, and a server in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Targets

from mlpublish.errors import (
    AlreadyPublished,
    Conflict,
    DigestMismatch,
    EndpointRefused,
    FormatError,
    NotFound,
    ThresholdNotMet,
    VerificationError,
)
from mlpublish.formats.wire import digest_of
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Commit, Edit, Endpoint, endpoint_for
from mlpublish.repository.head import next_version, read_head
from mlpublish.trust import roles

APP = "com.acme.digits"


@pytest.fixture(params=["file", "http"])
def endpoint(request: pytest.FixtureRequest, development: Development) -> Endpoint:
    development.app(APP)
    if request.param == "file":
        return endpoint_for(development.folder)
    return endpoint_for(request.getfixturevalue("server").url, token=development.token())


def test_it_names_itself_and_its_apps(endpoint: Endpoint, development: Development) -> None:
    development.app("com.acme.another")
    (development.repository / "com.acme.empty").mkdir()
    (development.repository / "stray.txt").touch()
    assert endpoint.uri.startswith(("file:", "http://127.0.0.1:"))
    assert endpoint.apps() == ("com.acme.another", APP)


def test_it_gives_the_bytes_of_small_files(endpoint: Endpoint, development: Development) -> None:
    assert endpoint.read(APP, "metadata/1.root.json") == development.first_root(APP)


@pytest.mark.parametrize(
    "path",
    ["metadata/2.root.json", "metadata", "metadata/../../../server.toml", "/etc/passwd", "", "metadata/x?y#z", "a%2fb", "ü"],
)
def test_what_is_not_there_is_not_found(endpoint: Endpoint, path: str) -> None:
    with pytest.raises(NotFound):
        endpoint.read(APP, path)


def test_an_unknown_app_is_not_found(endpoint: Endpoint, release_commit: Callable[..., Commit]) -> None:
    with pytest.raises(NotFound):
        endpoint.read("com.acme.unknown", "metadata/timestamp.json")
    with pytest.raises(NotFound) as raised:
        endpoint.commit("com.acme.unknown", release_commit(b"x"))
    assert raised.value.field == "app"


def test_a_commit_becomes_current_and_its_second_time_changes_nothing(
    endpoint: Endpoint, development: Development, release_commit: Callable[..., Commit]
) -> None:
    commit = release_commit(b"bundle")
    assert endpoint.commit(APP, commit) is True
    stamp = endpoint.read(APP, "metadata/timestamp.json")
    assert endpoint.commit(APP, commit) is False
    assert endpoint.read(APP, "metadata/timestamp.json") == stamp
    head = read_head(lambda path: endpoint.read(APP, path), app_id=APP, trusted_root=development.first_root(APP))
    assert list(head.releases) == [1]
    [(digest, content)] = commit.blobs.items()
    assert endpoint.read(APP, f"targets/releases/1/{digest}.bundle.zip") == content
    assert next_version(lambda path: endpoint.read(APP, path), "targets", head.targets.signed.version) == 3


def test_a_blob_may_be_a_file(endpoint: Endpoint, release_commit: Callable[..., Commit], tmp_path: Path) -> None:
    commit = release_commit(b"from a file")
    [(digest, content)] = commit.blobs.items()
    assert isinstance(content, bytes)
    (tmp_path / "bundle.zip").write_bytes(content)
    assert endpoint.commit(APP, replace(commit, blobs={digest: tmp_path / "bundle.zip"}))
    assert endpoint.read(APP, f"targets/releases/1/{digest}.bundle.zip") == content


def test_an_empty_blob_is_a_blob(
    endpoint: Endpoint, development: Development, release_commit: Callable[..., Commit], tmp_path: Path
) -> None:
    """It is handed in like any other; that it is no bundle is found there."""
    (tmp_path / "empty").touch()
    commit = release_commit(b"x")
    role = roles.parse(commit.edits["targets"].metadata, Targets, "targets")
    role.signed.targets["releases/1/bundle.zip"].hashes["sha256"] = digest_of(b"")
    role.signed.targets["releases/1/bundle.zip"].length = 0
    signed = roles.signed_by(role, development.signer("targets")).to_bytes()
    edits = {"targets": replace(commit.edits["targets"], metadata=signed)}
    with pytest.raises(VerificationError, match="archive is refused"):
        endpoint.commit(APP, Commit(edits=edits, blobs={digest_of(b""): tmp_path / "empty"}))


def test_roles_may_be_committed_together(
    endpoint: Endpoint, release_commit: Callable[..., Commit], channel_commit: Callable[..., Commit]
) -> None:
    release, channel = release_commit(b"x"), channel_commit()
    assert endpoint.commit(APP, Commit(edits={**release.edits, **channel.edits}, blobs={**release.blobs, **channel.blobs}))


def test_an_edit_of_a_state_that_is_past_is_a_conflict(endpoint: Endpoint, channel_commit: Callable[..., Commit]) -> None:
    stale = channel_commit("beta")
    endpoint.commit(APP, channel_commit("stable"))
    with pytest.raises(Conflict) as raised:
        endpoint.commit(APP, stale)
    assert raised.value.field == "channels"


def test_of_two_at_once_one_wins_and_the_other_is_told(endpoint: Endpoint, channel_commit: Callable[..., Commit]) -> None:
    outcomes: list[Any] = []

    def publish(commit: Commit) -> None:
        try:
            outcomes.append(endpoint.commit(APP, commit))
        except Conflict as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=publish, args=(channel_commit(name),)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == ["True", "conflict", "conflict"]


def test_a_release_number_stands_for_one_content(endpoint: Endpoint, release_commit: Callable[..., Commit]) -> None:
    endpoint.commit(APP, release_commit(b"one"))
    with pytest.raises(AlreadyPublished) as raised:
        endpoint.commit(APP, release_commit(b"two"))
    assert "next number" in raised.value.remedy


@pytest.mark.parametrize("broken", ["signature", "blob", "digest", "role"])
def test_what_is_refused_leaves_everything_as_it_was(
    endpoint: Endpoint, development: Development, release_commit: Callable[..., Commit], broken: str
) -> None:
    good = release_commit(b"x")
    commit, error = {
        "signature": (release_commit(b"x", key="timestamp"), ThresholdNotMet),
        "blob": (replace(good, blobs={}), EndpointRefused),
        "digest": (replace(good, blobs=dict.fromkeys(good.blobs, b"y")), DigestMismatch),
        "role": (Commit(edits={"targets": Edit(base=1, metadata=b"{}")}), FormatError),
    }[broken]
    folder = development.repository / APP
    before = {each: each.read_bytes() for each in folder.rglob("*") if each.is_file() and each.name != ".lock"}
    with pytest.raises(error) as raised:
        endpoint.commit(APP, commit)
    assert raised.value.remedy
    assert {each: each.read_bytes() for each in folder.rglob("*") if each.is_file() and each.name != ".lock"} == before


def test_a_file_is_downloaded_up_to_the_length_that_was_signed(
    endpoint: Endpoint, release_commit: Callable[..., Commit], tmp_path: Path
) -> None:
    commit = release_commit(b"bundle")
    [(digest, content)] = commit.blobs.items()
    assert isinstance(content, bytes)
    endpoint.commit(APP, commit)
    path = f"targets/releases/1/{digest}.bundle.zip"
    endpoint.download(APP, path, tmp_path / "it", length=len(content))
    assert (tmp_path / "it").read_bytes() == content
    with pytest.raises(DigestMismatch):
        endpoint.download(APP, path, tmp_path / "it", length=len(content) - 1)
    with pytest.raises(NotFound):
        endpoint.download(APP, "targets/releases/1/none.zip", tmp_path / "it", length=6)
