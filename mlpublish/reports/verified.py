"""What verification found: RoleReport, VerifyReport."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlpublish.artifacts import App, Bundle
from mlpublish.formats.channel import Channel, Entry
from mlpublish.formats.manifest import FileEntry, Manifest
from mlpublish.formats.tables import files_blocks, models_table
from mlpublish.shown import Badge, Block, Facts, Folded, Sentences, Shown, Table, size

ROLE_COLUMNS = ("role", "version", "needs", "signed by", "until")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleReport:
    """One verified role: who signed it, out of whom, until when.

    Args:
        signed_by: the key ids whose signatures count.
        signers: the same, as people know them: the holder's name, where the key carries one, and how its id begins.
        keys: how many keys are appointed.
    """

    role: str
    version: int
    threshold: int
    signed_by: tuple[str, ...]
    expires: datetime
    signers: tuple[str, ...] = ()
    keys: int = 0

    @property
    def days_left(self) -> int:
        """Whole days until it expires, by this machine's clock."""
        return (self.expires - datetime.now(UTC)).days

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row in a table of roles: see ROLE_COLUMNS."""
        keys = ", ".join(self.signers or (keyid[:12] for keyid in self.signed_by))
        return self.role, str(self.version), f"{self.threshold} of {self.keys}", keys, f"{self.expires:%Y-%m-%d %H:%M UTC}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "version": self.version,
            "threshold": self.threshold,
            "keys": self.keys,
            "signed_by": list(self.signed_by),
            "signers": list(self.signers),
            "expires": self.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "days_left": self.days_left,
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class VerifyReport(Shown):
    """What verification found; a broken link is an error, never a report.

    Args:
        what: the path or the URL that was named, or what it is within that (``releases/3/bundle.zip``).
        kind: ``bundle``, ``unpacked bundle``, ``release``, ``repository`` (one app's) or ``repositories``.
        proven: what holds, one sentence each.
        not_proven: what this cannot show, one sentence each.
        bundle: the zip, if there is one.
        manifest: what the bundle or the unpacked bundle says of itself.
        files: every file of the bundle with its length and digest, its manifest last.
        app_id, platform, app_versions, number: whom a release is for, and under which number; what an app's role signs of it.
        roles: the signed roles that were checked, root first; empty for a bare bundle.
        signatures: the file of a signature over the bundle alone -> the id of the key that made it.
        channels: what a repository's channels offer.
        warnings: what holds, and soon no longer, or is worth a look.
        parts: a repository's releases; of several repositories each.
    """

    what: Path | str
    kind: str
    proven: tuple[str, ...]
    not_proven: tuple[str, ...]
    bundle: Bundle | None = None
    manifest: Manifest | None = None
    files: tuple[FileEntry, ...] = ()
    app_id: str | None = None
    platform: str | None = None
    app_versions: tuple[str, ...] = ()
    number: int | None = None
    roles: tuple[RoleReport, ...] = ()
    signatures: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    channels: tuple[Channel, ...] = ()
    warnings: tuple[str, ...] = ()
    parts: tuple[VerifyReport, ...] = ()

    @property
    def app(self) -> App | None:
        """Whom a release is for, where that is one version of the app."""
        if self.app_id is None or self.platform is None or len(self.app_versions) != 1:
            return None
        return App(id=self.app_id, version=self.app_versions[0], platform=self.platform)

    def rows(self) -> Mapping[str, object]:
        return {
            "verified": f"{self.kind} {self.what}",
            "release": self.number,
            "releases": ", ".join(str(each.number) for each in self.parts if each.number is not None) or None,
            "bundle sha256": None if self.bundle is None else self.bundle.sha256,
            "proven": " ".join(self.proven),
            "not proven": " ".join(self.not_proven),
            "warnings": " ".join(self.warnings) or None,
        }

    def brief(self) -> str:
        of = "" if self.app_id is None else f" of {self.app_id}"
        number = "" if self.number is None else f" {self.number}"
        return f"{self.kind}{number}{of} verified: {len(self.proven)} proven, {len(self.not_proven)} not proven"

    def blocks(self) -> Iterable[Block]:
        yield Badge("verified", True)
        if self.warnings:
            yield Badge("1 warning" if len(self.warnings) == 1 else f"{len(self.warnings)} warnings")
        yield Facts(self._facts())
        yield Sentences("Warnings", self.warnings)
        yield Sentences("Proven", self.proven)
        yield Sentences("Not proven", self.not_proven)
        yield Table("Roles", ROLE_COLUMNS, tuple(role.cells for role in self.roles))
        yield Table("Signatures over the bundle alone", ("file", "key"), tuple(self.signatures.items()))
        yield Table("Channels", ("channel", "app version", "offers"), tuple(_offers(self.channels)))
        if self.manifest is not None:
            yield models_table(self.manifest.models)
        yield from files_blocks(self.files)
        for part in self.parts:
            yield Folded(f"{part.kind} {part.what}", tuple(part.blocks()))

    def _facts(self) -> dict[str, object]:
        bundle = None if self.manifest is None else f"{self.manifest.name} {self.manifest.version}"
        versions = ", ".join(self.app_versions)
        return {
            "verified": f"{self.kind} {self.what}",
            "release": self.number,
            "app": None if self.app_id is None else f"{self.app_id} {versions} ({self.platform})" if versions else self.app_id,
            "bundle": bundle if self.bundle is None else f"{bundle}, {size(self.bundle.length)}",
            "bundle sha256": None if self.bundle is None else self.bundle.sha256,
        }

    def to_dict(self) -> dict[str, Any]:
        models = () if self.manifest is None else self.manifest.models
        return {
            "what": str(self.what),
            "kind": self.kind,
            "bundle": None if self.bundle is None else self.bundle.to_dict(),
            "files": [entry.to_dict() for entry in self.files],
            "app": self.app_id,
            "app_version": self.app_versions[0] if len(self.app_versions) == 1 else None,
            "app_versions": list(self.app_versions),
            "platform": self.platform,
            "number": self.number,
            "roles": [role.to_dict() for role in self.roles],
            "signatures": dict(self.signatures),
            "channels": [_channel(channel) for channel in self.channels],
            "models": {model.name: None if model.parity is None else model.parity.to_dict() for model in models},
            "golden": {model.name: None if model.golden is None else str(model.golden) for model in models},
            "proven": list(self.proven),
            "not_proven": list(self.not_proven),
            "warnings": list(self.warnings),
            "parts": [part.to_dict() for part in self.parts],
        }


def _offers(channels: tuple[Channel, ...]) -> Iterable[tuple[str, str, str]]:
    for channel in channels:
        for entry in channel.entries:
            yield f"{channel.channel} ({channel.platform})", entry.app_version, told(entry)


def told(entry: Entry) -> str:
    """What a channel's entry offers, in a few words."""
    others = "" if entry.otherwise is None else f", the others release {entry.otherwise}"
    share = "" if entry.rollout == 100 else f" for {entry.rollout} %{others}"
    return f"release {entry.release}{share}{', paused' if entry.paused else ''}"


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "channel": channel.channel,
        "platform": channel.platform,
        "entries": [entry.to_dict() for entry in channel.entries],
    }
