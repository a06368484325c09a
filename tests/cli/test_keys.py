"""``mlpublish keys``: new, import, show and export-plist, judged by openssl and keytool."""

from __future__ import annotations

import base64
import plistlib
import subprocess
from pathlib import Path

import pytest

from mlpublish.formats.mfpclient import PIN
from tests import keystores

SECRET = "a-passphrase-1f2e"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", SECRET)


def openssl(*arguments: object) -> subprocess.CompletedProcess[str]:
    keystores.needs("openssl", "openssl")
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)


KINDS = [("ecdsa", "ECDSA P-256"), ("ed25519", "Ed25519"), ("rsa", "RSA 3072")]


@pytest.mark.parametrize(("kind", "called"), KINDS, ids=[kind for kind, _ in KINDS])
def test_a_new_pem_is_encrypted_its_owners_alone_and_signs(cli, here, monkeypatch, kind, called):
    made = cli("keys", "new", "k.pem", "--type", kind, "--passphrase-env", "SECRET", "--json").result
    assert (made["type"], made["uri"], made["private"], made["public"]) == (called, "file:k.pem", "k.pem", "k.pub")
    assert (here / "k.pem").stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in (here / "k.pem").read_bytes()
    monkeypatch.setenv("MLPUBLISH_KEY_PASSPHRASE", SECRET)
    for what in (made["uri"], "k.pub"):
        assert cli("keys", "show", what, "--json").result["keyid"] == made["keyid"]
    assert openssl("pkey", "-in", "k.pem", "-passin", f"pass:{SECRET}", "-pubout").stdout == (here / "k.pub").read_text()


@pytest.mark.parametrize(("kind", "called"), KINDS, ids=[kind for kind, _ in KINDS])
def test_a_new_keystore_is_read_by_keytool(cli, here, monkeypatch, kind, called):
    made = cli("keys", "new", "k.p12", "--type", kind, "--alias", "prod key", "--passphrase-env", "SECRET", "--json").result
    assert made["uri"] == "keystore:k.p12?alias=prod%20key"
    told = keystores.keytool("-list", "-v", "-keystore", here / "k.p12", "-storepass", SECRET)
    assert "Alias name: prod key" in told
    assert "PrivateKeyEntry" in told
    exported = keystores.keytool("-exportcert", "-rfc", "-keystore", here / "k.p12", "-storepass", SECRET, "-alias", "prod key")
    monkeypatch.setenv("MLPUBLISH_KEYSTORE_PASSWORD", SECRET)
    (here / "k.crt").write_text(exported)
    for what in (made["uri"], "k.crt"):
        assert cli("keys", "show", what, "--json").result["keyid"] == made["keyid"]


def test_a_key_is_never_replaced_and_neither_is_a_public_half(cli, here):
    cli("keys", "new", "k.pem", "--no-passphrase")
    before = (here / "k.pem").read_bytes(), (here / "k.pub").read_bytes()
    for place in ("k.pem", "k.p12"):  # k.p12 is not there, but its k.pub is
        assert "stands already" in cli("keys", "new", place, "--no-passphrase").line
    assert ((here / "k.pem").read_bytes(), (here / "k.pub").read_bytes()) == before
    assert sorted(each.name for each in here.iterdir()) == ["k.pem", "k.pub"]


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("k.txt", "--no-passphrase"), 1, ".pem or .p12"),
        (("none/k.pem", "--no-passphrase"), 6, "no folder none"),
        (("k.pem", "--type", "dsa", "--no-passphrase"), 1, "ecdsa, ed25519"),
        (("k.pem", "--type", "rsa", "--bits", 1024, "--no-passphrase"), 1, "2048 to 8192"),
        (("k.p12", "--no-passphrase"), 1, "has a password"),
        (("k.pem",), 1, "--passphrase-env"),
        (("k.pem", "--passphrase-env", "NOT_SET"), 1, "NOT_SET"),
        (("k.pem", "--passphrase-file", "/dev/null"), 1, "empty passphrase"),
        (("k.pem", "--no-passphrase", "--passphrase-env", "SECRET"), 2, "nothing to read"),
    ],
)
def test_what_cannot_be_made_is_told_and_leaves_nothing(shell, here, arguments, code, named):
    ran = shell("keys", "new", *arguments)
    assert ran.code == code
    assert named in ran.err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("out", ["new.pem", "new.p12"])
def test_a_key_is_imported_from_an_old_keystore(cli, here, monkeypatch, out):
    keystores.needs_module("jks", "pyjks: pip install 'mlpublish[jks]'")
    keystores.add_key(here / "old.jks", "other", "RSA", form="JKS")
    keystores.add_key(here / "old.jks", "prod", "RSA", form="JKS", keypass=keystores.KEYPASS)
    monkeypatch.setenv("STORE", keystores.STOREPASS)
    monkeypatch.setenv("KEY", keystores.KEYPASS)
    source = "keystore:old.jks?alias=prod&storepass-env=STORE&keypass-env=KEY"
    made = cli("keys", "import", source, "-o", out, "--passphrase-env", "SECRET", "--json").result
    assert made["keyid"] == cli("keys", "show", source, "--json").result["keyid"]
    monkeypatch.setenv("MLPUBLISH_KEY_PASSPHRASE", SECRET)
    monkeypatch.setenv("MLPUBLISH_KEYSTORE_PASSWORD", SECRET)
    assert cli("keys", "show", made["uri"], "--json").result["keyid"] == made["keyid"]


