"""Keys in files that a passphrase protects: where it is read from, and that a wrong one is told as such."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from mlpublish.errors import SigningError
from mlpublish.formats.pkcs12 import MOST_ROUNDS
from mlpublish.trust.keys import LONGEST, find_public, new_key
from mlpublish.trust.signer import signer_for
from tests.keystores import encrypted_key

SECRET = "correct horse é"
KEY = new_key()
FORMS = {
    "PKCS#8": (Encoding.PEM, PrivateFormat.PKCS8),
    "PKCS#8 in DER": (Encoding.DER, PrivateFormat.PKCS8),
    "traditional": (Encoding.PEM, PrivateFormat.TraditionalOpenSSL),
}


@pytest.fixture(params=FORMS)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    place = tmp_path / "locked.pem"
    place.write_bytes(KEY.private_bytes(*FORMS[request.param], BestAvailableEncryption(SECRET.encode())))
    return place


def signs(uri: str) -> bool:
    signer = signer_for(uri)
    signer.public_key.verify_signature(signer.sign(b"payload"), b"payload")
    return True


def test_the_passphrase_comes_from_a_variable_or_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parent / "secret").write_text(f"{SECRET}\n")
    assert signs(f"file:{file}?passphrase-file={file.parent / 'secret'}")
    monkeypatch.setenv("MY_SECRET", SECRET)
    assert signs(f"{file}?passphrase-env=MY_SECRET")
    monkeypatch.setenv("MLPUBLISH_KEY_PASSPHRASE", SECRET)
    assert signs(f"file:{file}")


def test_what_the_uri_names_comes_before_the_usual_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPUBLISH_KEY_PASSPHRASE", SECRET)
    monkeypatch.setenv("WRONG", "wrong")
    with pytest.raises(SigningError) as caught:
        signer_for(f"file:{file}?passphrase-env=WRONG")
    assert caught.value.field in ("passphrase", "key")  # in DER nothing says that it is encrypted
    assert "wrong" not in str(caught.value).replace("is wrong", "")


def test_without_a_passphrase_and_a_terminal_the_remedy_names_the_ways(file: Path) -> None:
    with pytest.raises(SigningError, match="no terminal") as caught:
        signer_for(f"file:{file}")
    for way in ("MLPUBLISH_KEY_PASSPHRASE", "?passphrase-env=", "?passphrase-file="):
        assert way in caught.value.remedy


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("passphrase-env=NOT_SET", "NOT_SET, which should hold the passphrase, is not set"),
        ("passphrase-file=/no/such/file", "/no/such/file, which should hold the passphrase, cannot be read"),
        ("passphrase-evn=X", "no parameter 'passphrase-evn'"),
        ("passphrase-env", "has no value"),
        ("passphrase-env=A&passphrase-env=B", "comes twice"),
    ],
)
def test_a_slip_in_the_query_is_told(file: Path, query: str, named: str) -> None:
    with pytest.raises(SigningError) as caught:
        signer_for(f"file:{file}?{query}")
    assert named in caught.value.problem


@pytest.mark.parametrize(
    "name", ["passphrase", "password", "pass", "storepass", "keypass", "pin", "pin-value", "PIN", "p%61ss"]
)
@pytest.mark.parametrize("scheme", ["file", "keystore", "pkcs11", "awskms", "hv"])
def test_a_secret_in_the_uri_is_refused_and_not_repeated(scheme: str, name: str) -> None:
    with pytest.raises(SigningError, match="holds a secret") as caught:
        signer_for(f"{scheme}:key?{name}=hunter2")
    assert "hunter2" not in str(caught.value)
    assert "-env=" in caught.value.remedy


@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_a_key_that_would_be_decrypted_for_ever_is_refused_before(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encrypted_key("PBKDF2", MOST_ROUNDS + 1)
    if form == "PEM":
        text = base64.encodebytes(content)
        content = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + text + b"-----END ENCRYPTED PRIVATE KEY-----\n"
    (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv("MLPUBLISH_KEY_PASSPHRASE", SECRET)
    with pytest.raises(SigningError, match="for ever"):
        signer_for(f"file:{tmp_path / 'key'}")


@pytest.mark.parametrize("scheme", ["file", "keystore"])
def test_a_key_is_a_regular_file_of_a_bounded_length(tmp_path: Path, scheme: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link"):
        with pytest.raises(SigningError, match="no regular file"):
            signer_for(f"{scheme}:{tmp_path / name}")
        with pytest.raises(SigningError, match="no regular file"):
            find_public(tmp_path / name)
    with (tmp_path / "long").open("wb") as stream:
        stream.truncate(1 << 40)  # bytes; a hole on disk
    with pytest.raises(SigningError, match="more than"):
        signer_for(f"{scheme}:{tmp_path / 'long'}")


def test_a_key_may_be_named_by_a_link_and_be_as_long_as_is_allowed(tmp_path: Path) -> None:
    content = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(content.ljust(LONGEST, b"\n"))
    (tmp_path / "link.pem").symlink_to("key.pem")
    assert signs(f"file:{tmp_path / 'link.pem'}")
