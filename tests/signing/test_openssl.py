"""openssl, which knows nothing of us or of TUF, judges our signatures: every kind of key, and the role that ``sign`` wrote."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from securesystemslib.formats import encode_canonical

from mlpublish.artifacts import Release
from mlpublish.repository.development import Development
from mlpublish.trust.keys import crypto_signer

Openssl = Callable[..., subprocess.CompletedProcess[str]]
DIGEST = ("dgst", "-sha256", "-verify", "public", "-signature", "signature", "payload")
RAW = ("pkeyutl", "-verify", "-pubin", "-inkey", "public", "-rawin", "-in", "payload", "-sigfile", "signature")
ED25519_SPKI = "302a300506032b6570032100"  # what stands before the 32 bytes (RFC 8410, §4)
KINDS: dict[str, tuple[Callable[[], PrivateKeyTypes], tuple[str, ...]]] = {
    "P-256": (lambda: ec.generate_private_key(ec.SECP256R1()), DIGEST),
    "RSA": (lambda: rsa.generate_private_key(65537, 2048), DIGEST),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, RAW),
}


def canonical(signed: dict[str, Any]) -> bytes:
    """What a signature is made over: OLPC's canonical JSON."""
    text = encode_canonical(signed)
    assert text is not None
    return text.encode()


@pytest.fixture
def role(new_release: Callable[..., Release]) -> dict[str, Any]:
    """The app role that ``sign`` wrote, as JSON."""
    document: dict[str, Any] = json.loads((new_release(b"one").folder / "targets.json").read_bytes())
    return document


@pytest.mark.parametrize("kind", KINDS)
def test_openssl_takes_a_signature_of_every_kind_and_no_altered_payload(
    tmp_path: Path, role: dict[str, Any], openssl: Openssl, kind: str
) -> None:
    new_key, verify = KINDS[kind]
    signer, payload = crypto_signer(new_key()), canonical(role["signed"])
    public = signer.public_key.keyval["public"]
    if kind == "Ed25519":
        (tmp_path / "raw").write_bytes(bytes.fromhex(ED25519_SPKI + public))
        public = openssl("pkey", "-pubin", "-inform", "DER", "-in", "raw", cwd=tmp_path).stdout
    (tmp_path / "public").write_text(public)
    (tmp_path / "payload").write_bytes(payload)
    (tmp_path / "signature").write_bytes(bytes.fromhex(signer.sign(payload).signature))
    assert openssl(*verify, cwd=tmp_path).returncode == 0
    (tmp_path / "payload").write_bytes(payload + b" ")
    assert openssl(*verify, cwd=tmp_path).returncode != 0


def test_openssl_verifies_the_role_that_sign_wrote(
    tmp_path: Path, role: dict[str, Any], development: Development, openssl: Openssl
) -> None:
    (signature,) = role["signatures"]
    (tmp_path / "payload").write_bytes(canonical(role["signed"]))
    (tmp_path / "signature").write_bytes(bytes.fromhex(signature["sig"]))
    openssl("pkey", "-in", development.folder / "keys" / "targets.pem", "-pubout", "-out", "public", cwd=tmp_path)
    assert openssl(*DIGEST, cwd=tmp_path).returncode == 0
