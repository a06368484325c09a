"""A web server that can be bent: real HTTP over a real socket, which lies, breaks off, drips or floods as a test wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Bend:
    """What happens to an answer.

    Args:
        status: answer this instead.
        page: answer 200 with a web page, as a captive portal does.
        body: answer these bytes instead of the file's.
        cut: close the connection after so many bytes of the body.
        length: whether the answer says how long it is.
        first: the first byte that a 206 claims to begin with, whatever was asked for.
        whole: never resume: answer a Range with 200 and everything.
        drip: seconds to wait after every byte.
        then: called when the request has come, before it is answered.
    """

    status: int | None = None
    page: bool = False
    body: bytes | None = None
    cut: int | None = None
    length: bool = True
    first: int | None = None
    whole: bool = False
    drip: float = 0.0
    then: Callable[[], object] = lambda: None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A device that went away is what some tests are about."""


class Web:
    """Serves a folder of repositories as the server does, and bends what it is told to (part of a path -> bend)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bends: dict[str, Bend] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.passwords: list[str | None] = []
        self.sent: dict[str, int] = {}
        self._server = _Server(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def bend(self, part: str, **bend: Any) -> None:
        """Answer so where this is part of the path; see Bend."""
        self._bends[part] = Bend(**bend)

    def sent_of(self, part: str) -> int:
        """How many bytes of bodies went out where this is part of the path."""
        return sum(count for path, count in self.sent.items() if part in path)

    def heal(self) -> None:
        """Answer everything as it should be."""
        self._bends.clear()

    def close(self) -> None:
        """From now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                bend = next((bend for part, bend in web._bends.items() if part in self.path), Bend())
                web.asked.append((self.path, self.headers.get("Range")))
                web.passwords.append(self.headers.get("Authorization"))
                bend.then()
                file = web.folder / self.path.removeprefix("/apps/").lstrip("/")
                if bend.status is not None or not (bend.page or bend.body is not None or file.is_file()):
                    return self.answer(bend.status or 404, b"", bend)
                if bend.page:
                    return self.answer(200, b"<html>Please log in</html>", bend, kind="text/html; charset=utf-8")
                content = file.read_bytes() if bend.body is None else bend.body
                asked = self.headers.get("Range")
                if asked is None or bend.whole:
                    return self.answer(200, content, bend)
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    return self.answer(416, b"", bend)
                claimed = start if bend.first is None else bend.first
                return self.answer(206, content[claimed:], bend, span=f"bytes {claimed}-{len(content) - 1}/{len(content)}")

            def answer(
                self, status: int, body: bytes, bend: Bend, *, kind: str = "application/octet-stream", span: str = ""
            ) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if bend.length:
                    self.send_header("Content-Length", str(len(body)))
                if span:
                    self.send_header("Content-Range", span)
                cut = bend.cut is not None and bend.cut < len(body)
                if cut or not bend.length:
                    self.send_header("Connection", "close")
                    self.close_connection = True
                self.end_headers()
                try:
                    self.pour(body[: bend.cut] if cut else body, bend.drip)
                except OSError:
                    self.close_connection = True  # the device went away

            def pour(self, body: bytes, drip: float) -> None:
                step = 1 if drip else 64 * 1024
                for start in range(0, len(body), step):
                    piece = body[start : start + step]
                    self.wfile.write(piece)
                    web.sent[self.path] = web.sent.get(self.path, 0) + len(piece)
                    time.sleep(drip)

            def log_message(self, *_: object) -> None:
                """The tests' output is not the place."""

        return Handler
