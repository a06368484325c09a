from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest

from mlpublish.errors import MlpublishError, SigningError
from mlpublish.repository.development import Development
from mlpublish.repository.online import Online
from mlpublish.server.app import serve
from mlpublish.trust import roles

APP = "com.acme.digits"
SIZE = 64 << 20


@pytest.fixture
def download(server: Any, development: Development) -> Callable[[], socket.socket]:
    """Begins a download that the buffers of a connection cannot hold."""
    place = development.repository / APP / "targets" / f"{'0' * 64}.large.zip"
    with place.open("wb") as stream:
        stream.truncate(SIZE)

    def begin() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        connection.sendall(f"GET /apps/{APP}/targets/{place.name} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        assert b"200 OK" in connection.recv(100)
        return connection

    return begin


def received(connection: socket.socket) -> int:
    count = 0
    while chunk := connection.recv(1 << 20):
        count += len(chunk)
    return count


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionError:  # refused, or reset while the socket goes away
        return False
    return True


def test_it_is_healthy_once_it_told_its_address(send: Any) -> None:
    reply = send("GET", "/healthz")
    assert (reply.status, json.loads(reply.body)["ok"]) == (200, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_without_a_word(server: Any, number: int) -> None:
    with socket.create_connection(("127.0.0.1", server.port)):  # an idle connection holds nothing up
        server.process.send_signal(number)
        assert server.process.wait(60) == 0
    assert server.log.read_text() == ""


def test_a_download_in_flight_is_finished_before_it_stops(server: Any, download: Callable[[], socket.socket]) -> None:
    with download() as connection:
        server.process.send_signal(signal.SIGTERM)
        while _listens(server.port):
            pass
        assert received(connection) > SIZE - 1000
    assert server.process.wait(60) == 0


def test_a_client_that_reads_nothing_does_not_keep_it_from_stopping(development: Development, serving: Any) -> None:
    development.app(APP)
    settings = development.folder / "server.toml"
    settings.write_text("stop_seconds = 0.5\n" + settings.read_text())
    place = development.repository / APP / "targets" / f"{'0' * 64}.large.zip"
    with place.open("wb") as stream:
        stream.truncate(SIZE)
    with serving(development.folder) as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"GET /apps/{APP}/targets/{place.name} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        assert b"200 OK" in connection.recv(100)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert server.log.read_text() == ""


def test_a_port_in_use_is_one_clear_error(server: Any, development: Development) -> None:
    with pytest.raises(MlpublishError, match=f"Port {server.port} of 127.0.0.1 is in use") as raised:
        serve(development.folder, port=server.port, announce=pytest.fail)
    assert (raised.value.exit_code, raised.value.field) == (1, "port")
    assert "--port 0" in raised.value.remedy


def test_an_address_of_another_machine_is_one_clear_error(development: Development) -> None:
    with pytest.raises(MlpublishError, match="cannot be listened on") as raised:
        serve(development.folder, host="192.0.2.1", port=0, announce=pytest.fail)
    assert raised.value.field == "host"


def test_a_key_that_is_gone_is_told_before_it_listens(development: Development) -> None:
    (development.folder / "keys" / "timestamp.pem").unlink()
    with pytest.raises(SigningError, match=r"timestamp\.pem"):
        serve(development.folder, port=0, announce=pytest.fail)


def test_what_ran_out_while_it_was_down_is_renewed_before_it_answers(development: Development, serving: Any) -> None:
    repository = development.app(APP)
    signer = development.signer
    short = Online(snapshot=(signer("snapshot"),), timestamp=(signer("timestamp"),), snapshot_days=-1, timestamp_days=-1)
    repository.commit({}, short, lambda _target: None)
    assert repository.head().timestamp.signed.expires < roles.now()
    with serving(development.folder):
        head = repository.head()
    assert head.timestamp.signed.expires > roles.after(0.9)
    assert head.snapshot.signed.expires > roles.after(6.9)


def test_one_broken_repository_keeps_no_other_from_being_served(
    development: Development, serving: Any, request_to: Any
) -> None:
    development.app(APP)
    development.app("com.acme.broken")
    (development.repository / "com.acme.broken" / "metadata" / "1.root.json").write_text("{}")
    with serving(development.folder) as server:
        assert request_to(server.port, "GET", f"/apps/{APP}/metadata/timestamp.json", []).status == 200
        assert "com.acme.broken could not be renewed" in server.log.read_text()


def test_garbage_is_answered_and_not_logged(server: Any) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n", b"x: y\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(garbage + b"\r\n\r\n")
            assert b"400 Bad Request" in connection.recv(1000)
    assert server.log.read_text() == ""
