"""Keys in files that a passphrase protects: where it is read from, and that a wrong one is told as such."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from mlpublish.errors import SigningError
from mlpublish.trust.keys import new_key
from mlpublish.trust.signer import signer_for

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
