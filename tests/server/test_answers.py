from __future__ import annotations

import asyncio
import errno
import json
import logging

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from mlpublish.errors import (
    AlreadyPublished,
    BundleError,
    Conflict,
    DigestMismatch,
    EndpointRefused,
    Expired,
    FormatError,
    MlpublishError,
    NotFound,
    RecipeError,
    StorageError,
    ThresholdNotMet,
    VerificationError,
)
from mlpublish.server.answers import answer_errors, log_requests, status_of


def of(kind: type[MlpublishError], cause: OSError | None = None) -> MlpublishError:
    error = kind("fact", remedy="way out")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (of(NotFound), 404),
        (of(Conflict), 409),
        (of(AlreadyPublished), 409),
        (of(DigestMismatch), 400),
        (of(VerificationError), 422),
        (of(ThresholdNotMet), 422),
        (of(Expired), 422),
        (of(StorageError), 503),
        (of(StorageError, PermissionError(errno.EACCES, "no")), 503),
        (of(StorageError, OSError(errno.ENOSPC, "full")), 507),
        (of(StorageError, OSError(errno.EDQUOT, "quota")), 507),
        (of(FormatError), 400),
        (of(RecipeError), 400),
        (of(BundleError), 400),
        (EndpointRefused("fact", remedy="way out", status=403), 403),
    ],
)
def test_each_class_of_error_has_its_status(error: MlpublishError, status: int) -> None:
    assert status_of(error) == status


def test_what_nobody_foresaw_is_told_by_an_id_and_logged_with_it(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks(_request: web.Request) -> web.Response:
        raise ZeroDivisionError("a secret of the inside")

    async def asked() -> tuple[int, bytes]:
        app = web.Application(middlewares=[log_requests, answer_errors])
        app.router.add_get("/", breaks)
        async with TestServer(app) as server, ClientSession() as session, session.get(server.make_url("/")) as response:
            return response.status, await response.read()

    with caplog.at_level(logging.INFO, logger="mlpublish.server"):
        status, body = asyncio.run(asked())
    error = json.loads(body)["error"]
    assert (status, error["code"], error["retryable"]) == (500, "internal_error", True)
    assert b"secret" not in body
    number = error["message"].partition("(id ")[2].rstrip(").")
    assert number in caplog.records[0].getMessage()
    assert caplog.records[0].exc_info is not None
    assert "GET / 500" in caplog.records[1].getMessage()
