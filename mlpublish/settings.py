"""Where settings come from: a flag or keyword, ``MLPUBLISH_*``, ``mlpublish.toml``, a default, in this order.

The file is described in docs/configuration.md. No secret stands in it: keys and tokens are named by reference.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlpublish.artifacts import App
from mlpublish.errors import RecipeError
from mlpublish.formats.key_uri import KeyUri

FILE = "mlpublish.toml"
_TOP = ("repository", "endpoint", "channel", "platform", "token_file", "keys", "apps", "recipe", "watch")
_KEYS, _ONLINE = ("root", "targets", "channels"), ("snapshot", "timestamp")
_APP = ("version", "platform", "channel", "root")
_RECIPE = ("target", "precision", "tolerance")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """What is set for one app: its version, platform, channel, and the root that its builds embed."""

    version: str | None = None
    platform: str | None = None
    channel: str | None = None
    root: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that may be left out of a call.

    Args:
        keys: role (``root``, ``targets``, ``channels``) -> key URI.
        online: role (``snapshot``, ``timestamp``) -> key URIs, all of which sign while one is being replaced.
        recipe: keywords of ``convert()``: target, precision, tolerance.
        watch: the table ``[watch]`` as it stands in the file; the watcher checks it.
    """

    repository: str | None = None
    endpoint: str | None = None
    channel: str = "stable"
    platform: str = "ios"
    token_file: Path | None = None
    keys: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    online: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    apps: Mapping[str, AppSettings] = field(default_factory=lambda: MappingProxyType({}))
    recipe: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    watch: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def app(self, app_id: str) -> AppSettings:
        """What is set for an app; nothing is, for one that the file does not name."""
        return self.apps.get(app_id, AppSettings())

    @property
    def only_app(self) -> str | None:
        """The app that is meant where none is given: the only one that the file names."""
        return next(iter(self.apps)) if len(self.apps) == 1 else None


def load(folder: Path | None = None) -> Settings:
    """Read ``mlpublish.toml`` (or the file that MLPUBLISH_CONFIG names), then ``MLPUBLISH_*``.

    Raises:
        RecipeError: the file is no TOML, a key is unknown, or a value is of the wrong kind.
    """
    config = os.environ.get("MLPUBLISH_CONFIG")
    file = Path(config) if config else (folder or Path.cwd()) / FILE
    if config and not file.is_file():
        raise RecipeError(f"MLPUBLISH_CONFIG names {file}, which is no file.", remedy="Correct it or unset it.", field=FILE)
    settings = _read(file) if file.is_file() else Settings()
    named = {key: os.environ.get(f"MLPUBLISH_{key.upper()}") for key in ("repository", "endpoint", "channel", "platform")}
    given: dict[str, Any] = {key: value for key, value in named.items() if value}
    of_apps = {key: value for key, value in given.items() if key in ("channel", "platform")}
    apps = {app_id: replace(app, **of_apps) for app_id, app in settings.apps.items()}  # the environment beats these too
    return replace(settings, apps=MappingProxyType(apps), **given)


def app_for(app: App | str | None, version: str | None, platform: str | None) -> App:
    """The app that a call means: given, or mlpublish.toml's only one; likewise its version and platform.

    Raises:
        RecipeError: it is not said anywhere, or it is none.
    """
    if isinstance(app, App):
        return app
    configured = load()
    app_id = app or configured.only_app
    if app_id is None:
        raise RecipeError("No app is named.", remedy="Pass --app ID (app=), such as com.acme.digits.", field="app")
    known = configured.app(app_id)
    chosen = version or known.version
    if chosen is None:
        raise RecipeError("No app version is given.", remedy="Pass --app-version V, such as 2.0.", field="app_version")
    return App(id=app_id, version=chosen, platform=platform or known.platform or configured.platform)


