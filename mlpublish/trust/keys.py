"""Which keys are taken, and how a public key is read and made.

A phone verifies with system frameworks ECDSA P-256 (the default), Ed25519 and RSA PKCS#1 v1.5 with SHA-256; so others are
refused by name (docs/security.md; Apple: Security ``SecKeyAlgorithm``, CryptoKit).
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.signer import CryptoSigner, SSlibKey

from mlpublish.errors import SigningError
from mlpublish.storage.in_folder import create_private

LEAST_RSA_BITS = 2048
_TAKEN = "Use an ECDSA P-256 key (openssl ecparam -name prime256v1 -genkey), an Ed25519 key or an RSA key of 2048 bits or more."


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
    size = f" of {key.key_size} bits" if isinstance(key, (RSAPublicKey, EllipticCurvePublicKey)) else ""
    raise SigningError(f"A {type(key).__name__.lstrip('_')}{size} is not taken.", remedy=_TAKEN, field="key")


def crypto_signer(key: PrivateKeyTypes) -> CryptoSigner:
    """A signer over a private key in memory, of a kind that a phone verifies."""
    if not isinstance(key, (EllipticCurvePrivateKey, Ed25519PrivateKey, RSAPrivateKey)):
        raise SigningError(f"A {type(key).__name__.lstrip('_')} is not taken.", remedy=_TAKEN, field="key")
    return CryptoSigner(key, public_key(key.public_key()))


def new_key_file(place: Path) -> None:
    """Make an ECDSA P-256 key as a PKCS#8 PEM file that only its owner can read; an existing file is never replaced."""
    pem = new_ec_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    create_private(place, pem)
