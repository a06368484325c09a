"""The stock verifier of OpenSSF Model Signing, unmodified, and openssl against the ``model.sig`` that we write."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpublish.artifacts import Release
from mlpublish.errors import DigestMismatch, VerificationError
from mlpublish.formats.archive import Archive
from mlpublish.formats.wire import digest_of
from mlpublish.repository.development import Development
from mlpublish.trust.keys import crypto_signer, new_key
from mlpublish.trust.model_signature import contents_of, name_of, verify_model_signature
from tests import keystores


class Stock:
    """``model_signing`` as its users run it.

    Args:
        key: the public key, in PEM.
        signature: the ``model.sig``.
    """

    def __init__(self, key: Path, signature: Path) -> None:
        keystores.needs_module("model_signing", "the test extra")
        self.key, self.signature = key, signature

    def verify(self, model: Path) -> tuple[bool, str]:
        """Whether it takes a folder, and what it says."""
        return self.run("verify", "key", model, "--signature", self.signature, "--public_key", self.key)

    def run(self, *arguments: str | Path) -> tuple[bool, str]:
        command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def release(new_release: Callable[..., Release]) -> Release:
    return new_release(b"weights")


@pytest.fixture
def unpacked(release: Release, tmp_path: Path) -> Path:
    """The bundle's files in a folder of any name."""
    with release.bundle.path.open("rb") as stream:
        Archive.read(stream).unpack(tmp_path / "called-anything")
    return tmp_path / "called-anything"


@pytest.fixture
def stock(release: Release, development: Development, tmp_path: Path) -> Stock:
    key = tmp_path / "key.pem"
    key.write_text(str(development.signer("targets").public_key.keyval["public"]))
    return Stock(key, release.folder / "model.sig")


def ours(release: Release, development: Development, model: Path) -> str:
    """The same look by us: every file of a folder."""
    files = (file for file in model.rglob("*") if file.is_file())
    contents = {file.relative_to(model).as_posix(): digest_of(file.read_bytes()) for file in files}
    keys = [development.signer("targets").public_key]
    return verify_model_signature(
        (release.folder / "model.sig").read_bytes(), contents, keys, name=name_of(release.bundle)
    ).keyid


def test_it_takes_ours_over_the_unpacked_bundle_wherever_it_lies(
    release: Release, development: Development, stock: Stock, unpacked: Path
) -> None:
    assert stock.verify(unpacked) == (True, "Verification succeeded\n")
    assert ours(release, development, unpacked) == release.model_signed_by
    (inside := unpacked / "model.sig").write_bytes(stock.signature.read_bytes())
    stock.signature = inside  # where it would lie by that tool's own custom
    assert stock.verify(unpacked)[0]


ALTERED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "altered": (lambda model: (model / "manifest.json").write_bytes(b"{}"), "Hash mismatch", r"manifest\.json .* is altered"),
    "missing": (lambda model: (model / "manifest.json").unlink(), "Missing files", r"manifest\.json .* is missing"),
    "added": (lambda model: (model / "more.bin").touch(), "Extra files", r"more\.bin .* is not listed"),
}


@pytest.mark.parametrize("how", ALTERED)
def test_it_refuses_what_we_refuse(release: Release, development: Development, stock: Stock, unpacked: Path, how: str) -> None:
    alter, theirs, said_by_us = ALTERED[how]
    alter(unpacked)
    taken, said = stock.verify(unpacked)
    assert not taken
    assert theirs in said
    with pytest.raises(DigestMismatch, match=said_by_us):
        ours(release, development, unpacked)


def test_another_key_is_refused_by_both(release: Release, stock: Stock, unpacked: Path) -> None:
    other = crypto_signer(new_key()).public_key
    stock.key.write_text(str(other.keyval["public"]))
    taken, said = stock.verify(unpacked)
    assert not taken
    assert "Key mismatch" in said
    with pytest.raises(VerificationError, match="not signed by a key that is trusted"):
        verify_model_signature(stock.signature.read_bytes(), contents_of(release.bundle), [other], name=name_of(release.bundle))


@pytest.mark.parametrize("smuggled", [".github/w.bin", ".git/hooks/post-checkout", ".gitattributes"])
def test_what_it_passes_over_in_silence_we_refuse(
    release: Release, development: Development, stock: Stock, unpacked: Path, smuggled: str
) -> None:
    file = unpacked / smuggled
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"weights of somebody else")
    assert stock.verify(unpacked)[0], "model_signing looks at these files now: say so in docs/security.md"
    with pytest.raises(DigestMismatch, match=rf"{smuggled} of the bundle is not listed in it"):
        ours(release, development, unpacked)


def test_what_it_signs_itself_leaves_those_out_and_is_refused(
    release: Release, development: Development, stock: Stock, unpacked: Path, tmp_path: Path
) -> None:
    """The document is ours member by member, but for the paths that it says nobody needs to look at."""
    theirs = tmp_path / "theirs.sig"
    named = unpacked.rename(unpacked.with_name(name_of(release.bundle)))  # it calls a model as its folder is called
    key = development.folder / "keys" / "targets.pem"
    assert stock.run("sign", "key", named, "--private_key", key, "--signature", theirs)[0]
    keys = [development.signer("targets").public_key]
    with pytest.raises(VerificationError, match=r"predicate\.serialization\.ignore_paths is \['\.git"):
        verify_model_signature(theirs.read_bytes(), contents_of(release.bundle), keys, name=named.name)


def test_openssl_verifies_the_envelope(release: Release, stock: Stock, tmp_path: Path) -> None:
    keystores.needs("openssl", "openssl")
    envelope = json.loads(stock.signature.read_bytes())["dsseEnvelope"]
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    pae = b" ".join([b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload])
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    (tmp_path / "key.pem").write_bytes(stock.key.read_bytes())
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "sig", "pae"]
    for content, wanted in ((pae, 0), (pae + b" ", 1)):
        (tmp_path / "pae").write_bytes(content)
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == wanted
