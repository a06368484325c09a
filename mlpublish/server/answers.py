"""How the server answers: JSON, errors in one shape, and nothing of its inside.

The status follows the error's class; ``code`` in the body carries the class itself to the client:

    NotFound 404 · Conflict, AlreadyPublished 409 · EndpointRefused its own (400, 401, 403, 405, 408, 413)
    DigestMismatch 400 (what arrived is not what was announced) · other VerificationErrors 422 (well formed, not trusted)
    StorageError 507 where the disk is full, else 503 · any other MlpublishError 400 · anything else 500, with an id to ask for
"""

from __future__ import annotations

import errno
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mlpublish.errors import (
    AlreadyPublished,
    Conflict,
    DigestMismatch,
    EndpointRefused,
    InternalError,
    MlpublishError,
    NotFound,
    StorageError,
    VerificationError,
)
from mlpublish.formats.problem import to_document
from mlpublish.formats.wire import dump

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOG = logging.getLogger("mlpublish.server")
# Errors and answers of the API may change with the next request; only delivery says otherwise.
_HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def json_answer(status: int, document: Mapping[str, Any]) -> web.Response:
    """A JSON document."""
    return web.Response(status=status, body=dump(document), content_type="application/json", headers=_HEADERS)


def refusal(error: MlpublishError, *, status: int | None = None) -> web.Response:
    """An error as an answer, under its class's status unless another one is given."""
    status = status_of(error) if status is None else status
    answer = web.Response(status=status, body=to_document(error), content_type="application/json", headers=_HEADERS)
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="mlpublish"'
    return answer


def status_of(error: MlpublishError) -> int:
    """The HTTP status of an error's class; see the table above."""
    match error:
        case NotFound():
            return 404
        case Conflict() | AlreadyPublished():
            return 409
        case EndpointRefused():
            return error.status
        case DigestMismatch():
            return 400
        case VerificationError():
            return 422
        case StorageError():
            cause = error.__cause__
            return 507 if isinstance(cause, OSError) and cause.errno in _FULL else 503
        case InternalError():
            return 500
    return 400


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error becomes an answer."""
    try:
        return await handler(request)
    except MlpublishError as error:
        if isinstance(error, StorageError):
            LOG.error("%s %s: %s", request.method, request.raw_path, error)
        return refusal(error)
    except web.HTTPException as error:  # aiohttp's own: no such address, no such method, a body over the limit
        answer = refusal(_as_ours(request, error), status=error.status)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except ConnectionError:  # the client is gone; aiohttp finds that out when it writes, and drops the connection
        return refusal(EndpointRefused("The connection broke off.", remedy="Send it again."))
    except Exception:  # the last border: whatever it was, the client gets an id, and the log the rest
        number = secrets.token_hex(6)
        LOG.exception("internal error %s at %s %s", number, request.method, request.raw_path)
        return refusal(
            InternalError(f"The server failed (id {number}).", remedy="Try again; if it stays, tell its operator the id.")
        )


@web.middleware
async def log_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One line per request where the log asks for it."""
    if not LOG.isEnabledFor(logging.INFO):
        return await handler(request)
    started = time.monotonic()
    answer = await handler(request)
    elapsed = 1000 * (time.monotonic() - started)
    LOG.info("%s %s %s %d %.1f ms", request.remote, request.method, request.raw_path, answer.status, elapsed)
    return answer


def _as_ours(request: web.Request, error: web.HTTPException) -> MlpublishError:
    if error.status == 404:
        return NotFound(f"There is no {request.path}.", remedy="Check the address.")
    if error.status == 405:
        return EndpointRefused(f"{request.method} is not for {request.path}.", remedy="Check the address.", status=405)
    return EndpointRefused(
        f"{error.reason} (HTTP {error.status}).", remedy="Send less, or check the request.", status=error.status
    )


def is_ours(record: logging.LogRecord) -> bool:
    """Whether a line of aiohttp's is about the server: whatever garbage the internet sends to a port is not."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)
