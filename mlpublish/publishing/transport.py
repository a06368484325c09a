"""HTTP requests to a server of ours: what is sent with them, how long they may take, and which are tried again.

A token never crosses a network in the clear: over plain ``http:`` it is sent to this machine only, and anywhere else the
request is refused before a byte leaves. A request with a token follows no redirect, so none can carry the token away.

Every request may be repeated without harm (reads, create-only uploads, a commit whose second time is a no-op), so what fails
for the moment (no connection, 429, 5xx) is tried again a few times, after growing, jittered pauses.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, urlsplit

import requests

from mlpublish.addresses import is_loopback
from mlpublish.connections import Bearer, new_session, reason_of
from mlpublish.errors import DigestMismatch, EndpointRefused, EndpointUnreachable, FormatError, RecipeError, StorageError
from mlpublish.formats.problem import from_document
from mlpublish.formats.wire import MAX_DOCUMENT

_TRIES = 4
_PAUSE = 0.25  # seconds before the second try; doubled with each one
_LONGEST = 20.0  # seconds; a longer Retry-After is not waited for
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes
_REDIRECTS = 3
_AGAIN = (429, 500, 502, 503, 504)
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

    Raises:
        RecipeError: the address names no server or carries a secret, or the token cannot be one.
    """

    def __init__(self, url: str, token: str | None, *, pause: float = _PAUSE) -> None:
        self._parts = _checked(url)
        self.base = url.rstrip("/")
        if token is not None and _TOKEN.fullmatch(token) is None:
            raise RecipeError("The token has characters that no token has.", remedy="Copy it again, whole.", field="token")
        self._token = token
        self._pause = pause
        self._session = new_session(redirects=_REDIRECTS)

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
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            try:
                answer = self._once(method, address, body, token)
            except requests.TooManyRedirects as exc:
                raise EndpointRefused(f"{self.base} redirects in a circle.", remedy="Check the address.", field="to") from exc
            except requests.RequestException as exc:
                if last or not _may_pass(exc):
                    raise EndpointUnreachable(
                        f"{self.base} cannot be reached: {reason_of(exc, _TIMEOUT)}.", remedy=_LATER, field="to"
                    ) from exc
                wait = 0.0
            else:
                wait = answer.retry_after or 0.0
                if answer.status not in _AGAIN or last or wait > _LONGEST:
                    return self._unless_unable(answer)
            # jitter keeps clients that failed together from coming back together
            time.sleep(max(wait, self._pause * 2**attempt * random.uniform(0.5, 1.5)))  # noqa: S311 - nothing secret
        raise AssertionError("the last try returns or raises")

    def download(self, address: str, to: Path, length: int) -> int:
        """Write what a GET gives to a file, again from its start where that may help.

        Args:
            length: bytes that are expected; no more are written.

        Returns:
            The HTTP status; the file is written for 200 alone.

        Raises:
            DigestMismatch: more came.
            EndpointUnreachable: it did not arrive.
        """
        for attempt in range(_TRIES):
            try:
                return self._fetched(address, to, length)
            except requests.RequestException as exc:
                if attempt == _TRIES - 1 or not _may_pass(exc):
                    raise EndpointUnreachable(
                        f"{self.base} broke off: {reason_of(exc, _TIMEOUT)}.", remedy=_LATER, field="to"
                    ) from exc
            time.sleep(self._pause * 2**attempt)
        raise AssertionError("the last try returns or raises")

    def _fetched(self, address: str, to: Path, length: int) -> int:
        with self._session.get(self.base + address, timeout=_TIMEOUT, stream=True) as response:
            if response.status_code == 200:
                with to.open("wb") as writing:
                    for chunk in response.iter_content(1 << 20):
                        if writing.tell() + len(chunk) > length:
                            raise _longer(f"{self.base}{address}", length)
                        writing.write(chunk)
            return response.status_code

    def _once(self, method: str, address: str, body: bytes | Path | None, token: bool) -> Answer:
        with (
            _opened(body) as data,
            self._session.request(
                method,
                self.base + address,
                data=data,
                auth=Bearer(self._token if token else None),
                headers={} if body is None else {"Content-Type": _content_type(method)},
                timeout=_TIMEOUT,
                allow_redirects=not token,
                stream=True,
            ) as response,
        ):
            return _answer(response)

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
def _opened(body: bytes | Path | None) -> Iterator[bytes | BinaryIO | None]:
    """A file is opened for each try anew, because the last one may have read half of it."""
    if not isinstance(body, Path):
        yield body
        return
    try:
        stream = body.open("rb")
    except OSError as exc:
        raise StorageError(f"{body} cannot be read: {exc.strerror}.", remedy="Check its path and permissions.") from exc
    with stream:
        yield stream


def _content_type(method: str) -> str:
    return "application/json" if method == "POST" else "application/octet-stream"


def _answer(response: requests.Response) -> Answer:
    content = bytearray()
    for chunk in response.iter_content(1 << 16):
        content += chunk
        if len(content) > MAX_DOCUMENT:
            raise EndpointRefused(f"The answer has more than {MAX_DOCUMENT} bytes.", remedy="Check the address.", field="to")
    wait = response.headers.get("Retry-After", "")
    return Answer(
        status=response.status_code,
        media_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        body=bytes(content),
        retry_after=float(wait) if re.fullmatch(r"[0-9]{1,9}", wait) else None,
    )


def _longer(what: str, length: int) -> DigestMismatch:
    return DigestMismatch(
        f"{what} is not what was signed: it has more than {length} bytes.", remedy="Ask whoever runs the server.", field="to"
    )


def _may_pass(exc: requests.RequestException) -> bool:
    """Whether the same request may go well in a moment."""
    passing = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(exc, passing) and not isinstance(exc, requests.exceptions.SSLError)
