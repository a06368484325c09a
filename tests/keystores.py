"""Where private keys live, made for real: Java's keytool, a SoftHSM token, and a small KMS over HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_TOKENS: list[Path] = []
STOREPASS, KEYPASS, PIN = "store-secret-51f0", "key-secret-7c2e", "4321"
KINDS = {
    "P-256": ("-keyalg", "EC", "-groupname", "secp256r1"),
    "RSA": ("-keyalg", "RSA", "-keysize", "2048"),
    "Ed25519": ("-keyalg", "Ed25519"),
    "DSA": ("-keyalg", "DSA", "-keysize", "2048"),
}


def needs(program: str, package: str) -> str:
    """The program's path; without it the test is skipped, and in CI it fails."""
    found = shutil.which(program)
    if found is None:
        lacking(f"{program} (Debian: apt install {package})")
    return found


def lacking(what: str) -> NoReturn:
    """Skip a test for want of something that CI has: there it fails."""
    pytest.fail(f"needs {what}") if os.environ.get("CI") == "true" else pytest.skip(f"needs {what}")


def needs_module(name: str, extra: str) -> Any:
    """The module of an extra, which CI has."""
    return __import__(name) if os.environ.get("CI") == "true" else pytest.importorskip(name, reason=f"needs {extra}")


def keytool(*arguments: str | Path) -> str:
    """What keytool prints; it must succeed."""
    program = needs("keytool", "default-jre-headless")
    command = [program, "-J-Duser.language=en", *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def add_key(store: Path, alias: str, kind: str, *, form: str = "PKCS12", keypass: str | None = None) -> None:
    """One more key in a keystore, which keytool makes if it is not there."""
    own = ("-keypass", keypass) if keypass else ()
    keytool(
        "-genkeypair", "-keystore", store, "-storetype", form, "-storepass", STOREPASS, *own,
        "-alias", alias, "-dname", f"CN={alias}", *KINDS[kind],
    )  # fmt: skip


def token(folder: Path) -> Path:
    """A SoftHSM token named ``Release`` with an EC, an RSA, an Ed25519 and a P-384 key; one for the whole session, because a
    process reads SoftHSM's configuration once.

    Args:
        folder: where it is made, by whoever asks first.

    Returns:
        The module's path; SOFTHSM2_CONF is set.
    """
    if not _TOKENS:
        _TOKENS.append(_new_token(folder))
    return _TOKENS[0]


def _new_token(folder: Path) -> Path:
    needs_module("pkcs11", "python-pkcs11: pip install 'mlpublish[pkcs11]'")
    needs("softhsm2-util", "softhsm2"), needs("pkcs11-tool", "opensc")
    module = next(
        each
        for each in (Path("/usr/lib/softhsm/libsofthsm2.so"), *Path("/usr/lib").glob("*/softhsm/libsofthsm2.so"))
        if each.is_file()
    )
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    init = ("softhsm2-util", "--init-token", "--free", "--label", "Release", "--so-pin", "12345678", "--pin", PIN)
    subprocess.run(init, check=True, capture_output=True)
    kinds = {"ec": "EC:prime256v1", "rsa": "rsa:2048", "ed": "EC:edwards25519", "wide": "EC:secp384r1"}
    for number, (label, kind) in enumerate(kinds.items(), 1):
        subprocess.run(
            ("pkcs11-tool", "--module", module, "--login", "--pin", PIN, "--token-label", "Release",
             "--keypairgen", "--key-type", kind, "--label", label, "--id", f"{number:02x}"),
            check=True, capture_output=True,
        )  # fmt: skip
    return module


@dataclass
class Kms:
    """AWS KMS as far as signing goes (GetPublicKey, Sign), by its documentation; ``wrong`` makes it answer for other bytes."""

    key: EllipticCurvePrivateKey | RSAPrivateKey
    url: str = ""
    wrong: bool = False
    asked: list[str] = field(default_factory=list)  # the MessageType of each Sign

    def answer(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        elliptic = isinstance(self.key, EllipticCurvePrivateKey)
        algorithm = "ECDSA_SHA_256" if elliptic else "RSASSA_PKCS1_V1_5_SHA_256"
        if action == "GetPublicKey":
            spki = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return {"KeyId": body["KeyId"], "PublicKey": base64.b64encode(spki).decode(), "SigningAlgorithms": [algorithm]}
        assert (action, body["SigningAlgorithm"]) == ("Sign", algorithm)
        self.asked.append(body["MessageType"])
        message = base64.b64decode(body["Message"])
        assert len(message) <= 4096
        digest = message if body["MessageType"] == "DIGEST" else hashlib.sha256(message).digest()
        digest = bytes(32) if self.wrong else digest
        raw = (
            self.key.sign(digest, ECDSA(Prehashed(SHA256())))
            if isinstance(self.key, EllipticCurvePrivateKey)
            else self.key.sign(digest, PKCS1v15(), Prehashed(SHA256()))
        )
        return {"KeyId": body["KeyId"], "Signature": base64.b64encode(raw).decode(), "SigningAlgorithm": algorithm}


@contextmanager
def kms(key: EllipticCurvePrivateKey | RSAPrivateKey) -> Iterator[Kms]:
    """A KMS that holds one key, on a free port of this machine; AWS_ENDPOINT_URL_KMS should be its URL."""
    served = Kms(key)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps(served.answer(self.headers["X-Amz-Target"].removeprefix("TrentService."), body)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Silent: stderr is the test's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def der(tag: int, *parts: bytes) -> bytes:
    """One DER value (X.690, §8.1)."""
    content = b"".join(parts)
    length = len(content).to_bytes(4).lstrip(b"\0") or b"\0"
    return bytes([tag]) + (length if length < b"\x80" and len(length) == 1 else bytes([0x80 + len(length)]) + length) + content


def number(value: int) -> bytes:
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1))


def encrypted_key(derivation: str, *numbers: int) -> bytes:
    """An EncryptedPrivateKeyInfo (RFC 8018, §A) whose password is hashed as often as these numbers say; nothing is in it."""
    oids = {"PBES2": "2a864886f70d01050d", "PBKDF2": "2a864886f70d01050c", "scrypt": "2b06010401da47040b"}
    oids |= {"AES": "60864801650304012a", "3DES": "2a864886f70d010c0103", "JCE": "2b060104012a021301"}
    oid = {name: der(0x06, bytes.fromhex(text)) for name, text in oids.items()}
    derived = der(0x30, der(0x04, b"saltsalt"), *map(number, numbers))
    if derivation in ("3DES", "JCE"):
        algorithm = der(0x30, oid[derivation], derived)
    else:
        cipher = der(0x30, oid["AES"], der(0x04, bytes(16)))
        algorithm = der(0x30, oid["PBES2"], der(0x30, der(0x30, oid[derivation], derived), cipher))
    return der(0x30, algorithm, der(0x04, bytes(64)))
