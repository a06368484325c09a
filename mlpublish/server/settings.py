"""server.toml: what the embedded server serves, where it keeps things, and the keys that say what is fresh.

    repository = "repository"       # holds <app id>/…
    tokens = "tokens"               # one file per role, one token per line
    blobs = "blobs"                 # uploads that wait for their commit; never under the repository (default "blobs")
    index = "index.sqlite"          # tokens and audit (default "index.sqlite")
    context = "/mfp"                # devices are served below this path too (default none)
    upload_limit = 8589934592       # bytes of one upload (default 8 GiB)
    stop_seconds = 10               # what requests in flight get to finish in, once the server is told to stop (default 10)

    [online]                        # see repository/online.py
    snapshot = "file:keys/snapshot.pem"
    timestamp = "file:keys/timestamp.pem"

Relative paths are relative to the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mlpublish.errors import RecipeError
from mlpublish.repository.online import Online, OnlineKeys
from mlpublish.repository.table import FILE, Table

_CONTEXT = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")
_TAKEN = ("apps", "v1", "healthz")  # what the server answers at its top
UPLOAD_LIMIT = 8 << 30  # bytes
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The settings of one server, paths absolute or relative to the present folder.

    Args:
        context: a path below which devices are served too, empty for none; no slash at its end.
        upload_limit: bytes of one upload.
        stop_seconds: what requests in flight get to finish in.
        keys: the online ones.
    """

    repository: Path
    tokens: Path
    blobs: Path
    index: Path
    upload_limit: int
    stop_seconds: float
    keys: OnlineKeys
    context: str = ""

    @classmethod
    def read(cls, folder: Path) -> ServerSettings:
        """Read ``<folder>/server.toml``.

        Raises:
            NotFound: there is none.
            RecipeError: it is no TOML, or a key is unknown, missing or of the wrong kind.
        """
        table = Table.read(folder)
        settings = cls(
            repository=table.path("repository"),
            tokens=table.path("tokens"),
            blobs=table.path("blobs", "blobs"),
            index=table.path("index", "index.sqlite"),
            upload_limit=int(table.positive("upload_limit", UPLOAD_LIMIT)),
            stop_seconds=table.positive("stop_seconds", STOP_SECONDS),
            keys=OnlineKeys.read(table),
            context=_context(table),
        )
        settings._must_make_sense()
        return settings

    def online(self) -> Online:
        """Open the keys.

        Raises:
            SigningError: one cannot be opened.
        """
        return self.keys.open()

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


def _context(table: Table) -> str:
    """A path such as ``/mfp``, written with or without a slash at its end; ``/`` is none."""
    value = table.take("context", str, "").removesuffix("/")
    if value and (_CONTEXT.fullmatch(value) is None or value.split("/")[1] in _TAKEN):
        table.refuse(
            "context", "cannot be the path of devices", "Write a path such as /mfp; /apps, /v1 and /healthz are taken."
        )
    return value
