"""Where settings come from: a flag or keyword, ``MLPUBLISH_*``, ``mlpublish.toml``, a default, in this order.

The file is described in docs/configuration.md. No secret stands in it: keys and tokens are named by reference. A profile is a
second set of the file's settings about one place; what it says stands before what the top of the file says.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlpublish.artifacts import App
from mlpublish.errors import RecipeError
from mlpublish.formats.key_uri import KeyUri
from mlpublish.formats.token_reference import TokenReference

FILE = "mlpublish.toml"
_PLACE = ("repository", "endpoint", "channel", "platform", "token", "token_file", "keys")  # what a profile may say
_TOP = (*_PLACE, "profiles", "apps", "recipe", "watch")
_CONFIG = "MLPUBLISH_CONFIG"
_TOKEN = "MLPUBLISH_TOKEN"  # noqa: S105 - the name of the variable
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
        token: where the server's bearer token is.
        token_for: the servers that the file names beside it, and nobody else gets it; empty where it names none, or where the
            token is the environment's.
        keys: role (``root``, ``targets``, ``channels``) -> key URI.
        online: role (``snapshot``, ``timestamp``) -> key URIs, all of which sign while one is being replaced.
        recipe: keywords of ``convert()``: target, precision, tolerance.
        watch: the table ``[watch]`` as it stands in the file; the watcher checks it.
    """

    repository: str | None = None
    endpoint: str | None = None
    channel: str = "stable"
    platform: str = "ios"
    token: TokenReference | None = None
    token_for: tuple[str, ...] = ()
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


_USED: ContextVar[Settings | None] = ContextVar("mlpublish_settings", default=None)


@contextmanager
def using(settings: Settings) -> Iterator[None]:
    """Let ``load`` give these settings to everything that is called inside.

    For a door that was told a profile, or that must keep a trial away from what is configured: whatever a verb leaves out
    (key, token, root) comes from ``load``, deep below the door.
    """
    before = _USED.set(settings)
    try:
        yield
    finally:
        _USED.reset(before)


def load(folder: Path | None = None, *, profile: str | None = None) -> Settings:
    """Read ``mlpublish.toml`` (or the file that MLPUBLISH_CONFIG names), then ``MLPUBLISH_*``; or what ``using`` says.

    Args:
        profile: the file's profile that is meant. What it says stands before the environment, as a flag does; that of a
            profile which MLPUBLISH_PROFILE names does not.

    Raises:
        RecipeError: the file is no TOML, a key is unknown, a value is of the wrong kind, or there is no such profile.
    """
    used = _USED.get()
    if used is not None:
        return used
    place = file(folder)
    if os.environ.get(_CONFIG) and not place.is_file():
        raise RecipeError(f"{_CONFIG} names {place}, which is no file.", remedy="Correct it or unset it.", field=FILE)
    values = _parsed(place) if place.is_file() else {}
    chosen = _profile(values, profile or os.environ.get("MLPUBLISH_PROFILE"), place.parent)
    given = _environment()
    said = chosen | given if profile is None else given | chosen
    return _settled(values, chosen, said, place.parent)


def file(folder: Path | None = None) -> Path:
    """Where ``load`` reads; it need not be there."""
    config = os.environ.get(_CONFIG)
    return Path(config) if config else (folder or Path.cwd()) / FILE


def located(value: str | None, base: Path) -> str | None:
    """A path in the file is relative to the file; a URI with another scheme stays as it is."""
    if value is None:
        return None
    if value.startswith("file:"):
        return f"file:{base / value.removeprefix('file:')}"
    return value if ":" in value else str(base / value)


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
            remedy = f"{nearest(key, known)}Known are: {', '.join(known)}."
            raise RecipeError(f"{where} has the unknown key {key!r}.", remedy=remedy, field=key)


