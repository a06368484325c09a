"""``model.sig``: an OpenSSF Model Signing v1.0 signature over the files of an unpacked bundle.

A Sigstore bundle (v0.3, JSON) holds a DSSE envelope with one signature, and that an in-toto Statement (v1) that lists every
file with its sha256; ``model_signing verify key DIR --signature model.sig --public_key KEY.pem`` takes it, of an EC key alone.
Sources: OpenSSF Model Signing, ``docs/model_signing_format.md``; DSSE v1.0.0, ``protocol.md`` (PAE); in-toto attestation
v1, ``statement.md``; Sigstore protobuf specs, ``sigstore_bundle.proto``.

We verify more strictly than that tool. It passes over ``.git``, ``.github``, ``.gitattributes`` and ``.gitignore`` and over
what the statement itself says to ignore, looks at the first of several signatures, and skips members that it does not
know; here the whole document must be the one that its contents, its name and its key give.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import Key

from mlpublish.artifacts import Bundle
from mlpublish.errors import DigestMismatch, SigningError, VerificationError
from mlpublish.formats.archive import Archive
from mlpublish.formats.manifest import MANIFEST_PATH, Manifest
from mlpublish.formats.wire import Reader, digest_of, dump
from mlpublish.trust.bundles import manifest_digest
from mlpublish.trust.keys import crypto_key
from mlpublish.trust.signer import Signer

MODEL_SIGNATURE = "model.sig"
_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_SERIALIZATION = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": list[str]()}


def signs_models(key: Key) -> bool:
    """Whether a key is of the one kind that the format and every phone have in common: ECDSA P-256."""
    return key.scheme == "ecdsa-sha2-nistp256"


def contents_of(bundle: Bundle) -> dict[str, str]:
    """path -> sha256 of every file that unpacking a bundle gives, its manifest too; the bundle must have been read whole."""
    with bundle.path.open("rb") as stream:
        return contents_said(bundle.manifest, Archive.read(stream))


def contents_said(manifest: Manifest, archive: Archive) -> dict[str, str]:
    """The same by the word of the manifest in an archive; whether the files are so, nobody looked."""
    return {str(entry.path): entry.sha256 for entry in manifest.files} | {MANIFEST_PATH: manifest_digest(archive)}


def name_of(bundle: Bundle) -> str:
    """What a statement calls the model that it is about; the folder that it is unpacked into may be called anything."""
    return name_said(bundle.manifest)


def name_said(manifest: Manifest) -> str:
    """The same by the word of a manifest."""
    return f"{manifest.name}-{manifest.version}"


def sign_model(contents: Mapping[str, str], signer: Signer, *, name: str) -> bytes:
    """Sign an unpacked bundle.

    Args:
        contents: path in it -> sha256, of every file.
        name: what the statement calls it.

    Returns:
        The bytes of ``model.sig``; others each time, because ECDSA draws a number for each signature.

    Raises:
        SigningError: the key is not ECDSA P-256, or would not sign.
    """
    key = signer.public_key
    if not signs_models(key):
        raise SigningError(
            f"The key {key.keyid[:12]} is {key.keytype}; a {MODEL_SIGNATURE} takes ECDSA P-256.",
            remedy="Sign with such a key: mlpublish keys new.",
            field="key",
        )
    payload = dump(_statement(contents, name))
    return dump(_envelope(payload, bytes.fromhex(signer.sign(_pae(payload)).signature), _hint(key)))


def verify_model_signature(signature: bytes, contents: Mapping[str, str], keys: Iterable[Key], *, name: str) -> Key:
    """Hold an unpacked bundle against a ``model.sig``.

    Args:
        signature: the bytes of ``model.sig``.
        contents: path in the bundle -> sha256, of every file.
        keys: whose signature is taken; those that are not ECDSA P-256 sign none.
        name: what the statement must call it.

    Returns:
        The key that signed.

    Raises:
        FormatError: it is no such document.
        VerificationError: none of the keys signed it, or it says more, less or something else than ``sign_model`` would.
        DigestMismatch: a file is missing, added or another one; the first is named.
    """
    said = Reader.parse(signature, what=MODEL_SIGNATURE)
    envelope, hint = said.inner("dsseEnvelope"), said.inner("verificationMaterial").inner("publicKey").text("hint")
    raw = next((_base64(each, "sig") for each in envelope.each("signatures")), b"")
    payload = _base64(envelope, "payload")
    _refuse_other(said.values, _envelope(payload, raw, hint))
    key = _key_of(hint, keys)
    try:
        _ec_key(key).verify(raw, _pae(payload), ECDSA(SHA256()))
    except InvalidSignature as exc:
        raise _refused(f"the signature of the key {key.keyid[:12]} does not hold") from exc
    statement = Reader.parse(payload, what=MODEL_SIGNATURE)
    _hold_files(statement, contents)
    _refuse_other(statement.values, _statement(contents, name))
    return key


def _statement(contents: Mapping[str, str], name: str) -> dict[str, Any]:
    """What is signed; the subject's digest is over the raw digests of the files, in the order in which they are listed."""
    paths = sorted(contents, key=lambda path: path.split("/"))
    whole = hashlib.sha256(b"".join(bytes.fromhex(contents[path]) for path in paths)).hexdigest()
    resources = [{"name": path, "algorithm": "sha256", "digest": contents[path]} for path in paths]
    return {
        "_type": _STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": whole}}],
        "predicateType": _PREDICATE_TYPE,
        "predicate": {"serialization": _SERIALIZATION, "resources": resources},
    }


