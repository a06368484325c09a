"""MLflow's deployments door: ``mlflow deployments create|update|get|list|delete|predict -t mlpublish``.

A deployment is what a channel offers one app version, so its name is
``<app id>/<app version>[/<channel>[/<platform>]]``. The target is ``mlpublish`` (the configured endpoint) or
``mlpublish://host[:port]``. Credentials come from MLPUBLISH_TOKEN or a token file, never from ``-C``.
"""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from mlflow.deployments import BaseDeploymentClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
    UNAUTHENTICATED,
)

from mlpublish import settings
from mlpublish.addresses import is_loopback
from mlpublish.artifacts import App
from mlpublish.checking.check import check
from mlpublish.coreml import evaluate
from mlpublish.errors import MlpublishError, NotFound, RecipeError
from mlpublish.formats.channel import Entry
from mlpublish.formats.status import UpdateStatus
from mlpublish.mlflow_plugin.frames import predict_frame
from mlpublish.recipe import release
from mlpublish.reports import ChannelState
from mlpublish.repository import channels, defaults
from mlpublish.repository.access import access
from mlpublish.repository.development import development_for
from mlpublish.repository.endpoint import endpoint_for

FLAVOR = "coreml"
CONFIG = {
    "app": "the app's bundle id, if the deployment's name does not say it",
    "app_version": "the app version, likewise",
    "platform": "ios (default), ipados, macos, watchos, tvos, visionos, android",
    "channel": "the channel, if the name does not say it (default: stable)",
    "to": "the endpoint, if the target does not say it: http(s)://host[:port] or file:DIR",
    "repository": "a development folder, a folder of repositories or a server",
    "key": "the key URI that signs the release",
    "name": "the bundle's name (default: the registered model's)",
    "version": "the bundle's version (default: the registered model's)",
}
_CODES = {4: UNAUTHENTICATED, 6: RESOURCE_DOES_NOT_EXIST, 5: RESOURCE_ALREADY_EXISTS, 7: TEMPORARILY_UNAVAILABLE}


