"""HTTP by raw sockets: what a client library would put right or hide is seen as it is."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A response as it stood on the wire; ``body`` ends where the connection or Content-Length does."""

    status: int
    headers: dict[str, str]
    body: bytes


def read_reply(connection: socket.socket, *, method: str = "GET") -> Reply:
    """The next response of a connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65536)
        assert chunk, f"the connection ended within the head: {received!r}"
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
    while len(body) < length and (chunk := connection.recv(65536)):
        body += chunk
    return Reply(status=int(status.split()[1]), headers=headers, body=body)


def send_request(port: int, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"") -> Reply:
    """One request on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        lines = [f"{method} {path} HTTP/1.1", "Host: here", *(f"{name}: {value}" for name, value in headers)]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return read_reply(connection, method=method)


@pytest.fixture(name="reply_of")
def _reply_of() -> Callable[..., Reply]:
    return read_reply


@pytest.fixture
def send(server: Any) -> Callable[..., Reply]:
    """``send(method, path, {header: value} or [(header, value)], body)`` to ``server``."""

    def to_server(method: str, path: str, headers: Any = (), body: bytes = b"") -> Reply:
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
        if body or method in ("PUT", "POST"):
            pairs.append(("Content-Length", str(len(body))))
        return send_request(server.port, method, path, pairs, body)

    return to_server


@pytest.fixture
def bearer(development: Any) -> Callable[[str], dict[str, str]]:
    """``bearer(role)``: the header that shows the role's token."""
    return lambda role: {"Authorization": f"Bearer {development.token(role)}"}


@pytest.fixture
def staged(development: Any) -> Callable[[], list[Path]]:
    """Everything that lies in the folder of uploads now, partial files too."""
    return lambda: sorted((development.folder / "blobs" / "sha256").iterdir())


@pytest.fixture(name="request_to", scope="session")
def _request_to() -> Callable[..., Reply]:
    return send_request
