"""Where an app asks, and what it pins: its own ``mfpclient.plist`` (iOS) or ``mfpclient.properties`` (Android).

    iOS       protocol        host        port        wlServerContext   wlSecureModelUpdatePublicKey
    Android   wlServerProtocol wlServerHost wlServerPort wlServerContext wlSecureModelUpdatePublicKey

Either spelling is read in either file, the file's own first. The app version and the platform do not stand there: the
predecessor's client takes them from the app itself.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlpublish.errors import RecipeError
from mlpublish.formats import mfpclient
from mlpublish.formats.mfpclient import Kind
from mlpublish.storage.in_folder import read_regular

CONTEXT = "wlServerContext"
_LONGEST = 1 << 20  # bytes of such a file
_IOS = {"protocol": "protocol", "host": "host", "port": "port"}
_ANDROID = {"protocol": "wlServerProtocol", "host": "wlServerHost", "port": "wlServerPort"}
_PORTS = {"http": 80, "https": 443}
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_PART = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """What a check takes from an app's configuration.

    Args:
        at: the server's URL, its context included, without a slash at the end.
        pin: the text of the pinned key, if there is one.
    """

    at: str
    pin: str | None

    @classmethod
    def read(cls, file: Path) -> AppConfig:
        """Read a configuration file.

        Raises:
            RecipeError: it cannot be read, is no such file, or a value in it cannot be meant; ``field`` names its key.
            FormatError: it is no property list.
        """
        try:
            content = read_regular(file, _LONGEST)
        except (OSError, ValueError) as exc:
            raise RecipeError(
                f"The configuration {file} cannot be read: {getattr(exc, 'strerror', None) or exc}.",
                remedy="Name the app's mfpclient.plist or mfpclient.properties.",
                field="config",
            ) from exc
        kind = mfpclient.kind_of(content, file.name)
        if kind is None:
            raise RecipeError(
                f"{file} is neither a property list nor a properties file.",
                remedy="Name the app's mfpclient.plist or mfpclient.properties.",
                field="config",
            )
        values = _Values(file, kind, mfpclient.read(content, kind))
        return cls(at=values.url(), pin=values.take(mfpclient.PIN))


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of one file, each error naming the key under which it is looked for there."""

    file: Path
    kind: Kind
    read: Mapping[str, str]

    def url(self) -> str:
        protocol = self._protocol()
        port = self._port()
        shown = "" if port in (None, _PORTS[protocol]) else f":{port}"
        return f"{protocol}://{self._host()}{shown}{self._context()}"

    def take(self, key: str) -> str | None:
        """A value without the spaces around it; None where there is none."""
        return self.read.get(key, "").strip() or None

    def _named(self, name: str) -> tuple[str, str | None]:
        """The key that stands for a part of the address in this file, and its value."""
        own, other = (_ANDROID, _IOS) if self.kind is Kind.PROPERTIES else (_IOS, _ANDROID)
        key = own[name] if self.take(own[name]) is not None or self.take(other[name]) is None else other[name]
        return key, self.take(key)

    def _protocol(self) -> str:
        key, value = self._named("protocol")
        if value is None or value.lower() not in _PORTS:
            raise self._refusal(key, value, "Write http or https.")
        return value.lower()

    def _host(self) -> str:
        key, value = self._named("host")
        if value is None:
            raise self._refusal(key, value, "Write the server's name, such as updates.acme.example.")
        bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
        with suppress(ValueError):
            address = ipaddress.IPv6Address(bare)
            if address.scope_id is None:
                return f"[{address}]"
        if _is_name(value):
            return value.lower()
        raise self._refusal(
            key, value, "Write the name or the address alone: no protocol, port, path or space; other scripts as xn--…."
        )

    def _port(self) -> int | None:
        key, value = self._named("port")
        if value is None:
            return None
        if re.fullmatch("[0-9]{1,5}", value) is None or not 1 <= int(value) <= 65535:
            raise self._refusal(key, value, "Write a whole number from 1 to 65535, or leave it out.")
        return int(value)

    def _context(self) -> str:
        value = self.take(CONTEXT)
        inner = "" if value is None else value.removeprefix("/").removesuffix("/")
        if not inner:
            return ""
        if not all(_PART.fullmatch(part) for part in inner.split("/")):
            raise self._refusal(CONTEXT, value, "Write a path of letters, digits and .-_~, such as /mfp/.")
        return f"/{inner}"

    def _refusal(self, key: str, value: str | None, remedy: str) -> RecipeError:
        if value is None:
            return RecipeError(f"{self.file} has no {key}.", remedy=remedy, field=key)
        shown = "with a password in it" if "@" in value else repr(value)
        return RecipeError(f"{self.file}: {key} cannot be {shown}.", remedy=remedy, field=key)


def _is_name(host: str) -> bool:
    """Whether it is a name or an IPv4 address; other numbers (127.1, 0x7f000001) are read differently by different systems."""
    if re.fullmatch(r"0[xX][0-9a-fA-F]*|[0-9]+", host.rstrip(".").rpartition(".")[2]) is None:
        return len(host) <= 253 and _NAME.fullmatch(host) is not None
    try:
        return host == str(ipaddress.IPv4Address(host))
    except ValueError:
        return False
