"""MLflow's deployments door: ``mlflow deployments create|update|get|list|delete|predict|run-local -t mlpublish``.

A deployment is what a channel offers one app version, so its name is
``<app id>/<app version>[/<channel>[/<platform>]]``. The target is ``mlpublish`` (the configured endpoint),
``mlpublish://host[:port]``, or ``mlpublish:/profile`` (``[profiles.profile]`` of mlpublish.toml). ``create`` releases a
model to the channel, ``update`` the next one, ``delete`` ends the offer. Of a bundle with several models ``predict`` takes
``<name>#<model>``. Credentials come from MLPUBLISH_TOKEN, a token file or the keyring, never from ``-C``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import click
from mlflow.deployments import BaseDeploymentClient

from mlpublish import settings
from mlpublish.artifacts import Receipt
from mlpublish.coreml import evaluate
from mlpublish.errors import NotFound, RecipeError
from mlpublish.mlflow_plugin import deployments_local
from mlpublish.mlflow_plugin.deployments_errors import told
from mlpublish.mlflow_plugin.deployments_live import FLAVOR, chosen, look, must_stand, reach, rows_of
from mlpublish.mlflow_plugin.deployments_named import CONFIG, Deployment, Target
from mlpublish.mlflow_plugin.deployments_release import released, released_again
from mlpublish.mlflow_plugin.frames import predict_frame
from mlpublish.repository import channels, defaults
from mlpublish.repository.endpoint import endpoint_for

_LOG = logging.getLogger(__name__)


class MlpublishClient(BaseDeploymentClient):  # type: ignore[misc,unused-ignore]
    """Releases registered models to channels; see the module.

    Every error is a DeploymentError, which is an MlflowException with MLflow's code and our remedy.
    """

    def create_deployment(
        self, name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None, endpoint: Any = None
    ) -> dict[str, Any]:
        """Release a model and point the channel at it.

        Args:
            name: the deployment's name.
            model_uri: the model.
            flavor: not used; the model's own flavors decide.
            config: ``-C`` keys.
            endpoint: not known to this target.

        Returns:
            What was released. Where the app role needs more signatures, ``change`` names the change that waits for them, and
            it is not offered yet; once they have signed, run this again.

        Raises:
            DeploymentError: RESOURCE_ALREADY_EXISTS where the deployment offers another bundle; the very same one is no error
                and changes nothing.
        """
        del flavor
        with self._meant(name, config, endpoint) as wanted:
            live = look(wanted)
            if live is None or live.entry is None:
                return _made(wanted, released(wanted, model_uri))
            return _made(wanted, released_again(live, model_uri))

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: dict[str, Any] | None = None,
        endpoint: Any = None,
    ) -> dict[str, Any]:
        """Release the next model to the same channel; arguments as in ``create_deployment``.

        Raises:
            DeploymentError: RESOURCE_DOES_NOT_EXIST where there is no such deployment.
        """
        del flavor
        with self._meant(name, config, endpoint) as wanted:
            if model_uri is None:
                raise RecipeError(
                    "No model is named.",
                    remedy="Pass --model-uri; rollout and pause are for: mlpublish channel rollout, pause, resume.",
                    field="model_uri",
                )
            if must_stand(wanted).entry is None:
                raise NotFound(
                    f"There is no deployment {wanted.name}.",
                    remedy="Release the first model with: mlflow deployments create.",
                    field="name",
                )
            return _made(wanted, released(wanted, model_uri))

    def delete_deployment(self, name: str, config: dict[str, Any] | None = None, endpoint: Any = None) -> None:
        """Offer the app version nothing any more; whoever has a release keeps it. What is not there is deleted already."""
        with self._meant(name, config, endpoint) as wanted:
            if not reach(wanted).stands():
                return
            channels.remove(
                wanted.app.id,
                to=wanted.to,
                app_version=wanted.app.version,
                platform=wanted.app.platform,
                channel=wanted.channel,
                repository=wanted.options.get("repository"),
                signer=wanted.options.get("key"),
                root=wanted.root,
            )

    def list_deployments(self, endpoint: Any = None) -> list[dict[str, Any]]:
        """Everything that the endpoint's channels offer; an app that cannot be read is a row whose ``problem`` says why."""
        with self._settled(endpoint) as target:
            to = target.place(None)
            development = defaults.development_among(to, defaults.repository_for(None))
            return rows_of(endpoint_for(to, token=defaults.token_of(None, development, to)))

    def get_deployment(self, name: str, endpoint: Any = None) -> dict[str, Any]:
        """What the channel offers the app version now, since when, to whom; and the app's change that waits for signatures.

        Where the first release of it still waits for them, ``release`` is None.
        """
        with self._meant(name, None, endpoint) as wanted:
            return must_stand(wanted).row()

    def predict(self, deployment_name: str | None = None, inputs: Any = None, endpoint: Any = None) -> Any:
        """Fetch the released bundle, hold it against what is signed, and run its model with the evaluator.

        Args:
            deployment_name: the deployment; of a bundle with several models ``<name>#<model>``.
            inputs: a DataFrame; one column per input, or all columns as the rows of the only input.
            endpoint: not known to this target.

        Returns:
            A DataFrame with one column per output.
        """
        name, _, model = str(deployment_name or "").partition("#")
        with self._meant(name, None, endpoint) as wanted, must_stand(wanted).unpacked() as models:
            return predict_frame(evaluate.load(chosen(models, model or None, name)), inputs)

    def explain(self, *_: Any, **__: Any) -> NoReturn:
        """This target explains no predictions."""
        with told():
            raise RecipeError("This target explains no predictions.", remedy="Explain the source model.", field="explain")

    def create_endpoint(self, *_: Any, **__: Any) -> NoReturn:
        """This target has no endpoints of MLflow's kind."""
        with told():
            raise _no_endpoints()

    update_endpoint = delete_endpoint = list_endpoints = get_endpoint = create_endpoint

    @contextmanager
    def _settled(self, endpoint: object) -> Iterator[Target]:
        """The target, with its profile's settings for everything inside, and every error told."""
        with told():
            if endpoint is not None:
                raise _no_endpoints()
            target = Target.parse(str(self.target_uri))
            with settings.using(settings.load(profile=target.profile)):
                yield target

    @contextmanager
    def _meant(self, name: str, config: Mapping[str, object] | None, endpoint: object) -> Iterator[Deployment]:
        """The deployment that a call means; see ``_settled``."""
        with self._settled(endpoint) as target:
            yield Deployment.of(target, name, config)


