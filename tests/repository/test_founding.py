"""A repository is made by several people together, each signing where the own key is; once, and whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpublish.errors import Conflict, EndpointRefused, MlpublishError, SigningError, VerificationError
from mlpublish.formats.policy import Policy
from mlpublish.formats.status import UpdateStatus
from mlpublish.repository import production as places
from mlpublish.repository import review, review_files
from mlpublish.repository.development import KEYS, Development
from mlpublish.repository.founding import Held, found, founding
from mlpublish.repository.place import Place
from mlpublish.repository.repository import AppRepository
from mlpublish.repository.status import status
from mlpublish.storage.in_folder import FolderStore
from mlpublish.trust import approval
from mlpublish.trust.approval import Present
from mlpublish.trust.changes import Change, reviewed
from tests.production import Production
from tests.repository.conftest import BentStore

Below = Callable[[Path], dict[str, str]]


# ── by several people ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_stands_with_the_last_signature_and_not_before(production: Production) -> None:
    report = production.add_app()
    assert (report.state, report.missing) == ("waiting", 5)  # two for root, two for the app role, an operator
    for name, missing in (("alice", 3), ("olga", 2)):
        report = production.sign(name, report.change.id)
        assert (report.state, report.missing) == ("waiting", missing)
        assert not production.first_root.exists()
    assert production.sign("bob").state == "committed"
    head = production.head()
    assert {name: role.threshold for name, role in head.root.signed.roles.items()} == {
        "root": 2, "targets": 2, "snapshot": 1, "timestamp": 1,
    }  # fmt: skip
    assert head.policy == Policy(app_id=production.app.id)
    assert production.checked() == (UpdateStatus.SUCCESS, None)


def test_a_reviewer_sees_every_key_that_would_be_appointed(production: Production) -> None:
    production.add_app()
    report = review.show(production.where())
    told = [each.sentence for each in report.differences]
    for name in ("alice", "bob", "carol"):
        assert sum(f"id {production.id(name)}" in line and name in line for line in told) == 2  # root and app role
    for name in ("olga", "otto", "online"):
        assert any(production.id(name) in line for line in told)
    assert "+ threshold of root: 2 of 3" in told
    shown = "\n".join(map(str, report.rows().values()))
    assert production.id("carol") in shown
    assert max(map(len, shown.splitlines())) < 400


def carried(folder: Path, to: Path) -> Path:
    """A folder, brought to somebody else's machine."""
    return Path(shutil.copytree(folder, to))


def test_by_files_each_signs_where_the_own_key_is(production: Production, tmp_path: Path) -> None:
    production.add_app()
    at_home = tmp_path / "founding"
    review_files.save(production.where(), at_home)
    folders = {name: carried(at_home, tmp_path / name / "founding") for name in ("alice", "carol", "otto")}
    for name, theirs in folders.items():
        assert review_files.look(theirs).missing == 5  # nobody has to see what the others did
        report = review_files.sign(theirs, signer=production.uri(name))
        assert report.state == "waiting"
        (file,) = (theirs / "reviews").iterdir()
        shutil.copy(file, at_home / "reviews")
    assert review_files.look(at_home).state == "complete"
    assert review_files.submit(at_home, to=production.folder).state == "committed"
    assert production.head().root.signatures.keys() == {production.id("alice"), production.id("carol")}


def test_through_a_server_each_signs_with_any_token(production: Production, serving: Any) -> None:
    with serving(production.folder) as server:
        report = production.add_app("alice")
        there = production.served(server.url, "monitor")
        there.sign("bob", report.change.id)
        assert there.sign("olga").state == "committed"
        assert there.checked(at=server.url) == (UpdateStatus.SUCCESS, None)


