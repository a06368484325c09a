"""One table of a server.toml: every key known, every value of its kind, every error naming the key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from mlpublish.errors import NotFound, RecipeError
from mlpublish.formats.key_uri import KeyUri
from mlpublish.settings import one_or_more

T = TypeVar("T")
FILE = "server.toml"
KEYS = ("repository", "tokens", "blobs", "index", "context", "upload_limit", "stop_seconds", "online")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file.

    Args:
        values: as TOML has them.
        known: the keys that somebody reads.
        folder: what relative paths are relative to.
        where: the table's name with a dot, for errors.

    Raises:
        RecipeError: a key is not known.
    """

    values: Mapping[str, Any]
    known: tuple[str, ...]
    folder: Path
    where: str = ""

    def __post_init__(self) -> None:
        for key in self.values:
            if key not in self.known:
                if self.where and key in KEYS:  # TOML counts a last line to the table above it
                    self.refuse(key, "is not known", f"Write {key} above the first [table] of the file.")
                near = get_close_matches(key, self.known, n=1, cutoff=0.0)[0]
                self.refuse(key, "is not known", f"Did you mean {near}?")

    @classmethod
    def read(cls, folder: Path) -> Table:
        """Read ``<folder>/server.toml``.

        Raises:
            NotFound: there is none.
            RecipeError: it is no TOML, or has an unknown key.
        """
        file = folder / FILE
        try:
            return cls(tomllib.loads(file.read_text(encoding="utf-8")), KEYS, folder)
        except FileNotFoundError as exc:
            raise NotFound(
                f"There is no {file}.", remedy="Make a development server with: mlpublish repo init --dev DIR.", field="folder"
            ) from exc
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise RecipeError(f"{file} cannot be read: {exc}.", remedy="Correct it.", field=FILE) from exc

    def inner(self, key: str, known: tuple[str, ...]) -> Table:
        """A table in this one."""
        return Table(self.take(key, dict), known, self.folder, f"{self.where}{key}.")

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """A value of a kind."""
        value = self.values.get(key, default)
        if value is None:
            self.refuse(key, "is missing", "Add it; mlpublish repo init --dev DIR writes an example.")
        if not isinstance(value, kind) or isinstance(value, bool):
            self.refuse(key, f"must be of type {kind.__name__}", "Correct it.")
        return value

    def path(self, key: str, default: str | None = None) -> Path:
        """A path; a relative one is relative to the file."""
        return self.folder / self.take(key, str, default)

    def positive(self, key: str, default: float) -> float:
        """A finite number above 0."""
        value = self.values.get(key, default)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < float("inf"):
            self.refuse(key, "must be a number above 0", "Correct it.")
        return value

    def key_uri(self, key: str) -> str | None:
        """A key URI; a relative path in it is relative to the file. None where nothing stands."""
        return None if key not in self.values else KeyUri.parse(self.take(key, str)).under(self.folder)

    def key_uris(self, key: str) -> tuple[str, ...]:
        """A key URI or a list of them, at least one."""
        uris = one_or_more(self.values.get(key))
        if not uris:
            missing = key not in self.values
            self.refuse(key, "is missing" if missing else "must be a key URI or a list of them", f'Write {key} = "KEYURI".')
        return tuple(KeyUri.parse(uri).under(self.folder) for uri in uris)

    def refuse(self, key: str, fact: str, remedy: str) -> NoReturn:
        """Blame a key of this table."""
        raise RecipeError(f"{FILE}: {self.where}{key} {fact}.", remedy=remedy, field=f"{self.where}{key}")
