"""What an address says without asking anybody."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_USERINFO = re.compile(r"://[^/\s]*@")


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine (``127.evil.example`` is a name, not an address)."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_credentials(text: str) -> str:
    """Text whose URLs name no user and no password (also not one that has an ``@`` of its own)."""
    return _USERINFO.sub("://", text)
