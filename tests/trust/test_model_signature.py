"""model.sig: what is signed verifies; whatever else it says, or is said of, is refused, and the first wrong thing is named."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from securesystemslib.signer import SSlibKey

from mlpublish.errors import DigestMismatch, FormatError, MlpublishError, SigningError, VerificationError
from mlpublish.formats.archive import MAX_ENTRIES
from mlpublish.formats.wire import MAX_DOCUMENT, digest_of, dump
from mlpublish.trust import model_signature
from mlpublish.trust.keys import crypto_signer, new_key
from mlpublish.trust.model_signature import sign_model, verify_model_signature

ALICE, BOB = crypto_signer(new_key()), crypto_signer(new_key())
OTHERS = [crypto_signer(new_key(kind, bits=2048)) for kind in ("rsa", "ed25519")]
CONTENTS = {"manifest.json": digest_of(b"{}"), "models/a.mlmodel": digest_of(b"a"), "models/b.mlmodel": digest_of(b"b")}
NAME = "digits-3"

digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
paths = st.lists(st.text("abz-. ", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)
contents_of_bundles = st.dictionaries(paths, digests, min_size=1, max_size=5)


def verify(signature: bytes, contents: dict[str, str] = CONTENTS, *keys: SSlibKey) -> str:
    return verify_model_signature(signature, contents, keys or [ALICE.public_key], name=NAME).keyid


def document_of(signature: bytes) -> Any:
    return json.loads(signature)


def statement_of(signature: bytes) -> Any:
    return json.loads(base64.b64decode(document_of(signature)["dsseEnvelope"]["payload"]))


def signed(payload: bytes) -> bytes:
    """The document around any payload, which Alice really signed."""
    raw = bytes.fromhex(ALICE.sign(model_signature._pae(payload)).signature)
    return dump(model_signature._envelope(payload, raw, model_signature._hint(ALICE.public_key)))


GOOD = sign_model(CONTENTS, ALICE, name=NAME)


@given(contents=contents_of_bundles, name=st.text("abc-.é", min_size=1))
def test_what_is_signed_verifies_and_tells_the_key(contents: dict[str, str], name: str) -> None:
    signature = sign_model(contents, ALICE, name=name)
    keys = [*(each.public_key for each in OTHERS), BOB.public_key, ALICE.public_key]
    assert verify_model_signature(signature, contents, keys, name=name) == ALICE.public_key


@given(contents=contents_of_bundles, other=contents_of_bundles)
@example(contents=CONTENTS, other=CONTENTS | {".github/w.bin": digest_of(b"w")})
@example(contents=CONTENTS, other=CONTENTS | {".gitignore": digest_of(b"")})
@example(contents=CONTENTS, other=CONTENTS | {"model.sig": digest_of(b"")})
@example(contents=CONTENTS, other={**CONTENTS, "manifest.json": digest_of(b"[]")})
@example(contents=CONTENTS, other={path: digest for path, digest in CONTENTS.items() if path != "models/a.mlmodel"})
def test_other_files_are_told_by_the_first_name(contents: dict[str, str], other: dict[str, str]) -> None:
    signature = sign_model(contents, ALICE, name=NAME)
    wrong = sorted(path for path in contents.keys() | other.keys() if contents.get(path) != other.get(path))
    if not wrong:
        assert verify(signature, other) == ALICE.public_key.keyid
        return
    with pytest.raises(DigestMismatch) as caught:
        verify(signature, other)
    assert caught.value.field == wrong[0]
    how = {(True, True): "altered", (True, False): "missing", (False, True): "not listed in it"}
    assert caught.value.problem.endswith(f"is {how[wrong[0] in contents, wrong[0] in other]}.")


# ── any mutation ────────────────────────────────────────────────────────────────────────────────────────────────────────


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, the whole first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for name, each in inner for place in places(each, (*here, name)))]


values: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 1), st.floats(0, 1), st.text(max_size=4), digests, st.just([])
)


@st.composite
def mutated(draw: st.DrawFn, good: Any) -> Any:
    """A JSON value that says something else in one place: another value, a member or an entry more or less."""
    made = copy.deepcopy(good)
    *way, last = draw(st.sampled_from([place for place in places(good) if place]))
    holder = made
    for step in way:
        holder = holder[step]
    match draw(st.sampled_from(["replace", "remove", "add", "double"])):
        case "replace":
            holder[last] = draw(values)
        case "remove":
            del holder[last]
        case "add" if isinstance(holder, dict):
            holder[draw(st.text(min_size=1, max_size=12))] = draw(values)
        case _ if isinstance(holder, list):
            holder.insert(draw(st.integers(0, len(holder))), copy.deepcopy(holder[last]))
    return made


def is_same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)  # in Python 0 == False


@given(mutated(document_of(GOOD)))
def test_any_other_document_is_refused(document: Any) -> None:
    if is_same(document, document_of(GOOD)):
        assert verify(dump(document))
        return
    with pytest.raises((VerificationError, FormatError)):
        verify(dump(document))


@given(mutated(statement_of(GOOD)))
def test_any_other_statement_is_refused_although_its_signature_holds(statement: Any) -> None:
    if is_same(statement, statement_of(GOOD)):
        assert verify(signed(dump(statement)))
        return
    with pytest.raises((VerificationError, FormatError)):
        verify(signed(dump(statement)))


@given(at=st.integers(0, len(GOOD) - 1), to=st.integers(0, 255))
def test_any_flipped_byte_is_refused_or_says_the_same(at: int, to: int) -> None:
    flipped = GOOD[:at] + bytes([to]) + GOOD[at + 1 :]
    try:
        verify(flipped)
    except MlpublishError:
        return
    assert document_of(flipped) == document_of(GOOD)


# ── each refusal by name ────────────────────────────────────────────────────────────────────────────────────────────────


def with_statement(alter: Callable[[Any], object]) -> bytes:
    statement = statement_of(GOOD)
    alter(statement)
    return signed(dump(statement))


def with_document(alter: Callable[[Any], object]) -> bytes:
    document = document_of(GOOD)
    alter(document)
    return dump(document)


def serialization(**members: Any) -> Callable[[Any], object]:
    return lambda said: said["predicate"]["serialization"].update(members)


STATEMENTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "ignored path": (serialization(ignore_paths=[".git"]), r"serialization\.ignore_paths is \['\.git'\], not \[\]"),
    "other method": (serialization(method="shards"), r"serialization\.method is 'shards', not 'files'"),
    "other hash": (serialization(hash_type="blake2b"), r"serialization\.hash_type is 'blake2b'"),
    "links": (serialization(allow_symlinks=True), r"serialization\.allow_symlinks is True, not False"),
    "links, nearly": (serialization(allow_symlinks=0), r"serialization\.allow_symlinks is 0, not False"),
    "shard size": (serialization(shard_size=1), r"serialization\.shard_size is 1, not absent"),
    "other type": (lambda said: said.update(_type="https://in-toto.io/Statement/v0.1"), r"_type is"),
    "older predicate": (
        lambda said: said.update(predicateType="https://model_signing/Digests/v0.1"),
        r"predicateType is 'https://model_signing/Digests/v0\.1'",
    ),
    "another name": (
        lambda said: said["subject"][0].update(name="fraud-9"),
        r"name is 'fraud-9', not 'digits-3'",
    ),
    "another sum": (
        lambda said: said["subject"][0]["digest"].update(sha256="0" * 64),
        r"subject\[0\]\.digest\.sha256 is '0000",
    ),
    "two subjects": (lambda said: said["subject"].append(said["subject"][0]), "subject is"),
    "a member more": (lambda said: said["predicate"].update(model_card={}), r"predicate\.model_card is \{\}, not absent"),
    "another order": (lambda said: said["predicate"]["resources"].reverse(), r"resources\[0\]\.digest is"),
    "a file twice": (
        lambda said: said["predicate"]["resources"].append(said["predicate"]["resources"][0]),
        r"predicate\.resources is",
    ),
    "other algorithm": (
        lambda said: said["predicate"]["resources"][1].update(algorithm="blake3"),
        r"resources\[1\]\.algorithm is 'blake3', not 'sha256'",
    ),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_is_refused_by_name(name: str) -> None:
    alter, told = STATEMENTS[name]
    with pytest.raises(VerificationError, match=rf"^model\.sig is refused: .*{told}") as caught:
        verify(with_statement(alter))
    assert (caught.value.field, "Do not use it" in caught.value.remedy) == ("model.sig", True)


DOCUMENTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "another bundle version": (
        lambda said: said.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"),
        "mediaType is",
    ),
    "another payload type": (
        lambda said: said["dsseEnvelope"].update(payloadType="text/plain"),
        r"dsseEnvelope\.payloadType is 'text/plain'",
    ),
    "two signatures": (
        lambda said: said["dsseEnvelope"]["signatures"].append({"sig": "AAAA", "keyid": ""}),
        r"dsseEnvelope\.signatures is",
    ),
    "no signature": (lambda said: said["dsseEnvelope"].update(signatures=[]), r"dsseEnvelope\.signatures is \[\]"),
    "a certificate": (
        lambda said: said["verificationMaterial"].update(certificate={}),
        r"verificationMaterial\.certificate is \{\}, not absent",
    ),
    "a log entry": (
        lambda said: said["verificationMaterial"]["tlogEntries"].append({}),
        r"verificationMaterial\.tlogEntries is",
    ),
    "another hint": (
        lambda said: said["verificationMaterial"]["publicKey"].update(hint="0" * 64),
        "not signed by a key that is trusted for it, but by one with the hint 000000000000",
    ),
    "another signature": (
        lambda said: said["dsseEnvelope"]["signatures"][0].update(sig=base64.b64encode(bytes(70)).decode()),
        f"the signature of the key {ALICE.public_key.keyid[:12]} does not hold",
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_refused_by_name(name: str) -> None:
    alter, told = DOCUMENTS[name]
    with pytest.raises(VerificationError, match=told):
        verify(with_document(alter))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b"{" + b" " * MAX_DOCUMENT + b"}",
        with_document(lambda said: said["dsseEnvelope"].update(payload="?")),
        with_document(lambda said: said["dsseEnvelope"].update(payload="é")),
        with_document(lambda said: said.update(dsseEnvelope=[])),
        signed(b"no JSON"),
        signed(dump(statement_of(GOOD)).replace(b'"_type"', b'"_type": "other", "_type"')),
    ],
    ids=["empty", "list", "no text", "deep", "long", "no base64", "no ASCII", "no envelope", "no statement", "twice"],
)
def test_what_is_no_such_document_is_told_as_that(broken: bytes) -> None:
    with pytest.raises(FormatError, match=r"model\.sig"):
        verify(broken)


def test_a_payload_in_another_spelling_of_base64_is_refused() -> None:
    """Its last character carries bits that mean nothing; two readers must not see two documents."""
    document = document_of(signed(b"{}"))
    assert (document["dsseEnvelope"]["payload"], base64.b64decode("e31=")) == ("e30=", b"{}")
    document["dsseEnvelope"]["payload"] = "e31="
    with pytest.raises(VerificationError, match=r"dsseEnvelope\.payload is"):
        verify(dump(document))


def test_only_the_keys_that_are_given_count() -> None:
    for keys in ([], [BOB.public_key], [each.public_key for each in OTHERS]):
        with pytest.raises(VerificationError, match="not signed by a key that is trusted for it"):
            verify_model_signature(GOOD, CONTENTS, keys, name=NAME)


def test_a_key_that_cannot_be_read_signs_nothing_and_stands_in_nobodys_way() -> None:
    rsa = OTHERS[0].public_key.keyval
    broken = [SSlibKey("0" * 64, "ecdsa", "ecdsa-sha2-nistp256", {"public": public}) for public in ("no key", rsa["public"])]
    assert verify(GOOD, CONTENTS, *broken, ALICE.public_key) == ALICE.public_key.keyid


@pytest.mark.parametrize("signer", OTHERS, ids=["RSA", "Ed25519"])
def test_it_takes_an_ec_key(signer: Any) -> None:
    with pytest.raises(SigningError, match=r"a model\.sig takes ECDSA P-256"):
        sign_model(CONTENTS, signer, name=NAME)


def test_the_longest_bundle_has_one_that_is_read_back() -> None:
    longest = {f"{number:05}{'x' * 507}": digest_of(b"%d" % number) for number in range(MAX_ENTRIES)}
    assert verify(sign_model(longest, ALICE, name=NAME), longest) == ALICE.public_key.keyid
