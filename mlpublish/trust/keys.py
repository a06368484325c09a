"""Which keys are taken, and how a public key is read.

A phone verifies with system frameworks ECDSA P-256 (the default), Ed25519 and RSA PKCS#1 v1.5 with SHA-256; so others are
refused by name (docs/keys.md; Apple: Security ``SecKeyAlgorithm``, CryptoKit).
"""

from __future__ import annotations

import base64
import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)
from cryptography.x509 import load_der_x509_certificate
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from mlpublish.errors import NotFound, SigningError
from mlpublish.formats import mfpclient
from mlpublish.formats.key_uri import KeyUri
from mlpublish.plugins import scheme_of
from mlpublish.storage.in_folder import create_private, read_regular
from mlpublish.trust.signer import signer_for

LEAST_RSA_BITS, MOST_RSA_BITS = 2048, 8192
HOLDER = "x-mlpublish-holder"  # a field that TUF does not know and carries along; no part of the key id
LONGEST = 1 << 20  # bytes of a file that holds a key; a bundle named by mistake is not read into memory
PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey
_PSS = bytes.fromhex("06092a864886f70d01010a")  # OBJECT IDENTIFIER 1.2.840.113549.1.1.10
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_RSA_BITS = f"{LEAST_RSA_BITS} to {MOST_RSA_BITS}"
_TAKEN = "Use an ECDSA P-256 key (mlpublish keys new), an Ed25519 key or an RSA key of 2048 bits or more."


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKey:
    """A public key and what it was found in.

    Args:
        form: such as ``certificate``.
        name: a name for its holder, where the place has one.
    """

    key: SSlibKey
    form: str
    name: str | None = None


def public_key(key: PublicKeyTypes) -> SSlibKey:
    """A public key as TUF holds it.

    Raises:
        SigningError: it is of a kind that a phone cannot verify, or an RSA key under 2048 bits.
    """
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return SSlibKey.from_crypto(key, scheme="ecdsa-sha2-nistp256")
    if isinstance(key, Ed25519PublicKey):
        return SSlibKey.from_crypto(key, scheme="ed25519")
    if isinstance(key, RSAPublicKey) and key.key_size >= LEAST_RSA_BITS:
        return SSlibKey.from_crypto(key, scheme="rsa-pkcs1v15-sha256")
    raise _not_taken(key)


def refuse_pss(der: bytes) -> None:
    """Refuse a key that is marked for RSASSA-PSS alone: ``cryptography`` would read it as any RSA key.

    Args:
        der: a SubjectPublicKeyInfo or PrivateKeyInfo; its algorithm stands at the beginning.

    Raises:
        SigningError: it is.
    """
    if _PSS in der[:48]:
        raise SigningError(
            "An RSA-PSS key is not taken: what verifies PSS accepts several salt lengths.", remedy=_TAKEN, field="key"
        )


class KeySigner(CryptoSigner):
    """Signs with a private key in memory."""

    def __init__(self, key: PrivateKey) -> None:
        super().__init__(key, public_key(key.public_key()))
        self.private_key = key

    def sign_digest(self, digest: bytes) -> bytes:
        """A raw signature, as over the payload that has this SHA-256 digest.

        Raises:
            SigningError: the key is Ed25519, which signs no digests.
        """
        match self.private_key:
            case RSAPrivateKey():
                return self.private_key.sign(digest, PKCS1v15(), Prehashed(SHA256()))
            case EllipticCurvePrivateKey():
                return self.private_key.sign(digest, ECDSA(Prehashed(SHA256())))
        raise SigningError("An Ed25519 key signs no digest.", remedy="Use an RSA or ECDSA key.", field="key")


def crypto_signer(key: PrivateKeyTypes) -> KeySigner:
    """A signer over a private key in memory, of a kind that a phone verifies."""
    if not isinstance(key, PrivateKey):
        raise _not_taken(key)
    return KeySigner(key)


