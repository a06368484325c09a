"""Uploads: ``HEAD|PUT /v1/blobs/sha256/<hex>``, create-only.

The body is hashed while it is written, in blocks by a worker thread, so neither a slow disk nor the flush at the end keeps
other requests waiting, and memory stays flat whatever the length.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import StreamReader, web

from mlpublish.errors import EndpointRefused, NotFound
from mlpublish.server.answers import json_answer
from mlpublish.server.auth import Gate
from mlpublish.server.staging import Staging

_BLOCK = 1 << 20  # bytes
_IDLE = 60.0  # seconds without a byte


class Uploads:
    """Takes blobs.

    Args:
        limit: bytes of one blob.
    """

    def __init__(self, staging: Staging, gate: Gate, *, limit: int) -> None:
        self._staging = staging
        self._gate = gate
        self._limit = limit

    async def head(self, request: web.Request) -> web.StreamResponse:
        """200 if the blob is here, else 404."""
        self._gate.admit(request, "upload")
        digest = request.match_info["digest"]
        if not self._staging.has(digest):
            raise NotFound(f"There is no blob {digest}.", remedy="Upload it.")
        return json_answer(200, {"sha256": digest})

    async def put(self, request: web.Request) -> web.StreamResponse:
        """201 if it is new, 200 if it stood there already; what breaks off or has another digest leaves nothing."""
        self._gate.admit(request, "upload")
        if request.content_length is not None and request.content_length > self._limit:
            raise self._too_long()
        digest = request.match_info["digest"]
        created, length = await self._take(request.content, digest)
        return json_answer(201 if created else 200, {"sha256": digest, "length": length, "created": created})

    async def _take(self, body: StreamReader, digest: str) -> tuple[bool, int]:
        length = 0
        with await asyncio.to_thread(self._staging.begin) as partial:
            async for block in _blocks(body):
                length += len(block)
                if length > self._limit:
                    raise self._too_long()
                await asyncio.to_thread(partial.write, block)
            return await asyncio.to_thread(partial.keep, digest), length

    def _too_long(self) -> EndpointRefused:
        return EndpointRefused(
            f"A blob may have {self._limit} bytes here.",
            remedy="Raise upload_limit in server.toml.",
            field="length",
            status=413,
        )


async def _blocks(body: StreamReader) -> AsyncIterator[bytes]:
    """The body in blocks that are worth a thread's while."""
    block = bytearray()
    while data := await _some(body):
        block += data
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


async def _some(body: StreamReader) -> bytes:
    """The next bytes; none at the end."""
    try:
        async with asyncio.timeout(_IDLE):
            return await body.readany()
    except TimeoutError as exc:
        raise EndpointRefused(f"Nothing arrived for {_IDLE:.0f} s.", remedy="Send it again.", status=408) from exc
    except (ConnectionError, web.RequestPayloadError) as exc:
        raise EndpointRefused("The upload broke off.", remedy="Send it again.") from exc
