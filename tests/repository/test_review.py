"""What a reviewer is shown is recomputed from what is verified here, and nothing else is ever signed."""

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
    EndpointRefused,
    MlpublishError,
    NotFound,
    RecipeError,
    SigningError,
    VerificationError,
)
from mlpublish.repository import review
from mlpublish.repository.change_report import ChangeReport
from mlpublish.repository.edits import edits_for
from mlpublish.repository.endpoint import Edit
from mlpublish.repository.founding import Held, founding
from mlpublish.trust import roles
from mlpublish.trust.changes import Change
from mlpublish.trust.intents import Intent
from tests.production import Production, policy, rotation, withdrawal

Below = Callable[[Path], dict[str, str]]


def sentences(report: ChangeReport) -> list[str]:
    return [each.sentence for each in report.differences if not each.routine]


def keep(stood: Production, change: Change) -> None:
    """A change as a lying endpoint would show it: nobody held it against anything."""
    folder = stood.store.folder / "changes"
    (folder / change.id).mkdir(parents=True, exist_ok=True)
    (folder / change.id / "change.json").write_bytes(change.to_bytes())
    (folder / "open.json").write_text(json.dumps({"format": 1, "change": change.id}))


def opened(stood: Production) -> Change:
    kept = stood.changes.open()
    assert kept is not None
    return kept.change


# ── what is shown ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_release_shows_its_facts_evidence_lineage_size_and_what_is_not_proven(there: Production) -> None:
    there.publish(b"one")
    report = review.show(there.where())
    (bundle,) = report.bundles.values()
    assert (report.state, report.missing, bundle.sha256) == ("waiting", 1, there.new_bundle(b"one").sha256)
    assert any(each.startswith("+ release 1: digits") and bundle.sha256 in each for each in sentences(report))
    shown = {name: str(value) for name, value in report.rows().items()}
    assert f"{bundle.length} bytes, sha256 {bundle.sha256}" in shown["release 1"]
    assert "8 samples, largest difference" in shown["digits: parity"]
    assert "scikit-learn" in shown["digits: lineage"]
    assert "not from Apple's runtime" in shown["not proven"]
    assert shown["meant"] == f"add release 1 (said by alice ({there.id('alice')[:12]}), not verified)"
    assert "alice" in shown["review 1"]


def test_a_long_text_that_somebody_chose_says_how_much_of_it_is_not_shown(stood: Production) -> None:
    stood.publish(b"one")
    review.sign(stood.where("bob"), comment="x" * 3000)
    stood.propose("alice", withdrawal(1, reason="y" * 3000))
    added, withdrawn = (review.show(stood.where(), each) for each in stood.changes.list().ids[-2:])
    (told,) = (value for value in map(str, added.rows().values()) if "xxx" in value)
    assert told.endswith(f"{'x' * 500}… (2500 more characters, shown with --json)")
    assert added.to_dict()["reviews"][1]["comment"] == "x" * 3000
    assert "more characters, shown with --json) (said by alice" in str(withdrawn.rows()["meant"])
    assert "y" * 3000 in withdrawn.to_dict()["summary"]


def test_a_lying_intent_is_shown_as_what_the_change_does(stood: Production) -> None:
    for content in (b"one", b"two"):
        stood.release(content)
    stood.agree(withdrawal(1), "alice", "bob")
    lie = edits_for(policy(reinstate=(1,), floors={"ios/2.0": 0}), stood.head(), stood.store.read)
    keep(stood, Change(app_id=stood.app.id, intent=withdrawal(2), proposed_by=stood.id("alice"), edits=lie))
    report = review.show(stood.where("bob"))
    assert "- withdrawn release 1: biased" in sentences(report)
    assert not any("release 2" in each for each in sentences(report))
    assert str(report.rows()["meant"]).startswith("withdraw release 2 (biased) (said by alice")


def test_a_change_that_smuggles_something_shows_it(stood: Production) -> None:
    """A member that nobody knows, a key that no role needs, an operator: whatever is signed is shown."""
    stood.publish(b"one")
    change = opened(stood)
    role = change.targets()
    assert role is not None
    role.signed.unrecognized_fields["x-evil"] = {"deep": ["hidden"]}
    role.signed.add_key(stood.public("mallory"), "channels")
    keep(stood, replace(change, edits={"targets": replace(change.edits["targets"], metadata=role.to_bytes())}))
    told = "\n".join(sentences(review.show(stood.where("bob"))))
    assert "x-evil" in told
    assert "hidden" in told
    assert stood.id("mallory") in told
    assert "threshold of channels: 1 of 2 → 1 of 3" in told


