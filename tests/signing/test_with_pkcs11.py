"""A token by SoftHSM: found by RFC 7512's attributes, opened by PIN, and what is wrong is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlpublish.errors import MlpublishError, SigningError
from mlpublish.trust.keys import spki_of
from mlpublish.trust.signer import signer_for
from tests import keystores

ON = "pkcs11:token=Release"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keystores.token(tmp_path_factory.mktemp("token"))


@pytest.fixture(autouse=True)
def settled(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPUBLISH_PKCS11_MODULE", str(module))
    monkeypatch.setenv("MLPUBLISH_PKCS11_PIN", keystores.PIN)


def refused(uri: str) -> SigningError:
    with pytest.raises(SigningError) as caught:
        signer_for(uri)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    "path", ["token=Release;object=ec", "token=Release;id=%01", "object=ec;type=private", "token=%52elease;object=e%63"]
)
def test_a_key_is_found_by_label_or_id(path: str) -> None:
    signer = signer_for(f"pkcs11:{path}")
    assert signer.public_key.scheme == "ecdsa-sha2-nistp256"


def test_the_public_half_is_the_one_that_opensc_reads_from_the_token(module: Path, tmp_path: Path) -> None:
    for label, number in (("ec", "01"), ("rsa", "02")):
        command = ("pkcs11-tool", "--module", module, "--token-label", "Release", "--read-object", "--type", "pubkey",
                   "--id", number, "-o", tmp_path / label)  # fmt: skip
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
        assert spki_of(signer_for(f"{ON};object={label}").public_key) == (tmp_path / label).read_bytes()


def test_the_public_half_may_be_given_and_must_be_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "ec.pub").write_text(signer_for(f"{ON};object=ec").public_key.keyval["public"])
    signer_for(f"{ON};object=ec?public-key={tmp_path / 'ec.pub'}").sign(b"payload")
    other = signer_for(f"pkcs11:object=rsa?public-key={tmp_path / 'ec.pub'}")
    with pytest.raises(SigningError):
        other.sign(b"payload")


def test_the_pin_comes_from_a_file_or_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLPUBLISH_PKCS11_PIN")
    (tmp_path / "pin").write_text(f"{keystores.PIN}\n")
    monkeypatch.setenv("MY_PIN", keystores.PIN)
    for source in (f"pin-source={tmp_path / 'pin'}", f"pin-source=file:{tmp_path / 'pin'}", "pin-env=MY_PIN"):
        signer_for(f"{ON};object=ec?{source}").sign(b"payload")
    assert "no terminal" in refused(f"{ON};object=ec").problem


def test_a_passphrase_is_never_tried_as_a_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLPUBLISH_PKCS11_PIN")
    monkeypatch.setenv("MLPUBLISH_KEY_PASSPHRASE", keystores.PIN)
    assert "PIN of" in refused(f"{ON};object=ec").problem


def test_a_wrong_pin_is_told_with_the_warning_that_tokens_lock(module: Path) -> None:
    """In a process of its own: here the token is open already, and a login is a process's."""
    script = (
        "import os; from mlpublish.trust.signer import signer_for; from mlpublish.errors import SigningError\n"
        "os.environ['MLPUBLISH_PKCS11_PIN'] = '9999'\n"
        f"try: signer_for('{ON};object=ec')\n"
        "except SigningError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert "PIN of the token 'Release' is wrong" in told.stdout
    assert "locks itself" in told.stdout
    assert "9999" not in told.stdout + told.stderr


@pytest.mark.parametrize(
    ("uri", "problem", "remedy"),
    [
        (f"{ON};object=none", "No private key", "object=ec (id=%01)"),
        (ON, "Several private keys", "object=rsa (id=%02)"),
        ("pkcs11:token=Other;object=ec", "No token fits", "token=Release"),
        ("pkcs11:token=Release;serial=00;object=ec", "No token fits", "serial="),
        (f"{ON};object=wide", "384 bits", "P-256"),
        (f"{ON};objekt=ec", "'objekt'", "object"),
        (f"{ON};object=ec?module-path=/no/such.so", "no PKCS#11 module /no/such.so", "shared library"),
        (f"{ON};object=ec?module-path={__file__}", "cannot be used", "PKCS#11 library"),
        (f"{ON};object=ec?public-key=/no/such.pub", "There is no key", "Check the path"),
    ],
)
def test_what_is_wrong_is_told_with_what_is_there(uri: str, problem: str, remedy: str) -> None:
    with pytest.raises(MlpublishError) as caught:
        signer_for(uri)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_without_a_module_the_remedy_names_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLPUBLISH_PKCS11_MODULE")
    error = refused(f"{ON};object=ec")
    assert "module-path" in error.remedy
    assert "MLPUBLISH_PKCS11_MODULE" in error.remedy
