"""A static host on this machine's loopback, over real HTTP; it breaks off or lies only where a case says so."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from mlpublish.conformance.case import Bend

_PIECE = 64 * 1024  # bytes
_PAGE = b"<!doctype html><title>Welcome</title><p>Please log in."
_FROM = re.compile(r"bytes=(\d+)-")


class Host:
    """Serves files under ``/apps/``, as mlpublish's own server and any static host with that folder do."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.files: Mapping[str, bytes] = {}
        self.bend: Bend | None = None
        self.ranges: dict[str, int] = {}

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Host]:
        """A host on a free port, gone afterwards."""
        with _Server(("127.0.0.1", 0), _Handler) as server:
            server.host = cls(server)
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            try:
                yield server.host
            finally:
                server.shutdown()

    def serve(self, files: Mapping[str, bytes], bend: Bend | None = None) -> None:
        """From now on these files, ``<app id>/metadata/…`` and so on."""
        self.files, self.bend, self.ranges = files, bend, {}

    def bend_of(self, path: str) -> Bend:
        """How the answers for a path are bent."""
        return self.bend if self.bend is not None and path.endswith(self.bend.path) else Bend(path=path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    host: Host

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what some cases are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).removeprefix("/apps/")
        content, bend = self.server.host.files.get(path), self.server.host.bend_of(path)
        if bend.page:
            return self._answer(200, _PAGE, kind="text/html; charset=utf-8")
        if bend.status is not None or content is None:
            return self._answer(bend.status or 404, b"")
        if bend.spaces:
            return self._answer_without_end(content, bend.spaces)
        start = self._asked_from(path)
        if start == 0 or bend.whole:
            return self._answer(200, content, cut=bend.cut)
        if start >= len(content):
            return self._answer(416, b"", span=f"bytes */{len(content)}")
        begin = start if bend.starts is None else bend.starts
        cut = None if bend.cut is None else max(bend.cut - begin, 0)
        return self._answer(206, content[begin:], span=f"bytes {begin}-{len(content) - 1}/{len(content)}", cut=cut)

    def _asked_from(self, path: str) -> int:
        asked = _FROM.fullmatch(self.headers.get("Range", ""))
        if asked is None:
            return 0
        self.server.host.ranges.setdefault(path, int(asked[1]))
        return int(asked[1])

    def _answer(
        self, status: int, body: bytes, *, kind: str = "application/octet-stream", span: str = "", cut: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if span:
            self.send_header("Content-Range", span)
        self.close_connection = self.close_connection or cut is not None
        self.end_headers()
        self.wfile.write(body[:cut])

    def _answer_without_end(self, content: bytes, spaces: int) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        self.wfile.write(content)
        for _ in range(0, spaces, _PIECE):
            self.wfile.write(b" " * _PIECE)

    def log_message(self, *_: object) -> None:
        """The terminal belongs to the results."""