def test_an_old_change_is_shown_as_what_it_did_then(there: Production) -> None:
    there.release(b"one")
    change = there.changes.list().ids[-1]
    there.agree(withdrawal(1), "alice", "bob")
    there.agree(rotation("targets", add=there.publics(("dave",)), drop=(there.id("alice"),)), "alice", "bob", "carol")
    report = review.show(there.where(), change)
    assert report.state == "committed"
    assert next(each for each in sentences(report) if "release 1" in each).startswith("+ release 1:")
    assert not any("withdrawn" in each or "key of" in each for each in sentences(report))
    assert {need.missing for need in report.needs} == {0}
    assert list(report.bundles) == [1]


def test_every_change_that_ever_was_can_be_shown(there: Production) -> None:
    there.release(b"one")
    there.agree(rotation("root", add=there.publics(("dave",))), "alice", "bob")
    there.agree(rotation("channels", drop=(there.id("olga"),)), "alice", "bob", "otto")
    there.publish(b"two")
    review.reject(there.where("bob"), reason="no")
    states = [(each.change.id, each.state) for each in review.changes(there.where())]
    assert [state for _, state in states] == ["rejected", "committed", "committed", "committed", "committed"]
    for change_id, state in states:
        report = review.show(there.where(), change_id)
        assert (report.change.id, report.state) == (change_id, state)
        assert sentences(report)


def test_a_change_is_named_by_the_beginning_of_its_id(there: Production) -> None:
    there.release(b"one")
    there.publish(b"two")
    open_one = opened(there).id
    assert review.show(there.where(), "targets-3").change.id == open_one
    assert review.show(there.where()).change.id == open_one
    for name in ("targets", "targets-9", "nothing"):
        with pytest.raises(NotFound, match=f"{name}.* changes of {there.app.id}") as refused:
            review.show(there.where(), name)
        assert open_one in refused.value.remedy


# ── what is signed ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_confirmed_is_what_is_signed(there: Production) -> None:
    there.publish(b"one")
    seen: list[ChangeReport] = []
    report = there.sign("bob", confirm=seen.append)
    assert [(each.change.digests, each.state, list(each.bundles)) for each in seen] == [(report.change.digests, "waiting", [1])]


def test_who_does_not_confirm_signs_nothing(there: Production, below: Below) -> None:
    there.publish(b"one")
    before = below(there.tree)

    def no(_report: ChangeReport) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        there.sign("bob", confirm=no)
    assert below(there.tree) == before


def test_a_bundle_that_is_not_the_signed_one_is_told_and_nothing_is_signed(there: Production, below: Below) -> None:
    there.publish(b"one")
    (place,) = (there.store.folder / "targets" / "releases" / "1").glob("*.bundle.zip")
    other = there.new_bundle(b"evil").path
    shutil.copy(other, place)
    before = below(there.tree)
    for act in (review.show, review.sign):
        with pytest.raises(DigestMismatch, match=r"not (the one that|what) was signed"):
            act(there.where("bob"))
    place.unlink()
    for act in (review.show, review.sign):
        with pytest.raises(NotFound):
            act(there.where("bob"))
    assert {name for name in below(there.tree) if "reviews/" in name} == {name for name in before if "reviews/" in name}


def test_facts_that_are_not_the_bundles_are_told_and_nothing_is_signed(stood: Production) -> None:
    """The digest is right, and what is said of the bundle is not: the phone would be told another minimum system."""
    stood.publish(b"one")
    change = opened(stood)
    role = change.targets()
    assert role is not None
    role.signed.targets["releases/1/bundle.zip"].unrecognized_fields["custom"]["minimum_os"] = "9"
    keep(stood, replace(change, edits={"targets": replace(change.edits["targets"], metadata=role.to_bytes())}))
    with pytest.raises(VerificationError, match=r"from system 9, .*; its bundle is digits .* from"):
        stood.sign("bob")


def test_nobody_is_asked_to_sign_who_must_never_be_appointed_so(stood: Production) -> None:
    head = stood.head()
    root = roles.following(head.root, 2, 365)
    root.signed.roles["targets"].threshold = 4
    edits = {"root": Edit.of(head.root, root)}
    keep(stood, Change(app_id=stood.app.id, intent=rotation("targets"), proposed_by=stood.id("alice"), edits=edits))
    with pytest.raises(SigningError, match="nobody can reach that"):
        stood.sign("bob")
    assert any(each.refused for each in review.show(stood.where()).findings)


# ── endpoints that lie ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_hides_the_repository_gets_no_signature(stood: Production, tmp_path: Path) -> None:
    """Without the present there is nothing to hold a rotation or a release against."""
    root = stood.first_root.read_bytes()
    stood.propose("alice", rotation("root", add=stood.publics(("mallory",))))
    (stood.store.folder / "metadata").rename(tmp_path / "hidden")
    for trusted in ({"root": root}, {"root": None}):
        for act in (review.show, review.sign):
            with pytest.raises(MlpublishError, match="shows no repository"):
                act(stood.where("bob", **trusted))


