"""Key URIs: where a private key is, never what unlocks it.

    file:key.pem?passphrase-env=NAME        keystore:release.p12?alias=prod&storepass-file=F
    awskms:alias/release                    hsm:2?label=Card&public-key=card.pub

What stands before the first ``?`` is taken as it is; names and values behind it are percent-decoded (a space is ``%20``). A
secret in a URI is refused, because arguments show in the process list and in the shell's history.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, unquote

from mlpublish.errors import SigningError
from mlpublish.plugins import scheme_of

SECRETS = ("passphrase", "password", "pass", "storepass", "keypass", "pin", "pin-value")
_OF_PATHS = ("file", "keystore")  # schemes whose own part is a path on this machine
_ARE_PATHS = ("passphrase-file", "storepass-file", "keypass-file", "pin-source", "module-path", "public-key")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUri:
    """A key URI in its parts.

    Args:
        scheme: in lower case; a bare path is of scheme ``file``.
        path: what stands between the scheme and the query.
        query: the parameters, decoded.
    """

    scheme: str
    path: str
    query: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def parse(cls, uri: str) -> KeyUri:
        """Take a key URI apart.

        Raises:
            SigningError: a parameter holds a secret, has no value or comes twice.
        """
        scheme = scheme_of(uri)
        rest = uri[len(scheme) + 1 :] if uri[: len(scheme) + 1].lower() == f"{scheme}:" else uri
        path, _, text = rest.partition("?")
        query: dict[str, str] = {}
        for part in filter(None, text.split("&")):
            name, equals, value = part.partition("=")
            name = unquote(name)
            _refuse_secret(name)
            if not equals or not value or name in query:
                raise SigningError(
                    f"The key URI's parameter {name!r} {'comes twice' if name in query else 'has no value'}.",
                    remedy="Write each parameter once, as name=value, joined by &.",
                    field="key",
                )
            query[name] = unquote(value)
        return cls(scheme=scheme, path=path, query=MappingProxyType(query))

    @property
    def file(self) -> Path:
        """The path of a ``file:`` or ``keystore:`` URI."""
        return Path(self.path)

    def only(self, *known: str) -> KeyUri:
        """This URI, if it has no other parameters than these.

        Raises:
            SigningError: it has one, such as a slip of the hand.
        """
        for name in self.query:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                meant = f"Did you mean {near[0]!r}? " if near else ""
                raise SigningError(
                    f"A {self.scheme}: key URI has no parameter {name!r}.",
                    remedy=f"{meant}Known are: {', '.join(known)}.",
                    field="key",
                )
        return self

    def under(self, base: Path) -> str:
        """The URI with its relative paths, also those of passphrase files, made relative to a folder: a settings file's."""
        path = str(base / self.path) if self.scheme in _OF_PATHS else self.path
        query = {
            name: str(base / value.removeprefix("file:")) if name in _ARE_PATHS else value for name, value in self.query.items()
        }
        text = "&".join(f"{quote(name)}={quote(value, safe='/:')}" for name, value in query.items())
        return f"{self.scheme}:{path}{'?' if text else ''}{text}"


def _refuse_secret(name: str) -> None:
    """The value is never repeated: an error ends in logs."""
    if name.lower() in SECRETS:
        kind = "pin" if name.lower().startswith("pin") else "passphrase" if name.lower().startswith("pass") else name.lower()
        by_file = "pin-source=FILE" if kind == "pin" else f"{kind}-file=FILE"
        raise SigningError(
            f"The key URI holds a secret ({name}), which the process list and the shell's history show to others.",
            remedy=f"Change that secret, and name where it is read from: ?{kind}-env=VARIABLE or ?{by_file}.",
            field="key",
        )
