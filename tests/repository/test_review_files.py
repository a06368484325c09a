"""Reviews without a server: what is carried is verified offline under a root that is trusted there, and one file comes back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpublish.errors import (
    Conflict,
    DigestMismatch,
    MlpublishError,
    NotFound,
    RecipeError,
    SigningError,
    ThresholdNotMet,
    VerificationError,
)
from mlpublish.publishing.publish import publish
from mlpublish.repository import review, review_files
from mlpublish.repository.change_report import ChangeReport
from mlpublish.repository.endpoint import Edit
from mlpublish.trust import roles
from mlpublish.trust.changes import Change
from mlpublish.trust.folders import read_change
from tests.production import Production, policy, rotation, withdrawal

Below = Callable[[Path], dict[str, str]]


@pytest.fixture
def carried(stood: Production, tmp_path: Path) -> Path:
    """Release 1 as alice proposed it, on somebody else's machine."""
    stood.publish(b"one")
    folder = tmp_path / "carried"
    review_files.save(stood.where(), folder)
    return folder


def look(stood: Production, folder: Path) -> ChangeReport:
    return review_files.look(folder, root=stood.first_root)


def sign(stood: Production, folder: Path, name: str) -> ChangeReport:
    return review_files.sign(folder, signer=stood.uri(name), root=stood.first_root)


def bent(folder: Path, bend: Callable[[dict[str, Any]], object]) -> None:
    """Change a member of change.json."""
    file = folder / "change.json"
    document = json.loads(file.read_text())
    bend(document)
    file.write_text(json.dumps(document))


# ── the way of a folder ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_is_looked_at_signed_and_submitted(there: Production, tmp_path: Path) -> None:
    there.publish(b"one")
    folder = tmp_path / "change"
    saved = review_files.save(there.where(), folder)
    assert (look(there, folder).state, saved.missing) == ("waiting", 1)
    assert [each.to_dict() for each in look(there, folder).differences] == [each.to_dict() for each in saved.differences]
    assert sign(there, folder, "carol").state == "complete"
    report = review_files.submit(folder, to=there.at, token=there.token)
    assert (report.state, list(there.head().releases)) == ("committed", [1])
    assert review_files.submit(folder, to=there.at, token=there.token).state == "committed"  # nothing to do


def test_what_comes_back_is_one_small_file(stood: Production, carried: Path, tmp_path: Path) -> None:
    theirs = Path(shutil.copytree(carried, tmp_path / "theirs"))
    sign(stood, theirs, "bob")
    new = {file.name for file in theirs.rglob("*")} - {file.name for file in carried.rglob("*")}
    assert new == {f"{stood.id('bob')}.json"}
    (file,) = theirs.glob(f"reviews/{stood.id('bob')}.json")
    assert file.stat().st_size < 1500
    shutil.copy(file, carried / "reviews")
    assert review_files.submit(carried, to=stood.at).state == "committed"


def test_the_folder_that_sign_wrote_is_one_too(stood: Production, tmp_path: Path) -> None:
    release = stood.signed(b"one")
    theirs = Path(shutil.copytree(release.folder, tmp_path / "theirs"))
    assert list(look(stood, theirs).bundles) == [1]
    sign(stood, theirs, "bob")
    shutil.copy(theirs / "reviews" / f"{stood.id('bob')}.json", release.folder / "reviews")
    receipt = publish(release, to=stood.at)
    assert (receipt.created, receipt.change) == (True, None)
    assert stood.head().targets.signatures.keys() == {stood.id("alice"), stood.id("bob")}


def test_a_rotation_is_carried_to_the_new_holder(stood: Production, tmp_path: Path) -> None:
    intent = rotation("targets", add=stood.publics(("dave",)), drop=(stood.id("alice"),))
    stood.propose("alice", intent)
    folder = tmp_path / "rotation"
    review_files.save(stood.where(), folder)
    for name in ("bob", "dave"):
        sign(stood, folder, name)
    assert review_files.submit(folder, to=stood.at).state == "committed"


def test_the_same_reviewer_twice_counts_once(stood: Production, carried: Path) -> None:
    for _ in range(2):
        assert sign(stood, carried, "alice").state == "waiting"
    assert review_files.submit(carried, to=stood.at).state == "waiting"


def test_after_rotations_a_reviewer_who_trusts_root_1_follows(stood: Production, tmp_path: Path) -> None:
    for number in range(3):
        stood.agree(rotation("root", add=stood.publics((f"new-{number}",))), "alice", "bob")
    stood.publish(b"one")
    folder = tmp_path / "change"
    review_files.save(stood.where(), folder)
    assert sorted(file.name for file in (folder / "roots").iterdir()) == [f"{n}.root.json" for n in range(1, 5)]
    assert sign(stood, folder, "bob").state == "complete"