def test_a_key_that_never_leaves_its_token_is_not_imported(cli, here, tmp_path_factory, monkeypatch):
    module = keystores.token(tmp_path_factory.mktemp("token"))
    monkeypatch.setenv("MLPUBLISH_PKCS11_PIN", keystores.PIN)
    ran = cli("keys", "import", f"pkcs11:token=Release;object=rsa?module-path={module}", "-o", "k.pem", "--no-passphrase")
    assert (ran.code, list(here.iterdir())) == (1, [])
    assert "never leaves" in ran.line


def test_show_tells_the_public_half_and_no_private_part(cli, here):
    made = cli("keys", "new", "k.pem", "--no-passphrase", "--json").result
    ran = cli("keys", "show", "file:k.pem")
    spki = base64.b64encode(keys_der(here / "k.pub")).decode()
    assert {made["keyid"], spki, "ECDSA", "ecdsa-sha2-nistp256"} <= set(ran.out.split())
    body = "".join((here / "k.pem").read_text().splitlines()[1:-1])
    assert not [body[start : start + 20] for start in range(40, len(body) - 60, 20) if body[start : start + 20] in ran.out]
    digest = openssl("dgst", "-sha256", "-r", "k.der").stdout.split()[0]
    assert digest in ran.out.split()


def keys_der(public: Path) -> bytes:
    openssl("pkey", "-pubin", "-in", public, "-outform", "DER", "-out", public.with_suffix(".der"))
    return public.with_suffix(".der").read_bytes()


PLIST = b"""<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0">
<dict>
\t<key>host</key>
\t<string>mobile.example</string>
\t<!-- secure updates -->
\t<key>wlSecureModelUpdatePublicKey</key>
\t<string>OLD</string>
</dict>
</plist>
"""
PROPERTIES = b"# caf\xe9\r\nwlServerHost = mobile.example\r\n"


@pytest.fixture
def pin(cli, here) -> str:
    """The base64 text of ``rsa.pub``."""
    cli("keys", "new", "rsa.pem", "--type", "rsa", "--bits", 2048, "--no-passphrase")
    return base64.b64encode(keys_der(here / "rsa.pub")).decode()


def test_a_pin_is_written_into_a_plist_and_shown_as_a_difference(cli, here, pin):
    (here / "mfpclient.plist").write_bytes(PLIST)
    (here / "mfpclient.plist").chmod(0o640)
    dry = cli("keys", "export-plist", "rsa.pub", "mfpclient.plist", "--dry-run")
    assert (here / "mfpclient.plist").read_bytes() == PLIST
    ran = cli("keys", "export-plist", "rsa.pub", "mfpclient.plist")
    assert (ran.code, ran.out) == (0, dry.out)
    assert [line for line in ran.out.splitlines() if line[:2] in ("-\t", "+\t")] == []
    assert f"+ <string>{pin}</string>" in ran.out
    assert (here / "mfpclient.plist").read_bytes() == PLIST.replace(b"OLD", pin.encode())
    assert (here / "mfpclient.plist").stat().st_mode & 0o777 == 0o640
    again = cli("keys", "export-plist", "rsa.pub", "mfpclient.plist", "--json").result
    assert (again["changed"], again["written"]) == (False, False)
    assert cli("keys", "show", "mfpclient.plist", "--json").result["form"] == "public key in a XML plist"


def test_a_pin_is_written_into_properties_and_a_binary_plist_through_a_link(cli, here, pin):
    (here / "mfpclient.properties").write_bytes(PROPERTIES)
    (here / "real.plist").write_bytes(plistlib.dumps({"host": "h", "port": 1}, fmt=plistlib.FMT_BINARY, sort_keys=False))
    (here / "mfpclient.plist").symlink_to("real.plist")
    for file in ("mfpclient.properties", "mfpclient.plist"):
        assert f"+{PIN} = {pin}" in cli("keys", "export-plist", "file:rsa.pem", file).out.splitlines()
    assert (here / "mfpclient.properties").read_bytes() == PROPERTIES + f"{PIN} = {pin}\r\n".encode()
    assert (here / "mfpclient.plist").is_symlink()
    assert plistlib.loads((here / "real.plist").read_bytes()) == {"host": "h", "port": 1, PIN: pin}


@pytest.mark.parametrize(
    ("key", "content", "code", "named"),
    [
        ("ec.pub", PLIST, 1, "RSA only"),
        ("none.pub", PLIST, 6, "no key none.pub"),
        ("rsa.pub", b"<plist><dict>", 1, "no property list"),
        ("rsa.pub", b"hello", 1, "neither a property list nor"),
        ("rsa.pub", None, 6, "cannot be read"),
    ],
)
@pytest.mark.usefixtures("pin")
def test_what_cannot_be_exported_is_told_and_changes_nothing(cli, here, key, content, code, named):
    cli("keys", "new", "ec.pem", "--no-passphrase")
    if content is not None:
        (here / "mfpclient").write_bytes(content)
    ran = cli("keys", "export-plist", key, "mfpclient")
    assert ran.code == code
    assert named in ran.line
    assert content is None or (here / "mfpclient").read_bytes() == content
    assert [each.name for each in here.iterdir() if each.name.startswith(".")] == []
