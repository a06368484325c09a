"""Which keys sign: those that a phone verifies; every other is refused with the reason and the way out."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mlpublish.errors import SigningError, UnknownScheme
from mlpublish.trust.keys import new_key_file
from mlpublish.trust.signer import Signer, signer_for

Openssl = Callable[..., subprocess.CompletedProcess[str]]
P256 = ec.generate_private_key(ec.SECP256R1())


def pem(key: PrivateKeyTypes, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: bytes | None = None) -> bytes:
    hidden = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    return key.private_bytes(Encoding.PEM, form, hidden)


def opened(tmp_path: Path, content: bytes) -> Signer:
    file = tmp_path / "key.pem"
    file.write_bytes(content)
    return signer_for(f"file:{file}")


def refused(tmp_path: Path, content: bytes) -> SigningError:
    with pytest.raises(SigningError) as caught:
        opened(tmp_path, content)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("content", "scheme"),
    [
        (pem(P256), "ecdsa-sha2-nistp256"),
        (pem(P256, PrivateFormat.TraditionalOpenSSL), "ecdsa-sha2-nistp256"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "ed25519"),
        (pem(rsa.generate_private_key(65537, 2048)), "rsa-pkcs1v15-sha256"),
        (pem(rsa.generate_private_key(65537, 3072), PrivateFormat.TraditionalOpenSSL), "rsa-pkcs1v15-sha256"),
    ],
    ids=["P-256", "P-256, traditional", "Ed25519", "RSA 2048", "RSA 3072, traditional"],
)
def test_a_key_that_a_phone_verifies_signs(tmp_path: Path, content: bytes, scheme: str) -> None:
    signer = opened(tmp_path, content)
    assert signer.public_key.scheme == scheme
    signer.public_key.verify_signature(signer.sign(b"payload"), b"payload")


@pytest.mark.parametrize(
    ("key", "named"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "384 bits"),
        (ec.generate_private_key(ec.SECP256K1()), "256 bits"),
        (rsa.generate_private_key(65537, 1024), "1024 bits"),
        (dsa.generate_private_key(2048), "DSA"),
        (x25519.X25519PrivateKey.generate(), "X25519"),
    ],
    ids=["P-384", "secp256k1", "RSA 1024", "DSA", "X25519"],
)
def test_a_key_that_no_phone_verifies_is_refused_by_name(tmp_path: Path, key: PrivateKeyTypes, named: str) -> None:
    error = refused(tmp_path, pem(key))
    assert named in error.problem
    assert "P-256" in error.remedy


def test_a_public_key_cannot_sign(tmp_path: Path) -> None:
    public = P256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert "no private key" in refused(tmp_path, public).problem


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_is_refused_as_encrypted_and_its_passphrase_is_not_asked_for(
    tmp_path: Path, form: PrivateFormat
) -> None:
    assert "encrypted" in refused(tmp_path, pem(P256, form, b"secret")).problem


@pytest.mark.parametrize(
    "content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff\xfe"]
)
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "no private key" in refused(tmp_path, content).problem


def test_a_file_that_is_not_there_and_a_scheme_that_is_not_installed_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="No such file"):
        signer_for(f"file:{tmp_path / 'nothing.pem'}")
    with pytest.raises(SigningError, match="Is a directory"):
        signer_for(str(tmp_path))
    with pytest.raises(UnknownScheme, match="safe"):
        signer_for("safe:key")


def test_a_signer_is_taken_as_it_is(tmp_path: Path) -> None:
    signer = opened(tmp_path, pem(P256))
    assert signer_for(signer) is signer


def test_a_new_key_is_its_owners_alone_and_is_never_replaced(tmp_path: Path, openssl: Openssl) -> None:
    place = tmp_path / "key.pem"
    new_key_file(place)
    content = place.read_bytes()
    assert place.stat().st_mode & 0o777 == 0o600
    new_key_file(place)
    assert place.read_bytes() == content
    assert openssl("pkey", "-in", place, "-noout", "-check").returncode == 0
