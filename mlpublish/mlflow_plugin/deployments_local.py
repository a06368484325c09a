"""``mlflow deployments run-local``: the whole street on this machine, over a real server that lives as long as it takes."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from mlpublish import settings
from mlpublish.checking.check import check
from mlpublish.errors import RecipeError, VerificationError
from mlpublish.formats.status import UpdateStatus
from mlpublish.mlflow_plugin.deployments_named import Deployment, Target, checked
from mlpublish.mlflow_plugin.deployments_release import released
from mlpublish.repository.development import Development, development_for
from mlpublish.server.app import running
from mlpublish.server.settings import ServerSettings
from mlpublish.settings import Settings

_NOT_LOCAL = ("to", "key", "root")


def play(name: str, model_uri: str, config: Mapping[str, object] | None) -> str:
    """Release a model into a development repository, serve that, and let a new device ask for it.

    Args:
        name: the deployment's name.
        model_uri: the model.
        config: ``-C`` keys.

    Returns:
        What came of it, in a sentence.

    Raises:
        RecipeError: a ``-C`` key is unknown, or names another place than this machine.
        VerificationError: the device did not take it.
        MlpublishError: what ``release()`` raises.
    """
    options = checked(config or {})
    for key in _NOT_LOCAL:
        if key in options:
            raise RecipeError(f"run-local takes no {key!r}: it signs and serves by itself.", remedy="Leave it out.", field=key)
    with ExitStack() as stack:
        home, kept = _home(options.pop("repository", None), stack)
        url = stack.enter_context(serving(home.folder))
        stack.enter_context(settings.using(_apart(home, url)))
        wanted = Deployment.of(Target(), name, options)
        receipt = released(wanted, model_uri, write_back=False)
        device = stack.enter_context(tempfile.TemporaryDirectory(prefix="mlpublish-device-"))
        report = check(wanted.app, at=url, channel=wanted.channel, device=device)
    told = f"{wanted.name}: release {receipt.number} ({receipt.name} {receipt.version}), {report.status.value}. {report.detail}"
    if report.status is not UpdateStatus.SUCCESS:
        raise VerificationError(told, remedy=f"Look closer with: mlpublish check --app {wanted.app.id}.", field="status")
    return f"{told} It is kept in {home.folder}." if kept else f"{told} It was a trial: nothing of it is kept."


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The embedded server of a development folder on a free port of this machine, for the time of the block; gives its URL.

    It lives in a thread with a loop of its own, because a notebook's own loop is running already.
    """
    ready: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        async with running(ServerSettings.read(folder)) as url:
            ready.set_result((url, asyncio.get_running_loop(), stop))
            await stop.wait()

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as exc:
            if ready.done():
                raise
            ready.set_exception(exc)  # whoever waits for it tells it

    thread = threading.Thread(target=work, name="mlpublish-server", daemon=True)
    thread.start()
    url, loop, stop = ready.result()
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _home(asked: str | None, stack: ExitStack) -> tuple[Development, bool]:
    """The development folder of this run, and whether it stays: the one asked for, the configured one, or one for the moment.

    What is configured and is no development folder is somebody's production: it is left alone.
    """
    found = development_for(asked) if asked is not None else Development.find(settings.load().repository)
    if found is not None:
        return found, True
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlpublish-local-")))
    return Development.make(scratch / "development"), False


def _apart(home: Development, url: str) -> Settings:
    """The settings, without whatever they say of other places: their endpoint, token, keys and roots."""
    configured = settings.load()
    nothing: Mapping[str, str] = MappingProxyType({})
    return replace(
        configured,
        repository=str(home.folder),
        endpoint=url,
        token=None,
        keys=nothing,
        online=MappingProxyType({}),
        apps=MappingProxyType({app_id: replace(app, root=None) for app_id, app in configured.apps.items()}),
    )
