"""Which keys sign: those that a phone verifies; every other is refused with the reason and the way out."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from securesystemslib.signer import Key

import mlpublish
from mlpublish import plugins
from mlpublish.errors import NotFound, SigningError, UnknownScheme
from mlpublish.trust import passphrases
from mlpublish.trust.keys import HOLDER, find_public, holder_of, new_key, new_key_file, public_key, read_public, spki_of
from mlpublish.trust.signer import Signer, signer_for

Openssl = Callable[..., subprocess.CompletedProcess[str]]
P256 = ec.generate_private_key(ec.SECP256R1())


def pem(key: PrivateKeyTypes, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


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
        (ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
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


@pytest.mark.parametrize("where", ["private", "public"])
def test_a_key_that_is_marked_for_pss_is_refused(tmp_path: Path, openssl: Openssl, where: str) -> None:
    assert openssl("genpkey", "-algorithm", "RSA-PSS", "-out", "private", cwd=tmp_path).returncode == 0
    assert openssl("pkey", "-in", "private", "-pubout", "-out", "public", cwd=tmp_path).returncode == 0
    with pytest.raises(SigningError, match="RSA-PSS"):
        read_public(tmp_path / where)


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


# ── public halves, in whatever form people have them ────────────────────────────────────────────────────────────────────────


def forms(key: PrivateKeyTypes) -> dict[str, bytes]:
    """A key in every form that is read, with what each is called."""
    public, whole = key.public_key(), certificate(key)
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "public key": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "public key in DER": spki,
        "public key in base64": base64.b64encode(spki),
        "certificate": whole.public_bytes(Encoding.PEM),
        "certificate in DER": whole.public_bytes(Encoding.DER),
        "certificate in base64": base64.encodebytes(whole.public_bytes(Encoding.DER)),
        "certificate with its key": pem(key) + whole.public_bytes(Encoding.PEM),
        "private key": pem(key),
        "private key in DER": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    }


def certificate(key: PrivateKeyTypes) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Dev")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2020, 1, 1), datetime(2750, 1, 1))
    return made.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256())


@pytest.mark.parametrize(
    "key", [P256, ed25519.Ed25519PrivateKey.generate(), new_key("rsa", bits=2048)], ids=["EC", "Ed", "RSA"]
)
@pytest.mark.parametrize("form", forms(P256))
def test_a_public_key_is_read_in_every_form(tmp_path: Path, key: PrivateKeyTypes, form: str) -> None:
    file = tmp_path / "maria.key"
    file.write_bytes(forms(key)[form])
    found, wanted = find_public(file), public_key(key.public_key())
    assert (found.key.keyid, found.key.keyval) == (wanted.keyid, wanted.keyval)
    assert form.startswith(found.form)
    assert read_public(str(file)).keyid == read_public(f"file:{file}").keyid == wanted.keyid
    assert spki_of(found.key) == key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_a_public_key_may_be_given_as_text() -> None:
    text = forms(P256)["public key in base64"].decode()
    assert read_public(text).keyid == public_key(P256.public_key()).keyid
    assert holder_of(read_public(text)) is None


def test_the_holders_name_travels_in_metadata_and_leaves_the_key_id_alone(tmp_path: Path) -> None:
    (tmp_path / "maria.pub").write_bytes(forms(P256)["public key"])
    key = read_public(tmp_path / "maria.pub")
    assert (holder_of(key), holder_of(read_public(tmp_path / "maria.pub", holder="Maria"))) == ("maria", "Maria")
    assert key.keyid == public_key(P256.public_key()).keyid
    again = Key.from_dict(key.keyid, json.loads(json.dumps(key.to_dict())))
    assert (holder_of(again), again.to_dict()[HOLDER]) == ("maria", "maria")
    again.verify_signature(signer_of(tmp_path).sign(b"payload"), b"payload")


def signer_of(folder: Path) -> Signer:
    return opened(folder, pem(P256))


def test_what_holds_no_public_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no key")
    (tmp_path / "big").write_bytes(bytes(1 << 21))
    with pytest.raises(SigningError, match="holds no key"):
        read_public(tmp_path / "note.txt")
    with pytest.raises(SigningError, match="too long"):
        read_public(tmp_path / "big")
    with pytest.raises(NotFound):
        read_public(tmp_path / "nothing")
    with pytest.raises(UnknownScheme):
        read_public("safe:key")


@pytest.mark.parametrize(
    ("kind", "bits", "named"), [("dsa", 2048, "'dsa'"), ("rsa", 1024, "1024"), ("rsa", 1 << 20, "1048576")]
)
def test_a_kind_that_is_not_taken_is_not_made_either(kind: str, bits: int, named: str) -> None:
    with pytest.raises(SigningError, match=named):
        new_key(kind, bits=bits)


def test_the_page_names_every_scheme_parameter_and_variable() -> None:
    page = (Path(mlpublish.__file__).parent / "docs" / "keys.md").read_text(encoding="utf-8")
    for scheme in plugins.names(plugins.SIGNERS):
        assert f"{scheme}:" in page
    for secret in (passphrases.PASSPHRASE, passphrases.STOREPASS, passphrases.KEYPASS, passphrases.PIN):
        for word in (secret.variable, *secret.parameters):
            assert word in page
