"""More signatures on an app's first root: which are taken, and by whose key each is held.

What the root says stays as it is. A signature is taken from who holds the root role, and from an RSA key that says it is a
pin: its public half comes along, since no role names it. What nobody can hold against a key would only stand in the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.exceptions import VerificationError as SignatureError
from securesystemslib.signer import Key, Signature
from tuf.api.metadata import Metadata, Root

from mlpublish.errors import Conflict, EndpointRefused, VerificationError

_MOST_SIGNATURES = 32


def holds(key: Key, root: Metadata[Root]) -> bool:
    """Whether a root carries a good signature of this key."""
    signature = root.signatures.get(key.keyid)
    if signature is None:
        return False
    try:
        key.verify_signature(signature, root.signed_bytes)
    except (UnverifiedSignatureError, SignatureError):
        return False
    return True


def countersigned(standing: Metadata[Root], proposed: Metadata[Root], pins: Iterable[Key]) -> Metadata[Root] | None:
    """The standing first root with the signatures that another copy of it has more; a good one replaces a bad one.

    Args:
        pins: the public halves of keys that no role names.

    Returns:
        None if there is nothing to add.

    Raises:
        Conflict: the other is no copy of it.
        VerificationError: a signature does not hold, or nobody's key comes with it.
        EndpointRefused: there would be too many.
    """
    if standing.signed_bytes != proposed.signed_bytes:
        raise Conflict("This is not the app's first root.", remedy="Sign the one that stands there.", field="root")
    known = {keyid: standing.signed.keys[keyid] for keyid in standing.signed.roles["root"].keyids}
    known |= {key.keyid: key for key in pins if key.keytype == "rsa"}
    added = {
        keyid: _held(keyid, known, proposed)
        for keyid, signature in proposed.signatures.items()
        if standing.signatures.get(keyid) != signature and not (keyid in known and holds(known[keyid], standing))
    }
    if not added:
        return None
    more = Metadata(standing.signed, {**standing.signatures, **added})
    if len(more.signatures) > _MOST_SIGNATURES:
        raise EndpointRefused(
            f"The first root would have {len(more.signatures)} signatures.",
            remedy=f"At most are {_MOST_SIGNATURES}.",
            field="root",
        )
    return more


def _held(keyid: str, known: Mapping[str, Key], proposed: Metadata[Root]) -> Signature:
    if keyid not in known or not holds(known[keyid], proposed):
        raise VerificationError(
            f"The signature of {keyid[:12]} on the first root "
            f"{'does not hold' if keyid in known else 'comes without the public half of an RSA key'}.",
            remedy="Let the pinned key sign the first root that stands there: mlpublish repo rekey --pin KEYURI.",
            field="root",
        )
    return proposed.signatures[keyid]
