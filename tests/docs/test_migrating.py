"""The way over from MobileFirst is walked as the page tells it, from a keystore that keytool made; all statuses are there."""

from __future__ import annotations

import base64
import os
import plistlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mlpublish.artifacts import Bundle
from mlpublish.checking.app_config import AppConfig
from mlpublish.formats.mfpclient import PIN
from mlpublish.formats.status import UpdateStatus
from tests import keystores

Keytool = Callable[..., bytes]
SECRETS = {"MLPUBLISH_KEYSTORE_PASSWORD": "store-password", "MLPUBLISH_KEY_PASSPHRASE": "a long passphrase"}


@pytest.fixture
def keytool(needs: Callable[[str, str], None]) -> Keytool:
    """Runs keytool on a store with the password of SECRETS."""
    needs("keytool", "default-jre-headless")

    def run(command: str, store: Path, alias: str, *more: str) -> bytes:
        words = [command, "-keystore", store, "-storepass", SECRETS["MLPUBLISH_KEYSTORE_PASSWORD"], "-alias", alias, *more]
        return subprocess.run(["keytool", *map(str, words)], check=True, capture_output=True, timeout=120).stdout

    return run


@pytest.fixture
def folder(tmp_path: Path, keytool: Keytool, new_bundle: Callable[..., Bundle]) -> Path:
    """What the page says the folder holds; the wanted key is not the first of its store."""
    place = tmp_path / "page"
    bundle = new_bundle(version="1", out=place / "digits-1.zip")
    assert bundle.path == place / "digits-1.zip"
    new = ("-keyalg", "RSA", "-keysize", "2048", "-storetype", "JKS", "-keypass", SECRETS["MLPUBLISH_KEYSTORE_PASSWORD"])
    for alias in ("other", "prod"):
        keytool("-genkeypair", place / "mfp.jks", alias, *new, "-dname", f"CN={alias}")
    certificate = x509.load_der_x509_certificate(keytool("-exportcert", place / "mfp.jks", "prod"))
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    (place / "mfpclient.plist").write_bytes(plistlib.dumps({"host": "acme.example", PIN: base64.b64encode(spki).decode()}))
    return place


def test_the_way_over_is_walked_as_it_is_told(folder: Path, blocks: Callable[[str, str], list[str]]) -> None:
    keystores.needs_module("jks", "pyjks: pip install 'mlpublish[jks]'")
    tools = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    script = "\n".join(blocks("migrating-from-mobilefirst", "sh"))
    ran = subprocess.run(
        ["sh", "-eu"], input=script, cwd=folder, env=os.environ | tools | SECRETS, check=False, capture_output=True, text=True
    )
    progress = re.compile(r"^(?:DOWNLOAD|UNZIP)_IN_PROGRESS: .*\n", re.MULTILINE)
    assert (ran.returncode, progress.sub("", ran.stderr)) == (0, "")
    assert "mfpclient.plist holds this pin already." in ran.stdout
    assert re.search(r"^must anybody act +no$", ran.stdout, re.MULTILINE)
    assert re.findall(r"^status +(\w+)$", ran.stdout, re.MULTILINE) == ["SUCCESS"] * 3
    assert re.findall(r"^installed +(\w+)$", ran.stdout, re.MULTILINE) == ["1"] * 3
    assert re.findall(r"^reason +(\w+)$", ran.stdout, re.MULTILINE) == ["already_installed"]
    assert (folder / "release" / "digits-1.zip.sig").stat().st_size == 256
    assert not [secret for secret in SECRETS.values() if secret in ran.stdout]


def test_every_status_stands_beside_what_it_was(page: Callable[[str], str]) -> None:
    rows = re.findall(r"^\| ([A-Z_]+) \|", page("migrating-from-mobilefirst"), re.MULTILINE)
    assert rows == [status.value for status in UpdateStatus]


def test_what_is_not_here_yet_is_said_at_the_top(page: Callable[[str], str]) -> None:
    first = page("migrating-from-mobilefirst").partition("## ")[0]
    assert "**Not here yet**" in first
    for missing in ("MobileFirst server", "console"):
        assert missing in first


def test_every_key_that_the_page_names_is_read(page: Callable[[str], str], tmp_path: Path) -> None:
    table = page("migrating-from-mobilefirst").partition("## The app's address")[2]
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`|the same) \|", table, re.MULTILINE)
    values = {"protocol": "https", "host": "a.example", "port": "8443", "wlServerContext": "/mfp/", PIN: "x"}
    assert [ios for ios, _ in rows] == list(values)
    (tmp_path / "mfpclient.plist").write_bytes(plistlib.dumps(values))
    android = {other or ios: values[ios] for ios, other in rows}
    (tmp_path / "mfpclient.properties").write_text("".join(f"{key}={value}\n" for key, value in android.items()))
    for name in ("mfpclient.plist", "mfpclient.properties"):
        assert AppConfig.read(tmp_path / name) == AppConfig(at="https://a.example:8443/mfp", pin="x")
