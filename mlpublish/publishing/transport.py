"""HTTP requests to a server of ours: what is sent with them, how long they may take, and which are tried again.

A token never crosses a network in the clear: over plain ``http:`` it is sent to this machine only, and anywhere else the
request is refused before a byte leaves. A request with a token follows no redirect, so none can carry the token away.

Every request may be repeated without harm (reads, create-only uploads, a commit whose second time is a no-op), so what fails
for the moment (no connection, 429, 5xx) is tried again a few times, after growing, jittered pauses.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader, FileIO
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import requests

from mlpublish.addresses import is_loopback
from mlpublish.connections import NOT_NOW, Bearer, may_pass, new_session, reason_of, retry_after
from mlpublish.errors import DigestMismatch, EndpointRefused, EndpointUnreachable, FormatError, RecipeError, StorageError
from mlpublish.formats.problem import from_document
from mlpublish.formats.wire import MAX_DOCUMENT
from mlpublish.line import Caller, Deadline, Line
from mlpublish.reporting.progress import on_bytes
from mlpublish.repository.arriving import keep

_TRIES = 4
_PAUSE = 0.25  # seconds before the second try; doubled with each one
_LONGEST = 20.0  # seconds; a longer Retry-After is not waited for
_STALL = 60.0  # seconds for which next to nothing may come or go; a server reads a whole release before it answers
_DOCUMENT, _FILE = 300.0, 3600.0  # seconds that an answer may take with all its tries, and a file that comes
_REDIRECTS = 3
PAGE = "text/html"  # a login page is nothing of ours, whatever its status
_LATER = "Check that the server runs and that the address is right, then run the command again."
_ADDRESS = "Give http(s)://host[:port]; a token goes into MLPUBLISH_TOKEN or --token-file."
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")  # RFC 6750 §2.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said.

    Args:
        media_type: of the body, in lower case, without parameters.
        body: at most ``MAX_DOCUMENT`` bytes.
        retry_after: seconds that it asks to wait, if it does.
    """

    status: int
    media_type: str
    body: bytes
    retry_after: float | None


