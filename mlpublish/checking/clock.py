"""The time by which a device judges what has expired, and what it says of a role that has.

TUF judges by the device's clock alone (specification §5.3). Ours also remembers the newest time at which everything
verified, and never judges by an earlier one: a clock that was set back brings back no state that had run out by then, even
where the device has lost the versions that it had seen. What it remembers lies before every expiry of what verified, so a
clock that ran ahead can block a device for no longer than the shortest of those lives. No signed time can be newer: a role
says when it expires, after a life that each app chooses, and never when it was signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Root, Signed, Snapshot, Targets, Timestamp

from mlpublish.checking.outcome import DeviceFailure
from mlpublish.formats.status import UpdateStatus
from mlpublish.trust import roles

_RENEW = "Whoever runs the repository must renew it: mlpublish repo renew."
_REMEDIES = {
    "root": "The holders of the root keys must sign the next root; mlpublish repo status tells who.",
    "timestamp": _RENEW,
    "snapshot": _RENEW,
    "targets": "Publishers and reviewers must sign the app role again; mlpublish repo status tells who.",
    roles.CHANNELS: "An operator must sign the channels role again; mlpublish repo status tells who.",
}
_SHOWN = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """One check's idea of the present.

    Args:
        shows: what the device's clock shows, in UTC.
        verified: the newest time at which this device saw everything verified, if it ever did.
    """

    shows: datetime
    verified: datetime | None = None

    @property
    def judged(self) -> datetime:
        """The time that expiry is judged by."""
        return self.shows if self.verified is None else max(self.shows, self.verified)

    def refuse_expired(self, documents: Mapping[str, bytes]) -> None:
        """Refuse verified roles of which one has run out.

        Args:
            documents: role -> its metadata, in the order in which TUF reads them.

        Raises:
            DeviceFailure: INTEGRITY; the first of them is named, with who must act.
        """
        for name, data in documents.items():
            signed = _signed(name, data)
            if signed.is_expired(self.judged):
                raise DeviceFailure(
                    UpdateStatus.FAILURE_INTEGRITY,
                    f"The {name} role expired on {signed.expires:{_SHOWN}}; {self._told()}. {_REMEDIES[name]} "
                    "If the device's clock is wrong, set it.",
                )

    def _told(self) -> str:
        told = f"this device's clock says {self.shows:{_SHOWN}}"
        if self.judged == self.shows:
            return told
        return f"{told}, but everything verified here on {self.judged:{_SHOWN}} already"


def _signed(name: str, data: bytes) -> Signed:
    match name:
        case "root":
            return roles.parse(data, Root, name).signed
        case "timestamp":
            return roles.parse(data, Timestamp, name).signed
        case "snapshot":
            return roles.parse(data, Snapshot, name).signed
    return roles.parse(data, Targets, name).signed
