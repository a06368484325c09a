"""How signatures are counted: every key once, nobody's who was not appointed, and one mistake that only signing can prevent."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey

from mlpublish.formats.status import UpdateStatus
from tests.simulator import ROOT, TARGETS, Simulator, new_keys

INTEGRITY = UpdateStatus.FAILURE_INTEGRITY


@pytest.mark.parametrize("count", [1, 2, 3])
def test_keys_that_nobody_appointed_count_nothing(seasoned: Simulator, count: int) -> None:
    seasoned.release(by=new_keys(count))
    seasoned.fails(INTEGRITY, "targets was signed by 0/2 keys")
    seasoned.fails(INTEGRITY, "targets was signed by 0/2 keys", **seasoned.fresh())


def test_a_stranger_beside_one_reviewer_is_one_of_two(seasoned: Simulator) -> None:
    seasoned.release(by=[seasoned.keys[TARGETS][0], *new_keys(1)])
    seasoned.fails(INTEGRITY, "targets was signed by 1/2 keys")
    seasoned.fails(INTEGRITY, "targets was signed by 1/2 keys", **seasoned.fresh())


def test_the_same_signature_twice_is_no_second_one(seasoned: Simulator) -> None:
    seasoned.release(by=seasoned.keys[TARGETS][:1])
    file = seasoned.newest(TARGETS)
    document = json.loads(file.read_bytes())
    document["signatures"] *= 2
    file.write_text(json.dumps(document))
    seasoned.fails(INTEGRITY, "Failed to deserialize")
    seasoned.fails(INTEGRITY, "Failed to deserialize", **seasoned.fresh())


def test_a_signature_under_another_reviewers_name_counts_nothing(seasoned: Simulator) -> None:
    one, two, _ = seasoned.keys[TARGETS]
    seasoned.release(by=[one])
    file = seasoned.newest(TARGETS)
    document = json.loads(file.read_bytes())
    [signature] = document["signatures"]
    document["signatures"].append({"keyid": two.public_key.keyid, "sig": signature["sig"]})
    file.write_text(json.dumps(document))
    seasoned.fails(INTEGRITY, "targets was signed by 1/2 keys")
    seasoned.fails(INTEGRITY, "targets was signed by 1/2 keys", **seasoned.fresh())


def test_a_signature_of_an_older_version_does_not_stand_for_a_newer_one(seasoned: Simulator) -> None:
    old = json.loads(seasoned.newest(TARGETS).read_bytes())["signatures"]
    seasoned.release(by=())
    file = seasoned.newest(TARGETS)
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"signatures": old}))
    seasoned.fails(INTEGRITY, "targets was signed by 0/2 keys")
    seasoned.fails(INTEGRITY, "targets was signed by 0/2 keys", **seasoned.fresh())


class Alias:
    """One physical key under a second id."""

    def __init__(self, key: CryptoSigner) -> None:
        self._key = key
        public = deepcopy(key.public_key)
        assert isinstance(public, SSlibKey)
        public.keyid = "a" * 64
        self.public_key = public

    def sign(self, payload: bytes) -> Signature:
        return Signature(self.public_key.keyid, self._key.sign(payload).signature)


def test_one_key_under_two_ids_counts_twice_on_every_device(seasoned: Simulator) -> None:
    """TUF counts key ids (specification §4.2.1): root must not appoint one key twice, and our lint refuses to sign that."""
    key = seasoned.keys[TARGETS][0]
    twice = Alias(key)
    seasoned.edit(ROOT, lambda root: root.add_key(twice.public_key, TARGETS))
    seasoned.release(by=[key, twice])  # type: ignore[list-item]
    seasoned.updates_to(3)
    seasoned.updates_to(3, **seasoned.fresh())


def test_who_approved_what_stays_readable(seasoned: Simulator) -> None:
    """The key ids that counted are told by the check, and every version of the app role keeps its signatures."""
    one, two, three = seasoned.keys[TARGETS]
    seasoned.release(by=[one, three])
    report = seasoned.updates_to(3)
    assert report.signed_by["targets"] == tuple(sorted(key.public_key.keyid for key in (one, three)))
    assert seasoned.updates_to(3, **seasoned.fresh()).signed_by == report.signed_by
    by = [
        {signature["keyid"] for signature in json.loads(file.read_bytes())["signatures"]}
        for file in sorted((seasoned.served / "metadata").glob("*.targets.json"), key=lambda file: int(file.name.split(".")[0]))
    ]
    assert by == [{one.public_key.keyid, two.public_key.keyid}] * 3 + [{one.public_key.keyid, three.public_key.keyid}]
