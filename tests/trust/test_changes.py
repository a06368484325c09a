"""Changes and reviews are born valid, read back as they were written, and signed as what they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import FormatError, NewerFormat, RecipeError, VerificationError
from mlpublish.formats.policy import Policy
from mlpublish.formats.wire import MAX_DOCUMENT, digest_of
from mlpublish.trust import roles
from mlpublish.trust.changes import Change, Edit, Review, reviewed
from mlpublish.trust.intents import Intent
from tests import hands

EDITS: Mapping[str, Metadata[Root] | Metadata[Targets]] = {
    "root": hands.root(version=2),
    "targets": hands.app_role(releases=[1], version=2),
    "channels": hands.channels_role(version=2),
}
CHANGE = hands.change(EDITS, Intent(kind="rotate", role="root"), by="alice")
FOUNDING = hands.change(
    {"root": hands.root(), "targets": hands.app_role(), "channels": hands.channels_role()}, Intent(kind="found")
)
APPROVAL = reviewed(CHANGE, ("root", "targets"), hands.signer("alice"), comment="Looked at it – fine.")
REJECTION = reviewed(CHANGE, (), hands.signer("bob"), verdict="reject", comment="No.")
Bend = Callable[[dict[str, Any]], object]


def bent(document: bytes, bend: Bend) -> bytes:
    values = json.loads(document)
    bend(values)
    return json.dumps(values).encode()


def blamed(read: Callable[[bytes], object], document: bytes, bend: Bend) -> str | None:
    assert read(document)
    with pytest.raises(FormatError) as caught:
        read(bent(document, bend))
    assert caught.value.remedy
    return caught.value.field


@given(st.sets(st.sampled_from(sorted(EDITS)), min_size=1), st.sampled_from(["", "alice"]))
def test_a_change_is_read_back_as_it_was_written(names: set[str], by: str) -> None:
    change = hands.change({name: EDITS[name] for name in names}, Intent(kind="policy"), by=by)
    again = Change.from_bytes(change.to_bytes())
    assert (again, again.id, again.digests) == (change, change.id, change.digests)


@given(st.sampled_from(["approve", "reject"]), st.text(), st.sets(st.sampled_from(sorted(EDITS)), min_size=1))
def test_a_review_is_read_back_as_it_was_written_and_is_its_keys(verdict: str, comment: str, names: set[str]) -> None:
    signer = hands.signer("alice")
    made = reviewed(CHANGE, tuple(names) if verdict == "approve" else (), signer, verdict=verdict, comment=comment)
    again = Review.from_bytes(made.to_bytes())
    assert again == made
    again.verify(signer.public_key)


def test_a_founding_is_read_back_and_says_so() -> None:
    assert Change.from_bytes(FOUNDING.to_bytes()) == FOUNDING
    assert FOUNDING.founds
    assert not CHANGE.founds


def test_an_id_names_the_role_its_version_and_the_bytes_whoever_signed_them() -> None:
    change = hands.change({"targets": EDITS["targets"]})
    digest = digest_of(change.digests["targets"].encode())
    assert change.id == f"targets-2-{digest[:32]}"
    review = reviewed(change, ("targets",), hands.signer("alice"))
    assert replace(change, edits=change.signed_with((review,))).id == change.id
    assert hands.change({"targets": hands.app_role(releases=[2], version=2)}).id != change.id
    assert CHANGE.id.startswith("root-2-")
    assert hands.change({"channels": EDITS["channels"]}).id.startswith("channels-2-")


def edit(**members: object) -> Bend:
    return lambda document: document["edits"]["targets"].update(members)


def inside(change: Callable[[dict[str, Any]], object], role: str = "targets") -> Bend:
    """Bends what a role says; nothing of it is signed."""

    def bend(document: dict[str, Any]) -> None:
        metadata = json.loads(document["edits"][role]["metadata"])
        change(metadata["signed"])
        document["edits"][role]["metadata"] = json.dumps(metadata)

    return bend


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("bend", "field"),
    [
        (lambda document: document.pop("format"), "format"),
        (lambda document: document.update(app="../../etc"), "app"),
        (lambda document: document.update(app="com.acme.other"), "app"),
        (lambda document: document.update(intent=None), "intent"),
        (lambda document: document.update(intent={"kind": "x"}), "intent.kind"),
        (lambda document: document.update(proposed_by="alice"), "proposed_by"),
        (lambda document: document.update(edits={}), "edits"),
        (lambda document: document.update(edits=[]), "edits"),
        (lambda document: document["edits"].update(snapshot=document["edits"]["root"]), "edits"),
        (lambda document: document["edits"].update(root=document["edits"]["targets"]), "root"),
        (edit(base=None), "edits.targets.base"),
        (edit(base=-1), "edits.targets.base"),
        (edit(base=0), "edits"),
        (edit(metadata=None), "edits.targets.metadata"),
        (edit(metadata="{}"), "targets"),
        (edit(metadata="[" * 100_000), "targets"),
        (edit(metadata=EDITS["root"].to_bytes().decode()), "targets"),
        (inside(lambda signed: signed.update(x=0.5)), "targets"),
        (inside(lambda signed: signed.update(x="\ud800")), "targets"),
        (inside(lambda signed: signed.update(x=nested(400))), "targets"),
        (inside(lambda signed: signed.update(x=nested(33)), "root"), "root"),
        (inside(lambda signed: signed["targets"].pop("policy.json")), "policy.json"),
        (inside(lambda signed: signed["targets"]["policy.json"]["custom"].update(app="com.acme.other")), "app"),
        (lambda document: document.update(intent={"kind": "found"}), "edits"),
    ],
)
def test_each_wrong_member_of_a_change_is_blamed(bend: Bend, field: str) -> None:
    assert blamed(Change.from_bytes, CHANGE.to_bytes(), bend) == field


@pytest.mark.parametrize("bend", [edit(base=1), lambda document: document["edits"].pop("channels"),
                                  inside(lambda signed: signed.update(version=2))])  # fmt: skip
def test_a_founding_holds_the_first_version_of_every_role(bend: Bend) -> None:
    assert blamed(Change.from_bytes, FOUNDING.to_bytes(), bend) == "edits"


def test_the_channels_of_another_app_are_no_change_of_this_one() -> None:
    with pytest.raises(VerificationError, match=r"of com\.acme\.other, not of com\.acme\.digits"):
        Change.from_bytes(
            bent(CHANGE.to_bytes(), inside(lambda signed: signed.update({roles.APP_FIELD: "com.acme.other"}), "channels"))
        )


APPROVED = APPROVAL.to_bytes()


def statement(**members: object) -> Bend:
    return lambda document: document["statement"].update(members)


@pytest.mark.parametrize(
    ("bend", "field"),
    [
        (lambda document: document.update(format=0), "format"),
        (lambda document: document.update(statement=[]), "statement"),
        (statement(app="x"), "statement.app"),
        (statement(change="root-2-12"), "statement.change"),
        (statement(change="../closed"), "statement.change"),
        (statement(verdict="maybe"), "statement.verdict"),
        (statement(at="2026-01-31"), "statement.at"),
        (statement(at="2026-02-31T12:00:00Z"), "statement.at"),
        (statement(comment=None), "statement.comment"),
        (statement(roles={}), "statement.roles"),
        (statement(roles={"snapshot": "0" * 64}), "statement.roles"),
        (statement(roles={"root": "0" * 64}), "signatures"),
        (statement(roles={"root": "0", "targets": "0" * 64}), "statement.roles.root"),
        (statement(verdict="reject"), "statement.roles"),
        (lambda document: document.update(keyid="alice"), "keyid"),
        (lambda document: document.update(signature="00g0"), "signature"),
        (lambda document: document.update(signature="000"), "signature"),
        (lambda document: document["signatures"].pop("root"), "signatures"),
        (lambda document: document["signatures"].update(root="zz"), "signatures.root"),
        (lambda document: document["signatures"].update(channels="00"), "signatures"),
    ],
)
def test_each_wrong_member_of_a_review_is_blamed(bend: Bend, field: str) -> None:
    assert blamed(Review.from_bytes, APPROVED, bend) == field


def test_a_comment_that_is_no_text_is_signed_by_nobody() -> None:
    """As a shell hands in bytes of another encoding."""
    with pytest.raises(RecipeError, match="not proper text"):
        reviewed(CHANGE, ("root",), hands.signer("alice"), comment=b"caf\xe9".decode("utf-8", "surrogateescape"))


def test_a_rejection_signs_no_role() -> None:
    assert (REJECTION.signatures, REJECTION.digests, REJECTION.comment) == ({}, {}, "No.")
    rejected = json.loads(REJECTION.to_bytes())
    rejected["signatures"] = json.loads(APPROVED)["signatures"]
    with pytest.raises(FormatError, match="signatures"):
        Review.from_bytes(json.dumps(rejected).encode())


@pytest.mark.parametrize("bend", [
    statement(comment="Looked at it."), statement(at="2026-01-31T12:00:00Z"), statement(change=f"root-2-{'0' * 32}"),
    statement(app="com.acme.other"), statement(roles={"root": "0" * 64, "targets": "0" * 64}),
    lambda document: document.update(signature="00" * 64),
])  # fmt: skip
def test_a_statement_that_was_altered_is_not_its_keys(bend: Bend) -> None:
    review = Review.from_bytes(bent(APPROVED, bend))
    with pytest.raises(VerificationError, match="is not signed by that key") as caught:
        review.verify(hands.public("alice"))
    assert "mlpublish review sign" in caught.value.remedy


def test_no_statement_can_be_taken_for_a_role_nor_a_role_for_one() -> None:
    """What is signed begins with words that no canonical JSON begins with."""
    assert APPROVAL.signed_bytes.startswith(b"mlpublish review statement\n{")
    for role in EDITS.values():
        assert role.signed_bytes.startswith(b"{")


def test_signatures_are_put_in_and_one_who_signs_again_replaces_the_own() -> None:
    bob = reviewed(CHANGE, ("root",), hands.signer("bob"))
    signed = replace(CHANGE, edits=CHANGE.signed_with((bob, APPROVAL)))
    assert set(signed.role("root").signatures) == {hands.keyid("alice"), hands.keyid("bob")}
    assert set(signed.role("targets").signatures) == {hands.keyid("alice")}
    assert signed.role("channels").signatures == {}
    assert signed.to_bytes() == replace(CHANGE, edits=CHANGE.signed_with((APPROVAL, bob))).to_bytes()
    assert signed.edits == signed.signed_with((bob,))
    for first, second in ((bob, APPROVAL), (APPROVAL, bob)):
        step = replace(CHANGE, edits=CHANGE.signed_with((first,)))
        assert replace(step, edits=step.signed_with((second,))).to_bytes() == signed.to_bytes()


def test_every_document_of_a_newer_format_is_refused() -> None:
    for read, document in ((Change.from_bytes, CHANGE.to_bytes()), (Review.from_bytes, APPROVED)):
        with pytest.raises(NewerFormat):
            read(bent(document, lambda values: values.update(format=2)))


@pytest.mark.parametrize("read", [Change.from_bytes, Review.from_bytes])
@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"\xff", b"[" * 100_000, b'{"format": 1, "format": 1}', b'{"format": NaN}', b" " * (MAX_DOCUMENT + 1)],
    ids=["empty", "list", "binary", "deep", "twice", "nan", "giant"],
)
def test_what_is_no_document_is_refused_in_one_sentence(read: Callable[[bytes], object], document: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        read(document)
    assert len(caught.value.problem) < 200


def test_a_policy_that_cannot_be_read_is_no_change() -> None:
    role = hands.app_role(Policy(app_id=hands.APP_ID), version=2)
    role.signed.targets["policy.json"].unrecognized_fields["custom"] = "text"
    change = Change(
        app_id=hands.APP_ID,
        intent=Intent(kind="policy"),
        proposed_by="",
        edits={"targets": Edit(base=1, metadata=role.to_bytes())},
    )
    with pytest.raises(FormatError, match=r"policy\.json"):
        Change.from_bytes(change.to_bytes())
