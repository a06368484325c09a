"""What a change is meant to do, in words that the edit can be made again from; nobody ever trusts it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from securesystemslib.signer import Key, SSlibKey

from mlpublish.errors import SigningError
from mlpublish.formats.policy import LONGEST_EXPIRY_DAYS, RELEASE_NUMBER
from mlpublish.formats.wire import Reader
from mlpublish.trust.keys import holder_of, own_id
from mlpublish.trust.spelling import beginning, word

KINDS = ("found", "release", "policy", "rotate")
HELD = ("root", "targets", "channels", "snapshot", "timestamp", "online")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One of ``KINDS`` and its details.

    Args:
        kind: ``found`` a repository, add a ``release``, edit the ``policy``, or ``rotate`` keys.
        release: the number of a release that is added.
        withdraw: release number -> why devices shall leave it.
        reinstate: numbers that are withdrawn no more.
        floors: ``<platform>/<app version>`` -> the lowest release that a channel may offer.
        remove: numbers of releases that are retired: nobody gets them any more, whoever has one keeps it.
        publisher_may_approve, expiry_days: see Policy; None leaves it as it is.
        role: whose keys are rotated; ``online`` stands for snapshot and timestamp at once.
        add, drop: keys that it gets, key ids that it loses.
        threshold: how many must sign from then on; None leaves it as it is.
        pin: the predecessor's pinned key, which has to co-sign the first root.
    """

    kind: str
    release: int | None = None
    withdraw: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    reinstate: tuple[int, ...] = ()
    floors: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    remove: tuple[int, ...] = ()
    publisher_may_approve: bool | None = None
    expiry_days: int | None = None
    role: str | None = None
    add: tuple[Key, ...] = ()
    drop: tuple[str, ...] = ()
    threshold: int | None = None
    pin: Key | None = None

    @property
    def summary(self) -> str:
        """One line for lists."""
        match self.kind:
            case "found":
                return "make the app's repository"
            case "release":
                return f"add release {self.release}"
            case "rotate":
                parts = [f"add {holder(key)}" for key in self.add] + [f"drop {beginning(keyid)}" for keyid in self.drop]
                parts += [] if self.threshold is None else [f"threshold {self.threshold}"]
                return f"keys of {self.role}: {', '.join(parts) or 'a later expiry'}"
        parts = [f"withdraw release {number} ({word(why)})" for number, why in self.withdraw.items()]
        parts += [f"reinstate release {number}" for number in self.reinstate]
        parts += [f"floor of {word(where)}: {number}" for where, number in self.floors.items()]
        parts += [f"remove release {number}" for number in self.remove]
        if self.publisher_may_approve is not None:
            parts.append("the publisher may approve" if self.publisher_may_approve else "the publisher may not approve")
        parts += [] if self.expiry_days is None else [f"versions hold {self.expiry_days} days"]
        return "; ".join(parts) or "a later expiry"

    def to_dict(self) -> dict[str, Any]:
        said = {
            "release": self.release,
            "withdraw": {str(number): why for number, why in self.withdraw.items()},
            "reinstate": list(self.reinstate),
            "floors": dict(self.floors),
            "remove": list(self.remove),
            "publisher_may_approve": self.publisher_may_approve,
            "expiry_days": self.expiry_days,
            "role": self.role,
            "add": [key_to_dict(key) for key in self.add],
            "drop": list(self.drop),
            "threshold": self.threshold,
            "pin": None if self.pin is None else key_to_dict(self.pin),
        }
        return {"kind": self.kind} | {name: value for name, value in said.items() if value not in (None, [], {})}

    @classmethod
    def from_reader(cls, reader: Reader) -> Intent:
        withdraw = reader.optional("withdraw", reader.text_map) or {}
        if not all(re.fullmatch(RELEASE_NUMBER, number) for number in withdraw):
            reader.refuse("withdraw", "an object whose members are release numbers")
        return cls(
            kind=reader.text("kind", "|".join(KINDS)),
            release=reader.optional("release", lambda name: reader.whole_number(name, least=1)),
            withdraw=MappingProxyType({int(number): why for number, why in withdraw.items()}),
            reinstate=reader.optional("reinstate", reader.whole_numbers) or (),
            floors=MappingProxyType(reader.optional("floors", reader.number_map) or {}),
            remove=reader.optional("remove", reader.whole_numbers) or (),
            publisher_may_approve=reader.optional("publisher_may_approve", reader.truth),
            expiry_days=reader.optional(
                "expiry_days", lambda name: reader.whole_number(name, least=1, most=LONGEST_EXPIRY_DAYS)
            ),
            role=reader.optional("role", lambda name: reader.text(name, "|".join(HELD))),
            add=tuple(key_from(each) for each in reader.each("add")) if reader.has("add") else (),
            drop=reader.optional("drop", reader.texts) or (),
            threshold=reader.optional("threshold", lambda name: reader.whole_number(name, least=1)),
            pin=reader.optional("pin", lambda name: key_from(reader.inner(name))),
        )


def holder(key: Key) -> str:
    """Whose key it is, as far as its metadata tells: a name and the beginning of the key id."""
    name = holder_of(key)
    return beginning(key.keyid) if name is None else f"{word(name)} ({beginning(key.keyid)})"


def key_to_dict(key: Key) -> dict[str, Any]:
    """A public key as a document has it, its id beside it."""
    return {**key.to_dict(), "keyid": key.keyid}


def key_from(reader: Reader) -> Key:
    """Read a public key that ``key_to_dict`` wrote; one under an id that is not its own is nobody's."""
    values = {name: value for name, value in reader.values.items() if name != "keyid"}
    keyid = reader.text("keyid", "[0-9a-f]{64}")
    try:
        key = SSlibKey.from_dict(keyid, values)
        own = own_id(key)
    except (AttributeError, KeyError, TypeError, ValueError, SigningError):
        reader.refuse("keyval", "a public key as TUF writes it, of a kind that a phone verifies")
    if own != keyid:
        reader.refuse("keyid", f"the key's own id, {own}")
    return key
