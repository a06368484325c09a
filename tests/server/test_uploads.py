from __future__ import annotations

import hashlib
import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpublish.repository.development import Development
from mlpublish.server.staging import KEPT, Staging

DATA = os.urandom(3_000_000)


def address(content: bytes) -> str:
    return f"/v1/blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def half_sent(port: int, content: bytes, headers: dict[str, str]) -> socket.socket:
    """A connection on which the second half of an upload is still to come."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    lines = [f"PUT {address(content)} HTTP/1.1", "Host: here", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + content[: len(content) // 2])
    return connection


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it comes to hold; the server works at its own pace."""
    for _ in range(400):
        if holds():
            return True
        time.sleep(0.05)
    return False


def test_a_blob_is_created_once(send: Any, bearer: Any, staged: Any) -> None:
    role = bearer("deployer")
    assert send("HEAD", address(DATA), role).status == 404
    assert send("PUT", address(DATA), role, DATA).status == 201
    assert send("PUT", address(DATA), role, DATA).status == 200
    assert send("HEAD", address(DATA), role).status == 200
    [blob] = staged()
    assert blob.read_bytes() == DATA


def test_an_empty_blob_is_a_blob(send: Any, bearer: Any, staged: Any) -> None:
    assert send("PUT", address(b""), bearer("deployer"), b"").status == 201
    assert [blob.stat().st_size for blob in staged()] == [0]


def test_other_bytes_than_announced_leave_nothing(send: Any, bearer: Any, staged: Any) -> None:
    reply = send("PUT", address(b"announced"), bearer("deployer"), DATA)
    assert reply.status == 400
    assert b'"code": "digest_mismatch"' in reply.body
    assert staged() == []


def test_bytes_are_taken_as_they_come_whatever_they_say_of_their_encoding(send: Any, bearer: Any) -> None:
    assert send("PUT", address(DATA), bearer("deployer") | {"Content-Encoding": "gzip"}, DATA).status == 201


def test_a_body_in_chunks_is_taken(server: Any, bearer: Any, reply_of: Any, staged: Any) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = [f"PUT {address(b'chunked')} HTTP/1.1", "Host: here", "Transfer-Encoding: chunked"]
        head += [f"{name}: {value}" for name, value in bearer("deployer").items()]
        connection.sendall("\r\n".join([*head, "", "4", "chun", "3", "ked", "0", "", ""]).encode())
        assert reply_of(connection).status == 201
    assert [blob.read_bytes() for blob in staged()] == [b"chunked"]


@pytest.mark.parametrize("name", ["x", "A" * 64, "0" * 63, "..%2f..%2fserver.toml", "0" * 64 + "/x"])
def test_a_blob_has_no_other_name_than_a_digest(send: Any, bearer: Any, name: str) -> None:
    assert send("PUT", f"/v1/blobs/sha256/{name}", bearer("admin"), b"x").status == 404


def test_a_client_that_leaves_in_the_middle_leaves_nothing(server: Any, bearer: Any, staged: Any) -> None:
    with half_sent(server.port, DATA, bearer("deployer")):
        assert eventually(lambda: len(staged()) == 1)
    assert eventually(lambda: staged() == [])
    assert server.log.read_text() == ""


