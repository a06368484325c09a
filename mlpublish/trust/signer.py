"""The contract of a signer, and the way from a key URI to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mlpublish import plugins

if TYPE_CHECKING:  # securesystemslib.signer loads every cloud library that is installed
    from securesystemslib.signer import Key, Signature


@runtime_checkable
class Signer(Protocol):
    """Signs bytes with one private key that it keeps to itself (securesystemslib's Signer is one)."""

    @property
    def public_key(self) -> Key:
        """The public half, with its TUF key id."""

    def sign(self, payload: bytes) -> Signature:
        """A signature over the payload."""


@runtime_checkable
class DigestSigner(Signer, Protocol):
    """A Signer that can be handed a digest instead of gigabytes; every signer of ours is one."""

    def sign_digest(self, digest: bytes) -> bytes:
        """A raw signature, as over the payload that has this SHA-256 digest (not for Ed25519, which hashes otherwise)."""


def signer_for(signer: Signer | str) -> Signer:
    """A Signer as it is, or the one that a key URI names (``file:key.pem``; a bare path counts as ``file``).

    Raises:
        UnknownScheme: nothing is installed for the URI's scheme.
        MissingExtra: the scheme's library is not installed.
        SigningError: the key could not be opened or is none that a phone verifies.
    """
    if isinstance(signer, Signer):
        return signer
    opened: Signer = plugins.find(plugins.SIGNERS, plugins.scheme_of(signer))(signer)
    return opened
