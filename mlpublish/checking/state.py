"""What a device remembers between two checks: ``state.json``.

Members that were added later are optional: an older mlpublish passes over them, and loses them when it writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlpublish.checking import sandbox
from mlpublish.errors import FormatError, NewerFormat
from mlpublish.formats.wire import Reader, dump

DEVICE_FORMAT = 1
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A release on the device, and the app version it was installed for.

    Args:
        release: its number; None for a zip that no repository numbers (pin-only mode).
        sha256: of the bundle.
        manifest_sha256: of the file that says what its folder holds; None in a state that an older mlpublish wrote.
    """

    release: int | None
    sha256: str
    platform: str
    app_version: str
    manifest_sha256: str | None = None

    @property
    def folder(self) -> str:
        return f"{'pinned' if self.release is None else self.release}-{self.sha256[:12]}"

    @property
    def title(self) -> str:
        """What a sentence calls it."""
        return f"the zip {self.sha256[:12]}…" if self.release is None else f"release {self.release}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "release": self.release,
            "sha256": self.sha256,
            "platform": self.platform,
            "app_version": self.app_version,
            **({} if self.manifest_sha256 is None else {"manifest_sha256": self.manifest_sha256}),
        }

    @classmethod
    def from_reader(cls, reader: Reader) -> Installed:
        return cls(
            release=reader.optional("release", lambda name: reader.whole_number(name, least=1)),
            sha256=reader.digest("sha256"),
            platform=reader.text("platform"),
            app_version=reader.text("app_version"),
            manifest_sha256=reader.optional("manifest_sha256", reader.digest),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is in use, what was before, and what the device never goes back behind.

    Args:
        floors: the highest floors seen (``<platform>/<app version>`` -> release).
        verified_at: the newest time (UTC) at which everything verified.
    """

    current: Installed | None = None
    previous: Installed | None = None
    floors: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    verified_at: datetime | None = None

    def to_bytes(self) -> bytes:
        return dump(
            {
                "format": DEVICE_FORMAT,
                "current": None if self.current is None else self.current.to_dict(),
                "previous": None if self.previous is None else self.previous.to_dict(),
                "floors": dict(self.floors),
                **({} if self.verified_at is None else {"verified_at": self.verified_at.strftime(_TIME)}),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        reader = Reader.parse(data, what="state.json")
        reader.version("format", known=DEVICE_FORMAT)
        return cls(
            current=reader.optional("current", lambda name: Installed.from_reader(reader.inner(name))),
            previous=reader.optional("previous", lambda name: Installed.from_reader(reader.inner(name))),
            floors=MappingProxyType(reader.number_map("floors")),
            verified_at=reader.optional("verified_at", lambda name: _time(reader, name)),
        )


def read_state(file: Path) -> State:
    """What is in use; a file that the disk spoiled counts for nothing, and the next offer is installed anew."""
    try:
        return State.from_bytes(sandbox.read(file) or b"")
    except NewerFormat:
        raise
    except FormatError:
        return State()


def _time(reader: Reader, name: str) -> datetime:
    try:
        return datetime.strptime(reader.text(name), _TIME).replace(tzinfo=UTC)
    except ValueError:
        reader.refuse(name, "a time in UTC such as 2026-01-31T12:00:00Z")