def test_a_chain_of_roots_with_a_gap_is_not_followed(stood: Production, tmp_path: Path, below: Below) -> None:
    for number in range(3):
        stood.agree(rotation("root", add=stood.publics((f"new-{number}",))), "alice", "bob")
    stood.propose("alice", rotation("root", threshold=3))
    folder = tmp_path / "change"
    review_files.save(stood.where(), folder)
    (folder / "roots" / "3.root.json").unlink()
    refused(stood, folder, VerificationError, "Root 4 does not follow root 2", below)


# ── what is refused before anything is signed ───────────────────────────────────────────────────────────────────────────


def refused(stood: Production, folder: Path, kind: type[MlpublishError], told: str, below: Below) -> MlpublishError:
    before = below(folder)
    with pytest.raises(kind, match=told) as error:
        sign(stood, folder, "bob")
    assert below(folder) == before
    return error.value


def test_another_bundle(stood: Production, carried: Path, below: Below) -> None:
    (place,) = carried.glob("*.zip")
    shutil.copy(stood.new_bundle(b"evil").path, place)
    refused(stood, carried, DigestMismatch, "not the one that was signed", below)


def test_no_bundle(stood: Production, carried: Path, below: Below) -> None:
    (place,) = carried.glob("*.zip")
    place.unlink()
    assert "what is signed must be looked at" in refused(stood, carried, NotFound, place.name, below).remedy


def test_no_trusted_root(stood: Production, carried: Path, below: Below) -> None:
    before = below(carried)
    with pytest.raises(RecipeError, match="no trust on first use") as error:
        review_files.sign(carried, signer=stood.uri("bob"))
    assert "--root 1.root.json" in error.value.remedy
    assert below(carried) == before


def test_a_present_that_nobody_signed(stood: Production, carried: Path, below: Below) -> None:
    file = carried / "present" / "targets.json"
    role = roles.parse_named(file.read_bytes(), "targets")
    role.signatures.clear()
    file.write_bytes(role.to_bytes())
    refused(stood, carried, ThresholdNotMet, "0 of 2 signatures", below)


def test_an_older_present_than_the_one_it_was_made_from(stood: Production, tmp_path: Path, below: Below) -> None:
    """Shown against an old state, a change that lifts a withdrawal would look like one that does nothing."""
    stood.release(b"one")
    old = stood.head().targets.to_bytes()
    stood.agree(withdrawal(1), "alice", "bob")
    stood.propose("alice", policy(reinstate=(1,)))
    folder = tmp_path / "change"
    review_files.save(stood.where(), folder)
    assert any("withdrawn release 1" in each.what for each in look(stood, folder).differences)
    (folder / "present" / "targets.json").write_bytes(old)
    refused(stood, folder, VerificationError, "made from version 3 of the targets role .*; here is version 2", below)


def test_a_change_that_ran_out(stood: Production, carried: Path, below: Below) -> None:
    found = read_change(carried).change
    role = found.targets()
    assert role is not None
    role.signed.expires = roles.after(-1)
    late = replace(found.edits["targets"], metadata=role.to_bytes())
    (carried / "change.json").write_bytes(replace(found, edits={"targets": late}).to_bytes())
    assert "review rebase" in refused(stood, carried, MlpublishError, "ran out", below).remedy


def test_thresholds_that_nobody_can_reach(stood: Production, carried: Path, below: Below) -> None:
    root = roles.following(stood.head().root, 2, 365)
    root.signed.roles["root"].threshold = 9
    edits = {"root": Edit.of(stood.head().root, root)}
    change = Change(app_id=stood.app.id, intent=rotation("root"), proposed_by=stood.id("alice"), edits=edits)
    (carried / "change.json").write_bytes(change.to_bytes())
    refused(stood, carried, SigningError, "nobody can reach that", below)


def test_a_key_that_holds_nothing(stood: Production, carried: Path) -> None:
    with pytest.raises(SigningError, match=r"holds none of the roles.*alice"):
        sign(stood, carried, "mallory")


@pytest.mark.parametrize(
    ("bend", "told"),
    [
        (lambda d: d.update(format=2), "format"),
        (lambda d: d["edits"].clear(), "edits"),
        (lambda d: d["edits"]["targets"].update(metadata="{}"), "no TUF metadata"),
        (lambda d: d["intent"].update(kind="found"), "edits"),
        (lambda d: d.update(app="com.acme.other"), r"com\.acme\.other"),
    ],
)
def test_a_document_that_is_none(stood: Production, carried: Path, bend: Callable[[dict[str, Any]], object], told: str) -> None:
    bent(carried, bend)
    with pytest.raises(MlpublishError, match=told):
        review_files.submit(carried, to=stood.at)
    assert stood.head().releases == {}