def _envelope(payload: bytes, signature: bytes, hint: str) -> dict[str, Any]:
    return {
        "mediaType": _MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }


def _pae(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed says its own type and length."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)


def _hint(key: Key) -> str:
    """sha256 of the key's PEM, as the stock verifier names keys."""
    return digest_of(_ec_key(key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _ec_key(key: Key) -> EllipticCurvePublicKey:
    public = crypto_key(key)
    if not isinstance(public, EllipticCurvePublicKey):
        raise SigningError(f"The key {key.keyid[:12]} is not what its scheme says.", remedy="Take another.", field="key")
    return public


def _key_of(hint: str, keys: Iterable[Key]) -> Key:
    for key in keys:
        try:
            if signs_models(key) and _hint(key) == hint:
                return key
        except SigningError:
            continue  # what cannot be read as a key signs nothing
    raise _refused(f"it was not signed by a key that is trusted for it, but by one with the hint {hint[:12]}…")


def _base64(reader: Reader, name: str) -> bytes:
    try:
        return base64.b64decode(reader.text(name), validate=True)
    except (binascii.Error, ValueError):
        reader.refuse(name, "base64")


def _hold_files(statement: Reader, contents: Mapping[str, str]) -> None:
    """The files that are listed against those that are there, so that the first that differs is told by its name."""
    listed = {each.text("name"): each.text("digest") for each in statement.inner("predicate").each("resources")}
    for path in sorted(listed.keys() | contents.keys()):
        if listed.get(path) != contents.get(path):
            how = "missing" if path not in contents else "not listed in it" if path not in listed else "altered"
            raise DigestMismatch(
                f"{MODEL_SIGNATURE} does not hold: the file {path[:200]} of the bundle is {how}.",
                remedy=_AGAIN,
                field=path[:200],
            )


def _refuse_other(said: object, wanted: object, place: str = "") -> None:
    """Refuse what differs in any member from the one document that is wanted, whatever a reader would make of it.

    Raises:
        VerificationError: the first place where it does.
    """
    if isinstance(said, dict) and isinstance(wanted, dict):
        for name in sorted(said.keys() | wanted.keys()):
            _refuse_other(said.get(name, _ABSENT), wanted.get(name, _ABSENT), f"{place}.{name}" if place else name)
    elif isinstance(said, list) and isinstance(wanted, list) and len(said) == len(wanted):
        for index, (one, other) in enumerate(zip(said, wanted, strict=True)):
            _refuse_other(one, other, f"{place}[{index}]")
    elif type(said) is not type(wanted) or said != wanted:  # False is not 0, nor 1.0 a 1
        raise _refused(f"{place[:100]} is {_short(said)}, not {_short(wanted)}")


_ABSENT = object()


def _short(value: object) -> str:
    if value is _ABSENT:
        return "absent"
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _refused(how: str) -> VerificationError:
    return VerificationError(f"{MODEL_SIGNATURE} is refused: {how}.", remedy=_AGAIN, field=MODEL_SIGNATURE)


_AGAIN = "Do not use it. Get the whole release again from where it was made."
