"""What every HTTP client of ours has in common, the publisher's and the device's alike.

A session sends nothing that nobody asked for: no password from ``~/.netrc``, no compressed bodies (a Range counts the bytes
that are sent, a digest those of the file). Proxies of the environment are used, but not for this machine: a proxy cannot
reach our loopback.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from mlpublish.addresses import is_loopback
from mlpublish.version import __version__


class Bearer(AuthBase):
    """Sets the token, or nothing; being there at all keeps requests from sending what stands in ``~/.netrc``."""

    def __init__(self, token: str | None = None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def new_session(*, redirects: int) -> requests.Session:
    """A session with our manners.

    Args:
        redirects: how many are followed.
    """
    session = requests.Session()
    session.auth = Bearer()
    session.max_redirects = redirects
    session.headers.update({"User-Agent": f"mlpublish/{__version__}", "Accept-Encoding": "identity"})
    return session


def proxies_for(url: str) -> dict[str, str] | None:
    """The ``proxies`` of a request: the environment's (None), or none for this machine."""
    return {"no_proxy": urlsplit(url).hostname or ""} if is_loopback(url) else None


def reason_of(exc: requests.RequestException, timeout: tuple[float, float]) -> str:
    """What went wrong, without requests' nesting of one error in another.

    Args:
        timeout: seconds to connect and between two bytes, as the request was given them.
    """
    match exc:
        case requests.exceptions.ProxyError():
            return "the proxy that the environment names does not lead there"
        case requests.exceptions.SSLError():
            return "TLS failed (a certificate that is not trusted, or no TLS there)"
        case requests.ConnectTimeout():
            return f"no connection within {timeout[0]:.0f} s"
        case requests.Timeout():
            return f"no answer within {timeout[1]:.0f} s"
        case requests.ConnectionError() | requests.exceptions.ChunkedEncodingError():
            return "there is no connection, or it broke off"
        case requests.TooManyRedirects():
            return "it redirects in a circle"
    return type(exc).__name__
