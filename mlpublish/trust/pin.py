"""The predecessor's pin: one RSA key that an app carries for ever (``wlSecureModelUpdatePublicKey``).

The pin authenticates ``1.root.json``, which that key co-signed; from there the root chain replaces every key without the
app being published again. Its forms: SPKI or a whole certificate, base64 or PEM (MobileFirst 8.0, "Secure Model Update";
the dummy key in its documentation is a certificate).
"""

from __future__ import annotations

import base64
from pathlib import Path

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.exceptions import VerificationError as SignatureError
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Root

from mlpublish.errors import RecipeError, VerificationError
from mlpublish.formats import mfpclient
from mlpublish.storage.in_folder import read_regular
from mlpublish.trust import keys, roles


def pin_text(pin: Path | str) -> str:
    """The text of a pin: what was given itself, or what a file holds (an ``mfpclient.plist`` or ``.properties`` holds it
    under ``wlSecureModelUpdatePublicKey``; a key in DER becomes base64).

    Raises:
        RecipeError: an mfpclient file has no pin.
        FormatError: an mfpclient file is broken.
    """
    file = Path(pin)
    try:
        content = read_regular(file, keys.LONGEST)
    except (OSError, ValueError):  # base64 text is no name that a file can have; what a pipe says is no pin
        return str(pin)
    kind = mfpclient.kind_of(content, file.name)
    if kind is None:
        return content.decode() if content.isascii() else base64.b64encode(content).decode()
    text = mfpclient.read(content, kind).get(mfpclient.PIN)
    if not text:
        raise RecipeError(
            f"{file} has no {mfpclient.PIN}.",
            remedy=f"Write one into it with: mlpublish keys export-plist KEY {file}.",
            field="pin",
        )
    return text


def read_pin(text: str) -> SSlibKey:
    """A pin as a public key.

    Raises:
        RecipeError: it is neither a public key nor a certificate.
        SigningError: the key is of a kind that is not taken.
    """
    found = keys.parse_public(text.encode(errors="replace"))
    if found is None and "PRIVATE KEY-----" in text:
        raise RecipeError(
            "The pin is a private key.",
            remedy="Give its public half: openssl pkey -in KEY.pem -pubout -out KEY.pub.",
            field="pin",
        )
    if found is None:
        raise RecipeError(
            "The pin is neither a public key nor a certificate.",
            remedy="Give the base64 text of wlSecureModelUpdatePublicKey, a PEM file, or the app's mfpclient file.",
            field="pin",
        )
    return found.key


def root_under(pin: SSlibKey, root: bytes) -> bytes:
    """Give back ``1.root.json`` if the pin signed it.

    Raises:
        VerificationError: it is not version 1, or the pin's signature is missing or wrong.
    """
    metadata = roles.parse(root, Root, "root")
    signature = metadata.signatures.get(pin.keyid)
    if metadata.signed.version != 1 or signature is None:
        raise VerificationError(
            "1.root.json is not signed by the pinned key.",
            remedy="Have the pinned key co-sign version 1 of the root, or check that the pin is this app's.",
            field="pin",
        )
    try:
        pin.verify_signature(signature, metadata.signed_bytes)
    except (UnverifiedSignatureError, SignatureError) as exc:
        raise VerificationError(
            "The pinned key's signature on 1.root.json does not hold.",
            remedy="Get 1.root.json again; it may be altered.",
            field="pin",
        ) from exc
    return root
