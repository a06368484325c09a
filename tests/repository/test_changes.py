"""Changes wait for signatures, commit by themselves with the last one, and survive crashes and each other.

Both ways in are tested: the folder itself and a server over it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpublish.errors import AlreadyPublished, Conflict, EndpointRefused, Expired, FormatError, NotFound, VerificationError
from mlpublish.formats.status import UpdateStatus
from mlpublish.formats.wire import digest_of
from mlpublish.publishing.publish import publish
from mlpublish.repository import review
from mlpublish.repository.changes import Changes
from mlpublish.repository.edits import edits_for
from mlpublish.repository.place import Place
from mlpublish.repository.repository import AppRepository
from mlpublish.repository.review import policy_blob
from mlpublish.repository.review_log import log
from mlpublish.storage.in_folder import FolderStore
from mlpublish.trust import roles
from mlpublish.trust.changes import Change, reviewed
from mlpublish.trust.folders import read_change
from mlpublish.trust.intents import Intent
from tests.production import Production, blobs_of, policy, rotation, withdrawal
from tests.repository.conftest import BentStore

Below = Callable[[Path], dict[str, str]]


# ── releases ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_release_waits_and_is_current_with_the_last_signature(there: Production) -> None:
    receipt = there.publish(b"one")
    assert (receipt.created, receipt.number) == (False, 1)
    assert receipt.change == there.changes.list().open
    assert there.head().releases == {}
    report = there.sign("bob", receipt.change)
    assert (report.state, report.missing) == ("committed", 0)
    assert list(there.head().releases) == [1]
    assert there.changes.list().open is None
    there.offer(1)
    assert there.checked() == (UpdateStatus.SUCCESS, 1)


def test_publishing_what_waits_or_stands_again_changes_nothing(there: Production, below: Below) -> None:
    release = there.signed(b"one")
    first = publish(release, to=there.at, token=there.token)
    before = below(there.tree)
    assert publish(release, to=there.at, token=there.token) == first
    assert below(there.tree) == before
    there.sign("bob")
    before = below(there.tree)
    again = publish(release, to=there.at, token=there.token)
    assert (again.created, again.change) == (False, None)
    assert below(there.tree) == before


def test_signing_what_is_committed_signs_nothing(there: Production, below: Below) -> None:
    receipt = there.publish(b"one")
    there.sign("bob")
    before = below(there.tree)
    assert there.sign("bob", receipt.change).state == "committed"
    assert there.sign("carol", receipt.change).state == "committed"
    assert below(there.tree) == before


def test_an_app_has_one_open_change(there: Production, below: Below) -> None:
    open_one = there.publish(b"one").change
    before = below(there.tree)
    with pytest.raises(Conflict, match=rf"{open_one} \(add release 1\) is open") as refused:
        there.publish(b"two", "carol")
    assert f"mlpublish review show {open_one}" in refused.value.remedy
    assert {name for name in below(there.tree) if "changes" in name} == {name for name in before if "changes" in name}


def test_a_steer_goes_through_meanwhile_and_the_signatures_stay_valid(there: Production) -> None:
    there.release(b"one")
    there.publish(b"two")
    there.offer(1)
    assert there.sign("bob").state == "committed"
    assert sorted(there.head().releases) == [1, 2]
    assert there.checked() == (UpdateStatus.SUCCESS, 1)


def test_a_rejected_release_is_not_published_again(there: Production) -> None:
    release = there.signed(b"one")
    receipt = publish(release, to=there.at, token=there.token)
    report = review.reject(there.where("carol"), reason="biased on night images")
    assert report.state == "rejected"
    with pytest.raises(Conflict, match="biased on night images"):
        publish(release, to=there.at, token=there.token)
    with pytest.raises(Conflict, match="rejected"):
        there.sign("bob", receipt.change)
    assert there.head().releases == {}
    assert there.release(b"better") == 1


@pytest.mark.parametrize("verdict", ["sign", "reject"])
def test_only_a_holder_has_a_say(there: Production, below: Below, verdict: str) -> None:
    there.publish(b"one")
    before = below(there.tree)
    for name in ("mallory", "olga", "online"):
        with pytest.raises(Exception, match="holds none of the roles") as refused:
            there.sign(name) if verdict == "sign" else review.reject(there.where(name), reason="because")
        assert refused.value.exit_code == 1  # type: ignore[attr-defined]
    assert below(there.tree) == before


def test_the_endpoint_itself_refuses_who_holds_nothing(there: Production, below: Below) -> None:
    """Whatever program signs: what counts is decided where the change is kept."""
    receipt = there.publish(b"one")
    endpoint = there.where().access.endpoint
    change = endpoint.change(there.app.id, str(receipt.change)).change
    stranger, bob = there.signer("mallory"), there.signer("bob")
    good = reviewed(change, ("targets",), bob)
    before = below(there.tree)
    for bad, told in (
        (reviewed(change, ("targets",), stranger), "holds none"),
        (reviewed(change, (), stranger, verdict="reject", comment="no"), "holds none"),
        (replace(good, keyid=there.id("carol")), "not signed by that key"),
        (replace(good, comment="another word"), "not signed by that key"),
        (replace(good, signatures={"targets": "00" * 70}), "does not hold"),
        (reviewed(change, (), bob), "does not hold|roles must be one or more"),
    ):
        with pytest.raises((VerificationError, FormatError), match=told):
            endpoint.review(there.app.id, change.id, bad)
    assert below(there.tree) == before


def test_two_who_looked_at_different_bytes_are_told_so(stood: Production) -> None:
    receipt = stood.publish(b"one")
    kept = stood.changes.read(str(receipt.change))
    edit = kept.change.edits["targets"]
    role = kept.change.targets()
    assert role is not None
    role.signed.expires = roles.after(50)
    other = replace(kept.change, edits={"targets": replace(edit, metadata=role.to_bytes())})
    online = Place.find(stood.folder).online()
    assert online is not None
    theirs = reviewed(other, ("targets",), stood.signer("bob"))
    with pytest.raises(VerificationError, match=f"review of {other.id}.*not of {kept.change.id}.*other bytes") as refused:
        stood.changes.add(kept.change.id, theirs, online, lambda _: None)
    assert "look at it, and sign that" in refused.value.remedy
    relabelled = replace(theirs, change_id=kept.change.id)
    with pytest.raises(VerificationError, match="not signed by that key"):
        stood.changes.add(kept.change.id, relabelled, online, lambda _: None)


# ── at once ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

REVIEWER = """
import json, sys
from mlpublish.repository import review
at, app, root, key, change, token = sys.argv[1:]
where = review.Where(app=app, at=at, root=root, signer=key, token=token or None)
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(review.sign(where, change).state))
"""


def test_reviewers_who_sign_at_the_same_moment_lose_nothing(there: Production) -> None:
    for number in range(1, 4):
        change = str(there.publish(b"%d" % number).change)
        arguments = [there.at, there.app.id, str(there.first_root)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        running = [
            subprocess.Popen([sys.executable, "-c", REVIEWER, *arguments, there.uri(name), change, there.token or ""], **pipes)
            for name in ("bob", "carol")
        ]
        assert [each.stdout.readline() for each in running] == ["ready\n"] * 2  # type: ignore[union-attr]
        told = [each.communicate("go\n", timeout=60)[0] for each in running]
        assert {json.loads(each) for each in told} == {"committed"}
        assert sorted(there.head().releases) == list(range(1, number + 1))
        kept = there.changes.read(change)
        assert kept.closed is not None
        assert kept.closed.outcome == "committed"
    there.assert_whole()


def test_a_proposal_that_loses_the_race_leaves_the_other_one_open(stood: Production) -> None:
    """The unlucky moment: somebody else's change is opened just before this one would be."""
    release, other, online = stood.signed(b"one"), stood.signed(b"two", "carol"), Place.find(stood.folder).online()
    assert online is not None
    found, blobs = read_change(release.folder), blobs_of(release)

    def before_write(number: int, path: str) -> None:
        if path == "changes/open.json":
            publish(other, to=stood.at)

    with pytest.raises(Conflict, match="is open"):
        bent(stood, before_write).propose(found.change, found.reviews, online, lambda target: blobs[target.hashes["sha256"]])
    assert stood.changes.list().open == read_change(other.folder).change.id
    assert stood.sign("bob").state == "committed"