def test_two_clients_may_send_the_same_blob_at_once(server: Any, bearer: Any, reply_of: Any, staged: Any) -> None:
    with half_sent(server.port, DATA, bearer("deployer")) as one, half_sent(server.port, DATA, bearer("operator")) as other:
        assert eventually(lambda: len(staged()) == 2)
        for connection in (one, other):
            connection.sendall(DATA[len(DATA) // 2 :])
        assert sorted(reply_of(connection).status for connection in (one, other)) == [200, 201]
    assert [blob.read_bytes() for blob in staged()] == [DATA]


def test_what_a_killed_server_left_is_swept_by_the_next(
    development: Development, serving: Any, bearer: Any, staged: Any
) -> None:
    with serving(development.folder) as server, half_sent(server.port, DATA, bearer("deployer")):
        assert eventually(lambda: len(staged()) == 1)
        server.process.kill()
        server.process.wait()
        assert [blob.name[:9] for blob in staged()] == [".partial-"]
    with serving(development.folder) as server:
        assert staged() == []
        with half_sent(server.port, DATA, bearer("deployer")) as again:
            again.sendall(DATA[len(DATA) // 2 :])
            assert b"201 Created" in again.recv(100)


def test_a_server_that_must_stop_in_the_middle_leaves_nothing(
    development: Development, serving: Any, bearer: Any, staged: Any
) -> None:
    settings = development.folder / "server.toml"
    settings.write_text("stop_seconds = 0.2\n" + settings.read_text())
    with serving(development.folder) as server, half_sent(server.port, DATA, bearer("deployer")):
        assert eventually(lambda: len(staged()) == 1)
        server.process.terminate()
        assert server.process.wait(60) == 0
        assert (staged(), server.log.read_text()) == ([], "")


@pytest.mark.parametrize("announced", [True, False])
def test_a_blob_over_the_limit_is_refused(
    development: Development, serving: Any, bearer: Any, request_to: Any, reply_of: Any, staged: Any, announced: bool
) -> None:
    settings = development.folder / "server.toml"
    settings.write_text("upload_limit = 1000\n" + settings.read_text())
    with serving(development.folder) as server:
        headers = list(bearer("deployer").items())
        if announced:  # told before a byte of the body is sent
            reply = request_to(server.port, "PUT", address(DATA), [*headers, ("Content-Length", str(1 << 40))])
        else:
            chunk = b"3e9\r\n" + bytes(1001) + b"\r\n0\r\n\r\n"
            reply = request_to(server.port, "PUT", address(DATA), [*headers, ("Transfer-Encoding", "chunked")], chunk)
        assert reply.status == 413
        assert b"1000 bytes" in reply.body
        assert staged() == []
        assert (
            request_to(server.port, "PUT", address(bytes(1000)), [*headers, ("Content-Length", "1000")], bytes(1000)).status
            == 201
        )


def test_a_full_disk_is_told_as_such(development: Development, serving: Any, bearer: Any, request_to: Any, staged: Any) -> None:
    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    with serving(development.folder, before=small_disk) as server:
        headers = [*bearer("deployer").items(), ("Content-Length", str(len(DATA)))]
        reply = request_to(server.port, "PUT", address(DATA), headers, DATA)
        assert (reply.status, staged()) == (507, [])
        assert b'"code": "storage_error"' in reply.body
        assert request_to(server.port, "GET", "/healthz", []).status == 200


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_memory_stays_flat_whatever_the_length(server: Any, bearer: Any, reply_of: Any) -> None:
    def peak() -> int:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024  # MiB

    before, content = peak(), bytes(200 << 20)
    with half_sent(server.port, content, bearer("deployer")) as connection:
        connection.sendall(content[len(content) // 2 :])
        assert reply_of(connection).status == 201
    assert peak() - before < 32


def test_the_sweep_keeps_what_is_written_or_counted_on(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    for name in ("kept", "old", "asked"):
        with staging.begin() as partial:
            partial.write(name.encode())
            partial.keep(hashlib.sha256(name.encode()).hexdigest())
        if name != "kept":
            place = tmp_path / "sha256" / hashlib.sha256(name.encode()).hexdigest()
            os.utime(place, (time.time() - KEPT - 60,) * 2)
    assert staging.has(hashlib.sha256(b"asked").hexdigest())
    with staging.begin() as partial:
        partial.write(b"half")
        staging.sweep()
        assert sorted(each.read_bytes() for each in (tmp_path / "sha256").iterdir()) == [b"asked", b"half", b"kept"]


def test_an_upload_keeps_nobody_waiting(server: Any, bearer: Any, request_to: Any) -> None:
    """Other requests are answered while one is in its middle."""
    answers: list[int] = []
    with half_sent(server.port, DATA, bearer("deployer")):
        asking = threading.Thread(target=lambda: answers.append(request_to(server.port, "GET", "/healthz", []).status))
        asking.start()
        asking.join(30)
    assert answers == [200]
