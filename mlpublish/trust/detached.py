"""A detached signature beside a bundle, for clients that know nothing of TUF: RSA PKCS#1 v1.5 with SHA-256 over its bytes.

It proves the bytes and who signed them, nothing else: not for which app they are, and not that they are the newest
(docs/security.md). ``openssl dgst -sha256 -verify pub.pem -signature F.sig F`` and iOS'
``SecKeyVerifySignature(.rsaSignatureMessagePKCS1v15SHA256)`` verify it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from securesystemslib.signer import Key

from mlpublish.errors import DigestMismatch, SigningError, StorageError, VerificationError
from mlpublish.trust.keys import crypto_key
from mlpublish.trust.signer import DigestSigner, Signer


def sign_detached(file: Path, signer: Signer) -> bytes:
    """Sign a file's bytes, in constant memory however long it is.

    Returns:
        The raw signature, as long as the key's modulus.

    Raises:
        SigningError: the key is not RSA, or would not sign.
        StorageError: the file cannot be read.
    """
    if not isinstance(crypto_key(signer.public_key), RSAPublicKey):
        raise SigningError(
            f"The key {signer.public_key.keyid[:12]} is {signer.public_key.keytype}; a detached signature is RSA.",
            remedy="Sign with the RSA key whose public half the app pins.",
            field="key",
        )
    if isinstance(signer, DigestSigner):
        return signer.sign_digest(_digest(file))
    return bytes.fromhex(signer.sign(file.read_bytes()).signature)  # a guest's signer that takes nothing but the payload


def verify_detached(file: Path, signature: bytes, key: Key, *, digest: bytes | None = None) -> None:
    """Verify a file's bytes against a detached signature, in constant memory.

    Args:
        digest: the SHA-256 of what was read of it already: then that is what is verified, and the file is not read again.

    Raises:
        DigestMismatch: the bytes are not those that this key signed.
        VerificationError: the key is not RSA.
        StorageError: the file cannot be read.
    """
    if not signs(_digest(file) if digest is None else digest, signature, key):
        raise DigestMismatch(
            f"{file.name} is not what the key {key.keyid[:12]} signed.",
            remedy="Get the file and its signature again; if they still differ, do not use them.",
            field="signature",
        )


def signs(digest: bytes, signature: bytes, key: Key) -> bool:
    """Whether a detached signature is one by this key, over the bytes that have this SHA-256 digest.

    Raises:
        VerificationError: the key is not RSA.
    """
    public = crypto_key(key)
    if not isinstance(public, RSAPublicKey):
        raise VerificationError(
            f"The key {key.keyid[:12]} is {key.keytype}; a detached signature is RSA.",
            remedy="Give the RSA key that the app pins.",
            field="pin",
        )
    try:
        public.verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))
    except InvalidSignature:
        return False
    return True


def _digest(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as exc:
        raise StorageError(
            f"{file} cannot be read: {exc.strerror}.", remedy="Check its path and permissions.", field="file"
        ) from exc
