"""A reviewer decides on what ``diff`` tells: everything that is signed, and nothing that looks like something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from itertools import chain
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization import SerializationError

from mlpublish.errors import FormatError
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.trust import roles
from mlpublish.trust.diff import Difference, beyond, diff
from mlpublish.trust.keys import crypto_signer, new_key
from tests import hands

Role = Metadata[Root] | Metadata[Targets]
POLICY = Policy(
    app_id=hands.APP_ID, floors={"ios/2.0": 1}, withdrawn={1: "biased"}, retired=(3, 4), publisher_may_approve=False
)
ROLES: dict[str, Role] = {
    "root": hands.root(),
    "targets": hands.app_role(POLICY, releases=[1, 2], operators=["olga", "otto"]),
    "channels": hands.channels_role(),
}
for _key in (crypto_signer(new_key()), crypto_signer(new_key("rsa", bits=2048))):
    ROLES["root"].signed.add_key(_key.public_key, "targets")  # type: ignore[union-attr]
ROLES["channels"].signed.targets["channels/ios/stable.json"] = roles.target_file("channels/ios/stable.json", b"one")  # type: ignore[union-attr]

leaves = st.none() | st.booleans() | st.integers(-2, 4) | st.sampled_from(["", "1", "true", "channels", "a", "ios/2.0"])
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2), max_leaves=4
)


def containers(value: object) -> list[Any]:
    """Every object and list of a document that holds something or could."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    found = [each for one in inner for each in containers(one)]
    return [value, *found] if isinstance(value, dict | list) else found


@st.composite
def mutations(draw: st.DrawFn) -> Callable[[dict[str, Any]], None]:
    """One edit somewhere in a document: a member replaced, taken away, added, or moved."""
    seed, kind, value = draw(st.integers(0, 10_000)), draw(st.sampled_from(["replace", "drop", "add", "move"])), draw(values)

    def mutate(document: dict[str, Any]) -> None:
        places = containers(document)
        place = places[seed % len(places)]
        if kind == "add":
            place.append(value) if isinstance(place, list) else place.update({f"x-{seed % 3}": value})
        elif place and kind == "move" and isinstance(place, list):
            place.append(place.pop(seed % len(place)))
        elif place:
            at = seed % len(place) if isinstance(place, list) else sorted(place)[seed % len(place)]
            if kind == "replace":
                place[at] = value
            else:
                del place[at]

    return mutate


def document_of(role: Role) -> dict[str, Any]:
    return deepcopy(role.signed.to_dict())


def role_of(name: str, document: dict[str, Any]) -> Role:
    return roles.parse_named(json.dumps({"signed": document, "signatures": []}).encode(), name)


def mutated(name: str, role: Role, edit: Callable[[dict[str, Any]], None]) -> Role:
    """The role after an edit; as it was, if nobody could read it then, or sign it: that is no matter of a diff."""
    document = document_of(role)
    edit(document)
    try:
        made = role_of(name, document)
        return made if made.signed_bytes else role
    except (FormatError, SerializationError):
        return role


def told(found: list[Difference]) -> list[str]:
    return [each.sentence for each in found if not each.routine]


@given(st.sampled_from(list(ROLES)), mutations(), mutations())
def test_whatever_is_altered_is_told_and_never_passed_over_as_routine(
    name: str, first: Callable[[dict[str, Any]], None], second: Callable[[dict[str, Any]], None]
) -> None:
    one = mutated(name, ROLES[name], first)
    other = mutated(name, one, second)
    next_version = deepcopy(one)
    next_version.signed.version += 1
    found = diff(name, one, other)
    assert bool(found) == (other.signed_bytes != one.signed_bytes)
    assert bool(told(found)) == (other.signed_bytes not in (one.signed_bytes, next_version.signed_bytes)), found


@given(st.sampled_from(list(ROLES)), mutations(), mutations())
def test_a_first_version_is_told_so_that_no_other_one_is_told_the_same(
    name: str, first: Callable[[dict[str, Any]], None], second: Callable[[dict[str, Any]], None]
) -> None:
    one, other = (mutated(name, ROLES[name], edit) for edit in (first, second))
    documents = [json.dumps(_without_order(document_of(each)), sort_keys=True) for each in (one, other)]
    shown = [{each.sentence for each in diff(name, None, role)} for role in (one, other)]
    assert (shown[0] == shown[1]) == (documents[0] == documents[1])


def _without_order(document: dict[str, Any]) -> dict[str, Any]:
    """The order of key ids is told as a difference only: of a first version it says nothing."""
    lists = [each for each in containers(document) if isinstance(each, dict) and isinstance(each.get("keyids"), list)]
    for each in lists:
        each["keyids"].sort(key=repr)
    return document