def refuse_unknown(values: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    """Refuse a key that nobody reads, with the nearest one that is read.

    Raises:
        RecipeError: there is one.
    """
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"Did you mean {near[0]!r}? " if near else ""
            raise RecipeError(
                f"{where} has the unknown key {key!r}.", remedy=f"{meant}Known are: {', '.join(known)}.", field=key
            )


def one_or_more(value: object) -> tuple[str, ...]:
    """The texts of a setting that is one text or a list of them; none for anything else."""
    values = value if isinstance(value, list) else [value]
    texts = tuple(each for each in values if isinstance(each, str) and each)
    return texts if len(texts) == len(values) else ()


def _read(file: Path) -> Settings:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as exc:
        raise RecipeError(f"{file} cannot be read: {exc}.", remedy="Correct the file's TOML.", field=FILE) from exc
    refuse_unknown(values, _TOP, FILE)
    base = file.parent
    keys = _table(values, "keys")
    refuse_unknown(keys, _KEYS + _ONLINE, f"{FILE} [keys]")
    token_file = _text(values, "token_file")
    return Settings(
        repository=_located(_text(values, "repository"), base),
        endpoint=_located(_text(values, "endpoint"), base),
        channel=_text(values, "channel") or "stable",
        platform=_text(values, "platform") or "ios",
        token_file=None if token_file is None else base / token_file,
        keys=MappingProxyType({role: _key(keys, role, base) for role in _KEYS if role in keys}),
        online=MappingProxyType({role: _keys(keys, role, base) for role in _ONLINE if role in keys}),
        apps=MappingProxyType({app_id: _app(table, app_id, base) for app_id, table in _table(values, "apps").items()}),
        recipe=MappingProxyType(_recipe(_table(values, "recipe"))),
        watch=MappingProxyType(_table(values, "watch")),
    )


def _app(values: object, app_id: str, base: Path) -> AppSettings:
    if not isinstance(values, dict):
        raise RecipeError(f"{FILE} [apps]: {app_id!r} must be a table.", remedy=f'Write [apps."{app_id}"].', field=app_id)
    refuse_unknown(values, _APP, f'{FILE} [apps."{app_id}"]')
    root = _text(values, "root")
    return AppSettings(
        version=_text(values, "version"),
        platform=_text(values, "platform"),
        channel=_text(values, "channel"),
        root=None if root is None else base / root,
    )


def _recipe(values: dict[str, Any]) -> dict[str, Any]:
    """Keywords of ``convert()``; which texts and numbers it takes, it says itself."""
    refuse_unknown(values, _RECIPE, f"{FILE} [recipe]")
    _text(values, "target")
    _text(values, "precision")
    tolerance = values.get("tolerance", 0)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
        raise RecipeError(f"{FILE}: tolerance must be a number.", remedy="Write it without quotes.", field="tolerance")
    return values


def _located(value: str | None, base: Path) -> str | None:
    """A path in the file is relative to the file; a URI with another scheme stays as it is."""
    if value is None:
        return None
    if value.startswith("file:"):
        return f"file:{base / value.removeprefix('file:')}"
    return value if ":" in value else str(base / value)


def _key(values: Mapping[str, object], role: str, base: Path) -> str:
    return _uri(_text(values, role) or "", base)


def _keys(values: Mapping[str, object], role: str, base: Path) -> tuple[str, ...]:
    uris = one_or_more(values[role])
    if not uris:
        raise RecipeError(
            f"{FILE}: {role} must be a key URI or a list of them.", remedy='Write it as "file:key.pem".', field=role
        )
    return tuple(_uri(uri, base) for uri in uris)


def _uri(text: str, base: Path) -> str:
    """A key URI with its paths made relative to the file; a file that lies in whatever folder is current loads no library."""
    uri = KeyUri.parse(text)
    if "module-path" in uri.query:
        raise RecipeError(
            f"{FILE} names a PKCS#11 module, which is code that would run.",
            remedy="Name it by MLPUBLISH_PKCS11_MODULE, or in the URI of --key.",
            field="module-path",
        )
    return uri.under(base)


def _text(values: Mapping[str, object], key: str) -> str | None:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise RecipeError(f"{FILE}: {key} must be a string.", remedy="Put it in quotes.", field=key)
    return value


def _table(values: Mapping[str, object], key: str) -> dict[str, Any]:
    table = values.get(key, {})
    if not isinstance(table, dict):
        raise RecipeError(f"{FILE}: {key} must be a table.", remedy=f"Write it as [{key}].", field=key)
    return table
