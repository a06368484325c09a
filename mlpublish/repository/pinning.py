"""The predecessor's pin for an app that has a repository already: its key co-signs the first root, and has no other power."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from securesystemslib.signer import Signature
from tuf.api.metadata import Metadata, Root

from mlpublish.errors import RecipeError, SigningError, VerificationError
from mlpublish.repository.access import Access
from mlpublish.repository.countersigning import holds
from mlpublish.repository.endpoint import Commit
from mlpublish.repository.head import FIRST_ROOT
from mlpublish.repository.review import Where
from mlpublish.shown import Shown
from mlpublish.trust import roles
from mlpublish.trust.changes import Edit
from mlpublish.trust.signer import Signer, signer_for


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Pinned(Shown):
    """A first root that a pinned key signed.

    Args:
        changed: False if it had signed already.
    """

    app_id: str
    endpoint: str
    keyid: str
    changed: bool

    def rows(self) -> dict[str, object]:
        return {
            "app": self.app_id,
            "pin": self.keyid,
            "endpoint": self.endpoint,
            "new": "yes" if self.changed else "no, it had signed already",
        }

    def to_dict(self) -> dict[str, Any]:
        return {"app": self.app_id, "endpoint": self.endpoint, "pin": self.keyid, "changed": self.changed}


def cosign(where: Where, pin: Signer | str) -> Pinned:
    """Let a pinned key sign ``1.root.json``, so that apps which carry only that key can begin there.

    What the root says stays as it is; so a device that began at it notices nothing. From there every key can be replaced,
    and the pin itself never has to sign again (MobileFirst 8.0: there, changing the key means publishing the app again).
    What is signed is the root that is trusted here, and never what the endpoint says version 1 is: for apps that pin the
    key, whatever it signs is where everything begins.

    Raises:
        RecipeError: no root is trusted here, or a newer one than version 1.
        VerificationError: the first root there is another one.
        SigningError: the key cannot be opened, or is not RSA, which is all that the predecessor's apps pin.
        Conflict: somebody else signs it at this moment.
        EndpointRefused: the token's role may not.
    """
    signer = signer_for(pin)
    key = signer.public_key
    if key.keytype != "rsa":
        raise SigningError(
            f"The pin is a key of type {key.keytype}; the predecessor's apps pin RSA.",
            remedy="Give the RSA key that wlSecureModelUpdatePublicKey is the public half of.",
            field="pin",
        )
    reached = where.access
    first = _first(reached)
    if holds(key, first):
        changed = False
    else:
        signature = signer.sign(first.signed_bytes)
        signed = Metadata(first.signed, {key.keyid: Signature(key.keyid, signature.signature)})
        edit = Edit(base=0, metadata=signed.to_bytes(), keys=(key,))
        changed = reached.endpoint.commit(where.app, Commit(edits={"root": edit}))
    return Pinned(app_id=where.app, endpoint=reached.endpoint.uri, keyid=key.keyid, changed=changed)


def _first(reached: Access) -> Metadata[Root]:
    """The app's first root as it stands there, once it says what the one says that is trusted here."""
    trusted = roles.parse(reached.trusted_head().roots[0], Root, "root")
    if trusted.signed.version != 1:
        raise RecipeError(
            f"The root that is trusted here is version {trusted.signed.version}; a pin signs version 1.",
            remedy="Pass --root 1.root.json, the app's first one; the builds of its first version embed it.",
            field="root",
        )
    standing = roles.parse(reached.read(FIRST_ROOT), Root, "root")
    if standing.signed_bytes != trusted.signed_bytes:
        raise VerificationError(
            f"{reached.endpoint.uri} shows another 1.root.json of {reached.app_id} than the one that is trusted here.",
            remedy="Nothing was signed. Check the address, and ask whoever runs the server.",
            field="root",
        )
    return standing
