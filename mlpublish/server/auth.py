"""Bearer tokens and what each role may do: the predecessor's four roles, each with the rights of those below it.

admin      everything: also a new root (who holds which role), a new app
deployer   commit the app role (releases)
operator   upload, commit the channels role (what a channel offers)
monitor    read; hand in reviews, where the key decides

A token only opens the door: what is committed must also carry the signature of whoever holds the role.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from aiohttp import web

from mlpublish.errors import EndpointRefused, RecipeError
from mlpublish.storage.index import Index, Token

ROLES = ("admin", "deployer", "operator", "monitor")
_MAY = {
    "read": frozenset(ROLES),
    "upload": frozenset({"admin", "deployer", "operator"}),
    "commit root": frozenset({"admin"}),
    "commit targets": frozenset({"admin", "deployer"}),
    "commit channels": frozenset({"admin", "deployer", "operator"}),
}
_LEAST = 16  # characters; shorter ones can be guessed
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]{1,512})", re.IGNORECASE)  # RFC 6750 §2.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a known token stands for."""

    role: str
    token_id: str

    @property
    def who(self) -> str:
        """The name in the audit."""
        return f"{self.role}:{self.token_id}"

    def must_be_allowed(self, *deeds: str) -> None:
        """Raises EndpointRefused (403) unless the role may do all of it."""
        for deed in deeds:
            if self.role not in _MAY[deed]:
                allowed = ", ".join(role for role in ROLES if role in _MAY[deed])
                raise EndpointRefused(
                    f"The role {self.role} may not {deed}.", remedy=f"Use a token of: {allowed}.", field="token", status=403
                )


CALLER = web.RequestKey("caller", Caller)
DEEDS = web.RequestKey("deeds", str)


class Gate:
    """Knows callers by their tokens; what it finds out it leaves on the request, for the audit."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def admit(self, request: web.Request, *deeds: str) -> None:
        """Let a request pass if its caller may do all of this.

        Raises:
            EndpointRefused: with 401 where nobody known asks, with 403 where the role may not.
        """
        caller = self.caller(request)
        request[DEEDS] = ", ".join(deeds)
        caller.must_be_allowed(*deeds)

    def caller(self, request: web.Request) -> Caller:
        """Who asks.

        Raises:
            EndpointRefused: with 401, where no token or no known one is shown.
        """
        shown = request.headers.getall("Authorization", [])
        match = _BEARER.fullmatch(shown[0].strip()) if len(shown) == 1 else None
        if match is None:
            raise EndpointRefused(
                "The server asks for a token.",
                remedy="Set MLPUBLISH_TOKEN, or pass --token-file FILE.",
                field="token",
                status=401,
            )
        token = self._known(match[1])
        if token is None:
            raise EndpointRefused(
                "The server does not know this token.",
                remedy="Ask the server's operator for one; tokens are read when the server starts.",
                field="token",
                status=401,
            )
        request[CALLER] = Caller(role=token.role, token_id=token.id)
        return request[CALLER]

    def _known(self, shown: str) -> Token | None:
        """Digests are compared, in constant time and every one, so that timing tells nothing of a token."""
        digest = _digest(shown)
        found = [token for token in self._index.tokens() if hmac.compare_digest(token.digest, digest)]
        return found[0] if found else None


def tokens_in(folder: Path) -> tuple[Token, ...]:
    """The tokens in ``<folder>/<role>``, one per line: two lines let an old and a new one overlap.

    Raises:
        RecipeError: a file is of no role, cannot be read, or holds a token that is too short or stands elsewhere too.
    """
    found: dict[str, Token] = {}
    for role, value in _lines(folder):
        if len(value) < _LEAST or _BEARER.fullmatch(f"bearer {value}") is None:
            raise RecipeError(
                f"A token in {folder / role} has fewer than {_LEAST} characters, or some that no token has.",
                remedy="Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'.",
                field="tokens",
            )
        digest = _digest(value)
        if digest in found:
            raise RecipeError(
                f"One token stands for {found[digest].role} and for {role}.", remedy="Give each role its own.", field="tokens"
            )
        found[digest] = Token(id=digest[:12], role=role, digest=digest)
    return tuple(found.values())


def _lines(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        for file in sorted(each for each in folder.iterdir() if not each.name.startswith(".")):
            _must_be_role(file)
            yield from ((file.name, line.strip()) for line in file.read_text(encoding="ascii").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as exc:
        raise RecipeError(
            f"The tokens in {folder} cannot be read.",
            remedy=f"Put one file per role there: {', '.join(ROLES)}.",
            field="tokens",
        ) from exc


def _must_be_role(file: Path) -> None:
    if file.name not in ROLES:
        near = get_close_matches(file.name, ROLES, n=1, cutoff=0.0)[0]
        raise RecipeError(f"{file} is a file of no role.", remedy=f"Did you mean {near}? Rename or remove it.", field="tokens")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
