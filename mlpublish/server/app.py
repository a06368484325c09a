"""The embedded server: put together, started, stopped.

    GET|HEAD /apps/<app id>/metadata/…        delivery (delivery.py), open to everybody
    GET|HEAD /apps/<app id>/targets/…
    GET|HEAD <context>/apps/<app id>/…        the same, where server.toml names a context; for devices alone
    GET      /healthz                         200 once it serves
    HEAD|PUT /v1/blobs/sha256/<hex>           uploads (uploads.py), with a token
    POST     /v1/apps/<app id>/commits        the API (api.py), with a token
    GET      /v1/apps
    GET|POST /v1/apps/<app id>/changes…       changes and reviews (changes.py), with a token

It speaks plain HTTP: beyond one machine, TLS ends in a proxy or CDN before it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from mlpublish.errors import MlpublishError
from mlpublish.formats.wire import MAX_DOCUMENT
from mlpublish.repository.apps import Apps
from mlpublish.repository.online import Online
from mlpublish.repository.renew import Renewal, renew
from mlpublish.server.answers import LOG, answer_errors, is_ours, json_answer, log_requests
from mlpublish.server.api import Api, body_of
from mlpublish.server.audit import Audit
from mlpublish.server.auth import Gate, tokens_in
from mlpublish.server.changes import ChangesApi
from mlpublish.server.delivery import Delivery
from mlpublish.server.settings import ServerSettings
from mlpublish.server.staging import Staging
from mlpublish.server.uploads import Uploads
from mlpublish.storage.in_folder import sweep
from mlpublish.storage.in_sql import SqlIndex
from mlpublish.version import __version__

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8470
_IDLE = 75.0  # seconds that a connection without a request is kept
_ROUND = 3600.0  # seconds between two rounds of housekeeping


def serve(
    folder: Path | str,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight then get ``stop_seconds`` to finish.

    Args:
        folder: holds ``server.toml``.
        port: 0 picks a free one.
        announce: is called with the server's URL once it answers.

    Raises:
        NotFound: there is no ``server.toml``.
        RecipeError: it cannot be meant.
        SigningError: a key of the server cannot be opened.
        MlpublishError: the address cannot be listened on.
    """
    asyncio.run(_serve(ServerSettings.read(Path(folder)), host, port, announce))


@asynccontextmanager
async def running(settings: ServerSettings, *, host: str = DEFAULT_HOST, port: int = 0) -> AsyncIterator[str]:
    """A server for the time of an ``async with``; gives its URL."""
    quiet = logging.getLogger("mlpublish.server.http")
    quiet.addFilter(is_ours)
    runner = web.AppRunner(
        build(settings),
        access_log=None,
        logger=quiet,
        auto_decompress=False,
        keepalive_timeout=_IDLE,
        shutdown_timeout=settings.stop_seconds,
    )
    await runner.setup()
    try:
        await _listen(runner, host, port)
        yield _url(host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


def build(settings: ServerSettings) -> web.Application:
    """The aiohttp application.

    Raises:
        RecipeError, SigningError, StorageError: a part of it cannot be opened.
    """
    tokens, online = tokens_in(settings.tokens), settings.online()
    apps, staging, index = Apps(settings.repository), Staging(settings.blobs), SqlIndex.in_file(settings.index)
    index.replace_tokens(tokens)
    app = web.Application(middlewares=[log_requests, answer_errors, Audit(index).middleware], client_max_size=MAX_DOCUMENT)
    gate = Gate(index)
    delivery, api = Delivery(settings.repository), Api(apps, staging, gate, online)
    uploads = Uploads(staging, gate, limit=settings.upload_limit)
    app.router.add_get("/healthz", _health)
    for prefix in dict.fromkeys(("", settings.context)):
        app.router.add_get(f"{prefix}/apps/{{app}}/{{area:metadata|targets}}/{{path:.+}}", delivery.get)
    app.router.add_head("/v1/blobs/sha256/{digest:[0-9a-f]{64}}", uploads.head)
    app.router.add_put("/v1/blobs/sha256/{digest:[0-9a-f]{64}}", uploads.put)
    app.router.add_get("/v1/apps", api.list_apps)
    app.router.add_post("/v1/apps/{app}/commits", api.commit)
    changes = ChangesApi(apps, staging, gate, online, body_of)
    app.router.add_get("/v1/apps/{app}/changes", changes.list)
    app.router.add_post("/v1/apps/{app}/changes", changes.propose)
    app.router.add_get("/v1/apps/{app}/changes/{change}", changes.one)
    app.router.add_post("/v1/apps/{app}/changes/{change}/reviews", changes.review)
    app.cleanup_ctx.append(_housekeeping(apps, staging, online, index))
    return app


async def _serve(settings: ServerSettings, host: str, port: int, announce: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings, host=host, port=port) as url:
        announce(url)
        await stop.wait()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except (OSError, OverflowError) as exc:
        if isinstance(exc, OSError) and exc.errno == errno.EADDRINUSE:
            raise MlpublishError(
                f"Port {port} of {host} is in use.", remedy="Choose another with --port, or --port 0 for any.", field="port"
            ) from exc
        raise MlpublishError(
            f"Port {port} of {host} cannot be listened on: {getattr(exc, 'strerror', None) or exc}.",
            remedy="Choose an address of this machine (--host) and a port from 1024 on (--port).",
            field="host",
        ) from exc


async def _health(_request: web.Request) -> web.Response:
    return json_answer(200, {"ok": True, "version": __version__})


def _housekeeping(
    apps: Apps, staging: Staging, online: Online, index: SqlIndex
) -> Callable[[web.Application], AsyncIterator[None]]:
    """One round before the server listens, so that nobody meets metadata that ran out while it was down; then hourly."""
    pause = min(_ROUND, online.shortest_days * 86400 / 8)
    told: set[str] = set()

    async def rounds() -> None:
        while True:
            await asyncio.sleep(pause)
            await asyncio.to_thread(_round, apps, staging, online, told)

    async def context(_app: web.Application) -> AsyncIterator[None]:
        await asyncio.to_thread(_round, apps, staging, online, told)
        task = asyncio.create_task(rounds())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        index.close()

    return context


def _round(apps: Apps, staging: Staging, online: Online, told: set[str]) -> None:
    """Renew what is due, and sweep what crashes left; a failure is told and tried again in the next round.

    Args:
        told: the endings that were told already; people need to be told once, not hourly.
    """
    try:
        _tell(renew(apps, online), told)
        sweep(apps.folder)
        staging.sweep()
    except MlpublishError as error:
        LOG.error("%s", error)
    except Exception:  # noqa: BLE001 - whatever it was, it must not be the last round, or everything runs out
        LOG.exception("a round of housekeeping failed")


def _tell(renewal: Renewal, told: set[str]) -> None:
    for app_id, error in renewal.failed.items():
        LOG.error("%s could not be renewed: %s", app_id, error)
    for ending in (each for each in map(str, renewal.ending) if each not in told):
        LOG.warning("%s", ending)
        told.add(ending)
    if renewal.renewed:
        LOG.info("renewed: %s", ", ".join(renewal.renewed))


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
