"""A forward proxy that leads every host to one port of this machine: for it, names need no DNS."""

from __future__ import annotations

import http.client
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what some tests are about."""


class Proxy:
    """Forwards GET and CONNECT.

    Args:
        port: where everything leads to.
        password: what ``Proxy-Authorization`` must say, if anything.
    """

    def __init__(self, port: int, *, password: str | None = None) -> None:
        self.asked: list[str] = []  # the targets, as they were asked for
        self.status: int | None = None  # answer this to everything
        self._server = _Server(("127.0.0.1", 0), self._handler(port, password))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(proxy: Proxy, port: int, password: str | None) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def refused(self) -> bool:
                proxy.asked.append(self.path)
                wrong = password is not None and self.headers.get("Proxy-Authorization") != password
                status = 407 if wrong else proxy.status
                if status is not None:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                return status is not None

            def do_GET(self) -> None:
                if self.refused():
                    return
                upstream = http.client.HTTPConnection("127.0.0.1", port)
                target = "/" + self.path.split("/", 3)[3]
                upstream.request(
                    "GET", target, headers={k: v for k, v in self.headers.items() if k.startswith(("Range", "Auth"))}
                )
                answer = upstream.getresponse()
                body = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name not in ("Connection", "Content-Length"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_CONNECT(self) -> None:
                if self.refused():
                    return
                self.send_response(200)
                self.end_headers()
                self.close_connection = True
                with socket.create_connection(("127.0.0.1", port)) as upstream:
                    ends = {self.connection: upstream, upstream: self.connection}
                    while ready := select.select(list(ends), [], [])[0]:
                        for each in ready:
                            if not (piece := each.recv(65536)):
                                return
                            ends[each].sendall(piece)

            def log_message(self, *_: object) -> None:
                """The tests' output is not the place."""

        return Handler
