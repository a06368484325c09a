"""The online keys: they say what is fresh, never what a release is."""

from __future__ import annotations

from dataclasses import dataclass

from mlpublish.trust.signer import Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Online:
    """Who signs snapshot and timestamp, and for how many days.

    Args:
        snapshot, timestamp: every one of them signs. While a key is being replaced both the old and the new one do, so that
            what is current verifies under the old root and under the new one.
        channels: an operator's key, where the holder of the online keys may renew the channels role too.
        channels_days: how long a channels role that was renewed here holds.
    """

    snapshot: tuple[Signer, ...]
    timestamp: tuple[Signer, ...]
    channels: Signer | None = None
    snapshot_days: float = 30
    timestamp_days: float = 14
    channels_days: float = 7
