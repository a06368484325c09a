"""What a hostile holder, server or app neighbour tries with changes and roots; each was a working attack once."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tuf.api.metadata import Targets

from mlpublish.errors import Conflict, EndpointRefused, RolledBack, ThresholdNotMet, VerificationError
from mlpublish.formats.policy import Policy
from mlpublish.formats.status import UpdateStatus
from mlpublish.publishing.publish import publish
from mlpublish.repository import founding, review
from mlpublish.repository.changes import Changes
from mlpublish.repository.endpoint import endpoint_for
from mlpublish.repository.place import Place
from mlpublish.repository.records import Kept
from mlpublish.repository.repository import AppRepository
from mlpublish.storage.in_folder import FolderStore
from mlpublish.trust import roles
from mlpublish.trust.changes import Change, Edit, Review, reviewed
from tests.production import Production, policy, rotation, withdrawal
from tests.repository.conftest import BentStore


def open_change(stood: Production) -> Change:
    return stood.changes.read(str(stood.changes.list().open)).change


def nothing(*_: object) -> None:
    return None


# apps of one house share their holders


@pytest.fixture
def neighbour(stood: Production) -> Production:
    """Another app of the same holders, which let mallory alone say what its releases are."""
    other = stood.for_app("com.acme.sandbox").stand()
    others = rotation(
        "targets", add=stood.publics(("mallory",)), drop=tuple(map(stood.id, ("alice", "bob", "carol"))), threshold=1
    )
    other.agree(others, "alice", "bob", "mallory")
    return other


def test_a_root_of_another_app_is_taken_by_no_endpoint(stood: Production, neighbour: Production) -> None:
    root = neighbour.store.read("metadata/2.root.json")
    online = Place.find(stood.folder).online()
    assert online is not None
    with pytest.raises(VerificationError, match=r"Root 2 is of com\.acme\.sandbox, not of com\.acme\.digits"):
        stood.repository.commit({"root": Edit(base=1, metadata=root)}, online, nothing)


def test_a_root_of_another_app_is_taken_by_no_device_and_leaves_no_trace(stood: Production, neighbour: Production) -> None:
    stood.offer(stood.release(b"one"))
    assert stood.checked() == (UpdateStatus.SUCCESS, 1)
    place = stood.store.folder / "metadata" / "2.root.json"
    place.write_bytes(neighbour.store.read("metadata/2.root.json"))  # a mirror shows it once
    assert stood.checked() == (UpdateStatus.FAILURE_INTEGRITY, 1)
    place.unlink()
    stood.agree(rotation("root", add=stood.publics(("dave",)), drop=(stood.id("carol"),)), "alice", "bob")
    assert stood.checked() == (UpdateStatus.SUCCESS, 1)


# a new root, and somebody who publishes at that very moment


def racing(stood: Production, *, naive: bool = False) -> list[str]:
    """Alice and carol are dropped, and publish once more at the moment when the new root is written."""
    stood.release(b"one", "alice", "carol")
    drop = (stood.id("alice"), stood.id("carol"))
    change = stood.propose("alice", rotation("targets", add=stood.publics(("dave",)), drop=drop, threshold=1)).change
    online = Place.find(stood.folder).online()
    assert online is not None
    raced: list[str] = []

    def meanwhile(_number: int, path: str) -> None:
        if path.endswith("2.root.json") and not raced:
            raced.append(path)
            head = stood.head()
            role = roles.following(head.targets, head.targets.signed.version + 1, 90)  # as they may, until then
            role = roles.signed_by(role, stood.signer("alice"), stood.signer("carol"))
            stood.repository.commit({"targets": Edit.of(head.targets, role)}, online, nothing)

    bent = Changes(AppRepository(BentStore(stood.store, meanwhile, naive=naive), stood.app.id))
    with contextlib.suppress(Conflict):
        bent.add(change.id, reviewed(change, ("root", "targets"), stood.signer("bob")), online, nothing)
    return raced


def test_a_release_by_who_is_just_dropped_cannot_strand_the_repository(stood: Production) -> None:
    """A root is live when it is written: were it written outside the swap, what it does not vouch for could be current."""
    assert racing(stood)
    assert stood.head().root.signed.version == 1
    stood.assert_whole()


def test_a_root_that_is_written_without_looking_would(stood: Production) -> None:
    assert racing(stood, naive=True)
    with pytest.raises(ThresholdNotMet):
        stood.head()


# what a reviewer looks at is what is signed


def test_an_endpoint_that_answers_with_another_change_is_found_out(stood: Production, monkeypatch: pytest.MonkeyPatch) -> None:
    stood.propose("alice", policy(floors={"ios/2.0": 1}))
    asked = open_change(stood)
    stood.sign("bob", asked.id)
    stood.propose("carol", withdrawal_of_nothing())
    other = open_change(stood)
    folder = stood.store.folder / "changes"
    (folder / other.id / "change.json").write_bytes(asked.to_bytes())
    with pytest.raises(VerificationError, match="What is kept as change"):
        stood.sign("bob", other.id)


def withdrawal_of_nothing() -> object:
    return policy(expiry_days=80)


def test_what_a_change_was_made_from_is_signed_with_it(stood: Production) -> None:
    """Else bob could be shown the difference to an old state, and his signature be used to undo what came after it."""
    stood.release(b"one")
    old = stood.head().targets
    stood.agree(withdrawal(1), "alice", "bob")
    head = stood.head()
    evil = roles.following(old, head.targets.signed.version + 1, 90)  # knows of no withdrawal
    shown = Change(app_id=stood.app.id, intent=policy(), proposed_by=stood.id("alice"), edits={"targets": Edit.of(old, evil)})
    signed = tuple(reviewed(shown, ("targets",), stood.signer(name)) for name in ("alice", "bob"))
    moved = replace(shown, edits={"targets": Edit.of(head.targets, evil)})
    for change in (shown, moved):
        with pytest.raises((Conflict, VerificationError)):
            endpoint_for(stood.folder).propose(stood.app.id, change, signed, {})
    assert stood.policy().withdrawn == {1: "biased"}


def test_a_change_that_lies_about_what_it_was_made_from_is_signed_by_nobody(stood: Production) -> None:
    head = stood.head()
    role = roles.following(head.targets, 2, 90)
    lie = replace(Edit.of(head.targets, role), present="0" * 64)
    change = Change(app_id=stood.app.id, intent=policy(), proposed_by=stood.id("alice"), edits={"targets": lie})
    said = (reviewed(change, ("targets",), stood.signer("alice")),)
    with pytest.raises(VerificationError, match="says that it was made from version 1 of the targets role"):
        endpoint_for(stood.folder).propose(stood.app.id, change, said, {})


# who holds nothing


def appointing_herself(stood: Production) -> tuple[Change, Review]:
    """A change in which the proposed app role, not the present one, makes mallory a holder."""
    head = stood.head()
    targets = roles.following(head.targets, 2, 90)
    targets.signed.add_key(stood.public("mallory"), "channels")
    channels = roles.following(head.channels, 2, 90)
    edits = {"targets": Edit.of(head.targets, targets), "channels": Edit.of(head.channels, channels)}
    change = Change(app_id=stood.app.id, intent=policy(), proposed_by=stood.id("mallory"), edits=edits)
    return change, reviewed(change, ("channels",), stood.signer("mallory"))


def test_a_stranger_with_a_token_cannot_hold_the_one_open_change(there: Production) -> None:
    change, said = appointing_herself(there)
    with pytest.raises(VerificationError, match="signed by nobody who holds one of its roles now"):
        endpoint_for(there.at, token=there.token).propose(there.app.id, change, (said,), {})
    assert there.changes.list().ids == there.changes.list().ids[:1]  # the founding alone


def test_who_is_only_to_be_appointed_rejects_nothing(stood: Production) -> None:
    change = stood.propose("alice", rotation("targets", add=stood.publics(("dave",)), threshold=3)).change
    said = reviewed(change, (), stood.signer("dave"), verdict="reject", comment="no")
    with pytest.raises(VerificationError, match=r"holds none of the roles of root-2-.* yet"):
        endpoint_for(stood.folder).review(stood.app.id, change.id, said)


# one role in the shape of another


def shaped(stood: Production, bend: Callable[[Targets], object], name: str = "channels") -> Change:
    head = stood.head()
    role = roles.following(head.role(name), 2, 90)
    bend(role.signed)
    return Change(
        app_id=stood.app.id,
        intent=policy(),
        proposed_by=stood.id("olga"),
        edits={name: Edit.of(head.role(name), role)},
    )


def test_a_channels_role_that_could_be_an_app_role_is_no_change(stood: Production) -> None:
    """Whoever holds both roles would sign "channels", and it would count for the app role."""
    app_role = stood.head().targets.signed

    def delegate(role: Targets) -> None:
        role.delegations = app_role.delegations

    def name(role: Targets) -> None:
        role.targets.update(app_role.targets)

    for bend, told in ((delegate, "shaped as the other one"), (name, r"names 'policy\.json'")):
        change = shaped(stood, bend)
        with pytest.raises(VerificationError, match=told):
            Change.from_bytes(change.to_bytes())
        with pytest.raises((VerificationError, EndpointRefused)):
            stood.repository.check(change.edits, nothing)


def test_an_app_role_names_releases_and_its_policy_alone(stood: Production) -> None:
    def smuggle(role: Targets) -> None:
        role.targets["x/1.bin"] = roles.target_file("x/1.bin", b"stored and served for ever")

    with pytest.raises(VerificationError, match=r"names 'x/1\.bin'"):
        stood.repository.check(shaped(stood, smuggle, "targets").edits, nothing)


# one no among many


def test_one_holder_cannot_outvote_the_threshold(stood: Production, tmp_path: object) -> None:
    """A root holder who rejects his own removal each time is removed by a complete set of signatures, handed in at once."""
    wanted = rotation("root", add=stood.publics(("dave",)), drop=(stood.id("carol"),))
    change = stood.propose("alice", wanted).change
    review.reject(stood.where("carol"), change.id, reason="never")
    said = tuple(reviewed(change, ("root",), stood.signer(name)) for name in ("alice", "bob"))
    kept: Kept = endpoint_for(stood.folder).propose(stood.app.id, change, said, {})
    assert kept.closed is not None
    assert kept.closed.outcome == "committed"
    assert stood.head().root.signed.version == 2


def test_a_rejection_at_the_moment_of_the_commit_is_not_how_it_ended(stood: Production) -> None:
    receipt = stood.publish(b"one")
    online = Place.find(stood.folder).online()
    assert online is not None
    change = open_change(stood)
    no = reviewed(change, (), stood.signer("carol"), verdict="reject", comment="no")
    done: list[Kept] = []

    def just_then(_number: int, path: str) -> None:
        if path.endswith("closed.json") and not done:
            done.append(stood.changes.add(change.id, reviewed(change, ("targets",), stood.signer("bob")), online, nothing))

    bent = Changes(AppRepository(BentStore(FolderStore(stood.store.folder), just_then), stood.app.id))
    kept = bent.add(change.id, no, online, nothing)
    assert done
    assert [each.closed.outcome for each in (kept, done[0]) if each.closed is not None] == ["committed", "committed"]
    assert review.show(stood.where("bob"), str(receipt.change)).state == "committed"


# a repository that was set back


def test_a_repository_that_was_restored_from_an_old_backup_is_told_apart_from_one_that_moved_on(
    stood: Production, tmp_path: Path
) -> None:
    """Were the release signed again from there, its role would have a version that devices have seen with other content."""
    backup = tmp_path / "backup"
    shutil.copytree(stood.tree, backup)
    stood.release(b"one")
    late = stood.signed(b"two")
    shutil.rmtree(stood.tree)
    backup.rename(stood.tree)
    with pytest.raises(RolledBack, match="is at version 1, and this edit was made from 2") as caught:
        publish(late, to=stood.at)
    assert "Do not sign again" in caught.value.remedy
    assert caught.value.exit_code == 3


def test_a_role_above_the_head_that_breaks_a_rule_stops_nobody(stood: Production) -> None:
    """Signed by enough, and valid for ever: what a machine with a wrong clock left there."""
    head = stood.head()
    ever = roles.following(head.targets, 2, 9000)
    roles.signed_by(ever, stood.signer("alice"), stood.signer("bob"))
    stood.store.create("metadata/2.targets.json", ever.to_bytes())
    assert stood.release(b"one") == 1
    assert stood.head().targets.signed.version == 3


# a repository that is to be made


def test_no_first_root_of_another_app_is_signed_or_written(production: Production) -> None:
    production.make()
    change = founding.founding(Policy(app_id=production.app.id), production.holders())
    root = change.root
    assert root is not None
    root.signed.unrecognized_fields["x-mlpublish-app"] = "com.acme.sandbox"
    edits = dict(change.edits) | {"root": replace(change.edits["root"], metadata=root.to_bytes())}
    evil = replace(change, edits=edits)
    with pytest.raises(VerificationError, match=r"is of com\.acme\.sandbox"):
        Change.from_bytes(evil.to_bytes())
    with pytest.raises(VerificationError, match=r"is of com\.acme\.sandbox"):
        endpoint_for(production.at).propose(production.app.id, evil, (), {})
    assert not (production.tree / production.app.id).exists()