def target_help() -> str:
    """What ``mlflow deployments help -t mlpublish`` prints."""
    keys = "\n".join(f"  {key:<12} {meaning}" for key, meaning in CONFIG.items())
    return f"{__doc__}\n-C keys:\n{keys}\n"


def run_local(name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None) -> None:
    """Release on this machine, serve it on a free port, let a new device ask for it, and print what came of it.

    It works in the development repository that is configured (``-C repository``, MLPUBLISH_REPOSITORY, mlpublish.toml), else in
    one that is gone afterwards; a production repository that is configured is not touched.

    Args:
        name: the deployment's name.
        model_uri: the model.
        flavor: not used; the model's own flavors decide.
        config: ``-C`` keys.
    """
    del flavor
    with told():
        click.echo(deployments_local.play(name, model_uri, config))


def _made(wanted: Deployment, receipt: Receipt) -> dict[str, Any]:
    if receipt.change is not None:
        _LOG.warning(
            "%s waits for signatures as change %s, and is not offered yet. They sign with: mlpublish review sign --app %s; "
            "then run this again.",
            wanted.name,
            receipt.change,
            wanted.app.id,
        )
    return {**receipt.to_dict(), "name": wanted.name, "bundle": receipt.name, "flavor": FLAVOR}


def _no_endpoints() -> RecipeError:
    return RecipeError(
        "This target has no endpoints of MLflow's kind.",
        remedy="A deployment belongs to a channel: name it <app id>/<app version>/<channel>; see mlpublish channel --help.",
        field="endpoint",
    )
