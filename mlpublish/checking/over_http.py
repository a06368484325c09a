"""Files over HTTP, from a server or any static host, through whatever lies between."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tuf.api.exceptions import DownloadError, DownloadHTTPError
from urllib3.exceptions import HTTPError

from mlpublish.checking.budget import Broken, Budget, Busy, Traffic
from mlpublish.checking.patience import Patience
from mlpublish.checking.transport import Body
from mlpublish.connections import NOT_NOW, Stalled, may_pass, new_session, reason_of, retry_after
from mlpublish.errors import RecipeError
from mlpublish.line import Line, Switchboard, socket_timeouts

_CONNECT = 10.0  # seconds, for each address of a host
_REDIRECTS = 5
_SPARED = 64 * 1024  # bytes of an error's page that are read to keep its connection
_SPAN = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_TOLD = {
    401: "it wants a password, which no device has",
    403: "it does not let devices read this",
    407: "the proxy that the environment names (HTTP_PROXY) wants a password",
    511: "a captive portal wants a login first",
}


class HttpTransport:
    """Reads the files that lie below a URL.

    Args:
        base: the URL, with a slash at its end.
        ca: a PEM file of certificate authorities to trust instead of the usual ones.

    Raises:
        RecipeError: the URL names no server or carries a secret; ``ca`` is no such file.
    """

    def __init__(self, base: str, *, patience: Patience, ca: Path | None = None) -> None:
        refuse_bad(base)
        self.budget = Budget(patience)
        self._base = base
        self._timeout = socket_timeouts(min(_CONNECT, patience.stall), patience.stall)
        self._session = new_session(redirects=_REDIRECTS, authorities=ca)
        self._switchboard = Switchboard.of(self._session)

    @property
    def traffic(self) -> Traffic:
        return self.budget.traffic

    @contextmanager
    def open(self, path: str, *, start: int = 0, length: int | None = None, cancel: threading.Event) -> Iterator[Body]:
        with closing(self._line(path, start, cancel)) as line:
            response = self._answer(line)
            if start and response.status_code == 416 and _unmet(response) == start and length in (None, start):
                yield Body(start=start, length=start, chunks=iter(()))  # all of it is there already
                return
            if response.status_code == 206 and _goes_on(response, start, length):
                yield Body(start=start, length=_length(response), chunks=self._chunks(line))
                return
            if not (start and response.status_code in (206, 416)):
                self._refuse(path, response, line)
                yield Body(start=0, length=_length(response), chunks=self._chunks(line))
                return
        # the server does not resume as it should; what it says about a part is worth nothing, so the whole is asked for
        with self.open(path, cancel=cancel) as body:
            yield body

    def _line(self, path: str, start: int, cancel: threading.Event) -> Line:
        """A request under way.

        No If-Range goes with a Range: a name with a digest in it stands for the same bytes at every edge of a CDN, whatever
        ETag each gives them, and the digest of the whole decides in the end.
        """
        self.budget.check(cancel)
        self.budget.begin()
        headers = {"Range": f"bytes={start}-"} if start else {}
        return Line(
            lambda: self._session.get(self._base + path, headers=headers, stream=True, timeout=self._timeout),
            self._switchboard.hang_up,
            stall=self.budget.patience.stall,
            check=lambda: self.budget.check(cancel),
        )

    def _answer(self, line: Line) -> requests.Response:
        try:
            return line.answer()
        except requests.RequestException as exc:
            told = f"{self._base} gives no answer: {reason_of(exc, self._timeout)}"
            raise Broken(told) if may_pass(exc) else DownloadError(told) from exc
        except (HTTPError, ValueError) as exc:  # what requests lets through of a broken header or address
            raise DownloadError(f"{self._base} gives an answer that is no HTTP") from exc

    def _chunks(self, line: Line) -> Iterator[bytes]:
        try:
            for piece in line.pieces():
                self.traffic.received += len(piece)
                yield piece
        except OSError as exc:  # which every error of requests is
            raise Broken(str(exc) if isinstance(exc, Stalled) else "the connection was lost") from exc

    def _refuse(self, path: str, response: requests.Response, line: Line) -> None:
        """Only a file is taken; the page of an error is read, if it is short, so that its connection can be used again."""
        status = response.status_code
        if status == 200:
            if response.headers.get("Content-Type", "").lower().startswith("text/html"):
                raise DownloadError(f"a web page came instead of {path} (if it is a captive portal's, log in to the network)")
            return
        length = _number(response.headers.get("Content-Length"))
        if length is not None and length <= _SPARED:
            with suppress(DownloadError, HTTPError, OSError):
                _read_short(line)
        if status not in NOT_NOW:
            told = _not_there(self._base) if status == 404 else _TOLD.get(status)
            raise DownloadHTTPError(f"{status} for {path}" + ("" if told is None else f": {told}"), status)
        wait = retry_after(response.headers)
        later = "" if wait is None else f", and asks to come back in {wait:.0f} s"
        raise Busy(f"{status} for {path}: it cannot now{later}", status, wait)


def refuse_bad(url: str) -> None:
    """Refuse an address that no device can use; it is not shown, for it may hold a secret.

    Raises:
        RecipeError: it names no server, or carries a secret.
    """
    remedy = "Give http(s)://host[:port]."
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError as exc:
        raise RecipeError("The address is malformed.", remedy=remedy, field="at") from exc
    if parts.username is not None or parts.password is not None or "?" in url or "#" in url:
        raise RecipeError("The address carries a password, a query or a fragment.", remedy=remedy, field="at")
    if not named or any(each <= " " or each == "\x7f" for each in url):
        raise RecipeError("The address names no server.", remedy=remedy, field="at")


def _not_there(base: str) -> str:
    """What a 404 means; where the address has a path, that may be what is wrong, and its name in an app's file helps."""
    context, apps, _ = urlsplit(base).path.partition("/apps/")
    below = f", its path {context} too (wlServerContext in an app's configuration)" if apps and context else ""
    return f"there is no such file (check the address{below}, and that the app has a release there)"


def _read_short(line: Line) -> None:
    """Read what is left, but no more than is spared: chunks, and what is compressed, may be longer than was told."""
    read = 0
    for piece in line.pieces():
        read += len(piece)
        if read > _SPARED:
            return


def _goes_on(response: requests.Response, start: int, length: int | None) -> bool:
    """Whether an answer to a Range is one piece of that file, begins as asked and is as long as it says."""
    span = _SPAN.fullmatch(response.headers.get("Content-Range", ""))
    if span is None or response.headers.get("Content-Encoding", "identity") != "identity":
        return False
    first, last, whole = (int(each) for each in span.groups())
    sent = _number(response.headers.get("Content-Length"))
    return first == start <= last < whole and length in (None, whole) and sent in (None, last - first + 1)


def _unmet(response: requests.Response) -> int | None:
    """The length of the file of which nothing is left to send, as a 416 tells it (RFC 9110 §14.4)."""
    unit, _, length = response.headers.get("Content-Range", "").partition("*/")
    return _number(length) if unit == "bytes " else None


def _length(response: requests.Response) -> int | None:
    """What the server says of the length of the whole file."""
    if response.status_code == 206:
        return _number(response.headers["Content-Range"].rpartition("/")[2])
    encoded = response.headers.get("Content-Encoding", "identity") != "identity" or "Transfer-Encoding" in response.headers
    return None if encoded else _number(response.headers.get("Content-Length"))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,18}", text) else None
