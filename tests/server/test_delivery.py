from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlpublish.repository.development import Development

APP = "com.acme.digits"
BIG = bytes(range(256)) * 2048  # 512 KiB: more than is sent in one piece
DIGEST = hashlib.sha256(BIG).hexdigest()
PATH = f"/apps/{APP}/targets/releases/1/{DIGEST}.bundle.zip"


@dataclass(frozen=True)
class Site:
    """A server that nothing is changed on, and its app's folder."""

    port: int
    app: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, serving: Any) -> Iterator[Site]:
    development = Development.make(tmp_path_factory.mktemp("site") / "dev")
    development.app(APP)
    folder = development.repository / APP
    place = folder / "targets" / "releases" / "1" / f"{DIGEST}.bundle.zip"
    place.parent.mkdir(parents=True)
    place.write_bytes(BIG)
    os.utime(place, (1_700_000_000, 1_700_000_000))
    (folder / "metadata" / ".lock").touch()
    (place.parent / "plain.zip").write_bytes(b"no digest in the name")
    (folder / "targets" / f"{DIGEST}.link.json").symlink_to(development.folder / "server.toml")
    (folder / "targets" / f"{DIGEST}.loop.json").symlink_to(f"{DIGEST}.loop.json")
    os.mkfifo(folder / "targets" / f"{DIGEST}.pipe.json")
    with serving(development.folder) as server:
        yield Site(server.port, folder)


@pytest.fixture
def get(site: Site, request_to: Callable[..., Any]) -> Callable[..., Any]:
    return lambda path, *headers, method="GET": request_to(site.port, method, path, list(headers))


ETAG, MODIFIED = f'"{DIGEST}"', "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        ([], 200, BIG),
        ([("Range", "bytes=0-0")], 206, BIG[:1]),
        ([("Range", "bytes=100-299")], 206, BIG[100:300]),
        ([("Range", "bytes=500000-")], 206, BIG[500000:]),
        ([("Range", "bytes=-1000")], 206, BIG[-1000:]),
        ([("Range", "bytes=1-400000")], 206, BIG[1:400001]),
        ([("Range", f"bytes={len(BIG)}-")], 416, b""),
        ([("Range", "bytes=-0")], 416, b""),
        ([("Range", "bytes=0-1,9-9")], 200, BIG),
        ([("Range", "bytes=5-1")], 200, BIG),
        ([("Range", "octets=0-1")], 200, BIG),
        ([("Range", "bytes=9-"), ("If-Range", ETAG)], 206, BIG[9:]),
        ([("Range", "bytes=9-"), ("If-Range", MODIFIED)], 206, BIG[9:]),
        ([("Range", "bytes=9-"), ("If-Range", f"W/{ETAG}")], 200, BIG),
        ([("Range", "bytes=9-"), ("If-Range", '"stale"')], 200, BIG),
        ([("If-None-Match", ETAG)], 304, b""),
        ([("If-None-Match", "*")], 304, b""),
        ([("If-None-Match", ETAG), ("Range", "bytes=0-1")], 304, b""),
        ([("If-Modified-Since", MODIFIED)], 304, b""),
        ([("If-None-Match", '"other"'), ("If-Modified-Since", MODIFIED)], 200, BIG),
        ([("If-Match", ETAG)], 200, BIG),
        ([("If-Match", '"other"')], 412, b""),
        ([("Accept-Encoding", "gzip")], 200, BIG),
    ],
)
def test_what_a_get_of_a_bundle_is_answered(get: Any, headers: list[tuple[str, str]], status: int, body: bytes) -> None:
    reply = get(PATH, *headers)
    assert (reply.status, reply.body) == (status, body)
    assert (reply.headers["etag"], reply.headers["accept-ranges"]) == (ETAG, "bytes")
    if status in (200, 206):
        assert reply.headers["content-length"] == str(len(body))
        assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert (reply.headers["last-modified"], reply.headers["content-type"]) == (MODIFIED, "application/zip")
    assert ("content-length" in reply.headers) == (status != 304)


def test_a_part_says_where_it_belongs(get: Any) -> None:
    assert get(PATH, ("Range", "bytes=10-19")).headers["content-range"] == f"bytes 10-19/{len(BIG)}"
    assert get(PATH, ("Range", "bytes=900000-")).headers["content-range"] == f"bytes */{len(BIG)}"


def test_head_tells_of_the_whole_file_and_sends_none_of_it(get: Any) -> None:
    reply = get(PATH, ("Range", "bytes=0-9"), method="HEAD")
    assert (reply.status, reply.headers["content-length"], reply.body) == (200, str(len(BIG)), b"")


def test_only_what_may_change_is_asked_for_again(get: Any) -> None:
    assert get(f"/apps/{APP}/metadata/timestamp.json").headers["cache-control"] == "no-cache"
    missing = get(f"/apps/{APP}/metadata/2.root.json")
    assert (missing.status, missing.headers["cache-control"]) == (404, "no-cache")
    first = get(f"/apps/{APP}/metadata/1.root.json")
    assert (first.status, first.headers["cache-control"]) == (200, "no-cache")  # a pinned key may sign it later
    for lasting in ("1.targets.json", "1.channels.json", "1.snapshot.json"):
        assert get(f"/apps/{APP}/metadata/{lasting}").headers["cache-control"].endswith("immutable")


