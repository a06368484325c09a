"""The development folder: one command makes it, everything secret in it is its owner's, and nothing of it is ever replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tuf.api.metadata import Root

from mlpublish.errors import NotFound, RecipeError
from mlpublish.formats.wire import MAX_DOCUMENT
from mlpublish.repository import defaults
from mlpublish.repository.development import KEYS, TOKENS, Development, development_for
from mlpublish.trust import roles

APP_ID = "com.acme.digits"


def test_what_is_made_and_who_may_read_it(development: Development) -> None:
    assert sorted(each.name for each in development.folder.iterdir()) == ["keys", "repository", "server.toml", "tokens"]
    secrets = [development.folder / "keys" / f"{role}.pem" for role in KEYS] + [
        development.folder / "tokens" / role for role in TOKENS
    ]
    assert all(secret.stat().st_mode & 0o777 == 0o600 for secret in secrets)
    assert len({secret.read_bytes() for secret in secrets}) == len(KEYS) + len(TOKENS)


def test_making_it_again_changes_nothing_and_completes_what_is_missing(development: Development) -> None:
    before = {file: file.read_bytes() for file in development.folder.rglob("*") if file.is_file()}
    (development.folder / "keys" / "channels.pem").unlink()
    (development.folder / "server.toml").unlink()
    Development.make(development.folder)
    after = {file: file.read_bytes() for file in development.folder.rglob("*") if file.is_file()}
    assert before.keys() == after.keys()
    assert [file.name for file in before if before[file] != after[file]] == ["channels.pem"]


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RecipeError, match="holds something else"):
        Development.make(tmp_path)
    with pytest.raises(RecipeError, match="is a file"):
        Development.make(tmp_path / "thesis.tex")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_app_gets_its_repository_at_first_sight_and_keeps_it(development: Development) -> None:
    with pytest.raises(NotFound):
        development.first_root(APP_ID)
    head = development.app(APP_ID).head()
    assert (head.policy.app_id, head.releases, head.channels.signed.targets) == (APP_ID, {}, {})
    root = development.first_root(APP_ID)
    assert development.app(APP_ID).head().tag == head.tag
    assert development.first_root(APP_ID) == root
    assert {len(role.keyids) for role in roles.parse(root, Root, "root").signed.roles.values()} == {1}


@pytest.mark.parametrize("cut", ["metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/1.channels.json"])
def test_a_repository_whose_making_was_cut_short_is_completed(development: Development, cut: str) -> None:
    head = development.app(APP_ID).head()
    folder = development.repository / APP_ID
    for path in ("metadata/timestamp.json", cut):
        (folder / path).unlink(missing_ok=True)
    assert development.app(APP_ID).head().root.to_bytes() == head.root.to_bytes()


def test_the_folder_is_found_under_each_of_its_names(development: Development, tmp_path: Path) -> None:
    for name in (development.folder, str(development.folder), f"file:{development.folder}", development.repository):
        assert Development.find(name) == development
    for other in (None, tmp_path, tmp_path / "nothing", "http://127.0.0.1:8470", "https://example.com"):
        assert Development.find(other) is None
    assert development_for(development.folder) == development
    for none, kind in ((None, RecipeError), (tmp_path, NotFound)):
        with pytest.raises(kind) as caught:
            development_for(none)
        assert "mlpublish repo init --dev DIR" in caught.value.remedy


def test_no_root_is_made_up(development: Development, tmp_path: Path) -> None:
    assert defaults.root_of(APP_ID, None, None) is None
    assert defaults.root_of(APP_ID, None, development) is None
    development.app(APP_ID)
    assert defaults.root_of(APP_ID, None, development) == development.first_root(APP_ID)
    assert defaults.root_of(APP_ID, b"given", development) == b"given"
    with pytest.raises(NotFound):
        defaults.root_of(APP_ID, tmp_path / "nothing", development)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "too long"])
def test_a_root_is_a_regular_file_of_a_documents_length(tmp_path: Path, kind: str) -> None:
    """A pipe is not waited for, and what never ends is not read."""
    place = tmp_path / "root.json"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    elif kind == "folder":
        place.mkdir()
    else:
        place.write_bytes(bytes(MAX_DOCUMENT + 1))
    with pytest.raises(NotFound, match="cannot be read: ") as caught:
        defaults.root_of(APP_ID, place, None)
    assert caught.value.field == "root"


@pytest.mark.parametrize(
    ("to", "shown"),
    [
        ("http://127.0.0.1:8470", True),
        ("http://localhost:1", True),
        ("http://[::1]:8470", True),
        ("https://models.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://127.evil.example", False),
        ("http://localhost.example.com", False),
        ("http://user@evil.example:80/localhost", False),
    ],
)
def test_the_development_token_is_for_this_machine_alone(development: Development, to: str, shown: bool) -> None:
    assert (defaults.token_of(None, development, to) is not None) is shown
    assert defaults.token_of("given", development, to) == "given"


@pytest.mark.parametrize("secret", ["keys/targets.pem", "tokens/admin"])
@pytest.mark.parametrize("how", ["readable", "link"])
def test_a_secret_that_is_not_ones_own_is_refused(tmp_path: Path, secret: str, how: str) -> None:
    made = Development.make(tmp_path / "dev").folder / secret
    if how == "readable":
        made.chmod(0o644)
    else:
        made.rename(tmp_path / "planted")
        made.symlink_to(tmp_path / "planted")
    with pytest.raises(RecipeError, match="not yours alone"):
        Development.make(tmp_path / "dev")


def test_nobody_else_sees_secrets_even_without_a_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = Development.make(tmp_path / "dev").folder
    finally:
        os.umask(before)
    for name in ("keys", "tokens"):
        assert (folder / name).stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in (folder / name).iterdir()} == {0o600}
    assert (folder / "server.toml").stat().st_mode & 0o022 == 0
