"""A benchmark, run by hand: 1,000 apps with 20 releases each, beside the figures of the prototype.

    python tests/benchmarks/apps_1000.py [--apps 1000] [--releases 20] [--json]

Every write is durable (each file and its folder is flushed), keys of people are in memory, all traffic is on loopback.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Targets

from mlpublish.artifacts import App, Bundle
from mlpublish.bundling.bundle import bundle
from mlpublish.checking.check import check
from mlpublish.formats.archive import Archive
from mlpublish.formats.channel import Channel, Entry, bundle_path
from mlpublish.formats.policy import Policy
from mlpublish.formats.status import UpdateStatus
from mlpublish.formats.wire import digest_of
from mlpublish.repository.apps import Apps
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Edit
from mlpublish.repository.founding import Held, Holders, found, founding
from mlpublish.repository.online import Online
from mlpublish.repository.renew import renew
from mlpublish.repository.repository import AppRepository
from mlpublish.server.settings import ServerSettings
from mlpublish.signing.sign import describe
from mlpublish.storage.in_folder import FolderStore, sweep
from mlpublish.trust import roles
from mlpublish.trust.bundles import manifest_digest

PROTOTYPE = {  # research: keys in memory, nothing flushed, the head not verified before a renewal
    "build": "2.0 s",
    "size": "13.5 MB",
    "nightly renewal": "0.14 s",
    "check, nothing new": "4.3 ms, 2 requests, 385 bytes",
}
CHECKS = 15


@dataclass(frozen=True)
class People:
    """2-of-3 root, 2-of-3 reviewers, two operators; the same for every app."""

    root: list[CryptoSigner] = field(default_factory=lambda: [CryptoSigner.generate_ecdsa() for _ in range(3)])
    reviewers: list[CryptoSigner] = field(default_factory=lambda: [CryptoSigner.generate_ecdsa() for _ in range(3)])
    operators: list[CryptoSigner] = field(default_factory=lambda: [CryptoSigner.generate_ecdsa() for _ in range(2)])

    def signing(self, name: str) -> list[CryptoSigner]:
        return {"root": self.root[:2], "targets": self.reviewers[:2], "channels": self.operators[:1]}[name]

    def holders(self, online: Online) -> Holders:
        held = {"root": (self.root, 2), "targets": (self.reviewers, 2), "channels": (self.operators, 1)}
        return Holders(
            roles={
                **{
                    name: Held(keys=tuple(key.public_key for key in keys), threshold=count)
                    for name, (keys, count) in held.items()
                },
                **{name: Held(keys=(getattr(online, name)[0].public_key,)) for name in ("snapshot", "timestamp")},
            }
        )


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A bundle with what is signed about it."""

    bundle: Bundle
    manifest: str

    @classmethod
    def make(cls, folder: Path, number: int) -> Packed:
        (folder / "labels.txt").write_text(f"labels of release {number}\n")
        made = bundle(files=[folder / "labels.txt"], name="labels", out=folder / str(number))
        with made.path.open("rb") as stream:
            return cls(bundle=made, manifest=manifest_digest(Archive.read(stream)))


def build(repository: AppRepository, people: People, online: Online, packed: list[Packed]) -> None:
    """Found one app and commit all its releases, offering the newest."""
    app = App(id=repository.app_id, version="2.0")
    begun = founding(Policy(app_id=app.id), people.holders(online))
    edits = {
        name: replace(edit, metadata=roles.signed_by(begun.role(name), *people.signing(name)).to_bytes())
        for name, edit in begun.edits.items()
    }
    found(repository, replace(begun, edits=edits), online)
    head = repository.head()
    channel = Channel(channel="stable", platform="ios", entries=(Entry(app_version=app.version, release=len(packed)),))
    new = {"targets": released(head.targets, app, packed), "channels": roles.with_channel(head.channels, channel, version=2)}
    signed = {name: roles.signed_by(role, *people.signing(name)).to_bytes() for name, role in new.items()}
    blobs: dict[str, bytes | Path] = {each.bundle.sha256: each.bundle.path for each in packed}
    blobs[digest_of(channel.to_bytes())] = channel.to_bytes()
    commit = {name: Edit(base=1, metadata=metadata) for name, metadata in signed.items()}
    repository.commit(commit, online, lambda target: blobs.get(target.hashes["sha256"]))


