"""Where the online keys of a folder come from, and what happens where nobody names the right ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlpublish.artifacts import Release
from mlpublish.errors import EndpointRefused, RecipeError, SigningError
from mlpublish.publishing.publish import publish
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import endpoint_for
from mlpublish.repository.online import Online
from mlpublish.repository.place import Place
from mlpublish.trust import roles

APP_ID = "com.acme.digits"


@pytest.fixture
def vault(development: Development, tmp_path: Path) -> Path:
    """Takes the keys out of the development folder, which is a server's folder from then on."""
    development.app(APP_ID)
    away = (development.folder / "keys").rename(tmp_path / "vault")
    file = development.folder / "server.toml"
    file.write_text(file.read_text().replace("file:keys/", "file:../vault/"))
    return away


@pytest.fixture
def plain(vault: Path, development: Development, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of repositories and nothing else; the present folder is empty, so nothing is configured."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return development.repository.rename(tmp_path / "plain")


def configure(text: str) -> None:
    Path("mlpublish.toml").write_text(f"[keys]\n{text}")


def keyids(online: Online | None) -> list[str]:
    assert online is not None
    return [signer.public_key.keyid for signer in (*online.snapshot, *online.timestamp, *filter(None, [online.channels]))]


def test_a_development_folder_brings_its_own_and_the_operators(development: Development) -> None:
    online = Place.find(development.folder).online()
    assert keyids(online) == [development.signer(name).public_key.keyid for name in ("snapshot", "timestamp", "channels")]
    assert (online.snapshot_days, online.timestamp_days, online.channels_days) == (30, 14, 90)  # type: ignore[union-attr]


@pytest.mark.parametrize("named", ["", "repository", "file:", "file:repository"])
def test_a_servers_folder_is_found_under_each_of_its_names(vault: Path, development: Development, named: str) -> None:
    scheme, _, inner = named.rpartition(":")
    where = f"{scheme}{':' if scheme else ''}{development.folder / inner}"
    assert Place.find(where) == Place(development.folder, development.repository)
    online = Place.find(where).online()
    assert len(keyids(online)) == 2
    assert (online.snapshot_days, online.timestamp_days) == (7, 1)  # type: ignore[union-attr]


def test_publishing_to_a_servers_folder_signs_with_its_keys(
    new_release: Callable[..., Release], development: Development, request: pytest.FixtureRequest
) -> None:
    release = new_release(b"one")
    request.getfixturevalue("vault")  # only now: signing needed the keys
    assert publish(release, to=f"file:{development.folder}").created
    head = development.app(APP_ID).head()
    assert list(head.releases) == [1]
    assert head.timestamp.signed.expires <= roles.after(1)
    assert endpoint_for(development.repository).uri == f"file:{development.repository}"


def test_any_other_folder_has_those_of_mlpublish_toml(plain: Path, vault: Path) -> None:
    assert Place.find(plain).online() is None
    configure(f'snapshot = "{vault}/snapshot.pem"\ntimestamp = ["{vault}/timestamp.pem", "{vault}/root.pem"]\n')
    assert len(keyids(Place.find(plain).online())) == 3
    assert Place.find(plain).apps.repository(APP_ID).commit({}, Place.find(plain).online(), lambda _: None)  # type: ignore[arg-type]
    configure(f'snapshot = "{vault}/snapshot.pem"\ntimestamp = "{vault}/timestamp.pem"\nchannels = "{vault}/channels.pem"')
    assert Place.find(plain).online().channels_days == roles.CHANNELS_DAYS  # type: ignore[union-attr]


def test_keys_that_are_named_by_halves_are_refused(plain: Path, vault: Path) -> None:
    configure(f'snapshot = "{vault}/snapshot.pem"')
    with pytest.raises(RecipeError, match="no key for timestamp") as raised:
        Place.find(plain).online()
    assert raised.value.field == "timestamp"


def test_without_keys_a_folder_can_be_read_and_no_more(
    new_release: Callable[..., Release], request: pytest.FixtureRequest
) -> None:
    release = new_release(b"one")
    plain = request.getfixturevalue("plain")
    with pytest.raises(EndpointRefused, match="Nobody here can say what is fresh"):
        publish(release, to=plain)
    assert endpoint_for(plain).apps() == (APP_ID,)


def test_a_key_that_cannot_be_opened_keeps_nobody_from_reading(vault: Path, development: Development) -> None:
    (vault / "timestamp.pem").unlink()
    assert endpoint_for(development.folder).read(APP_ID, "metadata/1.root.json") == development.first_root(APP_ID)


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_keys_of_another_repository_sign_nothing(plain: Path, vault: Path, role: str) -> None:
    names = {"snapshot": "snapshot", "timestamp": "timestamp"} | {role: "root"}
    configure("".join(f'{name} = "{vault}/{file}.pem"\n' for name, file in names.items()))
    repository = Place.find(plain).apps.repository(APP_ID)
    before = repository.head().tag
    for work in (
        lambda online: repository.commit({}, online, lambda _: None),
        lambda online: repository.renew(online, lambda _: {"timestamp"}),
    ):
        with pytest.raises(SigningError, match=f"not those that hold the {role} role") as raised:
            work(Place.find(plain).online())
        assert raised.value.field == role
    assert repository.head().tag == before
    assert [each.name for each in (plain / APP_ID / "metadata").glob("*.snapshot.json")] == ["1.snapshot.json"]
