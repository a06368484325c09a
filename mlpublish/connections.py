"""What every HTTP client of ours has in common, the publisher's and the device's alike.

A session sends nothing that nobody asked for: no password from ``~/.netrc``, no compressed bodies (a Range counts the bytes
that are sent, a digest those of the file). Proxies of the environment are used, but not for this machine: a proxy cannot
reach our loopback. Redirects are followed by reads alone, never from https to http, and their bodies are not read.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase
from requests.utils import get_environ_proxies
from urllib3.exceptions import NameResolutionError

from mlpublish.addresses import is_loopback
from mlpublish.errors import RecipeError
from mlpublish.version import __version__

NOT_NOW = (429, 500, 502, 503, 504)  # statuses of a server that may be able to in a moment
_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")  # in this order, as requests and OpenSSL read them
_OTHER_NAME = (62, 64)  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH
_OUT_OF_TIME = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID and _CERT_HAS_EXPIRED
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")


class Bearer(AuthBase):
    """Sets the token, or nothing."""

    def __init__(self, token: str | None = None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class RefusedRedirect(requests.RequestException):
    """A server leads to where nothing of ours goes: out of TLS, or out of the web."""


class Stalled(requests.Timeout):
    """Hardly anything came for longer than anybody waits."""


class TimeIsOver(requests.RequestException):
    """All that was asked for took longer than anybody waits; to ask again would not make it shorter."""


class _Session(requests.Session):
    """Follows redirects itself: requests reads their bodies to the end, and sends ``~/.netrc`` to where they lead."""

    authorities: Path | None = None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        follow = options.pop("allow_redirects", True) and request.method in ("GET", "HEAD")
        response = self._one(request, options)
        for _ in range(self.max_redirects):
            if not (follow and response.is_redirect):
                return response
            response.close()
            request = _redirected(request, response.headers["Location"])
            response = self._one(request, options)
        if follow and response.is_redirect:
            response.close()
            raise requests.TooManyRedirects(request=request)
        return response

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' own name
        """Of what requests itself would follow there is nothing."""
        return None

    def _one(self, request: requests.PreparedRequest, options: Mapping[str, Any]) -> requests.Response:
        url = request.url or ""
        verify = _authorities(self.authorities) if url.startswith("https:") else True
        proxies = {} if is_loopback(url) else get_environ_proxies(url)
        sent = {**options, "verify": verify, "proxies": proxies, "allow_redirects": False}
        return super().send(request, **sent)


def new_session(*, redirects: int, authorities: Path | None = None) -> requests.Session:
    """A session with our manners.

    Args:
        redirects: how many are followed.
        authorities: a PEM file of the certificate authorities that are trusted; by default the one that the environment
            names, else the usual ones.

    Raises:
        RecipeError: there is no such file, or no certificate in it.
    """
    session = _Session()
    session.trust_env = False
    session.auth = Bearer()
    session.max_redirects = redirects
    session.authorities = authorities
    _authorities(authorities)
    session.headers.update({"User-Agent": f"mlpublish/{__version__}", "Accept-Encoding": "identity"})
    return session


def may_pass(exc: requests.RequestException) -> bool:
    """Whether the same request may go well in a moment: a connection that failed, broke off or took too long.

    A name that does not exist, a certificate that does not hold, a proxy that refuses and a circle of redirects stay.
    """
    if not isinstance(exc, (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)):
        return False
    for each in _nested(exc):
        if isinstance(each, socket.gaierror):
            return each.errno == socket.EAI_AGAIN
        if refused := _TUNNEL.search(str(each)):
            return int(refused[1]) in NOT_NOW
        if isinstance(each, ssl.SSLError):
            return isinstance(each, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    return True


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait (RFC 9110 §10.2.3), if it does.

    A date is held against the server's own, so that a client whose clock is wrong waits as long as is meant.
    """
    asked = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", asked):
        return float(asked)
    until = _date(asked)
    if until is None:
        return None
    return max(0.0, (until - (_date(headers.get("Date", "")) or datetime.now(UTC))).total_seconds())


