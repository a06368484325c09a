"""The predecessor's pin, in every form that apps carry it, authenticates version 1 of the root and nothing else."""

from __future__ import annotations

import base64
import plistlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import CryptoSigner

from mlpublish.errors import RecipeError, SigningError, VerificationError
from mlpublish.formats import mfpclient
from mlpublish.trust import roles
from mlpublish.trust.keys import crypto_signer, read_public
from mlpublish.trust.pin import pin_text, read_pin, root_under
from tests import hands


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    """What the predecessor's documentation shows as a public key: a certificate that signs itself."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Dev")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    lasting = made.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2750, 1, 1, tzinfo=UTC))
    return lasting.sign(key, SHA256())


def spki(key: rsa.RSAPrivateKey, encoding: Encoding) -> bytes:
    return key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def forms(key: rsa.RSAPrivateKey) -> dict[str, str]:
    in_one_line = base64.b64encode(certificate(key).public_bytes(Encoding.DER)).decode()
    wrapped = "\n".join(in_one_line[start : start + 64] for start in range(0, len(in_one_line), 64))
    return {
        "SPKI": base64.b64encode(spki(key, Encoding.DER)).decode(),
        "SPKI as PEM": spki(key, Encoding.PEM).decode(),
        "certificate": in_one_line,
        "certificate as PEM": certificate(key).public_bytes(Encoding.PEM).decode(),
        "certificate called a public key": f"-----BEGIN PUBLIC KEY-----\n{wrapped}\n-----END PUBLIC KEY-----\n",
        "with Windows line ends": spki(key, Encoding.PEM).decode().replace("\n", "\r\n"),
        "with spaces around": f"\n  {in_one_line}  \n\n",
    }


@pytest.mark.parametrize("form", forms(rsa.generate_private_key(65537, 2048)))
def test_every_form_of_a_pin_is_the_same_key(key: rsa.RSAPrivateKey, form: str) -> None:
    pinned = read_pin(forms(key)[form])
    assert pinned.keyid == crypto_signer(key).public_key.keyid
    assert pinned.scheme == "rsa-pkcs1v15-sha256"


@pytest.mark.parametrize("form", ["SPKI", "certificate as PEM"])
def test_a_pin_is_given_as_text_or_as_a_file(tmp_path: Path, key: rsa.RSAPrivateKey, form: str) -> None:
    text = forms(key)[form]
    (tmp_path / "pin.pem").write_text(text)
    assert pin_text(text) == pin_text(tmp_path / "pin.pem") == pin_text(str(tmp_path / "pin.pem")) == text


@pytest.mark.parametrize("form", ["SPKI", "certificate"])
@pytest.mark.parametrize("name", ["mfpclient.plist", "binary.plist", "mfpclient.properties", "pin.der"])
def test_a_pin_is_read_from_the_apps_own_configuration(tmp_path: Path, key: rsa.RSAPrivateKey, form: str, name: str) -> None:
    text = forms(key)[form]
    values = {"host": "mobile.example", mfpclient.PIN: text}
    (tmp_path / name).write_bytes(
        {
            "mfpclient.plist": plistlib.dumps(values),
            "binary.plist": plistlib.dumps(values, fmt=plistlib.FMT_BINARY),
            "mfpclient.properties": f"wlServerHost = mobile.example\r\n{mfpclient.PIN}: {text}\r\n".encode(),
            "pin.der": base64.b64decode(text),
        }[name]
    )
    assert read_pin(pin_text(tmp_path / name)).keyid == crypto_signer(key).public_key.keyid
    assert read_public(tmp_path / name).keyid == crypto_signer(key).public_key.keyid


@pytest.mark.parametrize("content", [b"<plist><dict/></plist>", b"wlServerHost = h\n", b"wlSecureModelUpdatePublicKey =\n"])
def test_a_configuration_without_a_pin_is_answered_with_the_command_that_writes_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mfpclient.cfg").write_bytes(content)
    with pytest.raises(RecipeError, match="has no wlSecureModelUpdatePublicKey") as caught:
        pin_text(tmp_path / "mfpclient.cfg")
    assert "mlpublish keys export-plist KEY" in caught.value.remedy


@pytest.mark.parametrize("text", ["", "hello", "====", "AAAA", "key.pem", "-----BEGIN PUBLIC KEY-----", "é", "A" * 5000, "\0"])
def test_what_is_no_key_is_no_pin(text: str) -> None:
    with pytest.raises(RecipeError, match="neither a public key nor a certificate"):
        read_pin(pin_text(text))


def test_a_key_that_no_phone_verifies_is_no_pin() -> None:
    for weak in (
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP384R1()),
        dsa.generate_private_key(2048),
    ):
        text = weak.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        with pytest.raises(SigningError, match="is not taken"):
            read_pin(text)


def root_signed_by(*signers: CryptoSigner, version: int = 1) -> bytes:
    root = hands.one_key_root(crypto_signer(ec.generate_private_key(ec.SECP256R1())))
    root.signed.version = version
    for signer in signers:
        roles.signed_by(root, signer)
    return root.to_bytes()


def test_a_root_that_the_pinned_key_signed_is_taken(key: rsa.RSAPrivateKey) -> None:
    root = root_signed_by(crypto_signer(key), crypto_signer(ec.generate_private_key(ec.SECP256R1())))
    assert root_under(read_pin(forms(key)["SPKI"]), root) == root


def test_a_root_without_the_pins_signature_is_refused(key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(VerificationError, match="not signed by the pinned key"):
        root_under(read_pin(forms(key)["SPKI"]), root_signed_by(crypto_signer(rsa.generate_private_key(65537, 2048))))


def test_the_pin_says_nothing_of_a_later_root(key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(VerificationError):
        root_under(read_pin(forms(key)["SPKI"]), root_signed_by(crypto_signer(key), version=2))


def test_a_root_that_was_altered_after_the_pin_signed_it_is_refused(key: rsa.RSAPrivateKey) -> None:
    root = (
        root_signed_by(crypto_signer(key))
        .replace(b'"threshold": 1', b'"threshold": 2', 1)
        .replace(b'"threshold":1', b'"threshold":2', 1)
    )
    with pytest.raises(VerificationError, match="does not hold"):
        root_under(read_pin(forms(key)["SPKI"]), root)


def test_a_private_key_is_told_as_what_it_is_and_not_shown() -> None:
    text = "-----BEGIN PRIVATE KEY-----\\nMIIEvgIBADANBg\\n-----END PRIVATE KEY-----".replace("\\n", "\n")
    with pytest.raises(RecipeError, match=r"is a private key\. Give its public half") as refused:
        read_pin(text)
    assert "MIIEvg" not in str(refused.value)
