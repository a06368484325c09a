"""Where a repository, or a zip, is read from to be verified: this disk, or a server that shows it."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from mlpublish.errors import EndpointRefused, EndpointUnreachable, NotFound, RecipeError, VerificationError
from mlpublish.formats.wire import MAX_DOCUMENT, is_relative_path
from mlpublish.repository.arriving import announced_by, keep
from mlpublish.repository.endpoint import Endpoint
from mlpublish.storage.in_folder import read_regular

LONGEST_ZIP = 16 * 1024**3  # bytes
_WHOLE = 3600.0  # seconds that a file may take
_REDIRECTS = 3
_RESTORE = "Get it again from where it was made, or restore it from a backup."


class Source(Protocol):
    """Where one app's repository is read from."""

    def read(self, path: str) -> bytes:
        """A small file of it, such as ``metadata/timestamp.json``.

        Raises:
            NotFound: there is none.
        """

    def file(self, path: str, length: int) -> AbstractContextManager[Path]:
        """A file of it, on this disk for as long as it is needed; of one that travels no more than ``length`` bytes."""


@dataclass(frozen=True, slots=True)
class InFolder:
    """``<app id>/{metadata,targets}`` on this disk."""

    folder: Path

    def read(self, path: str) -> bytes:
        try:
            return read_regular(self._place(path), MAX_DOCUMENT)
        except OSError as exc:  # what is there and cannot be read must not pass for what is not there
            kind = NotFound if exc.errno in (errno.ENOENT, errno.ENOTDIR) else VerificationError
            raise kind(f"{self.folder / path} cannot be read: {exc.strerror}.", remedy=_RESTORE) from exc

    @contextmanager
    def file(self, path: str, length: int) -> Iterator[Path]:  # noqa: ARG002 - it is here already
        yield self._place(path)

    def _place(self, path: str) -> Path:
        if not is_relative_path(path):
            raise NotFound(f"{path[:200]!r} is no path of a repository.", remedy=_RESTORE)
        return self.folder / path


@dataclass(frozen=True, slots=True)
class AtEndpoint:
    """An app's repository that a server or a static host shows."""

    endpoint: Endpoint
    app_id: str

    def read(self, path: str) -> bytes:
        return self.endpoint.read(self.app_id, path)

    @contextmanager
    def file(self, path: str, length: int) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="mlpublish-verify-") as scratch:
            place = Path(scratch, "bundle.zip")
            self.endpoint.download(self.app_id, path, place, length=length)
            yield place


def download(url: str, place: Path, *, most: int, stall: float = 30.0, whole: float = _WHOLE, ca: Path | None = None) -> None:
    """Fetch a file that nobody vouches for; what it is, its verification says.

    Args:
        place: where it is written.
        most: bytes that are taken of it.
        stall: seconds for which next to nothing may come.
        whole: seconds after which all of it has to be here.
        ca: a PEM file of the certificate authorities that are trusted; by default the system's.

    Raises:
        NotFound: there is none.
        EndpointUnreachable: no answer came, or it broke off, or takes too long.
        EndpointRefused: the answer is a web page, or no.
        VerificationError: it is longer.
        StorageError: the disk has no room for it.
        RecipeError: ``ca`` is no such file.
    """
    import requests

    from mlpublish.connections import new_session, reason_of
    from mlpublish.line import Caller, Deadline

    with new_session(redirects=_REDIRECTS, authorities=ca) as session:
        caller = Caller(session, stall=stall)
        try:
            with caller.call("GET", url, deadline=Deadline(whole)) as line:
                answer = line.answer()
                _refuse_answer(url, answer.status_code, answer.headers.get("Content-Type", ""))
                longer = VerificationError(
                    f"{place.name} has more than {most} bytes.", remedy="No bundle is that long.", field=place.name
                )
                keep(place, line.pieces(), announced=announced_by(answer.headers), most=most, longer=longer)
        except requests.RequestException as exc:
            raise EndpointUnreachable(
                f"{url} cannot be fetched: {reason_of(exc, caller.timeout)}.",
                remedy="Check the address, then run the command again.",
                field="what",
            ) from exc


def refuse_secrets(url: str) -> str:
    """Give back an address that may be shown.

    Raises:
        RecipeError: it names no host, or carries credentials, a query or a fragment.
    """
    try:
        parts = urlsplit(url)
        fits = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc and not parts.query and not parts.fragment
    except ValueError:
        fits = False
    if not fits or any(each <= " " or each == "\x7f" for each in url):
        raise RecipeError(
            "The address names no host, or carries credentials, a query or a fragment.",
            remedy="Give http(s)://host[:port], …/apps/<app id>, or the plain address of a zip.",
            field="what",
        )
    return url


def _refuse_answer(url: str, status: int, kind: str) -> None:
    if status in (404, 410):
        raise NotFound(f"There is nothing at {url} (HTTP {status}).", remedy="Check the address.", field="what")
    if status == 429 or status >= 500:
        raise EndpointUnreachable(f"{url} cannot be had now (HTTP {status}).", remedy="Run the command again.", field="what")
    if status != 200 or kind.partition(";")[0].strip().lower() == "text/html":
        raise EndpointRefused(
            f"{url} answers HTTP {status} with {kind[:80] or 'no content type'}.",
            remedy="Check the address, and whether a login page stands before it.",
            field="what",
            status=status if status >= 400 else 400,
        )