def reason_of(exc: requests.RequestException, timeout: tuple[float, float]) -> str:
    """What went wrong and what helps, without requests' nesting of one error in another, and without an address: it may
    hold a secret.

    Args:
        timeout: seconds to connect and between two bytes, as the request was given them.
    """
    match exc:
        case RefusedRedirect() | Stalled() | TimeIsOver():
            return str(exc)
        case requests.exceptions.ProxyError() | requests.exceptions.InvalidProxyURL():
            return _reason_of_proxy(exc)
        case requests.exceptions.SSLError():
            return _reason_of_tls(exc)
        case requests.ConnectTimeout():
            return f"no connection within {timeout[0]:g} s"
        case requests.Timeout():
            return f"no answer within {timeout[1]:g} s"
        case requests.ConnectionError() | requests.exceptions.ChunkedEncodingError():
            return _reason_of_connection(exc)
        case requests.TooManyRedirects():
            return "it redirects in a circle"
        case requests.exceptions.InvalidSchema() | requests.exceptions.InvalidURL():
            return "its address, or that of the proxy that the environment names (HTTP_PROXY), is of a kind not spoken here"
    return f"the request cannot be sent ({type(exc).__name__})"


def _redirected(request: requests.PreparedRequest, location: str) -> requests.PreparedRequest:
    """The same request to another place, without what was meant for the first one alone."""
    try:
        url = urljoin(request.url or "", location.encode("latin-1").decode())  # sent as UTF-8, read as Latin-1
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
        if scheme not in ("http", "https") or not host:
            raise RefusedRedirect("it redirects to something that is no web server")
        if scheme == "http" and (request.url or "").startswith("https:"):
            raise RefusedRedirect("it redirects from https to plain http, where anybody on the way could listen")
        following = request.copy()
        following.prepare_url(url, None)
    except (ValueError, requests.RequestException) as exc:
        raise exc if isinstance(exc, RefusedRedirect) else RefusedRedirect("it redirects to no address") from exc
    for name in ("Authorization", "Proxy-Authorization", "Cookie"):
        following.headers.pop(name, None)
    return following


def _authorities(given: Path | None) -> str | bool:
    """What requests takes as ``verify``: the file, or that the usual authorities do."""
    named = next((name for name in _AUTHORITIES if os.environ.get(name)), None)
    if given is None and named is None:
        return True
    file, field = (given, "ca") if given is not None else (Path(os.environ[named or ""]), named)
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(**{"capath" if file.is_dir() else "cafile": str(file)})
    except OSError as exc:  # which SSLError is
        what = "holds no PEM certificate" if isinstance(exc, ssl.SSLError) else f"cannot be read: {exc.strerror}"
        raise RecipeError(
            f"The file of certificate authorities {file} ({field}) {what}.",
            remedy="Name a PEM file with the certificate of the authority that signed the server's.",
            field=field,
        ) from exc
    return str(file)


def _nested(exc: BaseException | None) -> Iterator[BaseException]:
    """An error and those in it, the outermost first; requests and urllib3 pass on some as the cause, some as an argument."""
    while exc is not None:
        yield exc
        argument = exc.args[0] if exc.args and isinstance(exc.args[0], BaseException) else None
        exc = exc.__cause__ or argument or exc.__context__


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _reason_of_proxy(exc: requests.RequestException) -> str:
    refused = next((found[1] for each in _nested(exc) if (found := _TUNNEL.search(str(each)))), None)
    if refused == "407":
        return "the proxy that the environment names (HTTPS_PROXY) wants a password"
    if refused is not None:
        return f"the proxy that the environment names (HTTPS_PROXY) answered {refused}"
    return "the proxy that the environment names (HTTP_PROXY, HTTPS_PROXY; NO_PROXY goes past it) does not lead there"


def _reason_of_tls(exc: requests.RequestException) -> str:
    found = next((each for each in _nested(exc) if isinstance(each, ssl.SSLCertVerificationError)), None)
    if found is None:
        return "TLS failed (check the port, and whether it is http: instead of https:)"
    if found.verify_code in _OTHER_NAME:
        return "its certificate is for another name (check the address; a captive portal answers so too)"
    if found.verify_code in _OUT_OF_TIME:
        return "its certificate is out of date (or the clock of this machine is wrong)"
    return (
        "its certificate is signed by no authority that is trusted here (if it is your own, name its file: ca, SSL_CERT_FILE)"
    )


def _reason_of_connection(exc: requests.RequestException) -> str:
    for each in _nested(exc):
        if isinstance(each, (NameResolutionError, socket.gaierror)):
            return "its name does not resolve (check the address, and that there is a network)"
        if isinstance(each, ConnectionRefusedError):
            return "there is no connection: it is refused (check the port, and that the server runs)"
    return "there is no connection, or it broke off"
