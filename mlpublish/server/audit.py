"""The audit: a row per commit, and per attempt at something under ``/v1/`` that was refused."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from aiohttp import web

from mlpublish.errors import EndpointRefused, MlpublishError, StorageError
from mlpublish.server.answers import LOG, Handler, status_of
from mlpublish.server.auth import CALLER, DEEDS
from mlpublish.storage.index import AuditEntry, Index

_STRANGERS = 60  # rows a minute: whoever has no token must not be able to fill the disk


class Audit:
    """Writes the rows; ``middleware`` stands around every handler."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._minute = 0
        self._strangers = 0

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note a commit that was made, and what was refused."""
        if not request.path.startswith("/v1/"):
            return await handler(request)
        try:
            answer = await handler(request)
        except MlpublishError as error:
            await self._note_refusal(request, error)
            raise
        if request.method == "POST":
            await self._note(request, "created" if answer.status == 201 else "unchanged")
        return answer

    async def _note_refusal(self, request: web.Request, error: MlpublishError) -> None:
        """Whatever a write met; of reading, only that it was not allowed. It goes out even if no row can be written."""
        status = status_of(error)
        if request.method not in ("POST", "PUT") and status not in (401, 403):
            return
        if CALLER not in request and self._is_crowded():
            LOG.warning("%s %s refused; no audit row, there were %d this minute", request.method, request.raw_path, _STRANGERS)
            return
        try:
            await self._note(request, f"{error.code} {status}" if isinstance(error, EndpointRefused) else error.code)
        except StorageError as failure:
            LOG.error("%s", failure)

    async def _note(self, request: web.Request, outcome: str) -> None:
        caller = request.get(CALLER)
        entry = AuditEntry(
            at=datetime.now(UTC),
            who="nobody" if caller is None else caller.who,
            app=request.match_info.get("app"),
            what=request.get(DEEDS, f"{request.method} {request.path}"),
            outcome=outcome,
        )
        await asyncio.to_thread(self._index.record, entry)

    def _is_crowded(self) -> bool:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._strangers = minute, 0
        self._strangers += 1
        return self._strangers > _STRANGERS
