"""Who must sign is counted from the roles themselves: each person once, strangers never, whatever a change says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import Signature, SSlibKey
from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import ThresholdNotMet
from mlpublish.formats.policy import Policy
from mlpublish.trust import roles
from mlpublish.trust.approval import Need, Present, complete, may_sign, needs, refuse_unless_met
from mlpublish.trust.changes import Change, reviewed
from mlpublish.trust.intents import Intent
from mlpublish.trust.keys import crypto_signer
from tests import hands

PRESENT = hands.present()
PEOPLE = (*hands.HOLDERS, "dave", "mallory", "olga", "otto")


def release_2() -> Change:
    return hands.change({"targets": hands.app_role(releases=[1, 2], version=2)}, Intent(kind="release", release=2))


def signed(change: Change, by: Iterable[str], present: Present = PRESENT) -> Change:
    """The change with what each of them signs, as far as the key reaches; a stranger signs everything."""
    reviews = [
        reviewed(change, may_sign(change, present, hands.keyid(name)) or tuple(change.edits), hands.signer(name)) for name in by
    ]
    return replace(change, edits=change.signed_with(tuple(reviews)))


def counts(found: Iterable[Need]) -> dict[tuple[str, str], tuple[int, int]]:
    return {(need.role, need.appointed_by): (len(need.signed), need.threshold) for need in found}


def names(keys: Iterable[object]) -> set[str]:
    known = {hands.keyid(name): name for name in PEOPLE}
    return {known[key.keyid] for key in keys}  # type: ignore[attr-defined]


@given(st.lists(st.sampled_from(PEOPLE), max_size=8))
def test_exactly_the_holders_who_signed_count_each_once_and_the_others_are_waited_for(by: list[str]) -> None:
    change = signed(release_2(), by)
    (need,) = needs(change, PRESENT)
    did = set(by) & set(hands.HOLDERS)
    assert (names(need.signed), names(need.waiting)) == (did, set(hands.HOLDERS) - did)
    assert (need.threshold, need.missing) == (2, max(2 - len(did), 0))
    assert complete(change, PRESENT) == (len(did) >= 2)


def test_a_stranger_and_the_same_reviewer_twice_are_one_of_two() -> None:
    change = signed(release_2(), ["mallory", "alice", "alice"])
    (need,) = needs(change, PRESENT)
    assert need.sentence == (
        f"targets (keys by root 1): 1 of 2 signed, by alice ({hands.keyid('alice')[:12]}); "
        f"1 of {', '.join(f'{name} ({hands.keyid(name)[:12]})' for name in ('bob', 'carol'))} must still sign"
    )
    with pytest.raises(ThresholdNotMet, match="1 of 2 signed") as caught:
        refuse_unless_met(change, PRESENT)
    assert f"mlpublish review sign {change.id} --app {hands.APP_ID}" in caught.value.remedy
    refuse_unless_met(signed(change, ["bob"]), PRESENT)


def test_a_signature_over_other_bytes_does_not_count() -> None:
    change, other = release_2(), hands.change({"targets": hands.app_role(releases=[1, 3], version=2)})
    role = change.role("targets")
    for name in hands.HOLDERS:
        role.signatures[hands.keyid(name)] = hands.signer(name).sign(other.role("targets").signed_bytes)
    role.signatures[hands.keyid("alice")] = Signature(hands.keyid("alice"), "no hex at all")
    (need,) = needs(hands.change({"targets": role}), PRESENT)  # type: ignore[dict-item]
    assert need.signed == ()


def as_root(edit: Metadata[Root]) -> Present:
    """The present with another root, signed by enough of its own."""
    return replace(PRESENT, root=edit)


@pytest.mark.parametrize("way", ["under two ids", "written in two ways"])
def test_one_key_that_is_listed_twice_is_one_person(way: str) -> None:
    """Lints refuse such a root when it is made; whoever lives with one counts people all the same."""
    private = rsa.generate_private_key(65537, 2048)
    signer = crypto_signer(private)
    key = signer.public_key
    keyval = {"public": key.keyval["public"] if way == "under two ids" else f"copy\n{key.keyval['public']}"}
    twin = SSlibKey("f" * 64, key.keytype, key.scheme, keyval)
    root = Root(version=1, expires=roles.after(9), consistent_snapshot=True)
    for each in (key, twin):
        root.add_key(each, "targets")
    root.roles["targets"].threshold = 2
    role = roles.signed_by(hands.app_role(releases=[2], version=2), signer)
    role.signatures[twin.keyid] = Signature(twin.keyid, role.signatures[key.keyid].signature)
    assert len(root.get_verification_result("targets", role.signed_bytes, role.signatures).signed) == 2  # by the specification
    (need,) = needs(hands.change({"targets": role}), as_root(Metadata(root)))
    assert (len(need.signed), need.waiting, need.missing) == (1, (), 1)
    for left in (key.keyid, twin.keyid):
        once = deepcopy(role)
        del once.signatures[left]
        (need,) = needs(hands.change({"targets": once}), as_root(Metadata(root)))
        assert (len(need.signed), need.waiting, need.missing) == (1, (), 1)


def founding(pin: SSlibKey | None = None) -> Change:
    return hands.change(
        {"root": hands.root(), "targets": hands.app_role(), "channels": hands.channels_role()}, Intent(kind="found", pin=pin)
    )


def test_a_founding_is_signed_by_whom_it_appoints_and_by_the_pin_if_there_is_one() -> None:
    nobody = Present()
    change = founding(hands.public("rosa"))
    assert counts(needs(change, nobody)) == {
        ("root", "root 1"): (0, 2),
        ("root", "the apps that pin it"): (0, 1),
        ("targets", "root 1"): (0, 2),
        ("channels", "app role 1"): (0, 1),
    }
    assert may_sign(change, nobody, hands.keyid("alice")) == ("root", "targets")
    assert may_sign(change, nobody, hands.keyid("olga")) == ("channels",)
    assert may_sign(change, nobody, hands.keyid("rosa")) == ("root",)
    assert may_sign(change, nobody, hands.keyid("mallory")) == ()
    several = signed(change, ["alice", "bob", "olga"], nobody)
    assert [need.appointed_by for need in needs(several, nobody) if need.missing] == ["the apps that pin it"]
    assert complete(signed(several, ["rosa"], nobody), nobody)
    assert complete(signed(founding(), ["alice", "bob", "olga"], nobody), nobody)


def test_the_pins_signature_must_hold() -> None:
    change = founding(hands.public("rosa"))
    root = change.role("root")
    root.signatures[hands.keyid("rosa")] = Signature(hands.keyid("rosa"), "00" * 64)
    edits = {"root": root, "targets": change.role("targets"), "channels": change.role("channels")}
    (need,) = [each for each in needs(hands.change(edits, change.intent), Present()) if "pin" in each.appointed_by]
    assert (need.signed, need.missing) == ((), 1)


def test_a_new_root_is_signed_by_the_old_holders_and_by_the_new_ones() -> None:
    new = hands.root(root=["bob", "carol", "dave"], version=2)
    change = hands.change({"root": new}, Intent(kind="rotate", role="root"))
    assert counts(needs(change, PRESENT)) == {("root", "root 1"): (0, 2), ("root", "root 2"): (0, 2)}
    for by, done in (
        (["alice", "bob"], False),
        (["carol", "dave"], False),
        (["bob", "carol"], True),
        (["alice", "bob", "dave"], True),
    ):
        assert complete(signed(change, by), PRESENT) == done, by


def test_app_keys_that_are_rotated_with_a_higher_threshold_are_counted_for_both_roots() -> None:
    """The app role is current before the new root is."""
    new = hands.root(targets=["alice", "dave", "erin"], version=2)
    new.signed.roles["targets"].threshold = 3
    change = hands.change(
        {"root": new, "targets": hands.app_role(releases=[1], version=2)}, Intent(kind="rotate", role="targets")
    )
    many = signed(change, ["alice", "bob", "dave"])
    assert counts(needs(many, PRESENT)) == {
        ("root", "root 1"): (2, 2),
        ("root", "root 2"): (2, 2),
        ("targets", "root 1"): (2, 2),
        ("targets", "root 2"): (2, 3),
    }
    assert not complete(many, PRESENT)
    assert complete(signed(many, ["erin"]), PRESENT)


def test_new_operators_sign_the_channels_that_the_app_role_hands_to_them() -> None:
    edits: Mapping[str, Metadata[Targets]] = {
        "targets": hands.app_role(releases=[1], operators=["otto"], version=2),
        "channels": hands.channels_role(version=2),
    }
    change = hands.change(edits, Intent(kind="rotate", role="channels"))
    assert not complete(signed(change, ["alice", "bob", "olga"]), PRESENT)
    assert complete(signed(change, ["alice", "bob", "otto"]), PRESENT)


def test_channels_alone_are_signed_by_the_present_operators() -> None:
    change = hands.change({"channels": hands.channels_role(version=2)})
    assert counts(needs(change, PRESENT)) == {("channels", "app role 1"): (0, 1)}
    assert not complete(signed(change, ["alice", "otto"]), PRESENT)
    assert complete(signed(change, ["olga"]), PRESENT)


def test_where_the_publisher_may_not_approve_one_more_must_sign_also_to_change_that() -> None:
    strict = replace(PRESENT, targets=hands.app_role(Policy(app_id=hands.APP_ID, publisher_may_approve=False), releases=[1]))
    for policy in (Policy(app_id=hands.APP_ID), Policy(app_id=hands.APP_ID, publisher_may_approve=False)):
        change = hands.change({"targets": hands.app_role(policy, releases=[1], version=2)})
        assert not complete(signed(change, ["alice", "bob"], strict), strict)
        assert complete(signed(change, ["alice", "bob", "carol"], strict), strict)
        assert complete(signed(change, ["alice", "bob"]), PRESENT)  # a rule that is proposed is no rule yet


LIES = [
    Intent(kind="policy"),
    Intent(kind="release", release=2),
    Intent(kind="rotate", role="channels", threshold=1, drop=(hands.keyid("alice"),)),
    Intent(kind="rotate", role="root", pin=hands.public("mallory")),
]


@given(st.sampled_from(LIES), st.sets(st.sampled_from(PEOPLE)))
def test_an_intent_that_lies_changes_nothing_about_who_must_sign(intent: Intent, by: set[str]) -> None:
    """The role drops a floor, and hands the channels to somebody else."""
    floor = replace(PRESENT, targets=hands.app_role(Policy(app_id=hands.APP_ID, floors={"ios/2.0": 1}), releases=[1]))
    edits: Mapping[str, Metadata[Root] | Metadata[Targets]] = {
        "root": hands.root(version=2),
        "targets": hands.app_role(releases=[1], operators=["mallory"], version=2),
        "channels": hands.channels_role(version=2),
    }
    told, lying = (signed(hands.change(deepcopy(edits), each), sorted(by), floor) for each in (Intent(kind="policy"), intent))
    assert needs(lying, floor) == needs(told, floor)


def test_a_role_that_nobody_is_appointed_for_can_never_be_signed() -> None:
    role = hands.app_role(releases=[1], version=2)
    role.signed.delegations = None
    change = hands.change({"targets": role, "channels": hands.channels_role(version=2)})
    with pytest.raises(ThresholdNotMet, match="Nobody is appointed for the channels role") as caught:
        needs(change, PRESENT)
    assert "Reject" in caught.value.remedy


def test_a_need_tells_json_too() -> None:
    (need,) = needs(signed(release_2(), ["carol"]), PRESENT)
    assert need.to_dict() == {
        "role": "targets",
        "appointed_by": "root 1",
        "threshold": 2,
        "signed": [f"carol ({hands.keyid('carol')[:12]})"],
        "missing": 1,
        "waiting": [f"{name} ({hands.keyid(name)[:12]})" for name in ("alice", "bob")],
    }
