"""The predecessor's pin for an app that has a repository already: its key co-signs the first root, and has no other power."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from securesystemslib.signer import Signature
from tuf.api.metadata import Root

from mlpublish.errors import SigningError
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

    Raises:
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
    reached.head()  # what is signed is the root of a repository that verifies
    first = roles.parse(reached.read(FIRST_ROOT), Root, "root")
    if key.keyid in first.signatures:
        changed = False
    else:
        signature = signer.sign(first.signed_bytes)
        first.signatures[key.keyid] = Signature(key.keyid, signature.signature)
        edit = Edit(base=0, metadata=first.to_bytes())
        changed = reached.endpoint.commit(where.app, Commit(edits={"root": edit}))
    return Pinned(app_id=where.app, endpoint=reached.endpoint.uri, keyid=key.keyid, changed=changed)
