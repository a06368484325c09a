"""The page for iOS is true: its shell blocks run as they stand, over keys and signatures that our code made, and no others."""

from __future__ import annotations

import base64
import json
import plistlib
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical
from tuf.api.metadata import Root

from mlpublish.artifacts import App, Bundle
from mlpublish.formats.mfpclient import PIN
from mlpublish.repository.development import Development
from mlpublish.signing.sign import sign
from mlpublish.trust import keys, roles
from mlpublish.trust.signer import Signer

Blocks = Callable[[str, str], list[str]]
FILES = {"mfpclient.plist", "digits-1.zip", "digits-1.zip.sig", "1.root.json", "targets.json"}


def certificate(key: rsa.RSAPrivateKey) -> bytes:
    """A certificate that a key signs itself, as IBM's documented dummy key is one."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "WL Dev")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = (
        made.serial_number(1)
        .not_valid_before(datetime(2012, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(4750, 1, 1, tzinfo=UTC))
    )
    return made.sign(key, SHA256()).public_bytes(Encoding.DER)


def co_signed(development: Development, app: App, *more: Signer, pin: Signer) -> bytes:
    """Version 1 of the app's root, held by more keys, and co-signed by the pinned one, which it appoints to nothing."""
    root = roles.parse(development.first_root(app.id), Root, "root")
    for each in more:
        root.signed.add_key(each.public_key, "root")
    root.signatures.clear()
    return roles.signed_by(root, development.signer("root"), *more, pin).to_bytes()


@pytest.fixture(
    params=[("SPKI", 2048), ("SPKI", 3072), ("SPKI", 4096), ("certificate", 2048)], ids=lambda form: f"{form[0]}-{form[1]}"
)
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, development: Development, app: App, new_bundle: Callable[..., Bundle]
) -> Path:
    """What the page says its blocks find; everything in it was made by mlpublish, but the certificate."""
    form, bits = request.param
    private = rsa.generate_private_key(65537, bits)
    pin = keys.crypto_signer(private)
    release = sign(new_bundle(version="1"), repository=development.folder, app=app, legacy=pin, out=tmp_path / "release").folder
    place = tmp_path / "page"
    place.mkdir()
    for name in ("digits-1.zip", "digits-1.zip.sig", "targets.json"):
        (place / name).write_bytes((release / name).read_bytes())
    reviewer = keys.crypto_signer(ed25519.Ed25519PrivateKey.generate())
    (place / "1.root.json").write_bytes(co_signed(development, app, reviewer, pin=pin))
    der = certificate(private) if form == "certificate" else keys.spki_of(pin.public_key)
    with (place / "mfpclient.plist").open("wb") as file:
        plistlib.dump({"host": "update.acme.example", PIN: base64.b64encode(der).decode()}, file)
    return place


@pytest.fixture
def run(blocks: Blocks, needs: Callable[[str, str], None]) -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Runs every block of the page in a folder, as one reader would, one after the other."""
    needs("openssl", "openssl")
    script = "\n".join(blocks("ios", "sh"))
    return lambda folder: subprocess.run(
        ["sh", "-eu"], input=script, cwd=folder, check=False, capture_output=True, text=True, timeout=60
    )


def test_every_step_of_the_page_holds(folder: Path, run: Callable[[Path], subprocess.CompletedProcess[str]]) -> None:
    assert {file.name for file in folder.iterdir()} == FILES
    ran = run(folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("Verified OK") == 4
    assert "Signature Verified Successfully" in ran.stdout


def another_pin(folder: Path) -> None:
    der = keys.spki_of(keys.crypto_signer(rsa.generate_private_key(65537, 2048)).public_key)
    (folder / "mfpclient.plist").write_bytes(plistlib.dumps({PIN: base64.b64encode(der).decode()}))


def flipped(name: str, at: int) -> Callable[[Path], None]:
    def bend(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[at] ^= 1
        (folder / name).write_bytes(content)

    return bend


def replaced(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def bend(folder: Path) -> None:
        content = (folder / name).read_bytes()
        assert old in content
        (folder / name).write_bytes(content.replace(old, new))

    return bend


BENT: dict[str, Callable[[Path], None]] = {
    "another pin": another_pin,
    "the bundle": flipped("digits-1.zip", 40),
    "the detached signature": flipped("digits-1.zip.sig", 40),
    "the root": replaced("1.root.json", b'"version":1', b'"version":2'),
    "the app role": replaced("targets.json", b'"release":1', b'"release":2'),
}


@pytest.mark.parametrize("what", BENT)
@pytest.mark.parametrize("folder", [("SPKI", 2048)], indirect=True, ids=["SPKI"])
def test_a_bent_file_stops_it(folder: Path, run: Callable[[Path], subprocess.CompletedProcess[str]], what: str) -> None:
    BENT[what](folder)
    assert run(folder).returncode != 0


@pytest.mark.parametrize("kind", ["ecdsa", "ed25519", "pin"])
@pytest.mark.parametrize("folder", [("SPKI", 2048)], indirect=True, ids=["SPKI"])
def test_a_signature_of_each_kind_over_another_root_stops_it(
    folder: Path, run: Callable[[Path], subprocess.CompletedProcess[str]], kind: str
) -> None:
    root = roles.parse((folder / "1.root.json").read_bytes(), Root, "root")
    for keyid, signature in root.signatures.items():
        key = root.signed.keys.get(keyid)
        if kind == ("pin" if key is None else key.keytype):
            new = {"ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()), "ed25519": ed25519.Ed25519PrivateKey.generate}
            made = new.get(kind, lambda: rsa.generate_private_key(65537, 2048))()
            signature.signature = keys.crypto_signer(made).sign(root.signed_bytes).signature
    (folder / "1.root.json").write_bytes(root.to_bytes())
    assert run(folder).returncode != 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="session")
def canonical(blocks: Blocks) -> Callable[[Any], str]:
    """The page's own few lines of Python."""
    (found,) = re.findall(r"^(def canonical.*?)\n\n", "\n".join(blocks("ios", "sh")), re.MULTILINE | re.DOTALL)
    scope: dict[str, Any] = {"json": json}
    exec(found, scope)
    shown: Callable[[Any], str] = scope["canonical"]
    return shown


@given(value=json_values)
def test_the_pages_canonical_form_is_the_one_that_is_signed(canonical: Callable[[Any], str], value: Any) -> None:
    assert canonical(value) == encode_canonical(value)


def test_the_swift_listing_cuts_where_the_shell_does(blocks: Blocks, page: Callable[[str], str]) -> None:
    (swift,) = blocks("ios", "swift")
    shell = "\n".join(blocks("ios", "sh"))
    assert set(re.findall(r"suffix\((\d+)\)", swift)) == set(re.findall(r"tail -c (\d+)", shell)) == {"65", "32"}
    assert re.findall(r"dropFirst\((\d+)\)", swift) == ["24"]
    assert "tail -c +25" in shell
    for scheme in ("ecdsa-sha2-nistp256", "ed25519", "rsa-pkcs1v15-sha256"):
        assert f'case "{scheme}"' in swift
        assert f"| `{scheme}`" in page("ios")


def test_the_swift_listing_is_labelled_as_not_compiled(page: Callable[[str], str]) -> None:
    before = page("ios").partition("```swift")[0]
    assert before.rstrip().endswith("Not compiled by us. Read it as a description of the steps above.")