def test_an_empty_folder_is_no_change(stood: Production, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no change"):
        look(stood, tmp_path)


# ── submitting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_review_of_other_bytes_is_refused_by_name(stood: Production, carried: Path, tmp_path: Path) -> None:
    """Bob looked at another folder: his word is for those bytes, and the endpoint says so."""
    other = stood.for_app("com.acme.other").stand()
    other.publish(b"one")
    folder = tmp_path / "other"
    review_files.save(other.where(), folder)
    review_files.sign(folder, signer=stood.uri("bob"), root=other.first_root)
    shutil.copy(folder / "reviews" / f"{stood.id('bob')}.json", carried / "reviews")
    assert look(stood, carried).state == "waiting"
    with pytest.raises(VerificationError, match="you looked at other bytes"):
        review_files.submit(carried, to=stood.at)
    assert stood.head().releases == {}


def test_one_whose_base_moved_is_told_so(stood: Production, tmp_path: Path) -> None:
    release = stood.signed(b"two", "carol")
    stood.release(b"one")
    review_files.sign(release.folder, signer=stood.uri("bob"), root=stood.first_root)
    with pytest.raises(MlpublishError) as error:
        review_files.submit(release.folder, to=stood.at)
    assert error.value.exit_code == 5
    assert list(stood.head().releases) == [1]


def test_one_that_is_closed_is_told_so_until_enough_have_signed(stood: Production, carried: Path) -> None:
    review.reject(stood.where("carol"), reason="biased")
    with pytest.raises(Conflict, match=r"rejected.*biased"):
        review_files.submit(carried, to=stood.at)
    sign(stood, carried, "bob")  # one holder does not outvote the threshold
    assert review_files.submit(carried, to=stood.at).state == "committed"


def test_a_bundle_that_was_renamed_is_found(stood: Production, carried: Path) -> None:
    (bundle,) = carried.glob("*.zip")
    bundle.rename(carried / "b2.zip")
    assert list(sign(stood, carried, "bob").bundles) == [1]
    assert review_files.submit(carried, to=stood.at).state == "committed"


def test_a_bundle_that_was_renamed_and_altered_is_told_as_altered(stood: Production, carried: Path) -> None:
    (bundle,) = carried.glob("*.zip")
    bundle.rename(carried / "b2.zip")
    with (carried / "b2.zip").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DigestMismatch, match="not the one that was signed as release 1"):
        sign(stood, carried, "bob")
    (carried / "b1.zip").write_bytes(b"another")  # then nobody can tell which is meant
    with pytest.raises(NotFound, match="is not there"):
        sign(stood, carried, "bob")
    assert len(list((carried / "reviews").iterdir())) == 1  # the proposer's


# ── saving ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_cannot_be_saved_whole_leaves_nothing(stood: Production, tmp_path: Path, below: Below) -> None:
    stood.publish(b"one")
    (stored,) = stood.store.folder.glob("targets/releases/1/*.bundle.zip")
    whole = stored.read_bytes()
    stored.write_bytes(whole[:-1])
    place = tmp_path / "to" / "bob"
    with pytest.raises(MlpublishError):
        review_files.save(stood.where(), place)
    assert not place.exists()
    assert below(place.parent) == {}
    stored.write_bytes(whole)
    review_files.save(stood.where(), place)
    assert (place / "change.json").is_file()


def test_it_is_saved_into_a_new_folder_only(stood: Production, carried: Path, below: Below) -> None:
    before = below(carried)
    with pytest.raises(RecipeError, match="holds something already"):
        review_files.save(stood.where(), carried)
    assert below(carried) == before


def test_a_bundle_that_is_not_the_signed_one_is_not_saved(stood: Production, tmp_path: Path) -> None:
    stood.publish(b"one")
    (place,) = (stood.store.folder / "targets" / "releases" / "1").glob("*.bundle.zip")
    shutil.copy(stood.new_bundle(b"evil").path, place)
    with pytest.raises(DigestMismatch):
        review_files.save(stood.where(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_old_change_is_saved_with_what_it_was_made_from(stood: Production, tmp_path: Path) -> None:
    stood.release(b"one")
    change = stood.changes.list().ids[-1]
    stood.agree(rotation("targets", add=stood.publics(("dave",)), drop=(stood.id("alice"),)), "alice", "bob", "carol")
    review_files.save(stood.where(), tmp_path / "old", change)
    report = look(stood, tmp_path / "old")
    assert (report.change.id, report.state) == (change, "complete")
