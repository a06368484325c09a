"""What is passed through to securesystemslib: its token signer over SoftHSM stands for all, the others need their clouds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlpublish.errors import NotFound, SigningError
from mlpublish.trust.keys import new_key, public_key
from mlpublish.trust.signer import signer_for
from tests import keystores

SIGN = """
import sys
from mlpublish.trust.signer import signer_for
signer = signer_for(sys.argv[1])
signer.public_key.verify_signature(signer.sign(b"payload"), b"payload")
print(signer.public_key.keyid)
"""


def test_a_guest_signs_with_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own: securesystemslib's signer logs in each time, and a login is a process's."""
    module = keystores.token(tmp_path)
    monkeypatch.setenv("MLPUBLISH_PKCS11_PIN", keystores.PIN)
    monkeypatch.setenv("PYKCS11LIB", str(module))
    key = signer_for(f"pkcs11:token=Release;object=ec?module-path={module}").public_key
    (tmp_path / "card.pub").write_text(key.keyval["public"])
    for uri in (
        f"hsm:1?label=Release&public-key={tmp_path / 'card.pub'}",
        f"hsm:1?public-key={tmp_path / 'card.pub'}&label=Release",
    ):
        told = subprocess.run([sys.executable, "-c", SIGN, uri], capture_output=True, text=True)
        assert (told.returncode, told.stdout.strip()) == (0, key.keyid), told.stderr


@pytest.mark.parametrize("uri", ["gcpkms:projects/p/k", "azurekms://vault/keys/k/1", "hv:key/1", "tkey:"])
def test_the_public_half_must_be_named_and_a_missing_library_is_told(tmp_path: Path, uri: str) -> None:
    with pytest.raises(SigningError, match="needs the public half"):
        signer_for(uri)
    with pytest.raises(NotFound):
        signer_for(f"{uri}?public-key={tmp_path / 'none'}")
    (tmp_path / "k.pub").write_text(public_key(new_key().public_key()).keyval["public"])
    with pytest.raises(SigningError, match="securesystemslib could not sign") as caught:
        signer_for(f"{uri}?public-key={tmp_path / 'k.pub'}").sign(b"payload")
    assert "docs/keys.md" in caught.value.remedy