@pytest.mark.parametrize("name", ROLES)
def test_the_next_version_alone_is_routine_and_any_other_is_not(name: str) -> None:
    for step, routine in ((1, True), (2, False), (0, None)):
        role = deepcopy(ROLES[name])
        role.signed.version += step
        assert [each.routine for each in diff(name, ROLES[name], role)] == ([] if routine is None else [routine])


def test_a_first_version_of_ours_says_only_what_matters() -> None:
    holders = {"root": hands.HOLDERS, "targets": hands.HOLDERS, "snapshot": ["machine"], "timestamp": ["machine"]}
    expected = [
        [f"threshold of {role}", *(f"key of {role} {name} ({hands.keyid(name)[:12]})" for name in names)]
        for role, names in holders.items()
    ]
    assert [each.what for each in diff("root", None, hands.root()) if not each.routine] == [*chain(*expected), "expires"]
    sentences = told(diff("targets", None, hands.app_role(releases=[1])))
    assert [sentence.partition(": ")[0] for sentence in sentences] == [
        "+ threshold of channels",
        f"+ key of channels olga ({hands.keyid('olga')[:12]})",
        "+ app id",
        "+ days that a version of the app role holds",
        "+ release 1",
        "+ expires",
    ]
    digest = hands.app_role(releases=[1]).signed.targets["releases/1/bundle.zip"].hashes["sha256"]
    assert (
        f"+ release 1: digits 1 for com.acme.digits ios 2.0, 2.1, from system 16.0; number 1, 1001 bytes, sha256 {digest}, "
        f"unpacked 2001, manifest {hands.facts(1).manifest}" in sentences
    )


def edited(name: str, edit: Callable[[dict[str, Any]], object], role: Role | None = None) -> list[str]:
    """What is told of an edit that keeps the version and the expiry."""
    before = ROLES[name] if role is None else role
    document = document_of(before)
    edit(document)
    return told(diff(name, before, role_of(name, document)))


def test_each_thing_that_policy_says_is_told_in_words() -> None:
    old, new = hands.app_role(POLICY), hands.app_role(
        Policy(app_id=hands.APP_ID, floors={"ios/2.0": 2}, withdrawn={2: "x"}, retired=(4,), expiry_days=30)
    )  # fmt: skip
    assert sorted(told(diff("targets", old, new))) == [
        "+ withdrawn release 2: x",
        "- retired release 3: never used again",
        "- withdrawn release 1: biased",
        "~ days that a version of the app role holds: 90 → 30",
        "~ floor of ios/2.0: 1 → 2",
        "~ signature of the publisher: does not count → counts",
    ]
    assert told(diff("targets", new, hands.app_role(Policy(app_id="com.acme.other"))))[0] == (
        "~ app id: com.acme.digits → com.acme.other"
    )


def test_a_policy_file_that_is_not_what_its_custom_says_is_told() -> None:
    sentences = edited("targets", lambda document: document["targets"][POLICY_PATH].update(length=1))
    assert '+ targets["policy.json"].length: 1' in sentences


def test_a_policy_that_carries_more_than_its_format_says_is_told_as_it_stands() -> None:
    """A later mlpublish could obey what this one does not know."""
    sentences = edited("targets", lambda document: document["targets"][POLICY_PATH]["custom"].update(country="ch"))
    assert '+ targets["policy.json"].custom.country: "ch"' in sentences
    assert '+ targets["policy.json"].custom.floors["ios/2.0"]: 1' in sentences