def released(role: Metadata[Targets], app: App, packed: list[Packed]) -> Metadata[Targets]:
    edited = roles.following(role, 2, 90)
    for number, each in enumerate(packed, start=1):
        facts = describe(each.bundle.manifest, app=app, number=number, digest=each.manifest)
        path = bundle_path(number)
        edited.signed.targets[path] = roles.described(path, each.bundle.length, each.bundle.sha256, facts.to_dict())
    return edited


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The real server as a process of its own; gives its URL."""
    command = [sys.executable, "-m", "mlpublish", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def counted(upstream: str) -> Iterator[tuple[str, list[int]]]:
    """A proxy before a server that notes the length of each body that it hands on."""
    bodies: list[int] = []

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                with urllib.request.urlopen(f"{upstream}{self.path}") as answer:
                    status, body = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
            bodies.append(len(body))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{proxy.server_address[1]}", bodies
        finally:
            proxy.shutdown()


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(folder: Path, apps: int, releases: int) -> dict[str, float]:
    """Build everything under a folder and measure it."""
    home = Development.make(folder / "server")
    online, people = ServerSettings.read(home.folder).online(), People()
    (folder / "bundles").mkdir()
    packed = [Packed.make(folder / "bundles", number) for number in range(1, releases + 1)]
    ids = [f"com.acme.app{number:04}" for number in range(apps)]
    figures: dict[str, float] = {"apps": apps, "releases": releases}
    figures["build_s"] = timed(
        lambda: [build(AppRepository(FolderStore(home.repository / each), each), people, online, packed) for each in ids]
    )
    files = [file for file in home.repository.rglob("*") if file.is_file()]
    figures |= {"files": len(files), "bytes": sum(file.stat().st_size for file in files)}
    standing = Apps(home.repository)
    figures["idle_round_s"] = timed(lambda: expect(renew(standing, online).fresh, ids))
    night, week = (roles.now() + timedelta(days=days) for days in (0.6, 4))
    figures["nightly_renewal_s"] = timed(lambda: expect(renew(standing, online, now=night).renewed, ids))
    figures["weekly_renewal_s"] = timed(lambda: expect(renew(standing, online, now=week).renewed, ids))
    figures["sweep_s"] = timed(lambda: sweep(home.repository))
    return figures | check_one(home, ids[0], releases, folder / "phone")


def check_one(home: Development, app_id: str, releases: int, device: Path) -> dict[str, float]:
    def again(at: str) -> None:
        report = check(App(id=app_id, version="2.0"), at=at, root=home.first_root(app_id), device=device)
        expect((report.status, report.installed), (UpdateStatus.SUCCESS, releases))

    with served(home.folder) as url:
        figures = {"first_check_ms": 1000 * timed(lambda: again(url))}
        figures["check_ms"] = 1000 * statistics.median(timed(lambda: again(url)) for _ in range(CHECKS))
        with counted(url) as (proxy, bodies):
            again(proxy)
            return figures | {"check_requests": len(bodies), "check_bytes": sum(bodies)}


def expect(found: object, wanted: object) -> None:
    """A figure of something that went wrong is none."""
    if (list(found) if isinstance(found, tuple) and isinstance(wanted, list) else found) != wanted:
        raise SystemExit(f"measured nothing: {found!r}"[:1000])


def table(figures: dict[str, float]) -> str:
    shown = {
        "build": f"{figures['build_s']:.1f} s",
        "size": f"{figures['bytes'] / 1e6:.1f} MB in {figures['files']:.0f} files",
        "nightly renewal": f"{figures['nightly_renewal_s']:.2f} s (timestamps)",
        "weekly renewal": f"{figures['weekly_renewal_s']:.2f} s (snapshots too)",
        "round, nothing due": f"{figures['idle_round_s']:.2f} s",
        "sweep": f"{figures['sweep_s']:.2f} s",
        "first check": f"{figures['first_check_ms']:.1f} ms",
        "check, nothing new": f"{figures['check_ms']:.1f} ms, {figures['check_requests']:.0f} requests, "
        f"{figures['check_bytes']:.0f} bytes",
    }
    lines = [f"{figures['apps']:.0f} apps × {figures['releases']:.0f} releases", f"{'':<20}{'here':<36}prototype (1,000 × 20)"]
    return "\n".join(lines + [f"{name:<20}{value:<36}{PROTOTYPE.get(name, '')}" for name, value in shown.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apps", type=int, default=1000)
    parser.add_argument("--releases", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), given.apps, given.releases)
    print(json.dumps(figures) if given.json else table(figures))


if __name__ == "__main__":
    main()
