"""``[watch]`` of mlpublish.toml: which alias leads to which channel, and how the watcher is reached (docs/watch.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from mlpublish import settings
from mlpublish.addresses import is_loopback
from mlpublish.artifacts import App
from mlpublish.errors import RecipeError
from mlpublish.formats.token_reference import TokenReference
from mlpublish.repository import channels
from mlpublish.repository.endpoint import endpoint_for
from mlpublish.repository.tokens import token_at
from mlpublish.settings import FILE, refuse_unknown

PORT = 8471
_WATCH = ("host", "port", "secret", "poll", "state", "tracking_uri", "models")
_MODEL = ("model", "alias", "app", "app_version", "platform", "channel", "to", "repository", "name")
_SHORTEST, _LONGEST = 1, 3600  # seconds between two looks
# What MLflow takes as a registered model's name and as an alias, without what would read otherwise in models:/<name>/<version>.
# MLflow reserves latest and v<number>: no such alias can be set, and it answers "latest" with whatever is newest.
_NAME, _ALIAS = re.compile(r"[^/:@?#\x00-\x1f]{1,256}"), re.compile(r"(?!(?i:latest|v[0-9]+)$)[A-Za-z0-9_-]{1,255}")
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]{2,45}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """One alias and the channel that follows it; the rest as ``release()`` takes it."""

    model: str
    alias: str
    app: App
    channel: str
    to: str
    repository: str | None = None
    name: str | None = None

    @property
    def key(self) -> str:
        """What the state knows it by: another channel or endpoint is another mapping."""
        return f"{self.model}@{self.alias} -> {self.target}"

    @property
    def target(self) -> str:
        return f"{self.app.id}/{self.app.version}/{self.channel}/{self.app.platform} at {self.to}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """Everything that a watcher needs to know.

    Args:
        secret: the webhook's, in the clear; None switches the webhook off.
        poll: seconds between two looks at the registry.
        state: the folder that it remembers in.
        tracking_uri: None is MLflow's own setting.
    """

    host: str
    port: int
    secret: str | None = field(repr=False)
    poll: float
    state: Path
    tracking_uri: str | None
    models: tuple[Mapped, ...]

    @classmethod
    def load(cls) -> WatchSettings:
        """Read ``[watch]`` of the configured mlpublish.toml, and the secret that it names.

        Raises:
            RecipeError, UnknownScheme: there is nothing to watch, a key is unknown, or a value cannot be meant.
            MissingExtra: the secret is in the keyring, and keyring is not installed.
        """
        values, base = settings.load().watch, settings.file().parent
        refuse_unknown(values, _WATCH, f"{FILE} [watch]")
        read = cls(
            host=_host(_text(values, "host") or "127.0.0.1"),
            port=_whole(values, "port", PORT, 0, 65535),
            secret=_secret(_text(values, "secret"), base),
            poll=_whole(values, "poll", 60, _SHORTEST, _LONGEST),
            state=base / (_text(values, "state") or ".mlpublish-watch"),
            tracking_uri=_text(values, "tracking_uri"),
            models=_models(values.get("models", []), base),
        )
        read._must_make_sense()
        return read

    def _must_make_sense(self) -> None:
        if self.secret is None and not is_loopback(_url(self.host)):
            _refuse("host", f"is {self.host}, which others reach, and no webhook secret is named", "Name one: [watch] secret.")
        targets = [mapped.target for mapped in self.models]
        twice = next((each for each in targets if targets.count(each) > 1), None)
        if twice is not None:
            _refuse("models", f"has two aliases for {twice}", "Let one alias lead to a channel.")


def _models(tables: object, base: Path) -> tuple[Mapped, ...]:
    if not isinstance(tables, list) or not tables or not all(isinstance(each, dict) for each in tables):
        _refuse("models", "says no alias to follow", 'Write [[watch.models]] with model = "digits" and alias = "champion".')
    return tuple(_model(each, base) for each in tables)


def _model(values: Mapping[str, object], base: Path) -> Mapped:
    refuse_unknown(values, _MODEL, f"{FILE} [[watch.models]]")
    app = settings.app_for(_text(values, "app"), _text(values, "app_version"), _text(values, "platform"))
    configured = settings.load()
    to = settings.located(_text(values, "to"), base) or configured.endpoint
    if to is None:
        _refuse("to", "is said nowhere", "Write the endpoint: http(s)://host[:port] or file:DIR.")
    return Mapped(
        model=_matching(values, "model", _NAME, "digits"),
        alias=_matching(values, "alias", _ALIAS, "champion"),
        app=app,
        channel=channels.channel_name(channels.default_channel(app.id, _text(values, "channel"))),
        to=_reachable(to),
        repository=settings.located(_text(values, "repository"), base),
        name=_text(values, "name"),
    )


def _secret(reference: str | None, base: Path) -> str | None:
    """The webhook's secret; what is no reference may be the secret itself, so nothing of it is repeated."""
    if reference is None:
        return None
    try:
        return token_at(TokenReference.parse(reference).under(base))
    except RecipeError as exc:
        problem = exc.problem.replace("The token", "The secret").replace("the token", "the secret")
        remedy = exc.remedy.replace("the token", "the secret")
        raise RecipeError(f"{FILE} [watch] secret: {problem}", remedy=remedy, field="secret") from exc


def _reachable(to: str) -> str:
    """An endpoint that is told now, rather than with the first release; a folder may come later."""
    if not to.startswith("file:") and ":" in to:
        endpoint_for(to)
    return to


def _host(value: str) -> str:
    if _HOST.fullmatch(value) is None:
        _refuse("host", "is neither a name nor an address", "Write it without scheme and port: 127.0.0.1, ::1 or 0.0.0.0.")
    return value


def _matching(values: Mapping[str, object], key: str, form: re.Pattern[str], example: str) -> str:
    value = _text(values, key) or ""
    if form.fullmatch(value) is None:
        _refuse(key, f"is {value!r}" if value else "is missing", f"Write it as MLflow knows it, such as {key} = {example!r}.")
    return value


def _text(values: Mapping[str, object], key: str) -> str | None:
    value = values.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        _refuse(key, "must be a text", "Put it in quotes.")
    return value


def _whole(values: Mapping[str, object], key: str, default: int, least: int, most: int) -> int:
    value = values.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        _refuse(key, f"must be a whole number from {least} to {most}", "Write it without quotes.")
    return value


def _url(host: str) -> str:
    return f"http://[{host}]" if ":" in host else f"http://{host}"


def _refuse(key: str, fact: str, remedy: str) -> NoReturn:
    raise RecipeError(f"{FILE} [watch]: {key} {fact}.", remedy=remedy, field=key)
