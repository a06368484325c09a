"""The API beside delivery: ``POST /v1/apps/<app id>/commits`` and ``GET /v1/apps``.

A commit is verified against the app's own root and made current by the same protocol that a folder uses; the server adds
snapshot and timestamp, and never signs anything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

from mlpublish.errors import EndpointRefused
from mlpublish.formats.wire import MAX_DOCUMENT
from mlpublish.repository import commits
from mlpublish.repository.apps import Apps
from mlpublish.repository.endpoint import Edit
from mlpublish.repository.online import Online
from mlpublish.server.answers import json_answer
from mlpublish.server.auth import Gate
from mlpublish.server.staging import Staging


class Api:
    """Commits and the list of apps."""

    def __init__(self, apps: Apps, staging: Staging, gate: Gate, online: Online) -> None:
        self._apps = apps
        self._staging = staging
        self._gate = gate
        self._online = online

    async def list_apps(self, request: web.Request) -> web.StreamResponse:
        """The ids of the apps; any role may read them."""
        self._gate.admit(request, "read")
        apps = await asyncio.to_thread(self._apps.ids)
        begun = await asyncio.to_thread(self._apps.ids, begun=True)
        return json_answer(200, {"apps": list(apps), "begun": [each for each in begun if each not in apps]})

    async def commit(self, request: web.Request) -> web.StreamResponse:
        """201 if the roles became current, 200 if they were current already."""
        self._gate.admit(request, "upload")  # before a body is read for somebody who may commit nothing at all
        edits = commits.from_document(await body_of(request))
        self._gate.admit(request, *(f"commit {name}" for name in edits))
        created = await asyncio.to_thread(self._commit, request.match_info["app"], edits)
        return json_answer(201 if created else 200, {"created": created})

    def _commit(self, app_id: str, edits: Mapping[str, Edit]) -> bool:
        return self._apps.repository(app_id).commit(edits, self._online, self._staging.find)


async def body_of(request: web.Request) -> bytes:
    """The body of a request that hands something in.

    Raises:
        EndpointRefused: it is too long, or broke off.
    """
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as exc:
        raise EndpointRefused(
            f"A commit may have {MAX_DOCUMENT} bytes.", remedy="Retire old releases, so that the role is smaller.", status=413
        ) from exc
    except (ConnectionError, web.RequestPayloadError) as exc:
        raise EndpointRefused("The commit broke off.", remedy="Send it again.") from exc
