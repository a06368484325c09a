"""Sign with a private key in a PEM file (``file:key.pem``)."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mlpublish.errors import SigningError
from mlpublish.trust.keys import crypto_signer
from mlpublish.trust.signer import Signer


def open_pem(uri: str) -> Signer:
    """Open a PKCS#8 (or traditional) PEM file without a passphrase.

    Raises:
        SigningError: there is no such file, it holds no private key, it is encrypted, or of a kind not taken.
    """
    file = Path(uri.removeprefix("file:"))
    try:
        return crypto_signer(load_pem_private_key(file.read_bytes(), password=None))
    except OSError as exc:
        raise SigningError(
            f"The key {file} cannot be read: {exc.strerror}.",
            remedy="Give the path of a PEM file that you may read.",
            field="key",
        ) from exc
    except TypeError as exc:  # what cryptography raises where a passphrase is missing
        raise SigningError(
            f"The key {file} is encrypted, and encrypted keys are not opened by this version.",
            remedy="Sign with a key that the disk or the machine protects, decrypted by: openssl pkcs8 -in KEY -out PLAIN.",
            field="key",
        ) from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise SigningError(
            f"{file} holds no private key that can be read.",
            remedy="Give a PEM file that begins with -----BEGIN PRIVATE KEY----- (a public key or a certificate cannot sign).",
            field="key",
        ) from exc
