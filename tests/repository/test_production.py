"""``repo init``: the folder of a production place, made once, finished if it broke off, and with no offline key near it."""

from __future__ import annotations

import shutil
import stat
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlpublish.errors import MlpublishError, RecipeError
from mlpublish.repository.founding import Held, Holders
from mlpublish.repository.place import Place
from tests.production import Production

Below = Callable[[Path], dict[str, str]]


def test_what_is_made(production: Production) -> None:
    names = {file.relative_to(production.folder).as_posix() for file in production.folder.rglob("*")}
    tokens = {f"tokens/{role}" for role in ("admin", "deployer", "operator", "monitor")}
    assert names == {"holders.json", "server.toml", "repository", "tokens", *tokens}
    online = tomllib.loads((production.folder / "server.toml").read_text())["online"]
    assert online == {
        "snapshot": production.uri("online"), "timestamp": production.uri("online"), "snapshot_days": 7, "timestamp_days": 1,
    }  # fmt: skip
    secret = [production.folder / name for name in ("server.toml", "holders.json", *tokens)]
    assert {stat.S_IMODE(file.stat().st_mode) for file in secret} == {0o600}


def test_no_private_half_is_in_it(production: Production) -> None:
    production.stand()
    everything = b"".join(file.read_bytes() for file in production.folder.rglob("*") if file.is_file())
    assert b"PRIVATE" not in everything
    for name in ("alice", "olga", "online"):
        lines = (production.keys / f"{name}.pem").read_text().splitlines()
        assert lines[1].encode() not in everything


def test_again_with_the_same_holders_changes_nothing(production: Production, below: Below) -> None:
    before = below(production.folder)
    production.make()
    assert below(production.folder) == before


@pytest.mark.parametrize("left", [(), ("holders.json",), ("holders.json", "repository"), ("holders.json", "tokens")])
def test_one_that_broke_off_is_finished(production: Production, below: Below, left: tuple[str, ...]) -> None:
    whole = set(below(production.folder))
    for place in list(production.folder.iterdir()):
        if place.name not in left:
            shutil.rmtree(place) if place.is_dir() else place.unlink()
    production.make()
    assert set(below(production.folder)) == whole
    production.stand()


def test_other_holders_need_another_folder(production: Production, below: Below) -> None:
    before = below(production.folder)
    with pytest.raises(RecipeError, match="made for other holders") as refused:
        production.make(channels=Held(keys=production.publics(("oscar",))))
    assert "repo rotate" in refused.value.remedy
    assert below(production.folder) == before


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_holds_something_else_is_left_alone(production: Production, tmp_path: Path, kind: str, below: Below) -> None:
    folder = tmp_path / "else"
    if kind == "file":
        folder.write_text("x")
    else:
        folder.mkdir()
        (folder / "thesis.txt").write_text("x")
    before = below(tmp_path)
    with pytest.raises(RecipeError, match="holds something else"):
        replace(production, folder=folder).make()
    assert below(tmp_path) == before


def test_a_folder_that_was_not_made_so_takes_no_app(production: Production, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="names no holders") as refused:
        replace(production, folder=tmp_path).add_app()
    assert "repo init" in refused.value.remedy


def test_holders_are_read_as_they_were_written(production: Production) -> None:
    holders = replace(production.holders(), pin=production.public("rsa-legacy"))
    read = Holders.from_bytes(holders.to_bytes())
    assert read.to_bytes() == holders.to_bytes()
    assert {name: (held.threshold, [key.keyid for key in held.keys]) for name, held in read.roles.items()} == {
        name: (held.threshold, [key.keyid for key in held.keys]) for name, held in holders.roles.items()
    }


@pytest.mark.parametrize("name", ["root", "targets", "channels", "snapshot", "timestamp"])
def test_every_role_needs_a_holder(production: Production, name: str) -> None:
    with pytest.raises(RecipeError, match=f"Nobody would hold the {name} role"):
        production.holders(**{name: Held(keys=())})


@pytest.mark.parametrize("name", ["channels", "snapshot", "timestamp"])
def test_operators_and_online_keys_sign_alone(production: Production, name: str) -> None:
    with pytest.raises(RecipeError, match=f"The {name} role takes one signature, not 2"):
        production.holders(**{name: Held(keys=production.publics(("olga", "otto")), threshold=2)})


def test_a_key_uri_with_quotes_in_it_stays_one(production: Production, tmp_path: Path) -> None:
    odd = replace(production, folder=tmp_path / "odd", keys=tmp_path / 'ke"y\\s')
    odd.keys.mkdir()
    odd.make()
    online = Place.find(odd.folder).online()
    assert online is not None
    assert online.snapshot[0].public_key.keyid == odd.id("online")


def test_bad_keys_are_refused_before_a_folder_is_made(production: Production, tmp_path: Path) -> None:
    there = replace(production, folder=tmp_path / "new")
    with pytest.raises(MlpublishError, match="nobody can reach"):
        there.make(root=Held(keys=production.publics(("alice",)), threshold=2))
    assert not there.folder.exists()