# ── a base that moved ───────────────────────────────────────────────────────────────────────────────────────────────────


def complete_elsewhere(there: Production, intent: Intent) -> None:
    """Two holders agree on another change without the endpoint's queue, and hand it in complete."""
    head = there.head()
    change = Change(
        app_id=there.app.id, intent=intent, proposed_by=there.id("bob"), edits=edits_for(intent, head, there.store.read)
    )
    reviews = tuple(reviewed(change, ("targets",), there.signer(name)) for name in ("bob", "carol"))
    there.where().access.endpoint.propose(there.app.id, change, reviews, policy_blob(change))


def test_after_a_competing_change_one_is_made_again_from_there(there: Production) -> None:
    old = str(there.publish(b"one").change)
    complete_elsewhere(there, policy(floors={"ios/1.0": 1}))
    with pytest.raises(Conflict, match="made from version 1 of the targets role, which is at 2 now") as refused:
        there.sign("bob")
    assert f"mlpublish review rebase {old}" in refused.value.remedy
    by_hand = reviewed(there.changes.read(old).change, ("targets",), there.signer("bob"))
    with pytest.raises(Conflict, match="which is at 2 now"):  # whatever program signs
        there.where().access.endpoint.review(there.app.id, old, by_hand)
    assert len(there.changes.read(old).reviews) == 1
    assert [each.state for each in review.changes(there.where()) if each.change.id == old] == ["moved"]
    report = review.rebase(there.where("alice"), old)
    assert (report.state, report.missing, report.change.intent.release) == ("waiting", 1, 1)
    assert report.change.id != old
    assert there.sign("bob").state == "committed"
    assert dict(there.policy().floors) == {"ios/1.0": 1}
    assert list(there.head().releases) == [1]
    closed = there.changes.read(old).closed
    assert closed is not None
    assert closed.outcome == "superseded"


