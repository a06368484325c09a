"""A signer whose private key is elsewhere, in a token or a cloud: what it answers is verified before anybody gets it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from securesystemslib.signer import Signature, SSlibKey

from mlpublish.errors import SigningError
from mlpublish.trust.keys import crypto_key


class CheckedSigner(ABC):
    """Signs elsewhere and verifies here.

    Args:
        public_key: the public half.
        where: whose answers they are, for errors (``AWS KMS``).
    """

    def __init__(self, public_key: SSlibKey, where: str) -> None:
        self.public_key, self.where = public_key, where
        self._key = crypto_key(public_key)

    def sign(self, payload: bytes) -> Signature:
        """A signature over the payload, verified.

        Raises:
            SigningError: the other side refused, or its answer does not verify.
        """
        raw = self.sign_payload(payload)
        try:
            if isinstance(self._key, Ed25519PublicKey):
                self._key.verify(raw, payload)
            else:
                self._verify(raw, hashlib.sha256(payload).digest())
        except InvalidSignature as exc:
            raise self._wrong_answer() from exc
        return Signature(self.public_key.keyid, raw.hex())

    def sign_digest(self, digest: bytes) -> bytes:
        """A raw signature, as over the payload that has this SHA-256 digest, verified.

        Raises:
            SigningError: the key is Ed25519, the other side refused, or its answer does not verify.
        """
        if isinstance(self._key, Ed25519PublicKey):
            raise SigningError("An Ed25519 key signs no digest.", remedy="Use an RSA or ECDSA key.", field="key")
        raw = self.sign_hashed(digest)
        try:
            self._verify(raw, digest)
        except InvalidSignature as exc:
            raise self._wrong_answer() from exc
        return raw

    def sign_payload(self, payload: bytes) -> bytes:
        """A raw signature over the payload, not yet verified; ECDSA's is in DER."""
        return self.sign_hashed(hashlib.sha256(payload).digest())

    @abstractmethod
    def sign_hashed(self, digest: bytes) -> bytes:
        """A raw signature over what has this SHA-256 digest, not yet verified."""

    def _verify(self, raw: bytes, digest: bytes) -> None:
        if isinstance(self._key, EllipticCurvePublicKey):
            self._key.verify(raw, digest, ECDSA(Prehashed(SHA256())))
        else:
            assert not isinstance(self._key, Ed25519PublicKey)  # the callers see to those
            self._key.verify(raw, digest, PKCS1v15(), Prehashed(SHA256()))

    def _wrong_answer(self) -> SigningError:
        return SigningError(
            f"{self.where} answered with a signature that does not verify; it is not used.",
            remedy="Check that the public key belongs to this private key, and that the key signs SHA-256.",
            field="key",
        )
