"""Keystores that keytool and openssl made: which kind they are, several entries, passwords, and what is refused."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mlpublish.errors import FormatError, SigningError
from mlpublish.formats import pkcs12
from mlpublish.trust.keys import find_public
from mlpublish.trust.signer import signer_for
from tests import keystores

Openssl = Callable[..., subprocess.CompletedProcess[str]]
ENTRIES = {"zeta": "P-256", "alpha": "RSA", "Mid": "Ed25519", "old": "DSA"}
SCHEMES = {"zeta": "ecdsa-sha2-nistp256", "alpha": "rsa-pkcs1v15-sha256", "mid": "ed25519"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PKCS#12 store of four keys and a certificate, called ``.jks`` as keytool's users do."""
    file = tmp_path_factory.mktemp("stores") / "release.jks"
    for alias, kind in ENTRIES.items():
        keystores.add_key(file, alias, kind)
    exported = file.with_name("other.crt")
    keystores.keytool("-exportcert", "-keystore", file, "-storepass", keystores.STOREPASS, "-alias", "zeta", "-file", exported)
    keystores.keytool(
        "-importcert", "-noprompt", "-keystore", file, "-storepass", keystores.STOREPASS, "-alias", "ca", "-file", exported
    )
    return file


@pytest.fixture
def storepass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPUBLISH_KEYSTORE_PASSWORD", keystores.STOREPASS)


def refused(uri: str) -> SigningError:
    with pytest.raises(SigningError) as caught:
        signer_for(uri)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("alias", SCHEMES)
@pytest.mark.usefixtures("storepass")
def test_each_entry_is_found_by_its_alias_wherever_it_stands_and_is_the_one_that_keytool_means(store: Path, alias: str) -> None:
    signer = signer_for(f"keystore:{store}?alias={alias}")
    assert signer.public_key.scheme == SCHEMES[alias]
    exported = keystores.keytool("-exportcert", "-rfc", "-keystore", store, "-storepass", keystores.STOREPASS, "-alias", alias)
    assert find_public(exported).key.keyid == signer.public_key.keyid


@pytest.mark.usefixtures("storepass")
def test_an_alias_is_compared_as_keytool_does_without_case(store: Path) -> None:
    assert (
        signer_for(f"keystore:{store}?alias=ALPHA").public_key.keyid
        == signer_for(f"keystore:{store}?alias=alpha").public_key.keyid
    )


@pytest.mark.usefixtures("storepass")
def test_a_missing_or_wrong_alias_is_answered_with_those_that_are_there(store: Path) -> None:
    for uri, problem in (
        (f"keystore:{store}", "holds 4 private keys"),
        (f"keystore:{store}?alias=no", "no private key named 'no'"),
        (f"keystore:{store}?alias=ca", "no private key named 'ca'"),
    ):
        error = refused(uri)
        assert problem in error.problem
        assert "alpha, mid, old, zeta" in error.remedy


@pytest.mark.usefixtures("storepass")
def test_an_entry_of_a_kind_that_no_phone_verifies_is_refused_and_its_neighbours_are_not(store: Path) -> None:
    assert "DSA" in refused(f"keystore:{store}?alias=old").problem


def test_a_wrong_password_is_told_as_such(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPUBLISH_KEYSTORE_PASSWORD", "not-it-92aa")
    error = refused(f"keystore:{store}?alias=zeta")
    assert "keystore password" in error.problem
    assert "is wrong" in error.problem
    assert "not-it-92aa" not in str(error)


@pytest.mark.parametrize("form", ["JKS", "JCEKS"])
def test_a_java_store_whose_keys_have_their_own_passwords(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keystores.needs_module("jks", "pyjks: pip install 'mlpublish[jks]'")
    keystores.add_key(tmp_path / "s", "first", "P-256", form=form)
    keystores.add_key(tmp_path / "s", "prod", "RSA", form=form, keypass=keystores.KEYPASS)
    monkeypatch.setenv("STORE", keystores.STOREPASS)
    monkeypatch.setenv("KEY", keystores.KEYPASS)
    monkeypatch.setenv("WRONG", "not-it-92aa")
    where = f"keystore:{tmp_path / 's'}"
    assert signer_for(f"{where}?alias=prod&storepass-env=STORE&keypass-env=KEY").public_key.keytype == "rsa"
    assert signer_for(f"{where}?alias=first&storepass-env=STORE").public_key.keytype == "ecdsa"
    assert "first, prod" in refused(f"{where}?storepass-env=STORE").remedy
    assert "keystore password" in refused(f"{where}?alias=prod&storepass-env=WRONG&keypass-env=KEY").problem
    assert "key password" in refused(f"{where}?alias=prod&storepass-env=STORE&keypass-env=WRONG").problem
    assert "MLPUBLISH_KEY_PASSPHRASE" in refused(f"{where}?alias=prod&storepass-env=STORE").remedy


FLAGS = {
    "today's": (),
    "of old (3DES, SHA-1)": ("-legacy",),
    "without a checksum": ("-nomac",),
    "keys in the clear": ("-keypbe", "NONE"),
}


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.usefixtures("storepass")
def test_a_store_that_openssl_wrote(tmp_path: Path, openssl: Openssl, flags: str) -> None:
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-out", "c", "-subj", "/CN=x", cwd=tmp_path)
    made = openssl(
        "pkcs12", "-export", "-inkey", "k", "-in", "c", "-out", "s", "-passout", f"pass:{keystores.STOREPASS}", *FLAGS[flags],
        cwd=tmp_path,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert signer_for(f"keystore:{tmp_path / 's'}?alias=1").public_key.keyid == find_public(tmp_path / "c").key.keyid


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "no keystore"),
        (b"hello", "no keystore"),
        (b"-----BEGIN PRIVATE KEY-----", "a PEM file"),
        (b"\x30\x80\x00\x00", "BER"),
        (b"\x30\x03\x02\x01\x03", "not protected by a password"),
    ],
)
@pytest.mark.usefixtures("storepass")
def test_what_is_no_keystore_is_refused(tmp_path: Path, content: bytes, named: str) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises((SigningError, FormatError)) as caught:
        signer_for(f"keystore:{tmp_path / 's'}")
    assert named in caught.value.problem
    assert "keytool" in caught.value.remedy or "file:" in caught.value.remedy