def test_a_folder_of_signatures_can_be_submitted_to_a_server(production: Production, serving: Any, tmp_path: Path) -> None:
    elsewhere = replace(production, folder=tmp_path / "elsewhere", at=f"file:{tmp_path}/elsewhere")
    elsewhere.make()
    elsewhere.add_app()
    folder = tmp_path / "founding"
    review_files.save(elsewhere.where(), folder)
    for name in ("alice", "bob", "olga"):
        review_files.sign(folder, signer=production.uri(name))
    with serving(production.folder) as server:
        for role in ("monitor", "operator", "deployer"):
            there = production.served(server.url, role)
            with pytest.raises(EndpointRefused) as refused:
                review_files.submit(folder, to=server.url, token=there.token)
            assert refused.value.status == 403
        there = production.served(server.url, "admin")
        assert review_files.submit(folder, to=server.url, token=there.token).state == "committed"
    assert sorted(production.head().root.signatures) == sorted([production.id("alice"), production.id("bob")])


def test_a_pin_has_to_sign_too_where_it_is_named(production: Production, tmp_path: Path) -> None:
    there = replace(production, folder=tmp_path / "pinned", at=f"file:{tmp_path}/pinned")
    holders, online = replace(there.holders(), pin=there.public("rsa-legacy")), there.uri("online")
    places.make(there.folder, holders, snapshot=online, timestamp=online)
    assert there.add_app("alice", "bob", "olga").state == "waiting"
    assert there.sign("rsa-legacy").state == "committed"
    assert there.checked(pin=there.pin_file("rsa-legacy")) == (UpdateStatus.SUCCESS, None)


# ── once ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_repository_of_an_app_is_refused(production: Production, below: Below) -> None:
    production.stand()
    before = below(production.tree)
    with pytest.raises(Conflict, match="has a repository already") as refused:
        production.add_app("alice", "bob", "olga", expiry_days=30)
    assert "repo rotate" in refused.value.remedy
    assert below(production.tree) == before


def test_while_one_waits_another_is_refused_with_its_name(production: Production, below: Below) -> None:
    report = production.add_app("alice")
    before = below(production.tree)
    with pytest.raises(Conflict, match=report.change.id):
        production.add_app("alice", expiry_days=30)
    assert below(production.tree) == before


def test_a_rejected_one_makes_room_and_stays_in_the_list(production: Production) -> None:
    first = production.add_app("alice")
    review.reject(production.where("carol"), reason="wrong operators")
    production.stand(expiry_days=30)
    listed = {each.change.id: each.state for each in review.changes(production.where())}
    assert listed.pop(first.change.id) == "rejected"
    assert list(listed.values()) == ["committed"]
    with pytest.raises(Conflict, match=r"rejected on .*wrong operators"):
        production.sign("bob", first.change.id)


def test_apps_are_added_one_by_one_with_the_same_holders(production: Production) -> None:
    for app_id in ("com.acme.one", "com.acme.two", "com.acme.three"):
        production.for_app(app_id).stand(expiry_days=365)
        assert production.for_app(app_id).policy() == Policy(app_id=app_id, expiry_days=365)
    assert Place.find(production.folder).apps.ids() == ("com.acme.one", "com.acme.three", "com.acme.two")


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stranger_signs_nothing_and_is_told_who_must(production: Production, below: Below) -> None:
    production.add_app()
    before = below(production.tree)
    with pytest.raises(SigningError, match=r"holds none of the roles.*alice.*bob.*carol"):
        production.sign("mallory")
    with pytest.raises(MlpublishError, match="would hold none"):
        production.for_app("com.acme.other").add_app("mallory")
    assert below(production.tree) == before


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({"root": ("alice", "bob", 3)}, "needs 3 signatures and has 2 keys"),
        ({"targets": ("alice", "alice", 2)}, "needs 2 signatures"),
    ],
)
def test_thresholds_that_nobody_can_reach_are_refused_before_anything_is_made(
    production: Production, tmp_path: Path, held: dict[str, tuple[Any, ...]], told: str
) -> None:
    elsewhere = replace(production, folder=tmp_path / "elsewhere")
    given = {name: Held(keys=production.publics(who[:2]), threshold=who[2]) for name, who in held.items()}
    with pytest.raises(MlpublishError, match=told):
        elsewhere.make(**given)
    assert not elsewhere.folder.exists()


def test_a_publisher_who_may_not_approve_needs_enough_others(production: Production, tmp_path: Path, below: Below) -> None:
    """With 2 of 2 the third signature could never come: the app role would be dead from its first day."""
    two = replace(production, folder=tmp_path / "two")
    two.make(targets=Held(keys=production.publics(("alice", "bob")), threshold=2))
    before = below(two.folder)
    with pytest.raises(EndpointRefused, match=r"2 keys.*3 signatures"):
        two.add_app("alice", "bob", "olga", publisher_may_approve=False)
    assert below(two.folder) == before


