"""The lab: an app's repository with real keys that can be bent, served over real HTTP that can be bent, and one phone.

A bent repository is signed with the real keys of its roles, so what a test proves is what a device does when those keys do
that. A bent answer travels over a real socket, so what a test proves is what the device does on such a network.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from mlpublish.artifacts import App, Bundle
from mlpublish.checking.check import check
from mlpublish.formats.channel import Channel, Entry, bundle_path, channel_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.formats.status import UpdateStatus
from mlpublish.formats.wire import digest_of
from mlpublish.publishing.publish import publish
from mlpublish.reports import CheckReport
from mlpublish.repository import channels
from mlpublish.repository.development import Development
from mlpublish.repository.head import Head
from mlpublish.signing.sign import sign
from mlpublish.storage.in_folder import FolderStore
from mlpublish.trust import roles
from mlpublish.trust.signer import Signer


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


@dataclass
class Lab:
    """One app's repository, the web that it is served on, and one phone."""

    folder: Path
    development: Development
    web: Web
    app: App
    new_bundle: Callable[..., Bundle]
    made: int = field(default=0)

    # what publishers and operators do

    def release(self, content: bytes = b"", *, offer: bool = True, app: App | None = None) -> int:
        """Bundle, sign, publish and offer a model with this content."""
        self.made += 1
        bundle = self.new_bundle(content or b"weights of %d" % self.made)
        out = self.folder / "signed" / str(self.made)
        signed = sign(bundle, repository=self.development.folder, app=app or self.app, out=out)
        publish(signed, to=self.development.folder)
        if offer:
            self.offer(signed.number)
        return signed.number

    def offer(self, release: int, **keywords: Any) -> None:
        where: dict[str, Any] = {"to": self.development.folder, "app_version": self.app.version}
        channels.set(self.app.id, release=release, **(where | keywords))

    # what their keys can be made to do

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.development.repository / self.app.id)

    def head(self) -> Head:
        return self.development.app(self.app.id).head()

    def bend(
        self,
        *,
        targets: Callable[[Targets], object] | None = None,
        channels: Callable[[Targets], object] | None = None,
        snapshot: Callable[[Snapshot], object] = lambda _: None,
        timestamp: Callable[[Timestamp], object] = lambda _: None,
        signers: dict[str, Signer] | None = None,
    ) -> None:
        """Change what roles say and make it current with their real keys, past every rule of the commit."""
        head, by = (
            self.head(),
            {name: self.development.signer(name) for name in ("targets", "channels", "snapshot", "timestamp")},
        )
        by |= signers or {}
        versions = {}
        for name, change in (("targets", targets), ("channels", channels)):
            role = Metadata(roles.parse(head.role(name).to_bytes(), Targets, name).signed)
            versions[name] = role.signed.version
            if change is not None:
                role.signed.version += 1
                change(role.signed)
                versions[name] = role.signed.version
                roles.signed_by(role, by[name])
                self.store.create(f"metadata/{role.signed.version}.{name}.json", role.to_bytes())
        number = head.snapshot.signed.version + 1
        view = roles.new_snapshot(number, 30, versions["targets"], versions["channels"])
        snapshot(view.signed)
        stamp = roles.new_timestamp(head.timestamp.signed.version + 1, 14, view.signed.version)
        timestamp(stamp.signed)
        self.store.create(f"metadata/{view.signed.version}.snapshot.json", roles.signed_by(view, by["snapshot"]).to_bytes())
        assert self.store.replace_if(
            "metadata/timestamp.json", roles.signed_by(stamp, by["timestamp"]).to_bytes(), tag=head.tag
        )

    def policy(self, **policy: Any) -> None:
        """What reviewers say: floors and withdrawals."""
        wanted = Policy(**({"app_id": self.app.id} | policy))

        def change(role: Targets) -> None:
            role.targets[POLICY_PATH] = roles.target_file(POLICY_PATH, wanted.to_bytes(), wanted.to_dict())

        self.bend(targets=change)

    def facts(self, number: int, **facts: object) -> None:
        """Bend what is signed about a release."""
        self.bend(targets=lambda role: role.targets[bundle_path(number)].unrecognized_fields["custom"].update(facts))

    def signed_bytes(self, data: bytes, *, like: int = 1, **facts: object) -> int:
        """Sign any bytes as a release, in all else like another one, and offer it."""
        head = self.head()
        number = max(head.releases) + 1
        custom = head.releases[like].to_dict() | {"release": number} | facts
        target = roles.target_file(bundle_path(number), data, custom)
        self.store.create(roles.stored_at(target), data)
        self.bend(targets=lambda role: role.targets.update({bundle_path(number): target}))
        self.offer(number)
        return number

    def channel_file(self, content: bytes, *, name: str = "stable") -> None:
        """Sign any bytes as a channel file."""
        target = roles.target_file(channel_path(self.app.platform, name), content)
        self.store.create(roles.stored_at(target), content)
        self.bend(channels=lambda role: role.targets.update({target.path: target}))

    def bend_entry(self, **entry: Any) -> None:
        """Say this of the app version in the channel, whatever it is."""
        named = Entry(**({"app_version": self.app.version} | entry))
        self.channel_file(Channel(channel="stable", platform=self.app.platform, entries=(named,)).to_bytes())

    def rotate_root(self, change: Callable[[Root], object], *, by: tuple[Signer, ...] | None = None) -> None:
        """Write the next root, signed by the root key unless others are named."""
        old = self.head().root
        root = Metadata(roles.parse(old.to_bytes(), Root, "root").signed)
        root.signed.version += 1
        change(root.signed)
        for signer in by or (self.development.signer("root"),):
            roles.signed_by(root, signer)
        self.store.create(f"metadata/{root.signed.version}.root.json", root.to_bytes())

    # what hosts and mirrors do

    def keep(self) -> Path:
        """A copy of what is served now."""
        self.made += 1
        return Path(shutil.copytree(self.store.folder, self.folder / "kept" / str(self.made)))

    def serve(self, kept: Path) -> None:
        """Serve a copy instead."""
        shutil.rmtree(self.store.folder)
        shutil.copytree(kept, self.store.folder)

    def stored(self, number: int) -> Path:
        """Where a release's bundle lies."""
        return self.store.folder / roles.stored_at(self.head().targets.signed.targets[bundle_path(number)])

    # the phone

    @property
    def phone(self) -> Path:
        return self.folder / "phone"

    def check(self, **keywords: Any) -> CheckReport:
        given: dict[str, Any] = {"at": self.web.url, "device": self.phone, "root": self.development.first_root(self.app.id)}
        return check(self.app, **(given | keywords))

    def check_as(self, app: App) -> CheckReport:
        """The same phone after the app was updated."""
        return check(app, at=self.web.url, device=self.phone, root=self.development.first_root(app.id))

    def updates_to(self, release: int, **keywords: Any) -> CheckReport:
        """A check that goes well and leaves this release in use."""
        report = self.check(**keywords)
        assert (report.status, report.installed) == (UpdateStatus.SUCCESS, release), report.detail
        return report

    def fails(self, status: UpdateStatus, told: str = "", **keywords: Any) -> CheckReport:
        """A check that ends so, and leaves what is in use whole and in use."""
        phone = Path(keywords.get("device", self.phone))
        before = files_in(phone / "releases")
        report = self.check(**keywords)
        assert report.status is status, report.detail
        assert told in report.detail, report.detail
        in_use = {
            name: digest
            for name, digest in before.items()
            if report.path and (phone / "releases" / name).is_relative_to(report.path)
        }
        assert in_use == {name: digest for name, digest in files_in(phone / "releases").items() if name in in_use}
        assert bool(in_use) == (report.installed is not None)
        return report


def files_in(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): digest_of(file.read_bytes()) for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def web(development: Development) -> Iterator[Web]:
    one = Web(development.repository)
    yield one
    one.close()


@pytest.fixture
def lab(tmp_path: Path, development: Development, web: Web, app: App, new_bundle: Callable[..., Bundle]) -> Lab:
    return Lab(tmp_path / "lab", development, web, app, new_bundle)
