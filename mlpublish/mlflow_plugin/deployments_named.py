"""What a target, a deployment's name and ``-C`` say together: which app version, on which channel, at which endpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpublish import settings
from mlpublish.addresses import is_loopback
from mlpublish.artifacts import App
from mlpublish.errors import RecipeError
from mlpublish.repository import channels

CONFIG = {
    "app": "the app's bundle id, if the deployment's name does not say it",
    "app_version": "the app version, likewise",
    "platform": "ios (default), ipados, macos, watchos, tvos, visionos, android",
    "channel": "the channel, if the name does not say it (default: stable)",
    "to": "the endpoint, if the target does not say it: http(s)://host[:port] or file:DIR",
    "repository": "a development folder, a folder of repositories or a server (default: the configured one, else the endpoint)",
    "key": "the key URI that signs: the release, or with delete the channel",
    "root": "the app's trusted 1.root.json",
    "name": "the bundle's name (default: the registered model's)",
    "version": "the bundle's version (default: the registered model's)",
    "samples": "an .npz or .npy of held-out samples (default: the model's input_example)",
}
_SECRET = re.compile(r"token|passw|passphrase|secret|credential|storepass|keypass|(^|_)pin$|api_?key", re.IGNORECASE)
_PARTS = "<app id>/<app version>[/<channel>[/<platform>]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What ``-t`` says.

    Args:
        endpoint: of ``mlpublish://host[:port]``; HTTP on this machine, HTTPS everywhere else.
        profile: of ``mlpublish:/profile``.
    """

    endpoint: str | None = None
    profile: str | None = None

    @classmethod
    def parse(cls, uri: str) -> Target:
        """Take a target apart.

        Raises:
            RecipeError: it is of none of the three forms; it is not repeated, for it may hold a password.
        """
        rest = uri.removeprefix("mlpublish")
        if rest.startswith("://") and len(rest) > len("://"):
            return cls(endpoint=_url(rest.removeprefix("://")))
        if rest in ("", ":", ":/", "://"):
            return cls()
        profile = re.fullmatch(r":/([^/?#]+)/?", rest)
        if profile is None:
            raise RecipeError(
                "The target names nothing.",
                remedy="Use -t mlpublish, mlpublish://host:port or mlpublish:/profile.",
                field="target",
            )
        return cls(profile=profile[1])

    def place(self, asked: str | None) -> str:
        """The endpoint that is meant.

        Args:
            asked: what ``-C to`` says.

        Raises:
            RecipeError: it is said twice, or nowhere.
        """
        own = self.endpoint or (settings.load().endpoint if self.profile else None)
        if asked is not None and own not in (None, asked):
            raise RecipeError("The target names an endpoint, and so does -C to.", remedy="Leave one of them out.", field="to")
        named = asked or own or settings.load().endpoint
        if named is None:
            remedy = "Use -t mlpublish://host:port or mlpublish:/profile, -C to=URI, or set MLPUBLISH_ENDPOINT."
            raise RecipeError("No endpoint is named.", remedy=remedy, field="to")
        return named


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a name and ``-C`` say together.

    Args:
        options: the ``-C`` keys; each is in ``CONFIG``.
    """

    app: App
    channel: str
    to: str
    options: Mapping[str, str]

    @classmethod
    def of(cls, target: Target, name: str, config: Mapping[str, object] | None = None) -> Deployment:
        """Settle what is meant; ``-C`` goes before the name, the name before mlpublish.toml.

        Raises:
            RecipeError: a key is unknown or a secret, or something is said nowhere, or cannot be meant.
        """
        options = checked(config or {})
        app_id, version, channel, platform = _parts(name)
        if not app_id and "app" not in options:  # an empty shell variable must not name the configured app
            raise RecipeError("The deployment has no name.", remedy=f"Name it {_PARTS}.", field="name")
        app = settings.app_for(
            options.get("app") or app_id,
            options.get("app_version") or version or None,
            options.get("platform") or platform or None,
        )
        chosen = channels.default_channel(app.id, options.get("channel") or channel or None)
        return cls(app=app, channel=channels.channel_name(chosen), to=target.place(options.get("to")), options=options)

    @property
    def name(self) -> str:
        return name_of(self.app.id, self.app.version, self.channel, self.app.platform)

    @property
    def repository(self) -> str:
        """Where the app role is read from to be signed anew."""
        return self.options.get("repository") or settings.load().repository or self.to

    @property
    def root(self) -> Path | None:
        return Path(self.options["root"]) if "root" in self.options else None


def checked(config: Mapping[str, object]) -> dict[str, str]:
    """The ``-C`` keys, if all of them are known.

    Raises:
        RecipeError: one is unknown, empty, or would be a secret; its value is not repeated.
    """
    for key, value in config.items():
        if key in CONFIG:
            if value is None or not str(value).strip() or "\0" in str(value):
                raise RecipeError(f"-C {key} says nothing.", remedy="Give it a value, or leave it out.", field=key)
            continue
        if _SECRET.search(str(key)):
            raise RecipeError(
                f"-C {key} would show a secret in the process list and in the shell's history.",
                remedy='A token belongs into MLPUBLISH_TOKEN, or into mlpublish.toml as token = "env:NAME", "file:PATH" or '
                '"keyring:SERVICE/USER"; what unlocks a key into its URI\'s ?passphrase-env=NAME.',
                field=str(key),
            )
        remedy = f"{settings.nearest(str(key), CONFIG)}Known are: {', '.join(CONFIG)}."
        raise RecipeError(f"The key {key!r} is unknown.", remedy=remedy, field=str(key))
    return {key: str(value) for key, value in config.items()}


def name_of(app_id: str, version: str, channel: str, platform: str) -> str:
    """A deployment's name; the platform stands in it only if it is not the usual one."""
    return "/".join((app_id, version, channel) + (() if platform == "ios" else (platform,)))


def _parts(name: object) -> tuple[str, str, str, str]:
    """App id, app version, channel and platform; empty where the name does not say."""
    if not isinstance(name, str):  # MLflow hands on whatever it was given
        raise RecipeError(f"The deployment name {name!r} is no text.", remedy=f"Name it {_PARTS}.", field="name")
    app_id, version, channel, platform, *more = [*name.split("/"), "", "", ""]
    if any(more):
        raise RecipeError(f"The deployment name {name!r} has too many parts.", remedy=f"Name it {_PARTS}.", field="name")
    return app_id, version, channel, platform


def _url(host: str) -> str:
    scheme = "http" if is_loopback(f"http://{host}") else "https"
    return f"{scheme}://{host.rstrip('/')}"