def test_online_keys_that_the_place_does_not_have_are_refused_and_no_signature_is_lost(production: Production) -> None:
    toml = production.folder / "server.toml"
    standing = toml.read_text()
    toml.write_text(standing.replace(production.uri("online"), production.uri("other")))
    production.add_app("alice", "bob")
    with pytest.raises(EndpointRefused, match="nobody signs with here") as refused:
        production.sign("olga")
    assert "No signature on root-1-" in refused.value.remedy
    assert "mlpublish review sign root-1-" in refused.value.remedy
    told = status(production.where())
    assert [todo.why for todo in told.todos if "has every signature" in todo.why]
    toml.write_text(standing)
    assert production.sign("alice").state == "committed"


# ── a run that broke off ────────────────────────────────────────────────────────────────────────────────────────────────


def signed_change(production: Production) -> Change:
    change = founding(Policy(app_id=production.app.id), production.holders())
    may = {name: approval.may_sign(change, Present(), production.id(name)) for name in ("alice", "bob", "olga")}
    reviews = tuple(reviewed(change, names, production.signer(name)) for name, names in may.items())
    return replace(change, edits=change.signed_with(reviews))


@pytest.mark.parametrize("write", range(6))
def test_a_crash_before_each_write_leaves_no_repository_and_the_same_run_finishes_it(
    production: Production, write: int
) -> None:
    change, online = signed_change(production), Place.find(production.folder).online()
    assert online is not None

    def crash(number: int, path: str) -> None:
        if number == write:
            raise InterruptedError(path)

    with pytest.raises(InterruptedError):
        found(AppRepository(BentStore(production.store, crash), production.app.id), change, online)
    assert not production.store.exists("metadata/timestamp.json")
    assert found(production.repository, change, online) is True
    assert found(production.repository, change, online) is False
    production.assert_whole()
    assert production.checked() == (UpdateStatus.SUCCESS, None)


def test_what_other_keys_began_is_refused_and_named(production: Production, tmp_path: Path) -> None:
    change, online = signed_change(production), Place.find(production.folder).online()
    assert online is not None
    (tmp_path / "strangers").mkdir()
    other = signed_change(replace(production, keys=tmp_path / "strangers"))
    production.store.create("metadata/1.root.json", other.edits["root"].metadata)
    with pytest.raises(Conflict, match="begun here with other keys") as refused:
        found(production.repository, change, online)
    assert f"Remove the folder {production.app.id}" in refused.value.remedy
    assert not production.store.exists("metadata/timestamp.json")


def test_a_development_repository_that_broke_off_is_finished(development: Development, app: Any) -> None:
    for name in KEYS[:3]:
        other = Development.make(development.folder.parent / f"copy-{name}")
        shutil.rmtree(other.folder / "keys")
        shutil.copytree(development.folder / "keys", other.folder / "keys")
        other.app(app.id)
        place = development.repository / app.id / "metadata" / f"1.{name}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(other.repository / app.id / "metadata" / f"1.{name}.json", place)
    assert development.app(app.id).head().targets.signed.version == 1


# ── endpoints that lie ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_trusts_a_root_signs_no_second_repository(production: Production, tmp_path: Path) -> None:
    """An endpoint that hides the repository would have its holders sign another one, with who knows whose keys."""
    production.stand()
    root = production.first_root.read_bytes()
    production.store.folder.rename(tmp_path / "hidden")
    production.add_app()
    where = production.where("alice", root=root)
    for act in (review.show, review.sign):
        with pytest.raises(VerificationError, match="a root of it is trusted here"):
            act(where)
    folder = tmp_path / "carried"
    review_files.save(production.where(), folder)
    with pytest.raises(VerificationError, match="trusted here already"):
        review_files.sign(folder, signer=production.uri("alice"), root=root)
    assert not list((folder / "reviews").iterdir())
    assert FolderStore(production.store.folder).exists("changes/open.json")