def test_one_that_moved_can_be_rejected_and_makes_room(there: Production) -> None:
    old = str(there.publish(b"one").change)
    complete_elsewhere(there, policy(floors={"ios/1.0": 1}))
    assert review.reject(there.where("carol"), old, reason="not wanted any more").state == "rejected"
    with pytest.raises(Conflict, match="rejected"):
        review.rebase(there.where("alice"), old)
    assert there.release(b"two") == 1


def test_a_new_proposal_supersedes_one_that_moved(there: Production) -> None:
    old = str(there.publish(b"one").change)
    complete_elsewhere(there, policy(floors={"ios/1.0": 1}))
    assert there.publish(b"two").change is not None
    closed = there.changes.read(old).closed
    assert closed is not None
    assert closed.outcome == "superseded"


def test_nothing_is_made_again_that_did_not_move(there: Production) -> None:
    there.publish(b"one")
    with pytest.raises(Conflict, match="stands on what is current"):
        review.rebase(there.where("alice"))


def test_a_release_whose_number_was_taken_meanwhile_cannot_be_made_again(there: Production) -> None:
    old = there.signed(b"one")
    publish(old, to=there.at, token=there.token)
    stray = there.signed(b"two", "bob")
    found = read_change(stray.folder)
    reviews = (*found.reviews, reviewed(found.change, ("targets",), there.signer("carol")))
    there.where().access.endpoint.propose(there.app.id, found.change, reviews, blobs_of(stray))
    with pytest.raises(AlreadyPublished, match="Release 1 stands for other bytes"):
        review.rebase(there.where("alice"))


def test_a_change_that_ran_out_is_made_again(stood: Production) -> None:
    """Nobody came for ninety days: no signature can help it, and nobody may be asked for one."""
    stood.publish(b"one")
    kept = stood.changes.open()
    assert kept is not None
    role = kept.change.targets()
    assert role is not None
    role.signed.expires = roles.after(-1)
    old = replace(kept.change, edits={"targets": replace(kept.change.edits["targets"], metadata=role.to_bytes())})
    folder = stood.store.folder / "changes"
    (folder / kept.change.id).rename(folder / old.id)
    (folder / old.id / "change.json").write_bytes(old.to_bytes())
    (folder / "open.json").write_text(json.dumps({"format": 1, "change": old.id}))
    with pytest.raises(Expired, match="ran out") as refused:
        stood.sign("bob")
    assert "review rebase" in refused.value.remedy
    assert next(review.changes(stood.where())).state == "expired"
    assert review.rebase(stood.where("alice")).state == "waiting"
    assert stood.sign("bob").state == "committed"


# ── what a policy may say ───────────────────────────────────────────────────────────────────────────────────────────────


def test_withdraw_and_reinstate(there: Production) -> None:
    there.release(b"one")
    there.offer(1)
    assert there.checked() == (UpdateStatus.SUCCESS, 1)
    there.agree(withdrawal(1), "alice", "carol")
    assert dict(there.policy().withdrawn) == {1: "biased"}
    assert there.checked() == (UpdateStatus.SUCCESS, None)
    there.agree(policy(reinstate=(1,)), "bob", "carol")
    assert there.checked() == (UpdateStatus.SUCCESS, 1)


