"""Sign by what securesystemslib brings beside our own: ``gcpkms:``, ``azurekms:``, ``hv:`` (Vault), ``hsm:``, ``tkey:``.

The URI is passed through as it is, without our ``public-key``; not tested by us (docs/keys.md). What comes back is verified
against that public key before anybody gets it.
"""

from __future__ import annotations

import re
from pathlib import Path

from securesystemslib.signer import Signature, SSlibKey
from securesystemslib.signer import Signer as GuestSigner

from mlpublish.errors import SigningError
from mlpublish.formats.key_uri import KeyUri
from mlpublish.trust import keys
from mlpublish.trust.passphrases import PIN, ask
from mlpublish.trust.signer import Signer


def open_guest(uri: str) -> Signer:
    """Open a key by securesystemslib.

    Args:
        uri: as its signer wants it, plus ``?public-key=FILE`` (or ``&public-key=FILE``).

    Raises:
        SigningError: the public key is not named, the URI is not what the signer wants, or its library is missing.
    """
    where = KeyUri.parse(uri)
    public = where.query.get("public-key")
    if public is None:
        raise SigningError(
            f"A {where.scheme}: key URI needs the public half.", remedy="Add ?public-key=FILE, a PEM file.", field="public-key"
        )
    passed_on = re.sub(r"([?&])public-key=[^&]*&?", r"\1", uri).rstrip("?&")
    return GuestsSigner(passed_on, keys.find_public(Path(public)).key, where.scheme)


class GuestsSigner:
    """A signer of securesystemslib's, whose answers are verified."""

    def __init__(self, uri: str, public: SSlibKey, scheme: str) -> None:
        self.public_key, self._scheme = public, scheme
        try:
            self._guest = GuestSigner.from_priv_key_uri(
                uri, public, lambda name: ask(PIN, {}, of=f"the {scheme}: key ({name})")
            )
        except Exception as exc:  # a guest's own, of any library: its contract names none
            raise self._failed(exc) from exc

    def sign(self, payload: bytes) -> Signature:
        """A signature over the payload, verified.

        Raises:
            SigningError: the signer failed, or what it gave does not verify.
        """
        try:
            signature = self._guest.sign(payload)
            self.public_key.verify_signature(signature, payload)
        except Exception as exc:  # likewise
            raise self._failed(exc) from exc
        return signature

    def _failed(self, exc: Exception) -> SigningError:
        if isinstance(exc, SigningError):
            return exc
        return SigningError(
            f"securesystemslib could not sign with this {self._scheme}: key: {type(exc).__name__} {exc}".rstrip(" .") + ".",
            remedy="Check the URI, the credentials and the library that its documentation asks for; see docs/keys.md.",
            field="key",
        )
