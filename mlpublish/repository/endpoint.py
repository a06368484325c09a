"""The contract of an endpoint: where one app's signed roles are read, and where a commit is handed in.

It stands here, below the rooms, because signing and steering channels read the app's present state as publishing does.
Adapters are found by the URI's scheme (``publishing/to_*.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from mlpublish import plugins
from mlpublish.errors import RecipeError
from mlpublish.repository.records import ChangeList, Kept
from mlpublish.trust.changes import Change, Review
from mlpublish.trust.changes import Edit as Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Signed roles, and the bytes of the targets that they name anew.

    Args:
        edits: role name (``targets``, ``channels``) -> the edit.
        blobs: sha256 -> the bytes, or a file that holds them.
    """

    edits: Mapping[str, Edit]
    blobs: Mapping[str, bytes | Path] = field(default_factory=lambda: MappingProxyType({}))


class Endpoint(Protocol):
    """Where apps' repositories lie."""

    @property
    def uri(self) -> str:
        """How it is named in receipts and errors."""

    def read(self, app_id: str, path: str) -> bytes:
        """A small file of an app's repository, such as ``metadata/timestamp.json``.

        Raises:
            NotFound: there is none.
            EndpointUnreachable: the endpoint does not answer.
        """

    def apps(self, *, begun: bool = False) -> tuple[str, ...]:
        """The ids of the apps that have a repository here; with ``begun`` also of those that wait for its signatures."""

    def download(self, app_id: str, path: str, to: Path, *, length: int) -> None:
        """A file of an app's repository; what it holds is for the caller to verify.

        Args:
            length: bytes that it has, as a signed role says; no more are written, however many are sent.

        Raises:
            NotFound: there is none.
            DigestMismatch: it is longer.
            EndpointUnreachable: the endpoint does not answer, or broke off.
        """

    def changes(self, app_id: str) -> ChangeList:
        """The changes of an app."""

    def change(self, app_id: str, change_id: str) -> Kept:
        """One of them, with everything that was said to it; nothing of it is verified.

        Raises:
            NotFound: there is none of that id.
        """

    def propose(self, app_id: str, change: Change, reviews: tuple[Review, ...], blobs: Mapping[str, bytes | Path]) -> Kept:
        """Hand in a change; it is committed at once if these reviews are enough, else it waits for more.

        Raises:
            Conflict: another change is open, or its base moved.
            AlreadyPublished, EndpointRefused, EndpointUnreachable: see ``commit``.
        """

    def review(self, app_id: str, change_id: str, review: Review) -> Kept:
        """Hand in what a key's holder says to a change; at the threshold it is committed.

        Raises:
            Conflict: it is closed, or its base moved.
            VerificationError: the review means other bytes, or the key holds none of its roles.
            EndpointRefused, EndpointUnreachable: see ``commit``.
        """

    def commit(self, app_id: str, commit: Commit) -> bool:
        """Make signed roles current.

        Returns:
            False if they were current already (the very same bytes), else True.

        Raises:
            Conflict: a role moved on since ``base``.
            AlreadyPublished: a release number stands for other bytes.
            EndpointRefused: the signatures, the token or the rules of the endpoint say no.
            EndpointUnreachable: the endpoint does not answer.
        """


def endpoint_for(uri: str | Path, *, token: str | None = None, ca: Path | None = None) -> Endpoint:
    """Open the endpoint that a URI names; a bare path counts as ``file:``.

    Args:
        ca: a PEM file of certificate authorities, for an endpoint that speaks TLS; no other is opened with one.

    Raises:
        UnknownScheme: nothing is installed for the scheme.
        RecipeError: the URI names nothing.
    """
    text = str(uri)
    if not text or text in ("file:", "http://", "https://"):
        raise RecipeError(f"The endpoint {text!r} names nothing.", remedy="Give http(s)://host[:port] or file:DIR.", field="to")
    trusting = {} if ca is None else {"ca": ca}
    opened: Endpoint = plugins.find(plugins.ENDPOINTS, plugins.scheme_of(text))(text, token=token, **trusting)
    return opened