@pytest.mark.parametrize(
    ("intent", "told"),
    [
        (withdrawal(7), "no release 7"),
        (policy(remove=(7,)), "no release 7"),
        (policy(reinstate=(1,)), "Release 1 is not withdrawn"),
    ],
)
def test_what_is_not_there_is_not_found(there: Production, below: Below, intent: Intent, told: str) -> None:
    there.release(b"one")
    before = below(there.tree)
    with pytest.raises(NotFound, match=told):
        there.propose("alice", intent)
    assert below(there.tree) == before


def test_a_floor_holds_operators_back(there: Production) -> None:
    for content in (b"one", b"two"):
        there.release(content)
    there.agree(policy(floors={"ios/2.0": 2}), "alice", "bob")
    with pytest.raises(Exception, match="floor"):
        there.offer(1)
    there.offer(2)
    assert there.checked() == (UpdateStatus.SUCCESS, 2)


@pytest.mark.parametrize("intent", [policy(remove=(1,)), policy(floors={"ios/2.0": 2})], ids=["remove", "floor"])
def test_what_a_channel_offers_is_steered_first_or_said_to_be_an_emergency(there: Production, intent: Intent) -> None:
    for content in (b"one", b"two"):
        there.release(content)
    there.offer(1)
    with pytest.raises(Conflict, match=r"Channel stable offers release 1 to ios 2\.0") as refused:
        there.propose("alice", intent)
    assert "mlpublish channel set --app com.acme.digits --channel stable --app-version 2.0" in refused.value.remedy
    assert "--even-if-offered" in refused.value.remedy
    there.agree(intent, "alice", "bob", even_if_offered=True)
    assert there.checked("fresh")[0] is UpdateStatus.FAILURE_INTEGRITY
    there.offer(2)
    assert there.checked("fresh") == (UpdateStatus.SUCCESS, 2)


def test_a_number_that_was_removed_is_never_used_again(there: Production) -> None:
    for content in (b"one", b"two"):
        there.release(content)
    there.agree(policy(remove=(2,)), "alice", "bob")
    assert there.policy().retired == (2,)
    assert there.release(b"three") == 3
    forced = there.signed(b"four", number=4)
    assert forced.number == 4
    with pytest.raises(AlreadyPublished, match="Release 2 stands for other bytes"):
        there.signed(b"five", number=2)


def test_a_publisher_who_may_not_approve_needs_two_others(there: Production) -> None:
    there.agree(policy(publisher_may_approve=False), "alice", "bob")
    change = there.publish(b"one").change
    assert there.sign("bob", change).state == "waiting"
    assert there.sign("carol", change).state == "committed"
    there.agree(policy(publisher_may_approve=True), "alice", "bob", "carol")
    there.release(b"two", "alice", "bob")


def test_that_rule_is_refused_where_too_few_could_sign_then(there: Production) -> None:
    there.agree(rotation("targets", drop=(there.id("carol"),)), "alice", "bob")
    with pytest.raises(EndpointRefused, match="3 signatures"):
        there.propose("alice", policy(publisher_may_approve=False))
    there.agree(rotation("targets", add=there.publics(("dave",))), "alice", "bob")
    there.agree(policy(publisher_may_approve=False), "alice", "bob")
    with pytest.raises(EndpointRefused, match="3 signatures"):
        there.propose("alice", rotation("targets", drop=(there.id("dave"),)))


# ── crashes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def bent(there: Production, before_write: Callable[[int, str], None]) -> Changes:
    return Changes(AppRepository(BentStore(there.store, before_write), there.app.id))


def breaking_off_at(there: Production, wanted: str | int) -> Changes:
    """Changes whose run ends before a write, named by its number or its path."""

    def before_write(number: int, path: str) -> None:
        if wanted in (number, path):
            raise InterruptedError(path)

    return bent(there, before_write)


def writes_of(there: Production, act: Callable[[Changes], object], tmp_path: Path) -> list[str]:
    """The paths that an act writes; done in a copy."""
    paths: list[str] = []
    copy = FolderStore(Path(shutil.copytree(there.store.folder, tmp_path / f"copy-{len(list(tmp_path.iterdir()))}")))
    act(Changes(AppRepository(BentStore(copy, lambda _, path: paths.append(path)), there.app.id)))
    return paths


