"""The online keys: they say what is fresh, never what a release is.

In a server.toml (one key URI, or a list of them while one is being replaced; then all of them sign):

    [online]
    snapshot = "file:keys/snapshot.pem"
    timestamp = ["file:keys/timestamp.pem", "file:keys/timestamp-2.pem"]
    snapshot_days = 7                       # default 7
    timestamp_days = 1                      # default 1
    channels = "file:keys/operator.pem"     # an operator's key, if the channels role is to be renewed too
    channels_days = 7                       # default 7
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tuf.api.metadata import Root

from mlpublish.errors import SigningError
from mlpublish.repository.table import Table
from mlpublish.trust.signer import Signer, signer_for

_FOLDERS_SNAPSHOT, _FOLDERS_TIMESTAMP = 30, 14  # days
_KEYS = ("snapshot", "timestamp", "channels", "snapshot_days", "timestamp_days", "channels_days")


@dataclass(frozen=True, slots=True, kw_only=True)
class Online:
    """Who signs snapshot and timestamp, and for how many days.

    Args:
        snapshot, timestamp: every one of them signs. While a key is being replaced both the old and the new one do, so that
            what is current verifies under the old root and under the new one.
        channels: an operator's key, where the holder of the online keys may renew the channels role too.
        channels_days: how long a channels role that was renewed here holds.
        shorten: sign a timestamp also if it runs out clearly before the one that stands; a person who looked at the clock says
            so.
    """

    snapshot: tuple[Signer, ...]
    timestamp: tuple[Signer, ...]
    channels: Signer | None = None
    snapshot_days: float = _FOLDERS_SNAPSHOT
    timestamp_days: float = _FOLDERS_TIMESTAMP
    channels_days: float = 7
    shorten: bool = False

    @property
    def shortest_days(self) -> float:
        """The shortest life of what is signed here."""
        return min(self.snapshot_days, self.timestamp_days, *(() if self.channels is None else (self.channels_days,)))

    def holds_too_long(self, role: str, expires: datetime, *, now: datetime) -> bool:
        """Whether the snapshot or the timestamp has half a life more left than there is: the clock that signed it was ahead, or
        this one is behind. (The longer of our life and a folder's: a server may take over what a folder signed.)
        """
        days = (
            max(self.timestamp_days, _FOLDERS_TIMESTAMP) if role == "timestamp" else max(self.snapshot_days, _FOLDERS_SNAPSHOT)
        )
        return expires - now > timedelta(days=1.5 * days)

    def must_not_shorten(self, standing: datetime, *, now: datetime) -> None:
        """Refuse to replace a timestamp by one that runs out clearly earlier: this clock may be behind, and devices refuse as
        expired what it signs. Or the clock that signed the standing one was ahead; no file tells which.

        Args:
            standing: when the timestamp that stands expires.
            now: this clock.

        Raises:
            SigningError: it would.
        """
        if not self.shorten and self.holds_too_long("timestamp", standing, now=now):
            life = timedelta(days=self.timestamp_days)
            raise SigningError(
                f"The timestamp that stands expires on {_told(standing)}; a new one, signed now, would on {_told(now + life)} "
                f"already: this clock says {_told(now)}.",
                remedy="Compare it with the real time: date -u. If it is behind, set it. If it is right, an earlier clock was "
                "ahead, or timestamp_days was made shorter: mlpublish repo renew --shorten.",
                field="timestamp",
            )

    def falls_short(self, root: Root) -> str | None:
        """The first role that these keys cannot sign so that a device under this root believes it, if there is one."""
        for name, signers in (("snapshot", self.snapshot), ("timestamp", self.timestamp)):
            role = root.get_delegated_role(name)
            if len({signer.public_key.keyid for signer in signers} & set(role.keyids)) < role.threshold:
                return name
        return None

    def must_suffice(self, root: Root) -> None:
        """Refuse keys that no device would believe, before anything that is current is replaced.

        Raises:
            SigningError: they are another repository's, or were replaced.
        """
        name = self.falls_short(root)
        if name is not None:
            holders = ", ".join(keyid[:12] for keyid in root.get_delegated_role(name).keyids)
            raise SigningError(
                f"The online keys named here are not those that hold the {name} role ({holders}).",
                remedy="Name this repository's: [online] in its server.toml, or [keys] in mlpublish.toml.",
                field=name,
            )


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineKeys:
    """The online keys as a server.toml names them.

    Args:
        snapshot, timestamp: key URIs, at least one each.
        channels: an operator's key URI, or None.
        snapshot_days, timestamp_days, channels_days: how long what they sign holds.
    """

    snapshot: tuple[str, ...]
    timestamp: tuple[str, ...]
    channels: str | None = None
    snapshot_days: float = 7
    timestamp_days: float = 1
    channels_days: float = 7

    @classmethod
    def read(cls, file: Table) -> OnlineKeys:
        """Read ``[online]``.

        Raises:
            RecipeError: a key is unknown, missing or of the wrong kind.
        """
        table = file.inner("online", _KEYS)
        return cls(
            snapshot=table.key_uris("snapshot"),
            timestamp=table.key_uris("timestamp"),
            channels=table.key_uri("channels"),
            snapshot_days=table.positive("snapshot_days", 7),
            timestamp_days=table.positive("timestamp_days", 1),
            channels_days=table.positive("channels_days", 7),
        )

    def open(self) -> Online:
        """Open the keys.

        Raises:
            SigningError: one cannot be opened.
        """
        return Online(
            snapshot=tuple(signer_for(uri) for uri in self.snapshot),
            timestamp=tuple(signer_for(uri) for uri in self.timestamp),
            channels=None if self.channels is None else signer_for(self.channels),
            snapshot_days=self.snapshot_days,
            timestamp_days=self.timestamp_days,
            channels_days=self.channels_days,
        )
