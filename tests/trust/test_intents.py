"""An intent is read back as it was written, and what it cannot mean is blamed by its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpublish.errors import FormatError
from mlpublish.formats.wire import Reader
from mlpublish.trust.intents import HELD, KINDS, Intent, holder, key_from, key_to_dict
from mlpublish.trust.keys import with_holder
from tests import hands

numbers, people = st.integers(1, 10**18 - 1), st.sampled_from(hands.HOLDERS).map(hands.public)
intents = st.builds(
    Intent,
    kind=st.sampled_from(KINDS),
    release=st.none() | numbers,
    withdraw=st.dictionaries(numbers, st.text(), max_size=3),
    reinstate=st.lists(numbers, max_size=3).map(tuple),
    floors=st.dictionaries(st.text(), st.integers(0, 99), max_size=3),
    remove=st.lists(numbers, max_size=3).map(tuple),
    publisher_may_approve=st.none() | st.booleans(),
    expiry_days=st.none() | st.integers(1, 365),
    role=st.none() | st.sampled_from(HELD),
    add=st.lists(people, max_size=2).map(tuple),
    drop=st.lists(st.text(), max_size=2).map(tuple),
    threshold=st.none() | numbers,
    pin=st.none() | people,
)


def read(document: dict[str, Any]) -> Intent:
    return Intent.from_reader(Reader(json.loads(json.dumps(document)), "change", "intent"))


@given(intents)
def test_an_intent_is_read_back_as_it_was_written(intent: Intent) -> None:
    assert read(intent.to_dict()) == intent
    assert intent.summary.isprintable()


@pytest.mark.parametrize(
    ("bent", "field"),
    [
        ({"kind": "destroy"}, "intent.kind"),
        ({"kind": None}, "intent.kind"),
        ({"release": 0}, "intent.release"),
        ({"release": True}, "intent.release"),
        ({"withdraw": {"01": "x"}}, "intent.withdraw"),
        ({"withdraw": {"1": 1}}, "intent.withdraw"),
        ({"withdraw": {"-1": "x"}}, "intent.withdraw"),
        ({"withdraw": {"٣": "x"}}, "intent.withdraw"),
        ({"reinstate": [-1]}, "intent.reinstate"),
        ({"floors": {"ios/2.0": "3"}}, "intent.floors"),
        ({"remove": 3}, "intent.remove"),
        ({"publisher_may_approve": 0}, "intent.publisher_may_approve"),
        ({"expiry_days": 366}, "intent.expiry_days"),
        ({"role": "server"}, "intent.role"),
        ({"add": ["key"]}, "intent.add"),
        ({"add": [{}]}, "intent.add[0].keyid"),
        ({"drop": [1]}, "intent.drop"),
        ({"threshold": 0}, "intent.threshold"),
        ({"pin": "MIIB"}, "intent.pin"),
    ],
)
def test_each_wrong_member_is_blamed(bent: dict[str, Any], field: str) -> None:
    assert read({"kind": "policy"})
    with pytest.raises(FormatError) as caught:
        read({"kind": "policy"} | bent)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("bent", "field"),
    [
        ({"keyid": "ff"}, "keyid"),
        ({"keyid": hands.keyid("bob")}, "keyid"),
        ({"keytype": None}, "keyval"),
        ({"scheme": "rsassa-pss-sha256"}, "keyval"),
        ({"keyval": {}}, "keyval"),
        ({"keyval": "ff"}, "keyval"),
        ({"keyval": {"public": "ff"}}, "keyval"),
        ({"keyval": {"public": hands.public("bob").keyval["public"]}}, "keyid"),
    ],
)
def test_a_key_stands_under_its_own_id_or_is_none(bent: dict[str, Any], field: str) -> None:
    good = key_to_dict(hands.public("alice"))
    assert key_from(Reader(good, "change")) == hands.public("alice")
    with pytest.raises(FormatError) as caught:
        key_from(Reader({name: value for name, value in (good | bent).items() if value is not None}, "change"))
    assert caught.value.field == field


def test_a_member_of_a_key_cannot_stand_for_its_id() -> None:
    key = hands.public("alice")
    key = type(key)(key.keyid, key.keytype, key.scheme, key.keyval, {"keyid": hands.keyid("bob")})
    assert key_to_dict(key)["keyid"] == hands.keyid("alice")


def test_a_holders_name_cannot_look_like_another_key() -> None:
    alice, bob = hands.public("alice"), hands.keyid("bob")[:12]
    assert holder(alice) == f"alice ({alice.keyid[:12]})"
    assert holder(with_holder(alice, f"bob ({bob})")) == f'"bob ({bob})" ({alice.keyid[:12]})'
    assert holder(hands.signer("alice").public_key) == alice.keyid[:12]


def test_what_was_meant_is_told_in_one_line() -> None:
    key, drop = hands.public("alice"), hands.keyid("bob")
    assert Intent(kind="release", release=3).summary == "add release 3"
    assert Intent(kind="found").summary == "make the app's repository"
    assert Intent(kind="policy").summary == "a later expiry"
    assert Intent(kind="policy", withdraw={3: "it is\nwrong"}, floors={"ios/2.0": 2}, remove=(1,), reinstate=(2,)).summary == (
        r'withdraw release 3 ("it is\nwrong"); reinstate release 2; floor of ios/2.0: 2; remove release 1'
    )
    assert Intent(kind="policy", publisher_may_approve=False, expiry_days=9).summary == (
        "the publisher may not approve; versions hold 9 days"
    )
    assert Intent(kind="rotate", role="root", add=(key,), drop=(drop,), threshold=2).summary == (
        f"keys of root: add {holder(key)}, drop {drop[:12]}, threshold 2"
    )
