"""Changes and reviews: ``/v1/apps/<app id>/changes…``. The server keeps them and counts; it never signs one.

GET  /v1/apps/<app>/changes                 {"changes": [id, …], "open": id or null}
POST /v1/apps/<app>/changes                 {"change": {…}, "reviews": [{…}]}, its blobs uploaded before
GET  /v1/apps/<app>/changes/<id>            the change with everything that was said to it
POST /v1/apps/<app>/changes/<id>/reviews    one review; whose key it is decides, not whose token
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from mlpublish.artifacts import check_app_id
from mlpublish.formats.wire import Reader
from mlpublish.repository.apps import Apps
from mlpublish.repository.changes import Changes
from mlpublish.repository.online import Online
from mlpublish.repository.records import Kept
from mlpublish.server.answers import json_answer
from mlpublish.server.auth import Gate
from mlpublish.server.staging import Staging
from mlpublish.trust.changes import Change, Review

Body = Callable[[web.Request], Awaitable[bytes]]


class ChangesApi:
    """Keeps changes for reviewers."""

    def __init__(self, apps: Apps, staging: Staging, gate: Gate, online: Online, body: Body) -> None:
        self._apps = apps
        self._staging = staging
        self._gate = gate
        self._online = online
        self._body = body

    async def list(self, request: web.Request) -> web.StreamResponse:
        self._gate.admit(request, "read")
        found = await asyncio.to_thread(self._changes(request).list)
        return json_answer(200, {"changes": list(found.ids), "open": found.open})

    async def one(self, request: web.Request) -> web.StreamResponse:
        self._gate.admit(request, "read")
        kept = await asyncio.to_thread(self._changes(request).read, request.match_info["change"])
        return json_answer(200, kept.to_dict())

    async def propose(self, request: web.Request) -> web.StreamResponse:
        """201 with the change as it is kept then: committed, if the reviews that came with it were enough."""
        self._gate.admit(request, "upload")  # before a body is read for somebody who may propose nothing at all
        reader = Reader.parse(await self._body(request), what="proposal")
        change = Change.from_reader(reader.inner("change"))
        reviews = tuple(Review.from_reader(each) for each in reader.each("reviews"))
        self._gate.admit(request, *(f"commit {name}" for name in change.edits))
        propose = self._changes(request).propose
        kept = await asyncio.to_thread(propose, change, reviews, self._online, self._staging.find)
        return _kept(201, kept)

    async def review(self, request: web.Request) -> web.StreamResponse:
        self._gate.admit(request, "read")
        review = Review.from_bytes(await self._body(request))
        add = self._changes(request).add
        kept = await asyncio.to_thread(add, request.match_info["change"], review, self._online, self._staging.find)
        return _kept(201, kept)

    def _changes(self, request: web.Request) -> Changes:
        """An app that is to be made has changes before it has a repository."""
        return Changes(self._apps.place_of(check_app_id(request.match_info["app"])))


def _kept(status: int, kept: Kept) -> web.StreamResponse:
    return json_answer(status, kept.to_dict())
