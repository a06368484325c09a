"""A web server that can be bent: real HTTP over a real socket, which lies, breaks off, drips or floods as a test wants."""

from __future__ import annotations

import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Bend:
    """What happens to an answer.

    Args:
        times: heal after so many answers.
        status: answer this instead.
        page: answer 200 with a web page, as a captive portal does.
        body: answer these bytes instead of the file's.
        cut: close the connection after so many bytes of the body.
        hang: send nothing more after so many bytes of the body, and keep the connection.
        length: whether the answer says how long it is.
        first: the first byte that a 206 claims to begin with, whatever was asked for.
        whole: never resume: answer a Range with 200 and everything.
        headers: sent too, or instead of those of the same name (``Retry-After``, ``Content-Range``, ``Content-Length``).
        to: redirect there.
        silent: say nothing at all, and keep the connection.
        drip_head: seconds to wait after every byte of the status line and the headers.
        drip: seconds to wait after every byte of the body.
        then: called when the request has come, before it is answered.
    """

    times: int | None = None
    status: int | None = None
    page: bool = False
    body: bytes | None = None
    cut: int | None = None
    hang: int | None = None
    length: bool = True
    first: int | None = None
    whole: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    to: str | None = None
    silent: bool = False
    drip_head: float = 0.0
    drip: float = 0.0
    then: Callable[[], object] = lambda: None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A device that went away is what some tests are about."""


class Web:
    """Serves a folder of repositories as the server does, and bends what it is told to (part of a path -> bend).

    Args:
        tls: speak TLS with what this holds; the URL names ``localhost`` then.
    """

    def __init__(self, folder: Path, *, tls: ssl.SSLContext | None = None) -> None:
        self.folder = folder
        self._bends: dict[str, Bend] = {}
        self._answers: Counter[str] = Counter()
        self.asked: list[tuple[str, str | None]] = []
        self.passwords: list[str | None] = []
        self.sent: dict[str, int] = {}
        self.connections = 0
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"{'http://127.0.0.1' if tls is None else 'https://localhost'}:{self._server.server_port}"
        if tls is not None:  # the handshake is left to the thread that answers
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return self._server.server_port

    def bend(self, part: str, **bend: Any) -> None:
        """Answer so where this is part of the path; see Bend."""
        self._bends[part] = Bend(**bend)
        self._answers[part] = 0

    def bend_of(self, path: str) -> Bend:
        """What happens to the next answer there."""
        for part, bend in self._bends.items():
            if part in path and (bend.times is None or self._answers[part] < bend.times):
                self._answers[part] += 1
                return bend
        return Bend()

    def asked_for(self, part: str) -> list[str | None]:
        """The Ranges of the requests where this is part of the path, one each."""
        return [span for path, span in self.asked if part in path]

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

            def setup(self) -> None:
                web.connections += 1
                super().setup()

            def do_GET(self) -> None:
                bend = web.bend_of(self.path)
                web.asked.append((self.path, self.headers.get("Range")))
                web.passwords.append(self.headers.get("Authorization"))
                bend.then()
                file = web.folder / self.path.removeprefix("/apps/").lstrip("/")
                if bend.silent:
                    return self.wait_for_the_other_side()
                if bend.to is not None:
                    return self.answer(302, bend.body or b"", bend, {"Location": bend.to})
                if bend.status is not None or not (bend.page or bend.body is not None or file.is_file()):
                    return self.answer(bend.status or 404, bend.body or b"", bend)
                if bend.page:
                    page = {"Content-Type": "text/html; charset=utf-8"}
                    return self.answer(200, b"<html>Please log in</html>", bend, page)
                content = file.read_bytes() if bend.body is None else bend.body
                asked = self.headers.get("Range")
                if asked is None or bend.whole:
                    return self.answer(200, content, bend)
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    return self.answer(416, b"", bend, {"Content-Range": f"bytes */{len(content)}"})
                claimed = start if bend.first is None else bend.first
                span = {"Content-Range": f"bytes {claimed}-{len(content) - 1}/{len(content)}"}
                return self.answer(206, content[claimed:], bend, span)

            def answer(self, status: int, body: bytes, bend: Bend, headers: Mapping[str, str] | None = None) -> None:
                length = {"Content-Length": str(len(body))} if bend.length else {}
                told = {"Content-Type": "application/octet-stream", **length, **(headers or {}), **bend.headers}
                cut = bend.cut is not None and bend.cut < len(body)
                self.close_connection = cut or "Content-Length" not in told
                lines = [f"HTTP/1.1 {status} {self.responses.get(status, ('', ''))[0]}"]
                lines += [f"{name}: {value}" for name, value in told.items()]
                lines += ["Connection: close"] if self.close_connection else []
                body = body[: bend.cut] if cut else body
                try:
                    self.pour("\r\n".join([*lines, "", ""]).encode(), bend.drip_head, counted=False)
                    self.pour(body if bend.hang is None else body[: bend.hang], bend.drip)
                    if bend.hang is not None:
                        self.wait_for_the_other_side()
                except OSError:
                    self.close_connection = True  # the device went away

            def pour(self, content: bytes, drip: float, *, counted: bool = True) -> None:
                step = 1 if drip else 64 * 1024
                for start in range(0, len(content), step):
                    piece = content[start : start + step]
                    self.wfile.write(piece)
                    if counted:
                        web.sent[self.path] = web.sent.get(self.path, 0) + len(piece)
                    time.sleep(drip)

            def wait_for_the_other_side(self) -> None:
                """Until it hangs up."""
                self.close_connection = True
                self.rfile.read(1)

            def log_message(self, *_: object) -> None:
                """The tests' output is not the place."""

        return Handler
