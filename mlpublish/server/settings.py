"""server.toml: what the embedded server serves, where it keeps things, and the keys that say what is fresh.

    repository = "repository"       # holds <app id>/…
    tokens = "tokens"               # one file per role, one token per line
    blobs = "blobs"                 # uploads that wait for their commit; never under the repository (default "blobs")
    index = "index.sqlite"          # tokens and audit (default "index.sqlite")
    upload_limit = 8589934592       # bytes of one upload (default 8 GiB)
    stop_seconds = 10               # what requests in flight get to finish in, once the server is told to stop (default 10)

    [online]
    snapshot = "file:keys/snapshot.pem"
    timestamp = "file:keys/timestamp.pem"
    snapshot_days = 7               # default 7
    timestamp_days = 1              # default 1

Relative paths are relative to the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from mlpublish import plugins
from mlpublish.errors import NotFound, RecipeError
from mlpublish.repository.online import Online
from mlpublish.trust.signer import signer_for

T = TypeVar("T")
FILE = "server.toml"
UPLOAD_LIMIT = 8 << 30  # bytes
STOP_SECONDS = 10.0
_KEYS = ("repository", "tokens", "blobs", "index", "upload_limit", "stop_seconds", "online")
_ONLINE = ("snapshot", "timestamp", "snapshot_days", "timestamp_days")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The settings of one server, paths absolute or relative to the present folder.

    Args:
        upload_limit: bytes of one upload.
        stop_seconds: what requests in flight get to finish in.
        snapshot, timestamp: key URIs.
        snapshot_days, timestamp_days: how long what they sign holds.
    """

    repository: Path
    tokens: Path
    blobs: Path
    index: Path
    upload_limit: int
    stop_seconds: float
    snapshot: str
    timestamp: str
    snapshot_days: float
    timestamp_days: float

    @classmethod
    def read(cls, folder: Path) -> ServerSettings:
        """Read ``<folder>/server.toml``.

        Raises:
            NotFound: there is none.
            RecipeError: it is no TOML, or a key is unknown, missing or of the wrong kind.
        """
        table = _Table(_load(folder / FILE), _KEYS, folder)
        online = _Table(table.take("online", dict), _ONLINE, folder, "online.")
        settings = cls(
            repository=table.path("repository"),
            tokens=table.path("tokens"),
            blobs=table.path("blobs", "blobs"),
            index=table.path("index", "index.sqlite"),
            upload_limit=int(table.positive("upload_limit", UPLOAD_LIMIT)),
            stop_seconds=table.positive("stop_seconds", STOP_SECONDS),
            snapshot=online.key_uri("snapshot"),
            timestamp=online.key_uri("timestamp"),
            snapshot_days=online.positive("snapshot_days", 7),
            timestamp_days=online.positive("timestamp_days", 1),
        )
        settings._must_make_sense()
        return settings

    def online(self) -> Online:
        """Open the keys.

        Raises:
            SigningError: one cannot be opened.
        """
        return Online(
            snapshot=(signer_for(self.snapshot),),
            timestamp=(signer_for(self.timestamp),),
            snapshot_days=self.snapshot_days,
            timestamp_days=self.timestamp_days,
        )

    def _must_make_sense(self) -> None:
        if not self.repository.is_dir():
            raise RecipeError(
                f"The repository {self.repository} is no folder.", remedy=f"Correct {FILE}, or make it.", field="repository"
            )
        if self.blobs.resolve().is_relative_to(self.repository.resolve()):
            raise RecipeError(
                f"The folder of uploads {self.blobs} lies in the repository, which everybody can read.",
                remedy=f"Name a folder outside in {FILE}.",
                field="blobs",
            )


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of the file, every key known."""

    values: Mapping[str, Any]
    known: tuple[str, ...]
    folder: Path
    where: str = ""

    def __post_init__(self) -> None:
        for key in self.values:
            if key not in self.known:
                near = get_close_matches(key, self.known, n=1, cutoff=0.0)[0]
                self._refuse(key, "is not known", f"Did you mean {near}?")

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        value = self.values.get(key, default)
        if value is None:
            self._refuse(key, "is missing", "Add it; mlpublish repo init --dev DIR writes an example.")
        if not isinstance(value, kind) or isinstance(value, bool):
            self._refuse(key, f"must be of type {kind.__name__}", "Correct it.")
        return value

    def path(self, key: str, default: str | None = None) -> Path:
        return self.folder / self.take(key, str, default)

    def positive(self, key: str, default: float) -> float:
        value = self.values.get(key, default)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < float("inf"):
            self._refuse(key, "must be a number above 0", "Correct it.")
        return value

    def key_uri(self, key: str) -> str:
        uri = self.take(key, str)
        return f"file:{self.folder / uri.removeprefix('file:')}" if plugins.scheme_of(uri) == "file" else uri

    def _refuse(self, key: str, fact: str, remedy: str) -> NoReturn:
        raise RecipeError(f"{FILE}: {self.where}{key} {fact}.", remedy=remedy, field=f"{self.where}{key}")


def _load(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise NotFound(
            f"There is no {file}.", remedy="Make a development server with: mlpublish repo init --dev DIR.", field="folder"
        ) from exc
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise RecipeError(f"{file} cannot be read: {exc}.", remedy="Correct it.", field=FILE) from exc
