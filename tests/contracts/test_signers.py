"""What every signer promises, asked of each: files, keystores of three kinds, a token and a cloud."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from securesystemslib.exceptions import UnverifiedSignatureError

from mlpublish.errors import SigningError
from mlpublish.trust import keys
from mlpublish.trust.detached import sign_detached, verify_detached
from mlpublish.trust.signer import DigestSigner, Signer, signer_for
from tests import keystores

SIZES = (0, 1, 4096, 4097, 1 << 20)  # bytes; KMS takes 4096 as they are, and of more the digest
# KMS signs Ed25519 only up to 4096 bytes, so it is not taken there
PLACES = {
    "PEM": ("P-256", "RSA", "Ed25519"),
    "encrypted PEM": ("P-256", "RSA", "Ed25519"),
    "PKCS#12": ("P-256", "RSA", "Ed25519"),
    "JKS": ("P-256", "RSA", "Ed25519"),
    "JCEKS": ("P-256", "RSA", "Ed25519"),
    "PKCS#11": ("P-256", "RSA", "Ed25519"),
    "KMS": ("P-256", "RSA"),
}
OURS = {"P-256": "ecdsa", "RSA": "rsa", "Ed25519": "ed25519"}
LABELS = {"P-256": "ec", "RSA": "rsa", "Ed25519": "ed"}
SCHEMES = {"P-256": "ecdsa-sha2-nistp256", "RSA": "rsa-pkcs1v15-sha256", "Ed25519": "ed25519"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files and keystores are made, once for all tests: keytool takes a second for each."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(params=[(place, kind) for place, kinds in PLACES.items() for kind in kinds], ids=" ".join)
def place_and_kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture
def kind(place_and_kind: tuple[str, str]) -> str:
    return place_and_kind[1]


@pytest.fixture
def uri(place_and_kind: tuple[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A key URI whose secrets are where the environment says."""
    place, kind = place_and_kind
    monkeypatch.setenv("MLPUBLISH_KEYSTORE_PASSWORD", keystores.STOREPASS)
    monkeypatch.setenv("MLPUBLISH_KEY_PASSPHRASE", keystores.KEYPASS)
    monkeypatch.setenv("MLPUBLISH_PKCS11_PIN", keystores.PIN)
    file = folder / f"{place} {kind}"
    if place in ("PEM", "encrypted PEM"):
        keys.new_key_file(file, OURS[kind], None if place == "PEM" else keystores.KEYPASS, bits=2048)
        yield f"file:{file}"
    elif place == "PKCS#11":
        yield f"pkcs11:token=Release;object={LABELS[kind]}?module-path={keystores.token(folder)}"
    elif place == "KMS":
        keystores.needs_module("boto3", "boto3: pip install 'mlpublish[kms]'")
        held = ec.generate_private_key(ec.SECP256R1()) if kind == "P-256" else rsa.generate_private_key(65537, 2048)
        with keystores.kms(held) as served:
            for name, value in {"ENDPOINT_URL_KMS": served.url, "ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "key"}.items():
                monkeypatch.setenv(f"AWS_{name}", value)
            yield "awskms:alias/release?region=eu-central-1"
    else:
        if place != "PKCS#12":
            keystores.needs_module("jks", "pyjks: pip install 'mlpublish[jks]'")
        if not file.exists():
            keypass = None if place == "PKCS#12" else keystores.KEYPASS
            keystores.add_key(file, "prod", kind, form=place.replace("#", ""), keypass=keypass)
        yield f"keystore:{file}"


@pytest.fixture
def signer(uri: str) -> Signer:
    return signer_for(uri)


def test_it_is_a_signer_and_says_its_public_key(signer: Signer, uri: str, kind: str) -> None:
    assert isinstance(signer, Signer)
    assert signer.public_key.scheme == SCHEMES[kind]
    assert keys.read_public(uri).keyid == signer.public_key.keyid


def test_what_it_signs_verifies_and_nothing_else_does(signer: Signer) -> None:
    for size in SIZES:
        payload = os.urandom(size)
        signature = signer.sign(payload)
        assert signature.keyid == signer.public_key.keyid
        signer.public_key.verify_signature(signature, payload)
        with pytest.raises(UnverifiedSignatureError):
            signer.public_key.verify_signature(signature, payload + b"\0")


def test_it_signs_a_digest_as_it_signs_the_payload(signer: Signer, kind: str) -> None:
    assert isinstance(signer, DigestSigner)
    digest = hashlib.sha256(b"payload").digest()
    if kind == "Ed25519":
        with pytest.raises(SigningError, match="signs no digest"):
            signer.sign_digest(digest)
        return
    public, raw = keys.crypto_key(signer.public_key), signer.sign_digest(digest)
    rest = (PKCS1v15(), SHA256()) if kind == "RSA" else (ec.ECDSA(SHA256()),)
    public.verify(raw, b"payload", *rest)
    with pytest.raises(InvalidSignature):
        public.verify(raw, b"other", *rest)


def test_an_rsa_key_signs_a_file_for_clients_without_tuf_and_no_other_key_does(
    signer: Signer, kind: str, tmp_path: Path
) -> None:
    (tmp_path / "bundle.zip").write_bytes(os.urandom(100_000))
    if kind == "RSA":
        verify_detached(tmp_path / "bundle.zip", sign_detached(tmp_path / "bundle.zip", signer), signer.public_key)
    else:
        with pytest.raises(SigningError, match="a detached signature is RSA"):
            sign_detached(tmp_path / "bundle.zip", signer)


def test_two_of_one_place_are_open_at_once(signer: Signer, uri: str) -> None:
    other = signer_for(uri)
    for each in (signer, other, signer):
        each.public_key.verify_signature(each.sign(b"payload"), b"payload")


def test_openssl_verifies_what_it_signs(signer: Signer, kind: str, tmp_path: Path) -> None:
    keystores.needs("openssl", "openssl")
    payload = os.urandom(100)
    (tmp_path / "payload").write_bytes(payload)
    (tmp_path / "signature").write_bytes(bytes.fromhex(signer.sign(payload).signature))
    (tmp_path / "public").write_bytes(keys.spki_of(signer.public_key))
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "public", "-rawin", "-in", "payload"]
    verify += ["-sigfile", "signature"] + (["-digest", "sha256"] if kind != "Ed25519" else [])
    assert subprocess.run(verify, cwd=tmp_path, capture_output=True).returncode == 0
    (tmp_path / "payload").write_bytes(payload + b"\0")
    assert subprocess.run(verify, cwd=tmp_path, capture_output=True).returncode != 0
