"""Alias → channel: moving an alias in MLflow's registry releases the model to the mapped channel, exactly once.

    GET  /healthz     200 once it watches, also while something is tried again (``degraded``); how every mapping stands
    POST /webhook     MLflow's webhook; 404 where no secret is configured

A webhook decides nothing. It makes the watcher look at the registry now instead of at the next poll, so a delivery that is
missed, doubled or late costs time and nothing else.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from aiohttp import web

from mlpublish.errors import EndpointRefused, FormatError, MlpublishError
from mlpublish.formats.problem import problem_of
from mlpublish.mlflow_plugin.watch_follower import Follower, Standing
from mlpublish.mlflow_plugin.watch_log import say
from mlpublish.mlflow_plugin.watch_settings import WatchSettings
from mlpublish.mlflow_plugin.watch_state import Deliveries, Ledger, held
from mlpublish.mlflow_plugin.webhooks import MAX_BODY, event_of
from mlpublish.server.answers import answer_errors, is_ours, json_answer
from mlpublish.tracking import patient
from mlpublish.version import __version__

_SILENT = 10.0  # seconds that a connection may go without a request, or a request without its body
_STOP = 5.0  # seconds that a running release gets to finish
# The watcher tries again by itself; MLflow's own patience (minutes) would only keep it from stopping.
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


def watch(settings: WatchSettings, *, announce: Callable[[str], None] = print) -> bool:
    """Watch until SIGTERM or SIGINT.

    Args:
        announce: is called with the URL once it answers.

    Returns:
        Whether everything has ended. A release that does not finish within seconds is left to the end of the process, which
        should then come at once: whatever it had begun, the next start finishes.

    Raises:
        Conflict: another watcher holds the state folder.
        StorageError: the state folder cannot be used.
        MlpublishError: the address cannot be listened on.
    """
    with _prepared(settings) as followers:
        return asyncio.run(Watcher(settings, followers, Deliveries(settings.state)).run(announce))


def watch_once(settings: WatchSettings) -> tuple[Standing, ...]:
    """Look at every alias once, release what moved, and tell how the mappings stand.

    Raises:
        Conflict: another watcher holds the state folder.
        StorageError: the state folder cannot be used.
    """
    with _prepared(settings) as followers:
        for follower in followers:
            follower.look()
        return tuple(follower.standing for follower in followers)


@contextmanager
def _prepared(settings: WatchSettings) -> Iterator[tuple[Follower, ...]]:
    with held(settings.state), patient(_IMPATIENT):
        if settings.tracking_uri is not None:
            import mlflow

            mlflow.set_tracking_uri(settings.tracking_uri)
        ledger = Ledger(settings.state)
        yield tuple(Follower(mapped, ledger, poll=settings.poll) for mapped in settings.models)


class Watcher:
    """The process: it listens, and one worker takes the followers in turn."""

    def __init__(self, settings: WatchSettings, followers: tuple[Follower, ...], deliveries: Deliveries) -> None:
        self._settings = settings
        self._followers = followers
        self._deliveries = deliveries
        self._followed = {(each.mapped.model, each.mapped.alias) for each in followers}
        self._woken = asyncio.Event()
        self._stop = asyncio.Event()

    async def run(self, announce: Callable[[str], None]) -> bool:
        """See ``watch``."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._end)
        async with self._listening() as url:
            announce(url)
            say("watching", {"url": url, "webhook": self._settings.secret is not None, "models": len(self._followers)})
            rounds = asyncio.create_task(self._rounds())
            stopped = asyncio.create_task(self._stop.wait())
            await asyncio.wait({rounds, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        await asyncio.wait({rounds}, timeout=_STOP)
        if rounds.done():
            await rounds  # raises what ended it, if that was not the signal
        say("stopped", {"abandoned": not rounds.done()})
        return rounds.done()

    def _end(self) -> None:
        self._stop.set()
        self._woken.set()

    async def _rounds(self) -> None:
        while not self._stop.is_set():
            for follower in self._followers:
                if follower.due_in() == 0.0 and not self._stop.is_set():
                    await _in_thread(follower.look)
            self._woken.clear()
            pause = 0.0 if self._stop.is_set() else min(follower.due_in() for follower in self._followers)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[str]:
        app = web.Application(middlewares=[answer_errors], client_max_size=MAX_BODY)
        app.router.add_get("/healthz", self._health)
        app.router.add_post("/webhook", self._webhook)
        quiet = logging.getLogger("mlpublish.watch.http")
        quiet.addFilter(is_ours)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=quiet,
            auto_decompress=False,
            keepalive_timeout=_SILENT,
            shutdown_timeout=1.0,
            handle_signals=False,
        )
        await runner.setup()
        try:
            yield await _listen(runner, self._settings.host, self._settings.port)
        finally:
            await runner.cleanup()

    async def _health(self, _request: web.Request) -> web.Response:
        standings = [follower.standing for follower in self._followers]
        return json_answer(
            200,
            {
                "ok": True,
                "version": __version__,
                "webhook": self._settings.secret is not None,
                "degraded": any(each.troubled for each in standings),
                "models": [each.to_dict() for each in standings],
            },
        )

    async def _webhook(self, request: web.Request) -> web.Response:
        """202 the watcher looks now · 200 ignored, or taken already · 401 not MLflow's · 400, 408, 413 no delivery at all."""
        secret = self._settings.secret
        if secret is None:
            raise EndpointRefused("The webhook is off.", remedy="Name its secret: [watch] secret.", status=404)
        try:
            status, told = await self._take(request, secret)
        except (EndpointRefused, FormatError) as error:
            status = error.status if isinstance(error, EndpointRefused) else 400
            say("webhook", {"outcome": "refused", "status": status, "error": problem_of(error)})
            return json_answer(status, {"error": problem_of(error)})
        say("webhook", told)
        return json_answer(status, told)

    async def _take(self, request: web.Request, secret: str) -> tuple[int, dict[str, str]]:
        event = event_of(request.headers, await _body(request), secret=secret, now=time.time())
        told = {"delivery": event.delivery}
        why = event.ignored(self._followed)
        if why is not None:
            return 200, {"outcome": "ignored", "why": why, **told}
        told |= {"model": event.model, "alias": event.alias}
        if not await asyncio.to_thread(self._deliveries.take, event.delivery, sent=event.sent, now=time.time()):
            return 200, {"outcome": "already", **told}
        for follower in self._followers:
            if (follower.mapped.model, follower.mapped.alias) == (event.model, event.alias):
                follower.wake()
        self._woken.set()
        return 202, {"outcome": "queued", **told}


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_SILENT):
            return await request.read()
    except TimeoutError as exc:
        raise EndpointRefused(
            f"The body did not come within {_SILENT:.0f} seconds.", remedy="Send it again.", status=408
        ) from exc


async def _in_thread(work: Callable[[], None]) -> None:
    """Wait for work in a thread that does not keep the process from ending, as those of an executor do."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if ended.cancelled():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as exc:  # noqa: BLE001 - it is raised again where it is waited for
            error = exc
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=run, name="mlpublish-release", daemon=True).start()
    await ended


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as exc:
        fact = "is in use" if exc.errno == errno.EADDRINUSE else f"cannot be listened on: {exc.strerror or exc}"
        raise MlpublishError(
            f"Port {port} of {host} {fact}.", remedy="Choose another: [watch] host and port; port 0 is any.", field="port"
        ) from exc
    chosen = runner.addresses[0][1]
    return f"http://[{host}]:{chosen}" if ":" in host else f"http://{host}:{chosen}"
