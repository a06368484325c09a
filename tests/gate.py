"""A gate before a server: it lets requests through, holds one at a chosen moment, or is shut."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Match = Callable[[str, str], bool]


class Gate:
    """Forwards every request to a port of this machine.

    ``hold(match)`` stops the first request that matches, before it goes through or (``answered=True``) after the server has
    done what it asks, while the client still waits: whoever is killed then is killed at exactly that point.
    """

    def __init__(self, port: int) -> None:
        self.shut = False  # answer 503 to everything
        self.caught = threading.Event()
        self._match: Match | None = None
        self._answered = False
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self, port))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def hold(self, match: Match, *, answered: bool = False) -> None:
        """Arm the gate.

        Args:
            match: of method and path.
        """
        self.caught.clear()
        self._match, self._answered = match, answered

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def stops(self, method: str, path: str, *, answered: bool) -> bool:
        """Whether this is the one; then nothing else is held any more."""
        with self._lock:
            if self._match is None or answered != self._answered or not self._match(method, path):
                return False
            self._match = None
        self.caught.set()
        return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is what the gate is for."""


def _handler(gate: Gate, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if gate.shut:
                self._answer(503, [], b"")
                return
            if gate.stops(self.command, self.path, answered=False):
                self._keep_waiting()
                return
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            kept = {name: value for name, value in self.headers.items() if name not in ("Host", "Connection")}
            upstream.request(self.command, self.path, body, kept)
            answer = upstream.getresponse()
            content = answer.read()
            if gate.stops(self.command, self.path, answered=True):
                self._keep_waiting()
                return
            self._answer(answer.status, answer.getheaders(), content)

        def _keep_waiting(self) -> None:
            """Until the client goes, or was killed long ago."""
            self.close_connection = True
            self.connection.settimeout(60)
            self.connection.recv(1)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is logged."""

    return Handler
