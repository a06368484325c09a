"""Sign with a key in a token or HSM (``pkcs11:token=Release;object=prod?module-path=/usr/lib/…so&pin-source=FILE``, RFC 7512).

A token is asked for one small thing only, a signature over a digest (for Ed25519 over the payload): some take no more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, SECP521R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from securesystemslib.signer import SSlibKey

from mlpublish.errors import MissingExtra, SigningError
from mlpublish.formats.key_uri import KeyUri
from mlpublish.signing.checked import CheckedSigner
from mlpublish.trust import keys
from mlpublish.trust.passphrases import PIN, ask
from mlpublish.trust.signer import Signer

if TYPE_CHECKING:
    import pkcs11

MODULE = "MLPUBLISH_PKCS11_MODULE"
_OF_TOKEN = ("token", "manufacturer", "model", "serial", "slot-id")
_OF_KEY = ("object", "id")
_CURVES = {  # by EC_PARAMS; those that are not taken are here to be named
    bytes.fromhex("06082a8648ce3d030107"): SECP256R1(),
    bytes.fromhex("06052b81040022"): SECP384R1(),
    bytes.fromhex("06052b81040023"): SECP521R1(),
}
_ED25519_POINT = 32  # bytes
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # SHA-256's (RFC 8017, §9.2, note 1)


def open_pkcs11(uri: str) -> Signer:
    """Open one private key of a token.

    Args:
        uri: RFC 7512; which token: ``token``, ``serial``, ``manufacturer``, ``model``, ``slot-id``; which key: ``object`` (its
            label), ``id``. Behind ``?``: ``module-path`` (else the variable MLPUBLISH_PKCS11_MODULE), ``pin-source=FILE`` or
            ``pin-env=VARIABLE``, ``public-key=FILE`` where the token keeps no public half.

    Raises:
        SigningError: no such module, token or key, or more than one; a wrong PIN; a key of a kind not taken.
        MissingExtra: python-pkcs11 is not installed.
    """
    try:
        import pkcs11  # noqa: F401 - looked for first, so that its absence is told before anything else
    except ImportError as exc:
        raise MissingExtra("pkcs11: keys need python-pkcs11.", remedy="Run pip install 'mlpublish[pkcs11]'.") from exc
    where = KeyUri.parse(uri).only("module-path", "public-key", *PIN.parameters)
    wanted = _attributes(where.path)
    token = _token(_module(where.query), wanted)
    pin = ask(PIN, where.query, of=f"the token {token.label!r}")
    with _told(token.label):
        session = _session(token, pin)
        private = _private_key(session, wanted)
        named = where.query.get("public-key")
        public = keys.find_public(Path(named)).key if named else _public_key(session, private)
        return Pkcs11Signer(private, public, pin, token.label)


class Pkcs11Signer(CheckedSigner):
    """Signs with a token's private key, whose session stays open as long as this does."""

    def __init__(self, private: pkcs11.PrivateKey, public: SSlibKey, pin: str, label: str) -> None:
        import pkcs11

        super().__init__(public, f"The token {label!r}")
        self._private, self._label = private, label
        always = private[pkcs11.Attribute.ALWAYS_AUTHENTICATE]
        self._pin = {"pin": pin} if always else {}  # a PIV card's signature key wants it each time

    def sign_payload(self, payload: bytes) -> bytes:
        import pkcs11

        if self.public_key.scheme != "ed25519":
            return super().sign_payload(payload)
        with _told(self._label):
            return bytes(self._private.sign(payload, mechanism=pkcs11.Mechanism.EDDSA, **self._pin))

    def sign_hashed(self, digest: bytes) -> bytes:
        import pkcs11

        with _told(self._label):
            if self.public_key.keytype == "rsa":
                return bytes(self._private.sign(_DIGEST_INFO + digest, mechanism=pkcs11.Mechanism.RSA_PKCS, **self._pin))
            pair = bytes(self._private.sign(digest, mechanism=pkcs11.Mechanism.ECDSA, **self._pin))
        half = len(pair) // 2
        return encode_dss_signature(int.from_bytes(pair[:half]), int.from_bytes(pair[half:]))


def _attributes(path: str) -> Mapping[str, bytes]:
    """The attributes before the ``?``, percent-decoded.

    Raises:
        SigningError: one is not known, so the wrong key could be meant.
    """
    found: dict[str, bytes] = {}
    for part in filter(None, path.split(";")):
        name, _, value = part.partition("=")
        if name not in (*_OF_TOKEN, *_OF_KEY, "type") or not value:
            raise SigningError(
                f"The PKCS#11 URI's attribute {name!r} is not known here, or has no value.",
                remedy=f"Use {', '.join((*_OF_TOKEN, *_OF_KEY))} as name=value, joined by ;.",
                field="key",
            )
        found[name] = unquote_to_bytes(value)
    return found


def _module(query: Mapping[str, str]) -> str:
    path = query.get("module-path") or os.environ.get(MODULE)
    if path is None:
        raise SigningError(
            "The PKCS#11 URI names no module.",
            remedy=f"Add ?module-path=/path/of/the/vendors.so, or set {MODULE}.",
            field="module-path",
        )
    if not Path(path).is_file():
        raise SigningError(
            f"There is no PKCS#11 module {path}.", remedy="Give the path of the vendor's shared library.", field="module-path"
        )
    return path