def test_metadata_has_the_digest_of_its_bytes_as_tag(get: Any, site: Site) -> None:
    for name in ("timestamp.json", "1.root.json"):
        content = (site.app / "metadata" / name).read_bytes()
        reply = get(f"/apps/{APP}/metadata/{name}")
        assert (reply.body, reply.headers["etag"]) == (content, f'"{hashlib.sha256(content).hexdigest()}"')


@pytest.mark.parametrize(
    "path",
    [
        f"/apps/{APP}/metadata/.lock",
        f"/apps/{APP}/metadata/../../../keys/root.pem",
        f"/apps/{APP}/metadata/..%2f..%2f..%2fkeys%2froot.pem",
        f"/apps/{APP}/metadata/%2e%2e/metadata/timestamp.json",
        f"/apps/{APP}/metadata//timestamp.json",
        f"/apps/{APP}/metadata/",
        f"/apps/{APP}/metadata",
        f"/apps/{APP}/keys/root.pem",
        f"/apps/{APP}/targets/releases/1",
        f"/apps/{APP}/targets/releases/1/plain.zip",
        f"/apps/{APP}/targets/{DIGEST}.link.json",
        f"/apps/{APP}/targets/{DIGEST}.pipe.json",
        f"/apps/{APP}/metadata/timestamp.json/x",
        f"/apps/{APP}/metadata/timestamp.json%00",
        f"/apps/{APP}/metadata/" + "/".join(["a" * 240] * 30),
        f"/apps/{APP}/targets/{DIGEST}.loop.json",
        "/apps/../server.toml",
        "/apps/%2e%2e/metadata/timestamp.json",
        "/server.toml",
        "/",
    ],
)
def test_nothing_else_is_served(get: Any, path: str) -> None:
    reply = get(path)
    assert reply.status == 404
    assert b'"code": "not_found"' in reply.body


def test_one_connection_carries_many_requests(site: Site, reply_of: Any) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as connection:
        for method, size in (("GET", len(BIG)), ("HEAD", 0), ("GET", len(BIG))):
            connection.sendall(f"{method} {PATH} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            assert len(reply_of(connection, method=method).body) == size


def test_a_client_that_leaves_in_the_middle_leaves_no_trace(get: Any, site: Site) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", site.port), timeout=30) as connection:
            connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            connection.recv(1000)
    assert get(PATH).body == BIG
    assert (site.app.parent.parent / "server.log").read_text() == ""


@pytest.fixture
def large(server: Any, development: Development) -> Path:
    """A release too large for the buffers of a connection."""
    digest = "0" * 64  # delivery believes the name; the device does not
    place = development.repository / APP / "targets" / "releases" / "1" / f"{digest}.bundle.zip"
    place.parent.mkdir(parents=True)
    with place.open("wb") as stream:
        for number in range(64):
            stream.write(bytes([number]) * (1 << 20))
    return place


def _start(port: int, place: Path) -> socket.socket:
    """Ask for it and read no more than the head."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(f"GET /apps/{APP}/targets/releases/1/{place.name} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    assert b"200 OK" in connection.recv(100)
    return connection


def _rest(connection: socket.socket) -> int:
    received = 0
    while chunk := connection.recv(1 << 20):
        received += len(chunk)
    return received


def test_a_file_that_is_cut_while_it_is_sent_ends_the_connection(server: Any, large: Path) -> None:
    with _start(server.port, large) as connection:
        os.truncate(large, 32 << 20)
        assert _rest(connection) < 33 << 20  # recv came to the end, and no timeout was needed


def test_a_file_that_is_replaced_while_it_is_sent_arrives_as_it_was(server: Any, large: Path) -> None:
    with _start(server.port, large) as connection:
        (large.parent / "new").write_bytes(b"new")
        (large.parent / "new").replace(large)
        connection.settimeout(30)
        body = b""
        while len(body) < 64 << 20:
            body += connection.recv(1 << 20)
    assert body.endswith(bytes([63]) * 1000)


@pytest.mark.skipif(
    shutil.which("curl") is None and os.environ.get("CI") != "true", reason="needs curl (Debian: apt install curl)"
)
def test_curl_resumes(site: Site, tmp_path: Path) -> None:
    got = tmp_path / "bundle.zip"
    got.write_bytes(BIG[:123456])
    url = f"http://127.0.0.1:{site.port}{PATH}"
    done = subprocess.run(
        ["curl", "-sS", "-C", "-", "-o", got, "-w", "%{http_code} %{size_download}", url], capture_output=True
    )
    assert (done.stdout.decode(), got.read_bytes()) == (f"206 {len(BIG) - 123456}", BIG)