@pytest.mark.usefixtures("storepass")
def test_a_store_of_certificates_alone_cannot_sign(tmp_path: Path, store: Path) -> None:
    keystores.keytool(
        "-importcert", "-noprompt", "-keystore", tmp_path / "trust.p12", "-storetype", "PKCS12",
        "-storepass", keystores.STOREPASS, "-alias", "ca", "-file", store.with_name("other.crt"),
    )  # fmt: skip
    assert "no private key" in refused(f"keystore:{tmp_path / 'trust.p12'}").problem


@given(cut=some.integers(0, 4000), place=some.integers(0, 4000), byte=some.integers(0, 255))
def test_a_damaged_store_is_a_format_error_or_another_store_and_never_a_crash(
    store: Path, cut: int, place: int, byte: int
) -> None:
    content = bytearray(store.read_bytes())
    content[place % len(content)] = byte
    damaged = bytes(content[: len(content) - cut])
    for read in (pkcs12.key_entries, lambda each: pkcs12.password_fits(each, keystores.STOREPASS)):
        try:
            read(damaged)
        except FormatError as error:
            assert error.remedy  # noqa: PT017 - refused or read, both are right


def test_a_byte_changed_anywhere_in_the_contents_breaks_the_checksum(store: Path) -> None:
    content = bytearray(store.read_bytes())
    assert pkcs12.password_fits(bytes(content), keystores.STOREPASS) is True
    middle = len(content) // 2
    content[middle] ^= 1
    assert pkcs12.password_fits(bytes(content), keystores.STOREPASS) is False


@pytest.mark.usefixtures("storepass")
def test_a_store_that_would_be_opened_for_ever_is_refused_before(tmp_path: Path, openssl: Openssl, store: Path) -> None:
    key, place = keystores.encrypted_key("PBKDF2", pkcs12.MOST_ROUNDS + 1), tmp_path / "release.p12"
    shrouded, data = (keystores.der(0x06, bytes.fromhex(oid)) for oid in ("2a864886f70d010c0a0102", "2a864886f70d010701"))
    bags = keystores.der(0x30, keystores.der(0x30, shrouded, keystores.der(0xA0, key)))
    safe = keystores.der(0x30, keystores.der(0x30, data, keystores.der(0xA0, keystores.der(0x04, bags))))
    contents = keystores.der(0x30, data, keystores.der(0xA0, keystores.der(0x04, safe)))
    place.write_bytes(keystores.der(0x30, keystores.number(3), contents))
    assert "for ever" in refused(f"keystore:{place}").problem

    sha256 = keystores.der(0x30, keystores.der(0x06, bytes.fromhex("608648016503040201")), b"\x05\0")
    checksum = keystores.der(0x30, sha256, keystores.der(0x04, bytes(32)))
    for rounds in (pkcs12.MOST_ROUNDS + 1, 1 << 20_000):
        mac = keystores.der(0x30, checksum, keystores.der(0x04, b"saltsalt"), keystores.number(rounds))
        place.write_bytes(keystores.der(0x30, keystores.number(3), contents, mac))
        assert "for ever" in refused(f"keystore:{place}").problem


def test_a_java_store_whose_key_would_be_decrypted_for_ever_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keystores.needs_module("jks", "pyjks: pip install 'mlpublish[jks]'")
    import jks

    monkeypatch.setenv("MLPUBLISH_KEYSTORE_PASSWORD", keystores.STOREPASS)
    place = tmp_path / "release.jceks"
    keystores.add_key(place, "prod", "P-256", form="JCEKS")
    made = jks.KeyStore.load(str(place), keystores.STOREPASS, try_decrypt_keys=False)
    made.private_keys["prod"]._encrypted = keystores.encrypted_key("JCE", pkcs12.MOST_ROUNDS + 1)
    made.store_type = "jks"  # pyjks writes no JCEKS; the two differ in the first four bytes alone
    content = b"\xce\xce\xce\xce" + made.saves(keystores.STOREPASS)[4:-20]
    keyed = keystores.STOREPASS.encode("utf-16-be") + b"Mighty Aphrodite" + content
    place.write_bytes(content + hashlib.sha1(keyed).digest())
    assert "for ever" in refused(f"keystore:{place}").problem
