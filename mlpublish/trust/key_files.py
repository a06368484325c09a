"""Key files that are made here: a private key as ``.pem`` or ``.p12``, its public half beside it, and a pin in an app's
configuration. What stands is never replaced, and nothing half-written stays.
"""

from __future__ import annotations

import base64
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from securesystemslib.signer import SSlibKey

from mlpublish.errors import FormatError, NotFound, SigningError, StorageError
from mlpublish.formats import mfpclient
from mlpublish.storage.in_folder import create_private, flush_folder
from mlpublish.trust.keys import KeySigner, PrivateKey, crypto_key, public_key, spki_of
from mlpublish.trust.signer import Signer

PEM, KEYSTORE = ".pem", ".p12"
_NO_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280, §4.1.2.5: a certificate without a planned end


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """A key that was written.

    Args:
        uri: the key URI to sign with.
    """

    private: Path
    public: Path
    key: SSlibKey
    uri: str


def check_place(place: Path) -> None:
    """See that a key can be written to a place, before anybody types a passphrase.

    Raises:
        SigningError: its ending is neither ``.pem`` nor ``.p12``, or it or its public half stands already.
        NotFound: its folder is not there.
    """
    if place.suffix not in (PEM, KEYSTORE):
        raise SigningError(f"{place} says no format.", remedy="Name a file that ends in .pem or .p12.", field="file")
    if not place.parent.is_dir():
        raise NotFound(f"There is no folder {place.parent}.", remedy="Make it, for you alone: mkdir -m 700.", field="file")
    for each in (place, _public_place(place)):
        if each.exists() or each.is_symlink():
            raise _stands(each)


def write_key(place: Path, key: PrivateKey, *, passphrase: str | None, alias: str) -> KeyFiles:
    """Write a private key that only its owner can read, and ``.pub`` (SPKI in PEM) beside it.

    Args:
        place: ``F.pem`` (PKCS#8) or ``F.p12`` (PKCS#12 with a certificate that the key signs itself, as keytool wants one).
        passphrase: None writes it unencrypted, which ``.p12`` does not allow.
        alias: the entry's name in a ``.p12``.

    Raises:
        SigningError: see ``check_place``; or a ``.p12`` without a passphrase.
        StorageError: the disk refused; then neither file is there.
    """
    check_place(place)
    content = _pem(key, passphrase) if place.suffix == PEM else _keystore(key, passphrase, alias)
    public, half = public_key(key.public_key()), _public_place(place)
    try:
        if not create_private(place, content):
            raise _stands(place)
        try:
            create_private(half, crypto_key(public).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
            half.chmod(0o644)
        except OSError:
            place.unlink()
            raise
    except OSError as exc:
        raise StorageError(f"{place} cannot be written: {exc.strerror}.", remedy="Check the folder.", field="file") from exc
    uri = f"file:{place}" if place.suffix == PEM else f"keystore:{place}?alias={quote(alias)}"
    return KeyFiles(private=place, public=half, key=public, uri=uri)


def exportable(signer: Signer) -> PrivateKey:
    """The private key that a signer holds in memory.

    Raises:
        SigningError: it holds none: the key never leaves its token or cloud.
    """
    if isinstance(signer, KeySigner):
        return signer.private_key
    raise SigningError(
        "This key never leaves the place where it is.", remedy="Sign with its URI as it is; it needs no import.", field="key"
    )


def with_pin(content: bytes, name: str, key: SSlibKey) -> bytes:
    """An mfpclient file's content with a key as its pin, everything else as it was.

    Args:
        name: the file's.

    Raises:
        SigningError: the key is not RSA, which is all that the predecessor's client verifies.
        FormatError: it is no mfpclient file, or the value cannot be set.
    """
    if key.keytype != "rsa":
        raise SigningError(
            f"The predecessor's client verifies RSA only; this key is {key.keytype}.",
            remedy="Export the RSA key that co-signs 1.root.json.",
            field="key",
        )
    kind = mfpclient.kind_of(content, name)
    if kind is None:
        raise FormatError(
            f"{name} is neither a property list nor a properties file.",
            remedy="Name the app's mfpclient.plist or mfpclient.properties.",
            field="file",
        )
    return mfpclient.with_value(content, kind, mfpclient.PIN, base64.b64encode(spki_of(key)).decode())


def replace_in_place(file: Path, content: bytes) -> None:
    """Replace a file's content in one step; its permissions stay, and a link keeps pointing to it.

    Raises:
        StorageError: the disk refused; the file is as it was.
    """
    place = file.resolve()
    written = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        mode = place.stat().st_mode & 0o7777
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        written.replace(place)
        flush_folder(place.parent)
    except OSError as exc:
        written.unlink(missing_ok=True)
        raise StorageError(f"{file} cannot be written: {exc.strerror}.", remedy="Check the folder.", field="file") from exc


def _public_place(place: Path) -> Path:
    return place.with_suffix(".pub")


def _stands(place: Path) -> SigningError:
    return SigningError(
        f"{place} stands already; a key is never replaced.", remedy="Name another file, or move that one.", field="file"
    )


def _pem(key: PrivateKey, passphrase: str | None) -> bytes:
    hidden = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)


def _keystore(key: PrivateKey, passphrase: str | None, alias: str) -> bytes:
    if passphrase is None:
        raise SigningError(
            "A .p12 keystore has a password: keytool opens none without.",
            remedy="Give one, or write a .pem.",
            field="passphrase",
        )
    hidden = BestAvailableEncryption(passphrase.encode())
    return pkcs12.serialize_key_and_certificates(alias.encode(), key, _certificate(key, alias), None, hidden)


def _certificate(key: PrivateKey, alias: str) -> x509.Certificate:
    """A certificate that the key signs itself; nobody verifies by it."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, alias)])
    made = x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
    lasting = made.serial_number(x509.random_serial_number()).not_valid_before(datetime.now(UTC)).not_valid_after(_NO_END)
    return lasting.sign(key, None if isinstance(key, Ed25519PrivateKey) else SHA256())