def new_key(kind: str = "ecdsa", *, bits: int = 3072) -> PrivateKey:
    """A new private key.

    Args:
        kind: ``ecdsa`` (P-256), ``ed25519`` or ``rsa``.
        bits: an RSA key's length.

    Raises:
        SigningError: the kind is another, or the RSA key would be too short.
    """
    if kind == "rsa" and LEAST_RSA_BITS <= bits <= MOST_RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    if kind in ("ecdsa", "ed25519"):
        return new_ec_key(SECP256R1()) if kind == "ecdsa" else Ed25519PrivateKey.generate()
    what = f"An RSA key of {bits} bits" if kind == "rsa" else f"A key of type {kind!r}"
    raise SigningError(f"{what} is not made.", remedy=f"Make ecdsa, ed25519, or rsa of {_RSA_BITS} bits.", field="type")


def new_key_file(place: Path, kind: str = "ecdsa", passphrase: str | None = None, *, bits: int = 3072) -> bool:
    """Make a key as a PKCS#8 PEM file that only its owner can read; an existing file is never replaced.

    Returns:
        Whether this call made it.
    """
    hidden = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
    return create_private(place, new_key(kind, bits=bits).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))


def spki_of(key: Key) -> bytes:
    """A public key as SubjectPublicKeyInfo in DER (RFC 5280, §4.1.2.7)."""
    return crypto_key(key).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def crypto_key(key: Key) -> EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey:
    """A public key as cryptography holds it.

    Raises:
        SigningError: it is of a kind that is not taken.
    """
    public = str(key.keyval.get("public"))
    try:
        raw = key.scheme == "ed25519" and Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        found = raw or load_pem_public_key(public.encode())
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise SigningError(f"The key {key.keyid[:12]} cannot be read.", remedy=_TAKEN, field="key") from exc
    public_key(found)
    assert isinstance(found, EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey)  # public_key() refused the others
    return found


def own_id(key: Key) -> str:
    """The id that a key has by itself, whatever it stands under and however it is written: two ids are two keys.

    Raises:
        SigningError: it is of a kind that is not taken.
    """
    return public_key(crypto_key(key)).keyid


def kind_of(key: Key) -> str:
    """What people call a key's kind: ``ECDSA P-256``, ``Ed25519``, ``RSA 2048``."""
    public = crypto_key(key)
    if isinstance(public, RSAPublicKey):
        return f"RSA {public.key_size}"
    return "Ed25519" if isinstance(public, Ed25519PublicKey) else "ECDSA P-256"


def holder_of(key: Key) -> str | None:
    """The human name that metadata keeps beside a key."""
    name = key.unrecognized_fields.get(HOLDER)
    return name if isinstance(name, str) else None


def with_holder(key: SSlibKey, holder: str | None) -> SSlibKey:
    """The key with a human name beside it; its id stays, since that is made of the key alone."""
    if holder is None:
        return key
    return SSlibKey(key.keyid, key.keytype, key.scheme, key.keyval, {**key.unrecognized_fields, HOLDER: holder})


def read_public(where: str | Path, *, holder: str | None = None) -> SSlibKey:
    """A public key, wherever it is and in whatever form people have it.

    Args:
        where: a file (public key, certificate or private key, in PEM, base64 or DER; ``mfpclient.plist`` or
            ``.properties``), such text itself, or a private key's URI, whose public half is meant.
        holder: a human name kept beside it in metadata; by default the file's name without its ending.

    Raises:
        NotFound: there is no such file.
        SigningError: there is no key in it, or one of a kind that is not taken.
        UnknownScheme: nothing is installed for the URI's scheme.
    """
    found = find_public(where)
    return with_holder(found.key, found.name if holder is None else holder)


