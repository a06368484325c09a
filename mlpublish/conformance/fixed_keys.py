"""Test keys that anybody can compute: each private number follows from the key's name, so each signature is the same anywhere.

They protect nothing. Metadata that they sign belongs to the cases of this folder, and no device outside a test trusts it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicNumbers,
    rsa_crt_dmp1,
    rsa_crt_dmq1,
    rsa_crt_iqmp,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import CertificateBuilder, Name, NameAttribute
from cryptography.x509.oid import NameOID
from securesystemslib.signer import Signature

from mlpublish.errors import SigningError
from mlpublish.trust import keys

Kind = Literal["ecdsa", "ed25519", "rsa"]
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-4, D.1.2.3
_EXPONENT = 65537
# how far the next prime lies behind the number that the name gives, for p and q (searching takes a second each time)
_NEXT_PRIMES = {"pin": (1208, 1924), "another pin": (1002, 18)}


class FixedKey:
    """A test key; a Signer.

    Args:
        name: what its private number follows from.
        kind: an RSA key is there under the names ``pin`` and ``another pin`` alone.
    """

    def __init__(self, name: str, kind: Kind = "ecdsa") -> None:
        self._key = _private(name, kind)
        self.public_key = keys.public_key(self._key.public_key())

    def sign(self, payload: bytes) -> Signature:
        """A signature that is the same each time.

        Raises:
            SigningError: the OpenSSL in use signs with ECDSA at random only.
        """
        return Signature(self.public_key.keyid, self._raw(payload).hex())

    def _raw(self, payload: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(payload)
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(payload, PKCS1v15(), SHA256())
        try:
            return self._key.sign(payload, ECDSA(SHA256(), deterministic_signing=True))
        except UnsupportedAlgorithm as exc:
            raise SigningError(
                "This cryptography cannot sign with ECDSA deterministically (RFC 6979), so the cases cannot be made here.",
                remedy="Install cryptography from its wheel (OpenSSL 3.2 or newer), or pass saved vectors with --vectors.",
            ) from exc

    def pem(self) -> bytes:
        """The public key as an app may pin it."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def certificate(self) -> bytes:
        """The same key in a whole certificate, which the predecessor's apps pin too."""
        assert isinstance(self._key, RSAPrivateKey)
        name = Name([NameAttribute(NameOID.COMMON_NAME, "Conformance test key")])
        begins, ends = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)
        made = CertificateBuilder(name, name, self._key.public_key(), 1, begins, ends).sign(self._key, SHA256())
        return made.public_bytes(Encoding.PEM)


def _private(name: str, kind: Kind) -> keys.PrivateKey:
    if kind == "rsa":
        return _rsa(*(_prime(name, which) for which in (0, 1)))
    seed = hashlib.sha256(f"mlpublish conformance, {kind}: {name}".encode()).digest()
    return Ed25519PrivateKey.from_private_bytes(seed) if kind == "ed25519" else _ecdsa(seed)


def _ecdsa(seed: bytes) -> EllipticCurvePrivateKey:
    return derive_private_key(int.from_bytes(seed, "big") % (_P256_ORDER - 1) + 1, SECP256R1())


def _prime(name: str, which: int) -> int:
    """A prime of 1024 bits whose two highest bits are set, so that the product of two has 2048."""
    seed = int.from_bytes(hashlib.shake_256(f"mlpublish conformance, rsa {'pq'[which]}: {name}".encode()).digest(128), "big")
    return (seed | 3 << 1022 | 1) + _NEXT_PRIMES[name][which]


def _rsa(p: int, q: int) -> RSAPrivateKey:
    secret = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    public = RSAPublicNumbers(_EXPONENT, p * q)
    parts = (rsa_crt_dmp1(secret, p), rsa_crt_dmq1(secret, q), rsa_crt_iqmp(p, q))
    return RSAPrivateNumbers(p, q, secret, *parts, public).private_key()