def test_a_crash_before_each_write_of_a_proposal_and_the_same_run_again(stood: Production, tmp_path: Path) -> None:
    release, online = stood.signed(b"one"), Place.find(stood.folder).online()
    found, blobs = read_change(release.folder), blobs_of(release)
    assert online is not None
    signature = digest_of((release.folder / "model.sig").read_bytes())

    def act(changes: Changes) -> object:
        return changes.propose(found.change, found.reviews, online, lambda target: blobs[target.hashes["sha256"]])

    paths = writes_of(stood, act, tmp_path)
    assert [Path(path).name for path in paths] == [
        f"{release.bundle.sha256}.bundle.zip", f"{signature}.model.sig", "change.json",
        f"{stood.id('alice')}.json", "open.json",
    ]  # fmt: skip
    for path in paths:
        with pytest.raises(InterruptedError):
            act(breaking_off_at(stood, path))
        stood.assert_whole()
        assert stood.head().releases == {}
    assert publish(release, to=stood.at).change == found.change.id
    assert stood.sign("bob").state == "committed"


@pytest.mark.parametrize("again", ["the same", "another", "a new proposal"])
@pytest.mark.parametrize("write", range(5))
def test_a_crash_before_each_write_of_the_last_signature(stood: Production, tmp_path: Path, write: int, again: str) -> None:
    """Whoever comes next finishes it: the same reviewer, another one, or whoever proposes the next change."""
    change_id = str(stood.publish(b"one").change)
    change, online = stood.changes.read(change_id).change, Place.find(stood.folder).online()
    assert online is not None
    last = reviewed(change, ("targets",), stood.signer("bob"))

    def act(changes: Changes) -> object:
        return changes.add(change_id, last, online, lambda _: None)

    assert [Path(path).name for path in writes_of(stood, act, tmp_path)] == [
        f"{stood.id('bob')}.json", "2.targets.json", f"{stood.head().snapshot.signed.version + 1}.snapshot.json",
        "timestamp.json", "closed.json",
    ]  # fmt: skip
    with pytest.raises(InterruptedError):
        act(breaking_off_at(stood, write))
    stood.assert_whole()
    assert list(stood.head().releases) == ([1] if write == 4 else [])
    assert {each.state for each in review.changes(stood.where()) if each.change.id == change_id} == {
        "waiting" if write == 0 else "committed" if write == 4 else "complete"
    }
    if again == "a new proposal" and write == 4:
        assert stood.publish(b"two").number == 2
    else:
        assert stood.sign("carol" if again == "another" else "bob", change_id).state == "committed"
    assert [each.event for each in log(stood.where()).entries if each.change == change_id][-1] == "committed"
    assert list(stood.head().releases) == [1]
    stood.assert_whole()


@pytest.mark.parametrize("write", range(2))
def test_a_crash_before_each_write_of_a_rejection(stood: Production, write: int) -> None:
    change_id = str(stood.publish(b"one").change)
    change, online = stood.changes.read(change_id).change, Place.find(stood.folder).online()
    assert online is not None
    word = reviewed(change, (), stood.signer("carol"), verdict="reject", comment="no")
    with pytest.raises(InterruptedError):
        breaking_off_at(stood, write).add(change_id, word, online, lambda _: None)
    assert review.reject(stood.where("carol"), reason="no").state == "rejected"
    assert stood.release(b"two") == 1


def test_an_abandoned_change_is_only_one_among_others(stood: Production) -> None:
    """Fully signed, rejected, and handed in past the endpoint: another version of the role ends it."""
    release = stood.signed(b"one")
    publish(release, to=stood.at)
    kept = stood.changes.open()
    assert kept is not None
    review.reject(stood.where("carol"), reason="no")
    stood.agree(policy(floors={"ios/1.0": 1}), "alice", "bob")
    reviews = (*(each.review for each in kept.reviews), reviewed(kept.change, ("targets",), stood.signer("bob")))
    online = Place.find(stood.folder).online()
    assert online is not None
    with pytest.raises(Conflict):
        stood.repository.commit(kept.change.signed_with(reviews), online, lambda _: None)
    assert stood.head().releases == {}


# ── names from the wire ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "change_id", ["", "..", "../../com.acme.other/changes/x", "targets-2", "targets-2-%2e%2e", "open.json"]
)
def test_what_is_no_id_of_a_change_is_not_found(there: Production, change_id: str) -> None:
    there.publish(b"one")
    endpoint = there.where().access.endpoint
    with pytest.raises((NotFound, EndpointRefused)):
        endpoint.change(there.app.id, change_id)


def test_a_change_of_another_app_is_refused(there: Production, production: Production) -> None:
    other = production.for_app("com.acme.other").stand()
    receipt = other.publish(b"one")
    change = other.changes.read(str(receipt.change)).change
    reviews = (reviewed(change, ("targets",), there.signer("alice")),)
    with pytest.raises(EndpointRefused, match=r"for com\.acme\.other, not com\.acme\.digits"):
        there.where().access.endpoint.propose(there.app.id, change, reviews, {digest_of(b""): b""})
