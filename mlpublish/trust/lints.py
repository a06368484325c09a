"""What is allowed by TUF and still a mistake, found when roles are made, signed or committed (DESIGN: lints when signing)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Role, Root, Targets

from mlpublish.errors import SigningError
from mlpublish.trust import roles
from mlpublish.trust.keys import LEAST_RSA_BITS, own_id
from mlpublish.trust.spelling import beginning, word

_LITTLE = 14  # days


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """One finding.

    Args:
        role: the role that it is about.
        refused: whether it is never signed or committed; otherwise it is told.
        ends: whether it is about little time that is left.
    """

    role: str
    problem: str
    remedy: str
    refused: bool = False
    ends: bool = False


def lint(*roles_: Metadata[Root] | Metadata[Targets] | None) -> tuple[Lint, ...]:
    """Everything that is wrong with who these roles appoint, and with how long they hold."""
    return tuple(found for role in roles_ if role is not None for found in _lint(role))


def refuse(*roles_: Metadata[Root] | Metadata[Targets] | None) -> None:
    """Refuse what must never be signed.

    Raises:
        SigningError: the first finding that is ``refused``.
    """
    for found in lint(*roles_):
        if found.refused:
            raise SigningError(found.problem, remedy=found.remedy, field=found.role)


def _lint(role: Metadata[Root] | Metadata[Targets]) -> Iterator[Lint]:
    signed = role.signed
    appointed: Mapping[str, Role]
    if isinstance(signed, Root):
        appointed, known = signed.roles, signed.keys
    else:
        delegations = signed.delegations
        appointed = {} if delegations is None else dict(delegations.roles or {})
        known = {} if delegations is None else delegations.keys
    for name, held in sorted(appointed.items()):
        yield from _held(name, held.threshold, [known[keyid] for keyid in held.keyids if keyid in known])
    yield from _ids({keyid for held in appointed.values() for keyid in held.keyids}, known, signed.type)
    left = signed.expires - roles.now()
    if left < timedelta(days=_LITTLE):
        told = f"expires on {signed.expires:%Y-%m-%d}, in {max(left.days, 0)} days" if left > timedelta() else "has expired"
        problem = f"The {signed.type} role {told}."
        yield Lint(role=signed.type, problem=problem, remedy="Have its holders sign it again.", ends=True)
    if left > timedelta(days=2 * roles.ROOT_DAYS):
        yield Lint(
            role=signed.type,
            problem=f"The {signed.type} role holds until {signed.expires:%Y-%m-%d}, which is too long to be meant.",
            remedy="Check the clock of the machine that made it (date -u), then make it again.",
            refused=True,
        )


def _held(name: str, threshold: int, keys: Sequence[Key]) -> Iterator[Lint]:
    own = {_own_id(key) for key in keys}
    if len(own) < len(keys):
        yield Lint(
            role=name,
            problem=f"The {word(name)} role lists one key under two ids, so one person could sign twice.",
            remedy="List each key once.",
            refused=True,
        )
    if threshold > len(own):
        yield Lint(
            role=name,
            problem=f"The {word(name)} role needs {threshold} signatures and has {len(own)} keys: nobody can reach that.",
            remedy=f"Name more keys, or a threshold of at most {len(own)}.",
            refused=True,
        )
    for key in keys:
        bits = _rsa_bits(key)
        if bits is not None and bits < LEAST_RSA_BITS:
            yield Lint(
                role=name,
                problem=f"A key of the {word(name)} role is RSA with {bits} bits.",
                remedy=f"Use {LEAST_RSA_BITS} bits or more, or ECDSA P-256.",
                refused=True,
            )
        if key.scheme not in roles.SCHEMES:
            yield Lint(
                role=name,
                problem=f"A key of the {word(name)} role has the scheme {word(key.scheme)}, which a phone does not verify.",
                remedy=f"Use one of: {', '.join(roles.SCHEMES)}.",
                refused=True,
            )
    if threshold == 1 and name in ("root", "targets"):
        yield Lint(
            role=name,
            problem=f"One signature is enough for the {word(name)} role: one stolen key is the whole role.",
            remedy=f"In production give it 2 or more: mlpublish repo rotate {name} --threshold 2 --add KEY.",
        )


def _ids(appointed: Set[str], known: Mapping[str, Key], role: str) -> Iterator[Lint]:
    """A key id is what people compare by eye: it must be that key's, the key must be there, and it must hold something."""
    for keyid in sorted(appointed | known.keys(), key=str):
        told = f"The {role} role lists the key {beginning(keyid)}, "
        if keyid not in known:
            yield Lint(
                role=role, problem=f"{told}and not the key itself.", remedy="List the key, or drop its id.", refused=True
            )
        elif keyid not in appointed:
            yield Lint(role=role, problem=f"{told}which holds no role.", remedy="Leave it out.", refused=True)
        elif (own := _own_id(known[keyid])) != keyid:
            problem, remedy = (
                f"{told}which is {beginning(own)}.",
                "List each key under its own id: mlpublish keys show tells it.",
            )
            yield Lint(role=role, problem=problem, remedy=remedy, refused=True)


def _own_id(key: Key) -> str:
    try:
        return own_id(key)
    except SigningError:
        return key.keyid  # of a kind that is refused by its scheme or its length


def _rsa_bits(key: Key) -> int | None:
    if key.keytype != "rsa":
        return None
    try:
        public = load_pem_public_key(str(key.keyval["public"]).encode())
    except (KeyError, ValueError):
        return 0
    return public.key_size if isinstance(public, RSAPublicKey) else 0