class DeploymentError(MlflowException, click.ClickException):  # type: ignore[misc,unused-ignore]
    """One line on MLflow's command line, and an MlflowException with its code in Python."""

    def __init__(self, error: MlpublishError) -> None:
        code = _CODES.get(error.exit_code, INVALID_PARAMETER_VALUE)
        MlflowException.__init__(self, str(error), error_code=code)
        click.ClickException.__init__(self, str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click reads it from the instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a name and ``-C`` say together."""

    app: App
    channel: str
    to: str
    options: dict[str, str]

    @property
    def name(self) -> str:
        return name_of(self.app.id, self.app.version, self.channel, self.app.platform)


class MlpublishClient(BaseDeploymentClient):  # type: ignore[misc,unused-ignore]
    """Releases registered models to channels; see the module."""

    def create_deployment(
        self, name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None, endpoint: Any = None
    ) -> dict[str, Any]:
        """Release the model and point the channel at it."""
        del flavor, endpoint
        with _told():
            wanted = self._deployment(name, config)
            receipt = release(
                model_uri,
                app=wanted.app,
                to=wanted.to,
                channel=wanted.channel,
                repository=wanted.options.get("repository"),
                signer=wanted.options.get("key"),
                name=wanted.options.get("name"),
                version=wanted.options.get("version"),
                progress=False,
            )
        return {**receipt.to_dict(), "name": wanted.name, "bundle": receipt.name, "flavor": FLAVOR}

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: dict[str, Any] | None = None,
        endpoint: Any = None,
    ) -> dict[str, Any]:
        """Release the next model to the same channel."""
        with _told():
            if model_uri is None:
                raise RecipeError("No model is named.", remedy="Pass --model-uri.", field="model_uri")
        return self.create_deployment(name, model_uri, flavor, config, endpoint)

    def delete_deployment(self, name: str, config: dict[str, Any] | None = None, endpoint: Any = None) -> None:
        """Offer the app version nothing any more; deleting what is not there is no error."""
        del endpoint
        with _told():
            wanted = self._deployment(name, config)
            try:
                channels.remove(
                    wanted.app.id,
                    to=wanted.to,
                    app_version=wanted.app.version,
                    platform=wanted.app.platform,
                    channel=wanted.channel,
                    repository=wanted.options.get("repository"),
                )
            except NotFound:
                return

    def list_deployments(self, endpoint: Any = None) -> list[dict[str, Any]]:
        """Everything that the endpoint's channels offer."""
        del endpoint
        with _told():
            to = self._to({})
            development = defaults.development_among(to, defaults.repository_for(None))
            apps = endpoint_for(to, token=defaults.token_of(None, development, to)).apps()
            states = [state for app in apps for state in channels.all_of(access(app, to))]
        return [_row(state, entry) for state in states for entry in state.channel.entries]

    def get_deployment(self, name: str, endpoint: Any = None) -> dict[str, Any]:
        """What the channel offers the app version now."""
        del endpoint
        with _told():
            wanted = self._deployment(name, None)
            state = channels.show(wanted.app.id, at=wanted.to, platform=wanted.app.platform, channel=wanted.channel)
            entry = state.channel.entry(wanted.app.version)
            if entry is None:
                raise NotFound(f"There is no deployment {wanted.name}.", remedy="See mlflow deployments list.", field="name")
        return _row(state, entry)

    def predict(self, deployment_name: str | None = None, inputs: Any = None, endpoint: Any = None) -> Any:
        """Fetch the released bundle as a device would, and run its model with the evaluator.

        Args:
            deployment_name: the deployment.
            inputs: a DataFrame; one column per input, or all columns as the rows of the only input.

        Returns:
            A DataFrame with one column per output.
        """
        del endpoint
        with _told(), tempfile.TemporaryDirectory() as device:
            wanted = self._deployment(deployment_name or "", None)
            report = check(wanted.app, at=wanted.to, channel=wanted.channel, device=device)
            if report.status is not UpdateStatus.SUCCESS or report.path is None:
                raise NotFound(f"{wanted.name} gives no model: {report.detail}", remedy="See mlpublish check.", field="name")
            return predict_frame(evaluate.load(report.path), inputs)

    def _deployment(self, name: str, config: dict[str, Any] | None) -> Deployment:
        options = _checked(config or {})
        app_id, version, channel, platform = _parts(name)
        app = settings.app_for(
            options.get("app") or app_id,
            options.get("app_version") or version or None,
            options.get("platform") or platform or None,
        )
        chosen = channels.default_channel(app.id, options.get("channel") or channel or None)
        return Deployment(app=app, channel=chosen, to=self._to(options), options=options)

    def _to(self, options: dict[str, str]) -> str:
        _, slashes, host = str(self.target_uri).partition("://")
        named = options.get("to") or (_url(host) if slashes else None) or settings.load().endpoint
        if named is None:
            raise RecipeError(
                "No endpoint is named.", remedy="Use -t mlpublish://host:port, -C to=URI or MLPUBLISH_ENDPOINT.", field="to"
            )
        return named


def target_help() -> str:
    """What ``mlflow deployments help -t mlpublish`` prints."""
    keys = "\n".join(f"  {key:<12} {meaning}" for key, meaning in CONFIG.items())
    return f"{__doc__}\n-C keys:\n{keys}\n"


def run_local(name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None) -> None:
    """Release into the configured development repository and play the device once.

    Args:
        name: the deployment's name.
        model_uri: the model.
        flavor: not used; the model's own flavors decide.
        config: ``-C`` keys.
    """
    with _told():
        home = development_for((config or {}).get("repository") or defaults.repository_for(None))
        to = f"file:{home.folder.absolute()}"
    client = MlpublishClient("mlpublish")
    made = client.create_deployment(name, model_uri, flavor, {**(config or {}), "to": to})
    with _told(), tempfile.TemporaryDirectory() as device:
        app = App(id=made["app"], version=made["app_version"], platform=made["platform"])
        report = check(app, at=to, channel=made["channel"], device=device)
    click.echo(f"{made['name']}: release {made['number']}, {report.status.value}. {report.detail}")


@contextmanager
def _told() -> Iterator[None]:
    """Translate our errors into MLflow's, once."""
    try:
        yield
    except MlpublishError as exc:
        raise DeploymentError(exc) from exc


def _checked(config: dict[str, Any]) -> dict[str, str]:
    for key in config:
        if key not in CONFIG:
            near = difflib.get_close_matches(str(key), CONFIG, n=1)
            meant = f"Did you mean {near[0]!r}? " if near else ""
            raise RecipeError(f"The key {key!r} is unknown.", remedy=f"{meant}Known are: {', '.join(CONFIG)}.", field=str(key))
    return {key: str(value) for key, value in config.items()}


def _url(host: str) -> str:
    """Plain HTTP on this machine, HTTPS everywhere else."""
    scheme = "http" if is_loopback(f"http://{host}") else "https"
    return f"{scheme}://{host.rstrip('/')}"


def name_of(app_id: str, version: str, channel: str, platform: str) -> str:
    """A deployment's name; the platform stands in it only if it is not the usual one."""
    return "/".join((app_id, version, channel) + (() if platform == "ios" else (platform,)))


def _parts(name: str) -> tuple[str, str, str, str]:
    """App id, app version, channel and platform; empty where the name does not say."""
    app_id, version, channel, platform, *more = [*name.split("/"), "", "", ""]
    if any(more):
        raise RecipeError(
            f"The deployment name {name!r} has too many parts.",
            remedy="Name it <app id>/<app version>[/<channel>[/<platform>]].",
            field="name",
        )
    return app_id, version, channel, platform


def _row(state: ChannelState, entry: Entry) -> dict[str, Any]:
    name = name_of(state.app_id, entry.app_version, state.channel.channel, state.channel.platform)
    return {"name": name, "flavor": FLAVOR, "endpoint": state.endpoint, "platform": state.channel.platform} | entry.to_dict()
