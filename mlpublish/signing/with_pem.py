"""Sign with a private key in a file (``file:key.pem``), which a passphrase may protect."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from mlpublish.errors import SigningError
from mlpublish.formats.key_uri import KeyUri
from mlpublish.trust.keys import crypto_signer, refuse_pss
from mlpublish.trust.passphrases import PASSPHRASE, ask
from mlpublish.trust.signer import Signer


def open_pem(uri: str) -> Signer:
    """Open a PKCS#8 or traditional key in PEM or DER.

    Args:
        uri: ``file:PATH``, with ``?passphrase-env=VARIABLE`` or ``?passphrase-file=FILE``.

    Raises:
        SigningError: there is no such file, it holds no private key, the passphrase is missing or wrong, or the key is of a
            kind not taken.
    """
    where = KeyUri.parse(uri).only(*PASSPHRASE.parameters)
    content = _content(where.file)
    try:
        key = _load(content, None)
        if key is None:
            key = _load(content, ask(PASSPHRASE, where.query, of=str(where.file)))
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise _unreadable(where.file, content) from exc
    assert key is not None
    refuse_pss(_der(content))
    return crypto_signer(key)


def _load(content: bytes, passphrase: str | None) -> PrivateKeyTypes | None:
    """The key; None where it wants a passphrase and none was given."""
    load = load_pem_private_key if b"-----BEGIN" in content else load_der_private_key
    try:
        return load(content, None if passphrase is None else passphrase.encode())
    except TypeError:  # what cryptography raises where a passphrase is missing
        return None


def _der(content: bytes) -> bytes:
    """The first block's bytes; nothing where they are encrypted, which hides what the key is for."""
    lines = content.partition(b"-----BEGIN PRIVATE KEY-----")[2].partition(b"-----END")[0]
    return base64.b64decode(lines) if lines else content


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise SigningError(
            f"The key {file} cannot be read: {exc.strerror}.",
            remedy="Give the path of a PEM file that you may read.",
            field="key",
        ) from exc


def _unreadable(file: Path, content: bytes) -> SigningError:
    if b"ENCRYPTED" in content:
        return SigningError(f"The passphrase of {file} is wrong.", remedy="Check where it is read from.", field="passphrase")
    return SigningError(
        f"{file} holds no private key that can be read.",
        remedy="Give a PEM file that begins with -----BEGIN PRIVATE KEY----- (a public key or a certificate cannot sign); "
        f"a keystore is named as keystore:{file}.",
        field="key",
    )
