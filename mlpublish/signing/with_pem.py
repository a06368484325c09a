"""Sign with a private key in a file (``file:key.pem``), which a passphrase may protect."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from mlpublish.errors import FormatError, SigningError
from mlpublish.formats import pkcs12
from mlpublish.formats.key_uri import KeyUri
from mlpublish.storage.in_folder import read_regular
from mlpublish.trust.keys import LONGEST, crypto_signer, refuse_pss
from mlpublish.trust.passphrases import PASSPHRASE, ask
from mlpublish.trust.signer import Signer

_ENCRYPTED = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----(.*?)-----END", re.DOTALL)


def open_pem(uri: str) -> Signer:
    """Open a PKCS#8 or traditional key in PEM or DER.

    Args:
        uri: ``file:PATH``, with ``?passphrase-env=VARIABLE`` or ``?passphrase-file=FILE``.

    Raises:
        SigningError: there is no such file, it holds no private key, the passphrase is missing or wrong, decrypting it would
            take for ever, or the key is of a kind not taken.
    """
    where = KeyUri.parse(uri).only(*PASSPHRASE.parameters)
    content = _content(where.file)
    try:
        key = _load(content, None)
        if key is None:
            _refuse_endless(content)
            key = _load(content, ask(PASSPHRASE, where.query, of=str(where.file)))
    except (ValueError, UnsupportedAlgorithm, FormatError) as exc:
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


def _refuse_endless(content: bytes) -> None:
    blocks = map(base64.b64decode, _ENCRYPTED.findall(content)) if b"-----BEGIN" in content else [content]
    for key in blocks:
        pkcs12.refuse_endless(key)


def _der(content: bytes) -> bytes:
    """The first block's bytes; nothing where they are encrypted, which hides what the key is for."""
    lines = content.partition(b"-----BEGIN PRIVATE KEY-----")[2].partition(b"-----END")[0]
    return base64.b64decode(lines) if lines else content


def _content(file: Path) -> bytes:
    try:
        return read_regular(file, LONGEST)
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
