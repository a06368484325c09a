"""``review log``: who said what about which bytes and when, for ever; each line holds by the key of whoever it names."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlpublish.errors import NotFound
from mlpublish.publishing.publish import publish
from mlpublish.repository import review
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Commit, endpoint_for
from mlpublish.repository.review import Where
from mlpublish.repository.review_log import LogEntry, log
from mlpublish.trust.changes import Change, reviewed
from tests.production import Production, policy, rotation, withdrawal


def told(production: Production) -> list[tuple[str, str, str | None, str, bool | None]]:
    """Change, event, who, what, and whether it holds."""
    entries = log(production.where()).entries
    return [(each.change.rpartition("-")[0], each.event, name(each), each.told, each.verified) for each in entries]


def name(entry: LogEntry) -> str | None:
    return None if entry.who is None else entry.who.partition(" ")[0]


def test_it_tells_everything_from_the_beginning(there: Production) -> None:
    there.publish(b"one")
    there.sign("bob", comment="parity looked at")
    there.publish(b"two", "carol")
    review.reject(there.where("alice"), reason="biased at night")
    there.agree(withdrawal(1), "bob", "alice")
    assert told(there) == [
        ("root-1", "proposed", None, "in its own words: make the app's repository", None),
        ("root-1", "approve", "alice", "", True),
        ("root-1", "approve", "bob", "", True),
        ("root-1", "approve", "olga", "", True),
        ("root-1", "committed", None, "", None),
        ("targets-2", "proposed", None, "in its own words: add release 1", None),
        ("targets-2", "approve", "alice", "", True),
        ("targets-2", "approve", "bob", "parity looked at", True),
        ("targets-2", "committed", None, "", None),
        ("targets-3", "proposed", None, "in its own words: add release 2", None),
        ("targets-3", "approve", "carol", "", True),
        ("targets-3", "reject", "alice", "biased at night", True),
        ("targets-3", "rejected", None, "biased at night", None),
        ("targets-3", "proposed", None, "in its own words: withdraw release 1 (biased)", None),
        ("targets-3", "approve", "bob", "", True),
        ("targets-3", "approve", "alice", "", True),
        ("targets-3", "committed", None, "", None),
    ]
    assert all(each.received.endswith("Z") and each.at.endswith("Z") for each in log(there.where()).entries)


def test_holders_who_are_gone_keep_their_names(stood: Production) -> None:
    stood.release(b"one", "alice", "bob")
    stood.agree(rotation("targets", add=stood.publics(("dave", "dora")), drop=(stood.id("alice"),)), "alice", "bob", "dave")
    stood.agree(rotation("root", add=stood.publics(("dave",)), drop=(stood.id("alice"),)), "alice", "bob", "dave")
    stood.agree(rotation("channels", add=stood.publics(("oscar",)), drop=(stood.id("olga"),)), "bob", "carol", "oscar")
    stood.agree(rotation("channels", drop=(stood.id("oscar"),)), "bob", "carol", "otto")
    assert {who for _, event, who, _, holds in told(stood) if event == "approve" and holds} == {
        "alice", "bob", "carol", "dave", "olga", "oscar", "otto",
    }  # fmt: skip
    assert all(holds for *_, holds in told(stood) if holds is not None)


def test_a_repository_that_is_being_made_has_a_log_already(production: Production) -> None:
    production.add_app("alice")
    assert told(production) == [
        ("root-1", "proposed", None, "in its own words: make the app's repository", None),
        ("root-1", "approve", "alice", "", True),
    ]


def test_an_app_that_is_nowhere_has_none(there: Production) -> None:
    with pytest.raises(NotFound, match=r"com\.acme\.nothing has no repository"):
        log(there.for_app("com.acme.nothing").where())


# ── who alters the record is found out ──────────────────────────────────────────────────────────────────────────────────

Bend = Callable[[dict[str, dict[str, dict[str, str]]]], object]


@pytest.mark.parametrize(
    "bend",
    [
        lambda d: d["review"]["statement"].update(comment="I never looked"),
        lambda d: d["review"]["statement"].update(verdict="reject", roles={}) or d["review"].update(signatures={}),
        lambda d: d["review"]["statement"].update(at="2020-01-01T00:00:00Z"),
        lambda d: d["review"]["statement"].update(change="targets-2-00000000000000000000000000000000"),
    ],
    ids=["comment", "verdict", "time", "change"],
)
def test_a_statement_that_somebody_altered_does_not_hold(stood: Production, bend: Bend) -> None:
    stood.release(b"one")
    (file,) = stood.store.folder.glob(f"changes/targets-2-*/reviews/{stood.id('bob')}.json")
    document = json.loads(file.read_text())
    bend(document)
    file.write_text(json.dumps(document))
    assert [holds for change, _, who, _, holds in told(stood) if (change, who) == ("targets-2", "bob")] == [False]
    assert "SIGNATURE DOES NOT HOLD" in "".join(map(str, log(stood.where()).rows().values()))


def test_a_change_gives_nobody_a_name_that_was_not_appointed(stood: Production, tmp_path: Path) -> None:
    """Whoever can write to the store makes up a change whose keys are his, under the holders' names."""
    (tmp_path / "forged").mkdir()
    forger = replace(stood, keys=tmp_path / "forged")
    root = stood.head().root
    root.signed.version = 2
    for key in forger.publics(("alice", "bob")):
        root.signed.add_key(key, "root")
    edits = {
        "root": replace(stood.changes.read(stood.changes.list().ids[0]).change.edits["root"], base=1, metadata=root.to_bytes())
    }
    change = Change(app_id=stood.app.id, intent=rotation("root"), proposed_by=forger.id("alice"), edits=edits)
    folder = stood.store.folder / "changes" / change.id
    (folder / "reviews").mkdir(parents=True)
    (folder / "change.json").write_bytes(change.to_bytes())
    said = reviewed(change, ("root",), forger.signer("alice")).to_dict()
    (folder / "reviews" / "x.json").write_text(json.dumps({"format": 1, "received": "2026-01-01T00:00:00Z", "review": said}))
    (forged,) = (each for each in log(stood.where()).entries if (each.change, each.event) == (change.id, "approve"))
    assert forged.who == forger.id("alice")[:12]


def test_versions_that_no_change_tells_of_are_told_too(
    development: Development, release_commit: Callable[..., Commit], new_release: Callable[..., object]
) -> None:
    """Commits of an older mlpublish, or of somebody with other tools: who signed stands in the role."""
    publish(new_release(b"one"), to=development.folder)  # type: ignore[arg-type]
    endpoint_for(development.folder).commit("com.acme.digits", release_commit(b"past every change", number=2))
    entries = log(Where(app="com.acme.digits", at=development.folder)).entries
    keyid = development.signer("targets").public_key.keyid
    assert [(each.change, each.event) for each in entries][:2] == [("targets 1", "signed"), ("targets 3", "signed")]
    assert all(each.who is not None and keyid[:12] in each.who for each in entries[:2])
    assert [each.event for each in entries[2:]] == ["proposed", "approve", "committed"]


def test_the_policy_change_of_one_second_keeps_its_order(stood: Production) -> None:
    for number in range(5):
        stood.agree(policy(floors={f"ios/{number}.0": 1}), "alice", "bob")
    versions = [change for change, event, *_ in told(stood) if event == "committed"]
    assert versions == ["root-1", *(f"targets-{number}" for number in range(2, 7))]
