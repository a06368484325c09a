"""Whom a check asks, and what it trusts: from flags, the app's own configuration, mlpublish.toml, or a development folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlpublish import settings
from mlpublish.checking.app_config import AppConfig
from mlpublish.checking.fetching import Transport, transport_beside, transport_for
from mlpublish.checking.metadata import Trust
from mlpublish.checking.patience import Patience
from mlpublish.checking.pinned import names_a_zip, update_pinned
from mlpublish.checking.play import Play
from mlpublish.checking.update import update
from mlpublish.errors import RecipeError
from mlpublish.formats.mfpclient import PIN
from mlpublish.plugins import scheme_of
from mlpublish.reports import CheckReport
from mlpublish.repository import defaults
from mlpublish.repository.place import Place
from mlpublish.trust.pin import pin_text, read_pin


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the caller of a check names, or leaves out: see ``check()``."""

    at: str | Path | None
    config: Path | str | None
    root: Path | str | bytes | None
    pin: Path | str | None
    repository: Path | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The way that one check goes.

    Args:
        at: the address, as it was named.
        channel: what is asked for, where a signed repository is asked.
        transport: leads there; nothing has been asked yet.
        go: plays the check, once the device is open.
    """

    at: str
    channel: str | None
    transport: Transport
    go: Callable[[Play], CheckReport]


def way_for(app_id: str, wanted: Wanted, *, channel: str, patience: Patience, ca: Path | None) -> Way:
    """Find out where to ask, and what to trust there at first.

    Raises:
        RecipeError: nobody says it, or what is said makes no sense.
        FormatError: the app's configuration is no property list.
        SigningError: the pin is a key of a kind that is not taken.
    """
    own = None if wanted.config is None else AppConfig.read(Path(wanted.config))
    at, pin = _address(wanted.at, own), _pin(wanted, own)
    if names_a_zip(at):
        name, text, beside = at.rpartition("/")[2], _pin_alone(wanted.root, pin), transport_beside(at, patience=patience, ca=ca)
        return Way(at=at, channel=None, transport=beside, go=lambda play: update_pinned(play, name, text))
    trust = _trust(app_id, at, wanted, pin)
    origin = at if scheme_of(at) != "file" else f"file:{Place.find(at).repository}"  # a server's folder means its repository
    transport = transport_for(origin, app_id, patience=patience, ca=ca)
    return Way(at=at, channel=channel, transport=transport, go=lambda play: update(play, trust, channel))


def address(at: str | Path | None, config: Path | str | None) -> str:
    """Where a check with these two asks.

    Raises:
        RecipeError, FormatError: as ``way_for``.
    """
    return _address(at, None if config is None else AppConfig.read(Path(config)))


def _address(at: str | Path | None, own: AppConfig | None) -> str:
    named = at if at is not None or own is None else own.at
    found = settings.load().endpoint if named is None else str(named)
    if found is None:
        raise RecipeError(
            "Nothing says where to ask.",
            remedy="Pass --at URI or --config mfpclient.plist, or set MLPUBLISH_ENDPOINT or endpoint in mlpublish.toml.",
            field="at",
        )
    return found


def _pin(wanted: Wanted, own: AppConfig | None) -> Path | str | None:
    """The pin, given or the app's own; a root that is given stands before the latter."""
    if wanted.root is not None and wanted.pin is not None:
        raise RecipeError("A root and a pin are given.", remedy="Give one of them.", field="pin")
    return own.pin if own is not None and wanted.root is None and wanted.pin is None else wanted.pin


def _trust(app_id: str, at: str, wanted: Wanted, pin: Path | str | None) -> Trust:
    if pin is not None:
        return Trust(pin=_key_of(pin))
    development = defaults.development_among(at, defaults.repository_for(wanted.repository))
    root = defaults.root_of(app_id, wanted.root, development)
    if root is None:
        pinned = "" if wanted.config is None else f", or write {PIN} into {wanted.config} (mlpublish keys export-plist)"
        raise RecipeError(
            f"No root of {app_id} is trusted here, and there is no trust on first use.",
            remedy=f"Pass --root 1.root.json (the one that the app embeds) or --pin KEY{pinned}; in development "
            "--repository DIR (and publish a release of the app first).",
            field="root",
        )
    return Trust(root=root)


def _pin_alone(root: Path | str | bytes | None, pin: Path | str | None) -> str:
    """The text of the pin, which is all that a bare zip can be held against."""
    if root is not None or pin is None:
        raise RecipeError(
            "A bare zip is held against the key that the app pins, and no root signs one.",
            remedy="Pass --pin KEY and no --root; or name the repository instead of the zip.",
            field="pin",
        )
    return _key_of(pin)


def _key_of(pin: Path | str) -> str:
    """A pin's text, seen to be a key before anything is asked or written."""
    text = pin_text(pin)
    read_pin(text)
    return text
