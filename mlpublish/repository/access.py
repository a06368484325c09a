"""How an app's repository is reached to be steered: the endpoint, the trusted root, the operator's key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlpublish.artifacts import check_app_id
from mlpublish.errors import NotFound, RecipeError
from mlpublish.repository import defaults
from mlpublish.repository.endpoint import Endpoint, endpoint_for
from mlpublish.repository.head import TIMESTAMP, Head, read_head
from mlpublish.trust import roles
from mlpublish.trust.signer import Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who steers, and where: an endpoint, the app's trusted root, and for edits the operator's key."""

    app_id: str
    endpoint: Endpoint
    root: bytes | None
    signer: Callable[[], Signer]

    def read(self, path: str) -> bytes:
        return self.endpoint.read(self.app_id, path)

    def head(self) -> Head:
        """The verified head, to look at; a server's is never taken on first use, nor where nobody says that it is fresh."""
        head = self.head_as_it_is()
        if not self.endpoint.uri.startswith("file:"):
            head.refuse_stale()  # whoever answers may be replaying an old state
        return head

    def trusted_head(self) -> Head:
        """The verified head, for a key to sign on.

        Whoever writes a folder chooses what its own ``1.root.json`` says, and an edit that looks harmless beside a made-up
        present may be another beside the real one: so no key signs on first use, a folder's head neither.
        """
        self.must_trust()
        return self.head()

    def must_trust(self) -> None:
        """Refuse to go on without a root of the app that is trusted here.

        Raises:
            NotFound: the app has no repository there.
            RecipeError: nobody names a root.
        """
        if self.root is not None:
            return
        if not self.stands():
            raise self._missing()
        raise RecipeError(
            f"No root of {self.app_id} is trusted here, and there is no trust on first use.",
            remedy=f'Pass --root 1.root.json (the one that the app\'s builds embed), or set root under [apps."{self.app_id}"] '
            "in mlpublish.toml; in development name the development repository.",
            field="root",
        )

    def head_as_it_is(self) -> Head:
        """The verified head, also one that has run out; a server's is never taken on first use."""
        if not self.endpoint.uri.startswith("file:"):
            self.must_trust()
        try:
            return read_head(self.read, app_id=self.app_id, trusted_root=self.root)
        except NotFound as exc:
            if self.stands():
                raise
            raise self._missing() from exc

    def _missing(self) -> NotFound:
        return NotFound(
            f"{self.app_id} has no repository at {self.endpoint.uri}.",
            remedy="Check --app and the address; what is begun there is told by: mlpublish repo status.",
            field="app",
        )

    def stands(self) -> bool:
        """Whether the endpoint shows a repository of the app."""
        try:
            self.read(TIMESTAMP)
        except NotFound:
            return False
        return True


def access(
    app_id: str,
    to: str | Path,
    *,
    repository: str | Path | None = None,
    signer: Signer | str | None = None,
    token: str | None = None,
    root: Path | str | bytes | None = None,
) -> Access:
    """Find everything that an edit needs; the key is opened only when something is signed."""
    check_app_id(app_id)
    development = defaults.development_among(to, defaults.repository_for(repository))
    return Access(
        app_id=app_id,
        endpoint=endpoint_for(to, token=defaults.token_of(token, development, to)),
        root=defaults.root_of(app_id, root, development),
        signer=lambda: defaults.signer_of(roles.CHANNELS, signer, development),
    )
