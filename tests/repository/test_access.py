"""No key signs on first use: a folder's own root is for looking, and what is another app's is nobody's here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpublish.errors import NotFound, RecipeError, VerificationError
from mlpublish.formats.channel import Channel, channel_path
from mlpublish.repository import channels, review, review_log
from mlpublish.repository.access import access
from mlpublish.repository.development import Development
from mlpublish.repository.head import channel_in, channels_of, read_head
from mlpublish.repository.looking import before
from mlpublish.repository.pinning import cosign
from mlpublish.repository.plan import plan
from mlpublish.repository.status import status
from mlpublish.signing.sign import sign
from mlpublish.trust import roles
from tests.production import Production, policy, rotation

NO_ROOT = "No root of com.acme.digits is trusted here"
Below = Callable[[Path], dict[str, str]]


@pytest.fixture
def waiting(stood: Production) -> Production:
    """Release 1 is offered, release 2 waits for a second signature."""
    stood.offer(stood.release(b"one"))
    stood.publish(b"two")
    return stood


def steered(p: Production) -> dict[str, Any]:
    return {"to": p.folder, "app_version": "2.0", "signer": p.signer("olga")}


SIGNING: dict[str, Callable[[Production], object]] = {
    "sign": lambda p: sign(
        p.new_bundle(b"x"), repository=p.tree, app=p.app, signer=p.signer("alice"), out=p.folder.parent / "refused"
    ),
    "review show": lambda p: review.show(p.where(root=None)),
    "review sign": lambda p: review.sign(p.where("bob", root=None)),
    "review reject": lambda p: review.reject(p.where("bob", root=None), reason="because"),
    "review rebase": lambda p: review.rebase(p.where("bob", root=None)),
    "review propose": lambda p: review.propose(p.where("alice", root=None), policy(expiry_days=80)),
    "repo rotate": lambda p: review.propose(p.where("alice", root=None), rotation("root")),
    "repo rekey": lambda p: cosign(p.where(root=None), p.uri("rsa-pin")),
    "channel set": lambda p: channels.set(p.app.id, release=1, rollout=5, **steered(p)),
    "channel pause": lambda p: channels.pause(p.app.id, **steered(p)),
    "channel remove": lambda p: channels.remove(p.app.id, **steered(p)),
}


@pytest.mark.parametrize("verb", SIGNING)
def test_no_key_signs_over_a_folder_without_a_trusted_root(waiting: Production, below: Below, verb: str) -> None:
    before = below(waiting.tree)
    with pytest.raises(RecipeError, match=NO_ROOT) as refused:
        SIGNING[verb](waiting)
    assert (refused.value.field, "--root 1.root.json" in refused.value.remedy) == ("root", True)
    assert below(waiting.tree) == before
    assert not (waiting.folder.parent / "refused").exists()


def test_looking_at_a_folder_takes_none(waiting: Production) -> None:
    app = waiting.app.id
    assert channels.show(app, at=waiting.folder).channel.entries[0].release == 1
    assert len(channels.list(app, at=waiting.folder)) == 1
    assert status(waiting.where(root=None)).failure is None
    assert plan(app, at=waiting.folder) is not None
    assert next(review.changes(waiting.where(root=None))).state == "waiting"
    assert review_log.log(waiting.where(root=None)) is not None


def test_settings_name_it_too(waiting: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting.trusted_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert channels.pause(waiting.app.id, **steered(waiting)).changed is True
    assert review.sign(waiting.where("bob", root=None)).state == "committed"


def test_an_app_that_is_not_there_is_said_to_be_missing(production: Production) -> None:
    with pytest.raises(NotFound, match="has no repository"):
        access("com.acme.nothing", production.folder).trusted_head()


def test_a_development_folder_brings_its_own_unless_others_could_have_made_it(development: Development) -> None:
    development.app("com.acme.digits")
    assert access("com.acme.digits", development.folder).trusted_head().root.signed.version == 1
    (development.folder / "keys").chmod(0o755)
    with pytest.raises(RecipeError, match=NO_ROOT):
        access("com.acme.digits", development.folder).trusted_head()


def test_what_lies_at_a_root_that_is_not_ours_does_not_verify(waiting: Production, tmp_path: Path) -> None:
    """The folder is another one, made by whoever can write there: nothing of it is signed."""
    (tmp_path / "other" / "keys").mkdir(parents=True)
    folder = tmp_path / "other" / "production"
    other = replace(waiting, folder=folder, at=f"file:{folder}", keys=tmp_path / "other" / "keys")
    other.make()
    other.stand()
    with pytest.raises(VerificationError):
        review.propose(waiting.where("alice", at=other.at), policy(expiry_days=80))
    assert other.changes.list().open is None


# ── of another app ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_apps_repository_of_the_same_holders_is_refused(stood: Production) -> None:
    """Every signature there is good: the holders are the same."""
    other = stood.for_app("com.acme.sandbox").stand()
    for trusted in (stood.first_root.read_bytes(), None):
        with pytest.raises(VerificationError, match=r"com\.acme\.sandbox"):
            read_head(other.store.read, app_id=stood.app.id, trusted_root=trusted)
    assert read_head(other.store.read, app_id=other.app.id).policy.app_id == other.app.id


@pytest.mark.parametrize("part", ["root", "targets", "channels"])
def test_one_role_of_another_app_is_enough(stood: Production, part: str) -> None:
    head = stood.head()
    keys = [stood.signer(name) for name in ("alice", "bob", "olga", "online")]
    if part == "root":
        role = roles.following(head.root, 2, 100)
        role.signed.unrecognized_fields[roles.APP_FIELD] = "com.acme.sandbox"
    elif part == "targets":
        role = roles.with_policy(head.targets, replace(head.policy, app_id="com.acme.sandbox"), version=1)
    else:
        role = roles.new_channels_role("com.acme.sandbox")
    number = 2 if part == "root" else 1
    answer = {f"metadata/{number}.{part}.json": roles.signed_by(role, *keys).to_bytes()}
    read = lambda path: answer.get(path) or stood.store.read(path)  # noqa: E731
    with pytest.raises(VerificationError, match=r"com\.acme\.sandbox"):
        read_head(read, app_id=stood.app.id, trusted_root=stood.first_root.read_bytes())


def test_what_a_moved_change_was_made_from_is_the_apps_own(waiting: Production) -> None:
    """Else what another app allows already would be hidden from whoever looks at the change, or makes it again."""
    change = waiting.changes.read(str(waiting.changes.list().open)).change
    head, base = waiting.head(), change.edits["targets"].base
    foreign = roles.with_policy(head.targets, replace(head.policy, app_id="com.acme.sandbox"), version=base)
    other = roles.signed_by(foreign, waiting.signer("alice"), waiting.signer("bob")).to_bytes()
    with pytest.raises(VerificationError, match=r"com\.acme\.sandbox"):
        before(change, head, lambda path: other if path.endswith("targets.json") else waiting.store.read(path))


@pytest.mark.parametrize(("platform", "name"), [("ipados", "stable"), ("ios", "beta")])
def test_a_channel_under_the_name_of_another_is_refused(stood: Production, platform: str, name: str) -> None:
    """A device refuses it too."""
    content = Channel(channel=name, platform=platform).to_bytes()
    head = stood.head()
    path = channel_path("ios", "stable")
    head.channels.signed.targets[path] = roles.target_file(path, content)
    with pytest.raises(VerificationError, match=f"channel {name} on {platform}"):
        channel_in(head, lambda _: content, "ios", "stable")
    with pytest.raises(VerificationError):
        channels_of(head, lambda _: content)
