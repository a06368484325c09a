"""What each step takes (``…In``) and gives (``…Out``): the one source of its JSON Schema.

Keys and tokens are references (a key URI; ``env:NAME``, ``file:PATH``, ``keyring:SERVICE/USER``); files are Artifacts.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlpublish.storage.artifacts import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertIn:
    model: str
    name: str | None = None
    samples: Artifact | None = None
    target: str = "iOS16"
    precision: str = "auto"
    tolerance: float | None = None
    trust_pickle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOut:
    model: Artifact
    name: str
    kind: str
    max_rel_diff: str | None
    label_agreement: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """Another file to carry, under its own name."""

    name: str
    content: Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleIn:
    models: tuple[Artifact, ...] = ()
    files: tuple[NamedFile, ...] = ()
    name: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleOut:
    bundle: Artifact
    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    bundle: Artifact
    app: str
    app_version: str
    platform: str = "ios"
    repository: str | None = None
    key: str | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOut:
    release: Artifact
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyIn:
    release: Artifact
    root: str | None = None
    repository: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOut:
    number: int
    sha256: str
    proven: tuple[str, ...]
    not_proven: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishIn:
    release: Artifact
    to: str
    repository: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOut:
    endpoint: str
    number: int
    sha256: str
    created: bool
    change: str | None = None  # waits for other holders' signatures


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelIn:
    app: str
    app_version: str
    to: str
    release: int
    platform: str = "ios"
    channel: str = "stable"
    rollout: int = 100
    otherwise: int | None = None
    repository: str | None = None
    key: str | None = None
    token: str | None = None
    if_current: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelOut:
    channel: str
    release: int
    rollout: int
    version: int
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckIn:
    app: str
    app_version: str
    at: str
    platform: str = "ios"
    channel: str = "stable"
    device: str | None = None
    root: str | None = None
    repository: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOut:
    status: str
    installed: int | None
    offered: int | None
    reason: str | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseIn:
    models: tuple[str, ...]
    app: str
    app_version: str
    to: str
    name: str | None = None
    version: str | None = None
    platform: str = "ios"
    channel: str = "stable"
    samples: Artifact | None = None
    repository: str | None = None
    key: str | None = None
    token: str | None = None