def nearest(name: str, known: Iterable[str]) -> str:
    """``Did you mean …? ``, or nothing where nothing known resembles it."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]!r}? " if near else ""


def one_or_more(value: object) -> tuple[str, ...]:
    """The texts of a setting that is one text or a list of them; none for anything else."""
    values = value if isinstance(value, list) else [value]
    texts = tuple(each for each in values if isinstance(each, str) and each)
    return texts if len(texts) == len(values) else ()


def _parsed(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as exc:
        raise RecipeError(f"{file} cannot be read: {exc}.", remedy="Correct the file's TOML.", field=FILE) from exc
    refuse_unknown(values, _TOP, FILE)
    return values


def _environment() -> dict[str, Any]:
    """The settings that ``MLPUBLISH_*`` says; an empty variable says nothing."""
    named = {key: os.environ.get(f"MLPUBLISH_{key.upper()}") for key in ("repository", "endpoint", "channel", "platform")}
    given: dict[str, Any] = {key: value for key, value in named.items() if value}
    return given | ({"token": TokenReference(kind="env", name=_TOKEN)} if os.environ.get(_TOKEN) else {})


def _settled(values: dict[str, Any], chosen: dict[str, Any], said: dict[str, Any], base: Path) -> Settings:
    """The file's settings, and what stands before them.

    Args:
        chosen: what the profile says.
        said: that, and what the environment says.
    """
    top = _place(values, base, FILE)
    if "endpoint" in chosen:
        top.pop("token", None)  # it is another server's
    of_apps = {key: said[key] for key in ("channel", "platform") if key in said}
    apps = {app_id: _app(table, app_id, base) for app_id, table in _table(values, "apps").items()}
    places = (top | chosen).get("repository"), (top | chosen).get("endpoint")
    servers = tuple(each for each in places if each is not None and each.startswith(("http://", "https://")))
    ours = {"token_for": servers if (top | said).get("token") == (top | chosen).get("token") else ()}
    keys = {role: MappingProxyType({**top.pop(role), **chosen.get(role, {})}) for role in ("keys", "online")}
    return Settings(
        **(top | said | keys | ours),
        apps=MappingProxyType({app_id: replace(app, **of_apps) for app_id, app in apps.items()}),
        recipe=MappingProxyType(_recipe(_table(values, "recipe"))),
        watch=MappingProxyType(_table(values, "watch")),
    )


def _profile(values: Mapping[str, Any], name: str | None, base: Path) -> dict[str, Any]:
    """What a profile says; all of them are read, so that a mistake in one is not found on the day that it is needed."""
    profiles = {}
    for each, table in _table(values, "profiles").items():
        where = f"{FILE} [profiles.{each}]"
        if not isinstance(table, dict):
            raise RecipeError(f"{FILE} [profiles]: {each!r} must be a table.", remedy=f"Write [profiles.{each}].", field=each)
        refuse_unknown(table, _PLACE, where)
        profiles[each] = _place(table, base, where)
    if name is None or name == "":
        return {}
    if name not in profiles:
        raise _no_profile(name, tuple(profiles))
    chosen = profiles[name]
    return {"repository": chosen["endpoint"], **chosen} if "endpoint" in chosen else chosen  # it is read where it is written


def _no_profile(name: str, known: tuple[str, ...]) -> RecipeError:
    if not known:
        remedy = f"Write [profiles.{name}] into {FILE}, or name its file by MLPUBLISH_CONFIG."
    else:
        remedy = f"{nearest(name, known)}Known are: {', '.join(known)}."
    return RecipeError(f"There is no profile {name!r}.", remedy=remedy, field="profile")


def _place(values: Mapping[str, Any], base: Path, where: str) -> dict[str, Any]:
    """The settings about one place that a table says."""
    keys = _table(values, "keys")
    refuse_unknown(keys, _KEYS + _ONLINE, f"{where} [keys]")
    found = {
        "repository": located(_text(values, "repository"), base),
        "endpoint": located(_text(values, "endpoint"), base),
        "channel": _text(values, "channel"),
        "platform": _text(values, "platform"),
        "token": _token(values, base, where),
        "keys": {role: _key(keys, role, base) for role in _KEYS if role in keys},
        "online": {role: _keys(keys, role, base) for role in _ONLINE if role in keys},
    }
    return {key: value for key, value in found.items() if value or key in ("keys", "online")}


def _token(values: Mapping[str, Any], base: Path, where: str) -> TokenReference | None:
    reference, file = _text(values, "token"), _text(values, "token_file")
    if reference is not None and file is not None:
        raise RecipeError(f"{where} says token and token_file.", remedy="Keep one of them.", field="token")
    if file is not None:
        return TokenReference(kind="file", name=str(base / file))
    return None if reference is None else TokenReference.parse(reference).under(base)


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
