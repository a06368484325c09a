"""The client against peers that answer as a scripted server, a proxy or a stranger would, over real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlpublish.errors import (
    Conflict,
    DigestMismatch,
    EndpointRefused,
    EndpointUnreachable,
    FormatError,
    NotFound,
    RecipeError,
    StorageError,
)
from mlpublish.formats.problem import to_document
from mlpublish.formats.wire import MAX_DOCUMENT, digest_of
from mlpublish.publishing.to_server import ServerEndpoint, open_server
from mlpublish.publishing.transport import Transport
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Commit, Edit

TOKEN = "0123456789abcdef-token"
COMMIT = Commit(edits={"targets": Edit(base=1, metadata=b"{}")}, blobs={digest_of(b"x"): b"x"})
JSON = {"Content-Type": "application/json"}


@dataclass
class Peer:
    """Gives the scripted answers, one after the other (the last one for ever), and keeps what it was asked."""

    answers: list[tuple[int, dict[str, str], bytes]]
    url: str = ""
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [f"{method} {path}" for method, path, _, _ in self.asked]

    def header(self, name: str) -> list[str | None]:
        return [headers.get(name) for _, _, headers, _ in self.asked]


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    servers: list[ThreadingHTTPServer] = []

    def answering(*answers: tuple[int, dict[str, str], bytes]) -> Peer:
        script = Peer(list(answers))

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                status, headers, content = script.answers[min(len(script.asked), len(script.answers) - 1)]
                script.asked.append((self.command, self.path, dict(self.headers), body))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_PUT = do_POST = answer

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        script.url = f"http://127.0.0.1:{server.server_port}"
        return script

    yield answering
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that refuses every connection: it is bound, and nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def endpoint(peer: Peer, token: str | None = TOKEN) -> ServerEndpoint:
    return ServerEndpoint(Transport(peer.url, token, pause=0.01))


NOT_NOW = (503, {}, b"busy")
GOOD = (200, JSON, b'{"apps": ["com.acme.a"]}')


def test_what_fails_for_the_moment_is_tried_again(peer: Callable[..., Peer]) -> None:
    for passing in (
        NOT_NOW,
        (429, {}, b""),
        (500, JSON, b"{}"),
        (502, {}, b"<html>"),
        (200, {"Content-Length": "100"}, b"cut"),
    ):
        busy = peer(passing, passing, passing, GOOD)
        assert endpoint(busy).apps() == ("com.acme.a",)
        assert busy.lines == ["GET /v1/apps"] * 4


def test_after_a_few_tries_it_is_unreachable(peer: Callable[..., Peer]) -> None:
    busy = peer(NOT_NOW)
    with pytest.raises(EndpointUnreachable, match="HTTP 503") as raised:
        endpoint(busy).read("com.acme.a", "metadata/timestamp.json")
    assert (len(busy.asked), raised.value.exit_code, raised.value.retryable) == (4, 7, True)


def test_what_a_busy_server_says_is_passed_on(peer: Callable[..., Peer]) -> None:
    full = peer((507, JSON, to_document(StorageError("The disk is full.", remedy="Tell its operator."))))
    with pytest.raises(EndpointUnreachable, match=r"The disk is full\. Tell its operator\."):
        endpoint(full).apps()
    assert len(full.asked) == 1  # a full disk is not empty a moment later


def test_retry_after_is_honoured_up_to_a_bound(peer: Callable[..., Peer]) -> None:
    patient, endless = peer((503, {"Retry-After": "1"}, b""), GOOD), peer((503, {"Retry-After": "3600"}, b""))
    assert endpoint(patient).apps() == ("com.acme.a",)
    with pytest.raises(EndpointUnreachable):
        endpoint(endless).apps()
    assert (len(patient.asked), len(endless.asked)) == (2, 1)
    dated = {"Date": "Tue, 01 Jan 2030 00:00:00 GMT", "Retry-After": "Tue, 01 Jan 2030 01:00:00 GMT"}
    later = peer((503, dated, b""))
    with pytest.raises(EndpointUnreachable):
        endpoint(later).apps()
    assert len(later.asked) == 1, "a date is one too"


def test_a_server_that_is_down_is_unreachable(silent_port: int) -> None:
    with pytest.raises(EndpointUnreachable, match="no connection") as raised:
        ServerEndpoint(Transport(f"http://127.0.0.1:{silent_port}", None, pause=0.01)).apps()
    assert "server runs" in raised.value.remedy


def test_a_commit_asks_first_uploads_what_is_missing_and_repeats_the_whole_body(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"x" * 1000)
    digest = digest_of(b"x" * 1000)
    created = (201, JSON, b'{"created": true}')
    server = peer((404, {}, b""), NOT_NOW, created, NOT_NOW, created)
    assert endpoint(server).commit("com.acme.a", Commit(edits=COMMIT.edits, blobs={digest: tmp_path / "x"}))
    blob, commits = f"/v1/blobs/sha256/{digest}", "/v1/apps/com.acme.a/commits"
    assert server.lines == [f"HEAD {blob}", f"PUT {blob}", f"PUT {blob}", f"POST {commits}", f"POST {commits}"]
    assert [body for _, _, _, body in server.asked[1:3]] == [b"x" * 1000] * 2
    assert server.header("Authorization") == [f"Bearer {TOKEN}"] * 5
    assert all(str(agent).startswith("mlpublish/") for agent in server.header("User-Agent"))


def test_a_blob_that_is_there_is_not_sent(peer: Callable[..., Peer]) -> None:
    server = peer((200, {}, b""), (200, JSON, b'{"created": false}'))
    assert endpoint(server).commit("com.acme.a", COMMIT) is False
    assert [line.split()[0] for line in server.lines] == ["HEAD", "POST"]


def test_a_refusal_costs_no_upload(peer: Callable[..., Peer]) -> None:
    server = peer((403, {}, b""))
    with pytest.raises(EndpointRefused, match="role may not"):
        endpoint(server).commit("com.acme.a", COMMIT)
    assert [line.split()[0] for line in server.lines] == ["HEAD"]


def test_an_error_of_the_server_is_raised_as_what_it_is(peer: Callable[..., Peer]) -> None:
    moved = to_document(Conflict("It moved on.", remedy="Sign again.", field="targets"))
    with pytest.raises(Conflict, match="It moved on") as raised:
        endpoint(peer((200, {}, b""), (409, JSON, moved))).commit("com.acme.a", COMMIT)
    assert (raised.value.remedy, raised.value.field) == ("Sign again.", "targets")


@pytest.mark.parametrize(
    ("status", "headers", "body", "told", "exit_code"),
    [
        (401, {}, b"", "knows no such token", 4),
        (403, {}, b"", "role may not", 4),
        (404, {"Content-Type": "text/html"}, b"<html>", "HTTP 404 with text/html", 6),
        (200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>log in", "HTTP 200 with text/html", 1),
        (200, {}, b"", "HTTP 200 with no content type", 1),
        (302, {"Location": "https://elsewhere.example/"}, b"", "sends elsewhere", 1),
        (418, JSON, b'{"detail": "tea"}', "HTTP 418 with application/json", 1),
    ],
)
def test_an_answer_that_is_none_of_ours_is_refused_by_what_it_is(
    peer: Callable[..., Peer], status: int, headers: dict[str, str], body: bytes, told: str, exit_code: int
) -> None:
    with pytest.raises(EndpointRefused, match=told) as raised:
        endpoint(peer((status, headers, body))).apps()
    assert raised.value.exit_code == exit_code


def test_json_of_another_service_is_no_answer(peer: Callable[..., Peer]) -> None:
    with pytest.raises(FormatError, match="apps must be a list"):
        endpoint(peer((200, JSON, b'{"items": []}'))).apps()


def test_a_login_page_is_no_metadata_and_a_missing_file_of_any_host_is_not_found(peer: Callable[..., Peer]) -> None:
    with pytest.raises(EndpointRefused, match="text/html"):
        endpoint(peer((200, {"Content-Type": "text/html"}, b"<html>"))).read("com.acme.a", "metadata/1.root.json")
    with pytest.raises(NotFound):
        endpoint(peer((404, {"Content-Type": "text/html"}, b"<html>"))).read("com.acme.a", "metadata/2.root.json")


def test_an_answer_without_end_is_cut_off(peer: Callable[..., Peer]) -> None:
    with pytest.raises(EndpointRefused, match=f"more than {MAX_DOCUMENT} bytes"):
        endpoint(peer((200, {}, bytes(MAX_DOCUMENT + 1)))).read("com.acme.a", "metadata/1.root.json")


def test_a_download_is_cut_off_at_the_length_that_was_signed(peer: Callable[..., Peer], tmp_path: Path) -> None:
    place = tmp_path / "bundle.zip"
    endpoint(peer((200, {}, bytes(3 << 20)))).download("com.acme.a", "targets/x.zip", place, length=3 << 20)
    assert place.stat().st_size == 3 << 20
    with pytest.raises(DigestMismatch, match=f"more than {(3 << 20) - 1} bytes"):
        endpoint(peer((200, {}, bytes(3 << 20)))).download("com.acme.a", "targets/x.zip", place, length=(3 << 20) - 1)
    assert place.stat().st_size < 3 << 20


def test_what_a_server_does_not_give_now_is_not_taken_for_missing(peer: Callable[..., Peer], tmp_path: Path) -> None:
    def fetched(*answers: tuple[int, dict[str, str], bytes]) -> Peer:
        asked = peer(*answers)
        endpoint(asked).download("com.acme.a", "targets/x.zip", tmp_path / "x.zip", length=5)
        return asked

    assert len(fetched(NOT_NOW, (429, {}, b""), (200, {}, b"whole")).asked) == 3
    assert (tmp_path / "x.zip").read_bytes() == b"whole"
    with pytest.raises(EndpointUnreachable, match="HTTP 503") as raised:
        fetched(NOT_NOW)
    assert raised.value.retryable
    for status, kind, refused in (
        (404, "text/html", NotFound),
        (403, "application/json", EndpointRefused),
        (200, "text/html; charset=utf-8", EndpointRefused),
    ):
        with pytest.raises(refused):
            fetched((status, {"Content-Type": kind}, b"<html>"))
    assert (tmp_path / "x.zip").read_bytes() == b"whole"


def test_a_token_goes_to_its_server_only(peer: Callable[..., Peer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = peer((200, {}, b"bytes"))
    reading = peer((307, {"Location": f"{other.url}/elsewhere"}, b""))
    assert endpoint(reading).read("com.acme.a", "metadata/1.root.json") == b"bytes"
    assert (reading.header("Authorization"), other.header("Authorization")) == ([None], [None])
    writing = peer((307, {"Location": f"{other.url}/elsewhere"}, b""))
    with pytest.raises(EndpointRefused, match="sends elsewhere"):
        endpoint(writing).commit("com.acme.a", COMMIT)
    assert len(other.asked) == 1
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    plain = peer(GOOD)
    endpoint(plain, token=None).apps()
    endpoint(plain).apps()
    assert plain.header("Authorization") == [None, f"Bearer {TOKEN}"]


def test_redirects_in_a_circle_are_refused(peer: Callable[..., Peer]) -> None:
    circle = peer((302, {"Location": "/again"}, b""))
    with pytest.raises(EndpointRefused, match="circle"):
        endpoint(circle).read("com.acme.a", "metadata/1.root.json")
    assert len(circle.asked) == 4


def test_no_proxy_stands_before_this_machine(
    peer: Callable[..., Peer], silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{silent_port}")
    assert endpoint(peer(GOOD)).apps() == ("com.acme.a",)


def test_a_token_never_crosses_a_network_in_the_clear() -> None:
    far = open_server("http://models.acme.example", token=TOKEN)
    for send in (far.apps, lambda: far.commit("com.acme.a", COMMIT)):
        with pytest.raises(RecipeError, match="in the clear") as raised:
            send()
        assert "https:" in raised.value.remedy


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///path",
        "http://host:port",
        "http://host:0",
        "http://host:99999",
        "http://[::1",
        "http://me:secret@host",
        "http://secret@host",
        "http://host?token=secret",
        "http://host/#secret",
        "http://host?",
        "http://ho st",
        "http://host\nX: y",
        "ftp://host",
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_and_its_secret_not_shown(url: str) -> None:
    with pytest.raises(RecipeError) as raised:
        open_server(url)
    assert raised.value.field == "to"
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("token", ["has space", "has\nnewline", "schlüssel"])
def test_a_token_that_cannot_be_one_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(RecipeError) as raised:
        open_server("http://127.0.0.1:1", token=token)
    assert raised.value.field == "token"
    assert token not in str(raised.value)


def test_the_token_comes_from_the_environment_unless_given(peer: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    server = peer(GOOD)
    open_server(server.url).apps()
    monkeypatch.setenv("MLPUBLISH_TOKEN", "from-the-environment")
    open_server(server.url).apps()
    open_server(server.url + "/", token="given").apps()
    assert server.header("Authorization") == [None, "Bearer from-the-environment", "Bearer given"]
    assert server.lines == ["GET /v1/apps"] * 3


def test_a_file_that_is_gone_is_told(peer: Callable[..., Peer], tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        endpoint(peer((404, {}, b""))).commit("com.acme.a", Commit(edits=COMMIT.edits, blobs={"0" * 64: tmp_path / "gone"}))


def test_without_a_token_or_with_the_wrong_one_a_server_says_no(
    server: Any, development: Development, release_commit: Callable[..., Commit]
) -> None:
    commit = release_commit(b"x")
    for token, status in ((None, 401), ("nobody-knows-this-one", 401), (development.token("monitor"), 403)):
        with pytest.raises(EndpointRefused) as raised:
            open_server(server.url, token=token).commit("com.acme.digits", commit)
        assert (raised.value.status, raised.value.exit_code) == (status, 4)


def test_a_blob_over_the_limit_of_a_server_is_refused_and_not_tried_again(
    development: Development, serving: Any, release_commit: Callable[..., Commit], tmp_path: Path
) -> None:
    settings = development.folder / "server.toml"
    settings.write_text("upload_limit = 1000\n" + settings.read_text())
    good = release_commit(bytes(5_000_000))
    [(digest, content)] = good.blobs.items()
    (tmp_path / "bundle.zip").write_bytes(content)
    commit = replace(good, blobs={digest: tmp_path / "bundle.zip"})
    with serving(development.folder) as server, pytest.raises(EndpointRefused, match="1000 bytes") as raised:
        open_server(server.url, token=development.token()).commit("com.acme.digits", commit)
    assert raised.value.status == 413