def test_a_founding_of_what_stands_is_refused_and_can_be_rejected(stood: Production) -> None:
    other = founding(stood.policy(), stood.holders(channels=Held(keys=stood.publics(("mallory",)))))
    keep(stood, other)
    for act in (review.show, review.sign):
        with pytest.raises(VerificationError, match="would make another one") as refused:
            act(stood.where("bob", root=None))
        assert "rejects it" in refused.value.remedy
    assert review.reject(stood.where("bob"), reason="not ours").state == "rejected"
    assert sorted(each.state for each in review.changes(stood.where())) == ["committed", "rejected"]


def test_an_old_state_that_is_replayed_is_not_signed(production: Production, serving: Any) -> None:
    production.stand().publish(b"one")
    with serving(production.folder) as server:
        there = production.served(server.url)
        production.expire("timestamp")
        with pytest.raises(MlpublishError, match="timestamp role expired"):
            there.sign("bob")
    assert len(list((production.store.folder / "changes").glob("targets-*/reviews/*"))) == 1


def test_another_root_than_the_trusted_one_gets_no_signature(stood: Production, tmp_path: Path) -> None:
    stood.publish(b"one")
    (tmp_path / "strangers").mkdir()
    strangers = replace(stood, folder=tmp_path / "other", keys=tmp_path / "strangers", at=f"file:{tmp_path}/other")
    strangers.make()
    strangers.stand()
    with pytest.raises(VerificationError):
        review.sign(stood.where("bob", root=strangers.first_root))


# ── bad input ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_open_is_not_found(there: Production) -> None:
    for act in (review.show, review.sign, review.rebase):
        with pytest.raises(NotFound, match=f"No change of {there.app.id} is open") as refused:
            act(there.where("bob"))
        assert "mlpublish review list" in refused.value.remedy


def test_a_rejection_needs_its_reason(there: Production) -> None:
    there.publish(b"one")
    for reason in ("", "  "):
        with pytest.raises(RecipeError, match="needs its reason"):
            review.reject(there.where("bob"), reason=reason)
    assert there.sign("carol").state == "committed"


def test_an_app_without_a_repository_is_named(there: Production) -> None:
    other = there.for_app("com.acme.nothing")
    with pytest.raises(NotFound, match=r"com\.acme\.nothing has no repository at ") as refused:
        other.propose("alice", policy())
    assert "repo status" in refused.value.remedy


def test_without_a_key_it_says_which_one_to_name(there: Production) -> None:
    there.publish(b"one")
    with pytest.raises(SigningError, match="No key is named for the targets role") as refused:
        review.sign(there.where())
    assert "--key KEYURI" in refused.value.remedy


# ── tokens ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

PROPOSALS = {
    "app role": (policy(floors={"ios/1.0": 1}), "alice", {"admin", "deployer"}),
    "operators": (rotation("channels", add=()), "olga", {"admin", "deployer", "operator"}),
    "root": (rotation("root"), "alice", {"admin"}),
}


@pytest.mark.parametrize("what", PROPOSALS)
def test_who_may_propose_what_by_token(production: Production, serving: Any, what: str) -> None:
    intent, name, may = PROPOSALS[what]
    production.stand()
    with serving(production.folder) as server:
        for role in ("monitor", "operator", "deployer", "admin"):
            there = production.served(server.url, role)
            if role in may:
                there.propose(name, intent)
                break
            with pytest.raises(EndpointRefused) as refused:
                there.propose(name, intent)
            assert refused.value.status == 403
            assert "token of" in refused.value.remedy
        with pytest.raises(EndpointRefused) as refused:
            production.served(server.url, None).propose(name, intent)
        assert refused.value.status == 401


def test_a_monitor_reviews_and_rejects(production: Production, serving: Any) -> None:
    production.stand().publish(b"one")
    with serving(production.folder) as server:
        monitor = production.served(server.url, "monitor")
        assert monitor.sign("bob").state == "committed"
        production.served(server.url, "deployer").publish(b"two")
        assert review.reject(monitor.where("carol"), reason="no").state == "rejected"
        with pytest.raises(EndpointRefused) as refused:
            production.served(server.url, None).sign("bob")
        assert refused.value.status == 401


def test_a_conflict_that_is_none_of_ours_is_made_again_by_itself(there: Production) -> None:
    """Threshold 1: two policies at once both stand, for a moved base is read again."""
    there.agree(rotation("targets", threshold=1), "alice", "bob")
    for number in range(3):
        there.propose("bob", policy(floors={f"ios/{number}.0": 1}))
    assert len(there.policy().floors) == 3
    with pytest.raises(Conflict):
        review.rebase(there.where("alice"), there.changes.list().ids[-1])


def test_an_unknown_intent_edits_nothing(stood: Production) -> None:
    with pytest.raises(RecipeError, match="no edit of what is there"):
        stood.propose("alice", Intent(kind="found"))
