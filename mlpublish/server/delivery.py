"""Delivery: the files of the repository, as they are. Any static host or CDN could serve the same tree.

Everything but ``timestamp.json`` (and ``1.root.json``, which a pinned key may sign later) keeps its content for ever (its
name holds a version or its digest), so it is marked immutable; ``timestamp.json``, and the 404 with which a device finds that
there is no newer root yet, are asked for again each time. Only names that are relative paths of plain parts are looked up,
only inside an app's metadata/ and targets/, and a symbolic link that leads out of the repository is not followed.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from mlpublish.errors import NotFound, StorageError
from mlpublish.formats.wire import MAX_DOCUMENT, digest_of, is_relative_path
from mlpublish.server.answers import LOG
from mlpublish.server.conditions import Answer, Content, answer_to

_DIGEST_NAMED = re.compile(r"([0-9a-f]{64})\..+")
_VERSIONED = re.compile(r"[0-9]+\..+\.json")
_COUNTERSIGNED = "1.root.json"  # a pinned key may sign it later
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_TYPES = {".json": "application/json", ".zip": "application/zip"}
_NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO)
_REMEMBERED = 4096  # digests of metadata files
_SMALL = 64 * 1024  # bytes; up to here head and body leave in one packet train, with no sendfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An open file of the repository, ready to be sent."""

    stream: BinaryIO
    content: Content
    headers: dict[str, str]


class Delivery:
    """Serves ``/apps/<app id>/{metadata,targets}/…`` from the repository folder."""

    def __init__(self, repository: Path) -> None:
        self._root = os.path.realpath(repository)
        self._digests: dict[tuple[int, int, int, int], str] = {}

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer a GET or HEAD."""
        parts = request.match_info
        with self._open(parts["app"], parts["area"], parts["path"]) as found:
            answer = answer_to(request.method, request.headers, found.content)
            headers = found.headers | _headers_of(answer, found.content)
            if request.method == "HEAD" or answer.count == 0:
                return web.StreamResponse(status=answer.status, headers=headers)
            if answer.count <= _SMALL:
                return web.Response(status=answer.status, headers=headers, body=_read(found, answer))
            return await _send(request, web.StreamResponse(status=answer.status, headers=headers), found, answer)

    @contextmanager
    def _open(self, app_id: str, area: str, path: str) -> Iterator[Found]:
        name = path.rpartition("/")[2]
        named = _DIGEST_NAMED.fullmatch(name)
        if not is_relative_path(f"{app_id}/{area}/{path}") or (area == "targets" and named is None):
            raise _missing(path)
        with _regular(self._root, f"{app_id}/{area}/{path}") as stream:
            status = os.fstat(stream.fileno())
            lasting = area == "targets" or (_VERSIONED.fullmatch(name) is not None and name != _COUNTERSIGNED)
            digest = named[1] if area == "targets" and named is not None else self._digest(stream, status, lasting)
            content = Content(digest=digest, modified=int(status.st_mtime), length=status.st_size)
            yield Found(stream=stream, content=content, headers=_headers(name, content, lasting))

    def _digest(self, stream: BinaryIO, status: os.stat_result, lasting: bool) -> str:
        """sha256 of a metadata file; remembered only for what is never replaced."""
        if status.st_size > MAX_DOCUMENT:
            raise StorageError(
                f"A metadata file has {status.st_size} bytes.", remedy=f"None may have more than {MAX_DOCUMENT}."
            )
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        if not lasting or key not in self._digests:
            if len(self._digests) >= _REMEMBERED:
                self._digests.clear()
            self._digests[key] = digest_of(os.pread(stream.fileno(), status.st_size, 0))
        return self._digests[key]


async def _send(request: web.Request, response: web.StreamResponse, found: Found, answer: Answer) -> web.StreamResponse:
    """From the page cache to the socket without passing through Python; a file that ends early ends the connection.

    The length was promised already, so a client that gets less must see the connection close: it then knows, and resumes.
    """
    await response.prepare(request)
    transport, sent = request.transport, 0
    try:
        if transport is not None:
            sent = await asyncio.get_running_loop().sendfile(transport, found.stream, answer.offset, answer.count)
            if sent < answer.count:
                LOG.error("%s ended after %d of %d bytes", request.raw_path, answer.offset + sent, found.content.length)
    except (OSError, RuntimeError) as exc:  # the client left (RuntimeError: the transport is closing), or the disk failed
        LOG.info("%s broke off: %s", request.raw_path, exc)
    if sent < answer.count:
        response.force_close()
    return response


@contextmanager
def _regular(root: str, path: str) -> Iterator[BinaryIO]:
    """A regular file that truly lies in the repository; O_NONBLOCK, because opening a pipe would wait for its writer."""
    try:
        place = os.path.realpath(f"{root}/{path}", strict=True)
        if not place.startswith(f"{root}/"):
            raise _missing(path)
        stream = os.fdopen(os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as exc:
        if exc.errno in _NO_SUCH_FILE:
            raise _missing(path) from exc
        raise StorageError(f"{path} cannot be read: {exc.strerror}.", remedy="See the server's disk and permissions.") from exc
    with stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise _missing(path)
        yield stream


def _headers(name: str, content: Content, lasting: bool) -> dict[str, str]:
    return {
        "ETag": content.etag,
        "Last-Modified": content.last_modified,
        "Accept-Ranges": "bytes",
        "Cache-Control": _FOR_EVER if lasting else _ASK_AGAIN,
        "Content-Type": _TYPES.get(Path(name).suffix, "application/octet-stream"),
        "X-Content-Type-Options": "nosniff",
    }


def _headers_of(answer: Answer, content: Content) -> dict[str, str]:
    """What the status adds; a 304 has no length of its own."""
    match answer.status:
        case 206:
            last = answer.offset + answer.count - 1
            return {"Content-Range": f"bytes {answer.offset}-{last}/{content.length}", "Content-Length": str(answer.count)}
        case 416:
            return {"Content-Range": f"bytes */{content.length}", "Content-Length": "0", "Cache-Control": _ASK_AGAIN}
        case 412:
            return {"Content-Length": "0", "Cache-Control": _ASK_AGAIN}
        case 304:
            return {}
    return {"Content-Length": str(answer.count)}


def _read(found: Found, answer: Answer) -> bytes:
    data = os.pread(found.stream.fileno(), answer.count, answer.offset)
    if len(data) != answer.count:
        raise StorageError("The file became shorter while it was read.", remedy="Ask again.")
    return data


def _missing(path: str) -> NotFound:
    return NotFound(f"There is no {path} here.", remedy="Check the address, or publish it first.")