def _token(module: str, wanted: Mapping[str, bytes]) -> pkcs11.Token:
    import pkcs11

    try:
        tokens = [each for each in pkcs11.lib(module).get_tokens() if each.flags & pkcs11.TokenFlag.TOKEN_INITIALIZED]
    except (pkcs11.PKCS11Error, RuntimeError) as exc:
        raise SigningError(
            f"The PKCS#11 module {module} cannot be used: {type(exc).__name__} {exc}.",
            remedy="Check that it is a PKCS#11 library for this machine, and its own configuration.",
            field="module-path",
        ) from exc
    fitting = [each for each in tokens if all(_fits(each, name, wanted[name]) for name in _OF_TOKEN if name in wanted)]
    if len(fitting) != 1:
        there = ", ".join(f"token={each.label} (serial={each.serial.decode(errors='replace')})" for each in tokens) or "none"
        raise SigningError(
            f"{'Several tokens fit' if fitting else 'No token fits'} the PKCS#11 URI.",
            remedy=f"Plug it in, or name one that is there: {there}.",
            field="key",
        )
    return fitting[0]


def _fits(token: pkcs11.Token, name: str, value: bytes) -> bool:
    standing = {
        "token": token.label.encode(),
        "manufacturer": token.manufacturer_id.encode(),
        "model": token.model.encode(),
        "serial": token.serial,
        "slot-id": str(token.slot.slot_id).encode(),
    }
    return bool(standing[name].rstrip(b" \0") == value)


def _session(token: pkcs11.Token, pin: str) -> pkcs11.Session:
    import pkcs11

    try:
        return token.open(user_pin=pin)
    except pkcs11.UserAlreadyLoggedIn:  # by another key of this token: a login is the process's, not a session's
        return token.open()


def _private_key(session: pkcs11.Session, wanted: Mapping[str, bytes]) -> pkcs11.PrivateKey:
    import pkcs11

    every = list(session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}))
    label, key_id = wanted.get("object"), wanted.get("id")
    fitting = [each for each in every if label in (None, each.label.encode()) and key_id in (None, each.id)]
    if len(fitting) != 1:
        there = ", ".join(f"object={each.label} (id={''.join(f'%{byte:02x}' for byte in each.id)})" for each in every) or "none"
        raise SigningError(
            f"{'Several private keys' if fitting else 'No private key'} of the token {session.token.label!r} "
            f"{'fit' if fitting else 'fits'} the PKCS#11 URI.",
            remedy=f"Name one that is there: {there}.",
            field="key",
        )
    return fitting[0]


def _public_key(session: pkcs11.Session, private: pkcs11.PrivateKey) -> SSlibKey:
    """The public half that the token keeps beside a private key, of the same kind, id and, where several fit, label."""
    import pkcs11

    search = {
        pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY,
        pkcs11.Attribute.KEY_TYPE: private.key_type,
        pkcs11.Attribute.ID: private.id,
    }
    fitting = sorted(session.get_objects(search), key=lambda each: each.label != private.label)
    try:
        public = _read(fitting[0]) if fitting else None
    except ValueError:
        public = None
    if public is None:
        raise SigningError(
            f"The token {session.token.label!r} keeps no public half of {private.label!r} that can be read.",
            remedy="Add ?public-key=FILE with the public key or certificate (of an ECDSA P-256, Ed25519 or RSA key).",
            field="key",
        )
    return keys.public_key(public)


def _read(public: pkcs11.PublicKey) -> PublicKeyTypes | None:
    import pkcs11

    if public.key_type == pkcs11.KeyType.RSA:
        exponent, modulus = public[pkcs11.Attribute.PUBLIC_EXPONENT], public[pkcs11.Attribute.MODULUS]
        return RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus)).public_key()
    point = public[pkcs11.Attribute.EC_POINT]  # an OCTET STRING by the standard, the bare point in some tokens
    if public.key_type == pkcs11.KeyType.EC_EDWARDS:
        return Ed25519PublicKey.from_public_bytes(point[-_ED25519_POINT:])
    curve = _CURVES.get(public[pkcs11.Attribute.EC_PARAMS])
    return EllipticCurvePublicKey.from_encoded_point(curve, point[-(1 + 2 * -(-curve.key_size // 8)) :]) if curve else None


@contextmanager
def _told(token: str) -> Iterator[None]:
    """What the library says, once and in words."""
    import pkcs11

    try:
        yield
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as exc:
        raise SigningError(
            f"The PIN of the token {token!r} is wrong.",
            remedy="Check where it is read from before you try again: a token locks itself after a few wrong ones.",
            field="pin",
        ) from exc
    except pkcs11.PinLocked as exc:
        raise SigningError(
            f"The token {token!r} has locked itself.", remedy="Its security officer must set a new PIN.", field="pin"
        ) from exc
    except pkcs11.PKCS11Error as exc:
        raise SigningError(
            f"The token {token!r} refused: {type(exc).__name__} {exc}".rstrip(" .") + ".",
            remedy="Check that it is plugged in, and that the key may sign.",
            field="key",
        ) from exc