def keys_of(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["keys"] if "keys" in document else document["delegations"]["keys"]
    return found


def test_two_keys_whose_ids_begin_alike_and_whose_holders_are_called_alike_are_two() -> None:
    """An id is whatever its document says it is."""
    alice = hands.keyid("alice")
    false = alice[:-1] + ("0" if alice[-1] != "0" else "1")

    def smuggle(document: dict[str, Any]) -> None:
        document["keys"][false] = {**hands.public("mallory").to_dict(), "x-mlpublish-holder": "alice"}
        document["roles"]["targets"]["keyids"].append(false)

    sentences = edited("root", smuggle)
    assert f"+ key of targets alice ({alice[:12]}): ed25519 {hands.public('mallory').keyval['public']}, id {false}" in sentences
    assert "~ threshold of targets: 2 of 5 → 2 of 6" in sentences


@pytest.mark.parametrize(
    "field", ["keytype", "scheme", "keyval", "x-mlpublish-holder", "x-else"]
)  # fmt: skip
def test_every_member_of_a_key_is_told(field: str) -> None:
    alice = hands.keyid("alice")
    bent = {
        "keytype": "ecdsa",
        "scheme": "ecdsa-sha2-nistp256",
        "keyval": {"public": "ff"},
        "x-mlpublish-holder": "al",
        "x-else": 1,
    }

    def bend(document: dict[str, Any]) -> None:
        values = {field: bent[field]} if field not in ("keytype", "scheme") else {k: bent[k] for k in ("keytype", "scheme")}
        document["keys"][alice].update(values)

    assert edited("root", bend)
    assert edited("root", lambda document: document["keys"][alice]["keyval"].update(comment="x")) == [
        f'+ keys["{alice}"].keyval.comment: "x"' if not alice[0].isalpha() else f'+ keys.{alice}.keyval.comment: "x"'
    ]


def test_a_key_that_is_written_otherwise_is_told() -> None:
    """The frame of a PEM is left out only where it is the usual one, the type where the scheme tells it."""
    document = document_of(ROLES["root"])
    keyid = next(each for each, key in document["keys"].items() if key["keytype"] == "ecdsa")
    (sentence,) = edited("root", lambda document: document["keys"][keyid].update(keytype="ecdsa-sha2-nistp256"))
    assert sentence.endswith('.keytype: "ecdsa-sha2-nistp256"')
    sentences = edited("root", lambda document: document["keys"][keyid]["keyval"].update(
        public="x\n" + document["keys"][keyid]["keyval"]["public"]))  # fmt: skip
    assert len(sentences) == 1
    assert '"x\\n-----BEGIN PUBLIC KEY-----\\n' in sentences[0]


def test_a_key_that_holds_no_role_is_told_in_a_root_and_in_an_app_role() -> None:
    mallory = hands.public("mallory")
    for name in ("root", "targets"):
        assert edited(name, lambda document: keys_of(document).update({mallory.keyid: mallory.to_dict()})) == [
            f"+ key without a role mallory ({mallory.keyid[:12]}): ed25519 {mallory.keyval['public']}, id {mallory.keyid}"
        ]


def test_an_id_without_its_key_and_an_order_of_ids_are_told() -> None:
    assert "+ key of targets ffff: a key that is not listed, id ffff" in edited(
        "root", lambda document: document["roles"]["targets"]["keyids"].append("ffff")
    )
    (order,) = edited("root", lambda document: document["roles"]["root"]["keyids"].reverse())
    assert order.startswith(f"~ order of the keys of root: {hands.keyid('alice')[:12]}, ")


def test_whoever_else_is_given_a_say_is_told() -> None:
    """A second delegation of the app role, and one that is spread over bins."""
    mallory = hands.public("mallory")

    def delegate(document: dict[str, Any]) -> None:
        document["delegations"]["keys"][mallory.keyid] = mallory.to_dict()
        document["delegations"]["roles"].insert(
            0, {"name": "m\n", "keyids": [mallory.keyid], "threshold": 1, "terminating": False, "paths": ["releases/*/*"]}
        )

    sentences = edited("targets", delegate)
    assert r'+ threshold of "m\n": 1 of 1' in sentences
    assert any(sentence.startswith(rf'+ key of "m\n" mallory ({mallory.keyid[:12]})') for sentence in sentences)
    assert '~ delegations.roles[0].paths[0]: "channels/*/*" → "releases/*/*"' in sentences

    def spread(document: dict[str, Any]) -> None:
        del document["delegations"]["roles"]
        document["delegations"]["succinct_roles"] = {
            "keyids": [mallory.keyid], "threshold": 1, "bit_length": 8, "name_prefix": "bin",
        }  # fmt: skip
        document["delegations"]["keys"] = {mallory.keyid: mallory.to_dict()}

    sentences = edited("targets", spread)
    assert f'+ delegations.succinct_roles.keyids[0]: "{mallory.keyid}"' in sentences
    assert (
        f"+ key without a role mallory ({mallory.keyid[:12]}): ed25519 {mallory.keyval['public']}, id {mallory.keyid}"
        in sentences
    )


TARGET = ROLES["targets"].signed.to_dict()["targets"]["releases/2/bundle.zip"]


@pytest.mark.parametrize(
    "path",
    ["releases/3/bundle.zip/../x", "releases/3/x/bundle.zip", "releases/03/bundle.zip", "releases/٣/bundle.zip",
     "releases/3/bundle.zip", "releases/3 /bundle.zip", "policy.json.", "releases/3/bundle.zip.sig.sig"],
)  # fmt: skip
def test_a_path_that_is_no_releases_own_is_told_as_it_stands(path: str) -> None:
    """Also where the facts are those of another release: they are told, and not as that one's."""
    sentences = edited("targets", lambda document: document["targets"].update({path: deepcopy(TARGET)}))
    assert not any(sentence.startswith("~") for sentence in sentences)
    if path == "releases/3/bundle.zip":
        assert sentences[0].startswith("+ release 3: digits 2 for com.acme.digits ios 2.0, 2.1, from system 16.0; number 2, ")
    else:
        assert any(json.dumps(path) in sentence or r"\u" in sentence for sentence in sentences)


def test_a_release_that_carries_more_than_its_format_says_is_told_as_it_stands() -> None:
    """A later mlpublish could obey what this one does not know."""
    for bend in (
        lambda target: target["custom"].update(url="https://elsewhere"),
        lambda target: target["custom"].pop("name"),
        lambda target: target["custom"].update(release=True),
        lambda target: target.update(custom="text"),
    ):
        sentences = edited("targets", lambda document, bend=bend: bend(document["targets"]["releases/2/bundle.zip"]))  # type: ignore[misc]
        assert any(sentence.startswith("- release 2: digits 2") for sentence in sentences)
        assert any(sentence.startswith('+ targets["releases/2/bundle.zip"].custom') for sentence in sentences)
    sentences = edited("targets", lambda document: document["targets"]["releases/2/bundle.zip"]["hashes"].update(md5="00"))
    assert sentences == ['+ targets["releases/2/bundle.zip"].hashes.md5: "00"']


def test_names_of_a_release_cannot_be_read_as_other_facts() -> None:
    def bend(document: dict[str, Any]) -> None:
        document["targets"]["releases/2/bundle.zip"]["custom"].update(
            name="digits 3 for com.acme.digits ios 2.0, from system 1;", app_versions=["2.0, 2.1"]
        )

    (sentence,) = edited("targets", bend)
    assert sentence.partition(" → ")[2].startswith(
        '"digits 3 for com.acme.digits ios 2.0, from system 1;" 2 for com.acme.digits ios "2.0, 2.1", from system 16.0; number'
    )


def test_a_signature_beside_a_release_is_told() -> None:
    target = roles.target_file("releases/2/bundle.zip.sig", b"signature").to_dict()
    assert edited("targets", lambda document: document["targets"].update({"releases/2/bundle.zip.sig": target})) == [
        f"+ signature beside release 2: 9 bytes, sha256 {target['hashes']['sha256']}"
    ]


def test_floors_and_reasons_cannot_forge_a_line() -> None:
    forged = "1\n~ floor of ios/2.0: 1 → 0"
    policy = Policy(app_id=hands.APP_ID, floors={forged: 1}, withdrawn={9: forged})
    sentences = told(diff("targets", hands.app_role(Policy(app_id=hands.APP_ID)), hands.app_role(policy)))
    assert len(sentences) == 2
    assert all(sentence.isprintable() for sentence in sentences)
    assert r'+ floor of "1\n~ floor of ios/2.0: 1 → 0": 1' in sentences


@example("floor of ios/2.0", 3)
@example("app id", "x")
@example("targets", {})
@given(st.text(max_size=20), values)
def test_a_member_that_tuf_does_not_know_is_told_and_looks_like_no_other(name: str, value: object) -> None:
    document = document_of(ROLES["channels"])
    assume(name not in document)
    sentences = edited("channels", lambda document: document.update({name: value}))
    assert sentences
    words = {each.what for name in ROLES for each in diff(name, None, ROLES[name])}
    assert {each.partition(": ")[0].removeprefix("+ ") for each in sentences}.isdisjoint(words)


def test_what_one_change_does_beyond_another_is_told_whatever_moved_in_between() -> None:
    """Versions, expiries and the number of keys move with the base; a threshold that is altered does not."""
    three = diff("root", hands.root(), hands.root(targets=["alice", "bob", "carol", "dave"], version=2))
    after = hands.root(targets=["alice", "bob", "carol", "erin"], version=2)
    again = hands.root(targets=["alice", "bob", "carol", "erin", "dave"], version=3, expires=roles.after(100))
    assert beyond(three, diff("root", after, again)) == ()
    again.signed.roles["targets"].threshold = 1
    (more,) = beyond(three, diff("root", after, again))
    assert more.sentence == "~ threshold of targets: 2 of 4 → 1 of 5"
    again.signed.add_key(hands.public("mallory"), "root")
    assert [each.what.partition(" (")[0] for each in beyond(three, diff("root", after, again))] == [
        "key of root mallory", "threshold of targets",
    ]  # fmt: skip
