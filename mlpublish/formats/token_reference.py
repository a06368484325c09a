"""Where a token is, never the token: ``env:NAME``, ``file:PATH`` or ``keyring:SERVICE/USER``.

A settings file and a step's payload end in repositories and logs, so what is no reference is refused, and never shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mlpublish.errors import RecipeError

KINDS = ("env", "file", "keyring")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReference:
    """A place that holds a token.

    Args:
        kind: one of ``KINDS``.
        name: the variable, the path, or ``SERVICE/USER``.
    """

    kind: str
    name: str

    @classmethod
    def parse(cls, text: str) -> TokenReference:
        """Take a reference apart.

        Raises:
            RecipeError: it is none; then it may be the token itself, so it is not repeated.
        """
        kind, _, name = text.partition(":")
        found = cls(kind=kind, name=name)
        if kind not in KINDS or not name or (kind == "keyring" and not all(found.service_and_user)):
            raise RecipeError(
                "The token is no reference.",
                remedy="Give env:NAME, file:PATH or keyring:SERVICE/USER, not the token. If it was the token: replace it.",
                field="token",
            )
        return found

    @property
    def service_and_user(self) -> tuple[str, str]:
        """What the keyring knows a password by; the service may have slashes of its own, as a URL has."""
        service, _, user = self.name.rpartition("/")
        return service, user

    def under(self, base: Path) -> TokenReference:
        """The reference with a relative path made relative to a folder: a settings file's."""
        return replace(self, name=str(base / self.name)) if self.kind == "file" else self