def find_public(where: str | Path) -> FoundKey:
    """``read_public`` with what the key was found in."""
    if isinstance(where, str) and scheme_of(where) != "file":
        uri = KeyUri.parse(where)
        return FoundKey(key=_opened(where), form=f"{uri.scheme}:", name=uri.file.stem if uri.scheme == "keystore" else None)
    if isinstance(where, str) and (found := parse_public(where.encode())) is not None:
        return found
    file = where if isinstance(where, Path) else KeyUri.parse(where).file
    found = parse_public(content := _content(file), name=file.name)
    if found is None and (b"PRIVATE KEY-----" in content or not content.isascii()):
        found = FoundKey(key=_opened(where if isinstance(where, str) else f"file:{where}"), form="private key")
    if found is None:
        raise SigningError(
            f"{file} holds no key that can be read.",
            remedy="Give a public key, a certificate or a private key in PEM, base64 or DER, or an mfpclient file with a pin.",
            field="key",
        )
    return replace(found, name=file.stem)


def parse_public(content: bytes, *, name: str = "") -> FoundKey | None:
    """The first public key in PEM, base64 or DER, as such or in a certificate; or an mfpclient file's pin.

    Args:
        name: the file's, because an mfpclient.properties is known by it.

    Returns:
        None if there is none.

    Raises:
        SigningError: the key is of a kind that is not taken, or an mfpclient file has none.
        FormatError: an mfpclient file is broken.
    """
    if (kind := mfpclient.kind_of(content, name)) is not None:
        pin = mfpclient.read(content, kind).get(mfpclient.PIN, "")
        found = parse_public(pin.encode()) if pin else None
        if found is None:
            raise SigningError(
                f"{name or 'The mfpclient file'} holds no public key under {mfpclient.PIN}.",
                remedy="Write one into it with: mlpublish keys export-plist KEY FILE.",
                field=mfpclient.PIN,
            )
        return replace(found, form=f"{found.form} in a {kind.value}")
    return next((found for der in _ders(content) if (found := _from_der(der)) is not None), None)


def _not_taken(key: PublicKeyTypes | PrivateKeyTypes) -> SigningError:
    if isinstance(key, RSAPublicKey):
        what = f"An RSA key of {key.key_size} bits is not taken: fewer than {LEAST_RSA_BITS} are broken too easily"
    else:
        curve = f" on {key.curve.name} ({key.key_size} bits)" if isinstance(key, EllipticCurvePublicKey) else ""
        kind = re.sub(r"^_|P(ublic|rivate)Key$|Elliptic", "", type(key).__name__)
        what = f"A key of type {kind}{curve} is not taken: not every phone verifies it with what its system has"
    return SigningError(f"{what}.", remedy=_TAKEN, field="key")


def _ders(content: bytes) -> Iterator[bytes]:
    blocks = [body for label, body in _BLOCK.findall(content) if b"PRIVATE" not in label]
    for text in blocks or [content]:
        try:
            yield base64.b64decode(b"".join(text.split()), validate=True)
        except ValueError:
            yield content


def _from_der(der: bytes) -> FoundKey | None:
    try:
        key, form = load_der_public_key(der), "public key"
    except (ValueError, UnsupportedAlgorithm):
        try:
            key, form = load_der_x509_certificate(der).public_key(), "certificate"
        except (ValueError, UnsupportedAlgorithm):
            return None
    if form == "public key":
        refuse_pss(der)
    return FoundKey(key=public_key(key), form=form)


def _content(file: Path) -> bytes:
    try:
        return read_regular(file, LONGEST)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise NotFound(f"There is no key {str(file)[:200]}.", remedy="Check the path.", field="key") from exc
    except OSError as exc:
        why = "is too long to be a key" if exc.errno == errno.EFBIG else f"cannot be read: {exc.strerror}"
        raise SigningError(f"{str(file)[:200]} {why}.", remedy="Name the key's own file.", field="key") from exc
    except ValueError as exc:
        raise SigningError(f"The key {str(file)[:200]} cannot be read.", remedy="Check the path.", field="key") from exc


def _opened(uri: str) -> SSlibKey:
    key = signer_for(uri).public_key
    return public_key(crypto_key(key))
