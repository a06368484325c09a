"""policy.json: what the app role says about the app as a whole.

It is a target of fixed name in the app role, and its content stands in the target's ``custom`` too, so that a device
reads it without a request. Floors stand here, not in a channel, because an operator must not be able to lower them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mlpublish.formats.wire import Reader, dump

POLICY_PATH = "policy.json"
POLICY_FORMAT = 1
RELEASE_NUMBER = r"[1-9][0-9]{0,17}"  # as the name of a member: spelled in one way only
EXPIRY_DAYS = 90
LONGEST_EXPIRY_DAYS = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The app id that a repository is for, the lowest release per app version, and what was withdrawn.

    The members below ``withdrawn`` are for those who sign, not for devices, and are written only where they differ from
    their default.

    Args:
        app_id: binds the repository to the app; TUF alone does not, where apps share keys.
        floors: ``<platform>/<app version>`` -> lowest release number that a channel may offer.
        withdrawn: release number -> why; devices leave it.
        retired: numbers of releases that were removed, ascending; no other release ever gets one of them.
        expiry_days: how long each version of the app role holds.
        publisher_may_approve: if False, the signature of whoever proposes a change does not count for its threshold, so one
            signature more is needed.
    """

    app_id: str
    floors: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    withdrawn: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    retired: tuple[int, ...] = ()
    expiry_days: int = EXPIRY_DAYS
    publisher_may_approve: bool = True

    def floor(self, platform: str, app_version: str) -> int:
        """The lowest release number that may be offered; 0 where there is no floor."""
        return self.floors.get(f"{platform}/{app_version}", 0)

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": POLICY_FORMAT,
            "app": self.app_id,
            "floors": dict(self.floors),
            "withdrawn": {str(number): why for number, why in self.withdrawn.items()},
            **({"retired": list(self.retired)} if self.retired else {}),
            **({"expiry_days": self.expiry_days} if self.expiry_days != EXPIRY_DAYS else {}),
            **({} if self.publisher_may_approve else {"publisher_may_approve": False}),
        }

    def to_bytes(self) -> bytes:
        return dump(self.to_dict())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Policy:
        reader = Reader(values, POLICY_PATH)
        reader.version("format", known=POLICY_FORMAT)
        withdrawn = reader.text_map("withdrawn")
        if not all(re.fullmatch(RELEASE_NUMBER, number) for number in withdrawn):
            reader.refuse("withdrawn", "an object whose members are release numbers")
        retired = reader.optional("retired", reader.whole_numbers) or ()
        if list(retired) != sorted({*retired} - {0}):
            reader.refuse("retired", "a list of release numbers, ascending, each once")
        days = reader.optional("expiry_days", lambda name: reader.whole_number(name, least=1, most=LONGEST_EXPIRY_DAYS))
        return cls(
            app_id=reader.text("app"),
            floors=MappingProxyType(reader.number_map("floors")),
            withdrawn=MappingProxyType({int(number): why for number, why in withdrawn.items()}),
            retired=retired,
            expiry_days=EXPIRY_DAYS if days is None else days,
            publisher_may_approve=reader.optional("publisher_may_approve", reader.truth) is not False,
        )