class Transport:
    """Requests to one server.

    Args:
        url: ``http(s)://host[:port]``, with a path where a proxy puts the server under one.
        token: the bearer token.
        pause: seconds before the second try of a request.
        stall: seconds for which next to nothing may come, or go.
        whole: seconds that a file may take, with all its tries; an answer takes no longer than some minutes.
        ca: a PEM file of the certificate authorities that are trusted; by default the system's.

    Raises:
        RecipeError: the address names no server or carries a secret, the token cannot be one, or ``ca`` is no such file.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        pause: float = _PAUSE,
        stall: float = _STALL,
        whole: float = _FILE,
        ca: Path | None = None,
    ) -> None:
        self._parts = _checked(url)
        self.base = url.rstrip("/")
        if token is not None and _TOKEN.fullmatch(token) is None:
            raise RecipeError("The token has characters that no token has.", remedy="Copy it again, whole.", field="token")
        self._token = token
        self._pause = pause
        self._whole = whole
        self._caller = Caller(new_session(redirects=_REDIRECTS, authorities=ca), stall=stall)

    def ask(self, method: str, address: str, *, body: bytes | Path | None = None, token: bool = True) -> Answer:
        """Send a request, again where that may help.

        Args:
            address: what follows the server's URL, quoted.
            body: bytes, or a file that is sent as it lies there.
            token: whether the token goes with it.

        Raises:
            EndpointUnreachable: no answer came, or only "not now".
            EndpointRefused: the answer is too long, or redirects in a circle.
            RecipeError: the token would cross the network in the clear.
        """
        if token:
            self._must_be_private()
        # what goes out may be a gigabyte: its time is its own, as long as it moves
        deadline = None if isinstance(body, Path) else Deadline(min(_DOCUMENT, self._whole))
        return self._tried(lambda: self._once(method, address, body, token, deadline), "cannot be reached")

    def download(self, address: str, to: Path, length: int) -> Answer:
        """Write what a GET gives to a file, again from its start where that may help.

        Args:
            length: bytes that are expected; no more are written.

        Returns:
            What it answered; the body of a 200 is in the file, unless it is a web page.

        Raises:
            DigestMismatch: more came.
            EndpointUnreachable: it did not arrive, or only "not now" came.
            EndpointRefused: see ``ask``.
            StorageError: the disk has no room for it.
        """
        deadline = Deadline(self._whole)
        return self._tried(lambda: self._fetched(address, to, length, deadline), "broke off")

    def _tried(self, once: Callable[[], Answer], failed: str) -> Answer:
        """The answer of the first try that gives one which is not "not now"."""
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            try:
                answer = once()
            except requests.TooManyRedirects as exc:
                raise EndpointRefused(f"{self.base} redirects in a circle.", remedy="Check the address.", field="to") from exc
            except requests.RequestException as exc:
                if last or not may_pass(exc):
                    raise EndpointUnreachable(
                        f"{self.base} {failed}: {reason_of(exc, self._caller.timeout)}.", remedy=_LATER, field="to"
                    ) from exc
                wait = 0.0
            else:
                wait = answer.retry_after or 0.0
                if answer.status not in NOT_NOW or last or wait > _LONGEST:
                    return self._unless_unable(answer)
            # jitter keeps clients that failed together from coming back together
            time.sleep(max(wait, self._pause * 2**attempt * random.uniform(0.5, 1.5)))  # noqa: S311 - nothing secret
        raise AssertionError("the last try returns or raises")

    def _fetched(self, address: str, to: Path, length: int, deadline: Deadline) -> Answer:
        with self._caller.call("GET", self.base + address, deadline=deadline) as line:
            response = line.answer()
            if response.status_code != 200 or _media_type(response) == PAGE:
                return _answer(response, _body(line))
            keep(to, line.pieces(), announced=length, most=length, longer=_longer(f"{self.base}{address}", length))
            return _answer(response, b"")

    def _once(self, method: str, address: str, body: bytes | Path | None, token: bool, deadline: Deadline | None) -> Answer:
        with (
            _opened(body) as data,
            self._caller.call(
                method,
                self.base + address,
                deadline=deadline,
                sent=data.tell if isinstance(data, BufferedIOBase) else lambda: 0,
                data=data,
                auth=Bearer(self._token if token else None),
                headers={} if body is None else {"Content-Type": _content_type(method)},
                allow_redirects=not token,
            ) as line,
        ):
            return _answer(line.answer(), _body(line))

    def _unless_unable(self, answer: Answer) -> Answer:
        """The answer, unless it says that the server cannot now."""
        if answer.status != 429 and answer.status < 500:
            return answer
        try:
            told = from_document(answer.body, status=answer.status)
            problem, remedy = told.problem, told.remedy
        except FormatError:  # not one of ours, but a proxy's: the status has to do
            problem, remedy = f"HTTP {answer.status}.", _LATER
        raise EndpointUnreachable(f"{self.base} cannot do this now: {problem}", remedy=remedy, field="to")

    def _must_be_private(self) -> None:
        if self._token is not None and self._parts.scheme == "http" and not is_loopback(self.base):
            raise RecipeError(
                f"The token would cross the network in the clear to {self.base}.",
                remedy="Give the server's https: address; plain http: takes a token on this machine only.",
                field="to",
            )


def _checked(url: str) -> SplitResult:
    """The parts of a server's address, which is not shown where it may hold a secret."""
    try:
        parts = urlsplit(url)
        names_host = bool(parts.hostname) and parts.port != 0
    except ValueError as exc:
        raise RecipeError("The server's address is malformed.", remedy=_ADDRESS, field="to") from exc
    if parts.username is not None or parts.password is not None or "?" in url or "#" in url:
        raise RecipeError("The server's address carries credentials, a query or a fragment.", remedy=_ADDRESS, field="to")
    if not names_host or parts.scheme not in ("http", "https") or any(each <= " " or each == "\x7f" for each in url):
        raise RecipeError(f"{url!r} names no server.", remedy=_ADDRESS, field="to")
    return parts


@contextmanager
def _opened(body: bytes | Path | None) -> Iterator[bytes | BufferedIOBase | None]:
    """A file is opened for each try anew, because the last one may have read half of it."""
    if not isinstance(body, Path):
        yield body
        return
    try:
        stream = _Upload(body.open("rb", buffering=0), on_bytes())
    except OSError as exc:
        raise StorageError(f"{body} cannot be read: {exc.strerror}.", remedy="Check its path and permissions.") from exc
    with stream:
        yield stream


class _Upload(BufferedReader):
    """A file that tells how much of it was sent, in whichever thread sends it."""

    def __init__(self, raw: FileIO, told: Callable[[int, int], None]) -> None:
        super().__init__(raw)
        self._told, self._length = told, os.fstat(raw.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._told(self.tell(), self._length)
        return data


def _content_type(method: str) -> str:
    return "application/json" if method == "POST" else "application/octet-stream"


def _answer(response: requests.Response, body: bytes) -> Answer:
    return Answer(
        status=response.status_code,
        media_type=_media_type(response),
        body=body,
        retry_after=retry_after(response.headers),
    )


def _body(line: Line) -> bytes:
    content = bytearray()
    for piece in line.pieces():
        content += piece
        if len(content) > MAX_DOCUMENT:
            raise EndpointRefused(f"The answer has more than {MAX_DOCUMENT} bytes.", remedy="Check the address.", field="to")
    return bytes(content)


def _media_type(response: requests.Response) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _longer(what: str, length: int) -> DigestMismatch:
    return DigestMismatch(
        f"{what} is not what was signed: it has more than {length} bytes.", remedy="Ask whoever runs the server.", field="to"
    )
