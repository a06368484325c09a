"""A detached signature for clients without TUF: openssl takes it, a changed byte does not pass, and memory stays small."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlpublish.errors import DigestMismatch, SigningError, StorageError, VerificationError
from mlpublish.trust.detached import sign_detached, verify_detached
from mlpublish.trust.keys import KeySigner, crypto_signer, new_key
from tests import keystores

SIGNER = crypto_signer(new_key("rsa", bits=2048))


@pytest.fixture(params=[0, 1, 100_000], ids="{} bytes".format)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    place = tmp_path / "bundle.zip"
    place.write_bytes(os.urandom(request.param))
    return place


def test_openssl_verifies_it(file: Path) -> None:
    keystores.needs("openssl", "openssl")
    (file.parent / "pub").write_text(SIGNER.public_key.keyval["public"])
    (file.parent / "sig").write_bytes(sign_detached(file, SIGNER))
    verify = ["openssl", "dgst", "-sha256", "-verify", "pub", "-signature", "sig", file.name]
    assert subprocess.run(verify, cwd=file.parent, capture_output=True).returncode == 0
    file.write_bytes(file.read_bytes() + b"\0")
    assert subprocess.run(verify, cwd=file.parent, capture_output=True).returncode != 0


def test_another_byte_another_key_or_a_cut_signature_does_not_pass(file: Path) -> None:
    signature = sign_detached(file, SIGNER)
    verify_detached(file, signature, SIGNER.public_key)
    other = crypto_signer(new_key("rsa", bits=2048)).public_key
    for wrong, key in (
        (signature[:-1], SIGNER.public_key),
        (bytes(256), SIGNER.public_key),
        (b"", SIGNER.public_key),
        (signature, other),
    ):
        with pytest.raises(DigestMismatch):
            verify_detached(file, wrong, key)
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(DigestMismatch, match=r"bundle\.zip is not what the key"):
        verify_detached(file, signature, SIGNER.public_key)


def test_what_was_read_is_verified_whatever_stands_there_by_then(file: Path) -> None:
    signature, read = sign_detached(file, SIGNER), hashlib.sha256(file.read_bytes()).digest()
    file.write_bytes(b"another")
    verify_detached(file, signature, SIGNER.public_key, digest=read)
    with pytest.raises(DigestMismatch, match=r"bundle\.zip is not what the key"):
        verify_detached(file, sign_detached(file, SIGNER), SIGNER.public_key, digest=read)


def test_it_is_rsa_and_nothing_else(file: Path) -> None:
    for kind in ("ecdsa", "ed25519"):
        signer: KeySigner = crypto_signer(new_key(kind))
        with pytest.raises(SigningError, match="a detached signature is RSA"):
            sign_detached(file, signer)
        with pytest.raises(VerificationError, match="a detached signature is RSA"):
            verify_detached(file, b"", signer.public_key)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    for act in (lambda file: sign_detached(file, SIGNER), lambda file: verify_detached(file, b"", SIGNER.public_key)):
        with pytest.raises(StorageError, match="No such file"):
            act(tmp_path / "nothing")


def test_a_file_longer_than_memory_is_signed_and_verified(tmp_path: Path) -> None:
    """1 GiB (sparse) in a process that may map 512 MiB beside what it has mapped."""
    with (tmp_path / "big").open("wb") as stream:
        stream.truncate(1 << 30)
    script = (
        "import os, resource, sys; from pathlib import Path; from mlpublish.trust import detached, keys\n"
        "signer = keys.crypto_signer(keys.new_key('rsa', bits=2048))\n"
        "limit = int(Path('/proc/self/statm').read_text().split()[0]) * os.sysconf('SC_PAGE_SIZE') + (512 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "file = Path(sys.argv[1]); detached.verify_detached(file, detached.sign_detached(file, signer), signer.public_key)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "big")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
