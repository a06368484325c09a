"""What verify and review take from a server: never without end, in time or in bytes, and called whatever it is called."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mlpublish.artifacts import Bundle
from mlpublish.errors import EndpointUnreachable, MlpublishError, StorageError, VerificationError
from mlpublish.publishing.to_server import ServerEndpoint
from mlpublish.publishing.transport import Transport
from mlpublish.repository.arriving import keep
from mlpublish.repository.sources import download
from mlpublish.repository.verify import verify
from mlpublish.trust.detached import sign_detached
from mlpublish.trust.keys import crypto_signer, new_key
from tests.keystores import lacking
from tests.web import Web

LONGER = VerificationError("It is longer.", remedy="None.")
BLOB = 24 << 20
SLOW: dict[str, dict[str, Any]] = {
    "says nothing": {"silent": True},
    "drips its headers": {"drip_head": 0.05},
    "drips its body": {"drip": 0.02},
    "stops": {"hang": 5},
}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    (tmp_path / "served" / "com.acme.a" / "metadata").mkdir(parents=True)
    for name in ("x.zip", "metadata/1.root.json"):
        (tmp_path / "served" / "com.acme.a" / name).write_bytes(bytes(60_000))
    opened = Web(tmp_path / "served")
    yield opened
    opened.close()


@contextmanager
def taking(take: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that lets this happen to each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kept = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection = listening.accept()[0]
                    kept.append(connection)
                    take(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        for connection in kept:
            connection.close()


def take_slowly(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    left = BLOB
    while left > 0 and (piece := connection.recv(64 * 1024)):
        left -= len(piece)
        time.sleep(0.01)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("how", SLOW)
@pytest.mark.parametrize(
    ("limits", "told"), [({"stall": 0.4}, r"\(stall\)"), ({"whole": 0.6}, "not whole after 0.6 s")], ids=["stall", "time"]
)
def test_a_server_that_gives_next_to_nothing_is_left(
    web: Web, tmp_path: Path, how: str, limits: dict[str, float], told: str
) -> None:
    web.bend("com.acme.a", **SLOW[how])
    with pytest.raises(EndpointUnreachable, match=told):
        download(f"{web.url}/com.acme.a/x.zip", tmp_path / "x.zip", most=1 << 30, **limits)
    there = ServerEndpoint(Transport(web.url, None, pause=0.01, **limits))
    with pytest.raises(EndpointUnreachable, match=told):
        there.read("com.acme.a", "metadata/1.root.json")
    with pytest.raises(EndpointUnreachable, match=told):
        there.download("com.acme.a", "x.zip", tmp_path / "x.zip", length=60_000)


def test_a_slow_server_that_gives_enough_is_waited_for(web: Web, tmp_path: Path) -> None:
    web.bend("x.zip", body=bytes(1500), drip=0.0004)  # some seconds of the stall limit, at more than a KiB a second
    download(f"{web.url}/com.acme.a/x.zip", tmp_path / "x.zip", most=1 << 30, stall=0.3)
    assert (tmp_path / "x.zip").stat().st_size == 1500


def test_an_upload_is_no_stall_while_its_bytes_move(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(BLOB))
    with taking(take_slowly) as url:  # for several times the stall limit
        answer = Transport(url, None, stall=0.7).ask("PUT", "/v1/blobs/x", body=tmp_path / "blob", token=False)
    assert answer.status == 200


def test_an_upload_that_nobody_takes_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(BLOB))
    with taking(lambda _: None) as url, pytest.raises(EndpointUnreachable, match=r"\(stall\)"):
        Transport(url, None, pause=0.01, stall=0.4).ask("PUT", "/v1/blobs/x", body=tmp_path / "blob", token=False)


def test_what_is_announced_longer_than_the_disk_has_room_is_not_begun(web: Web, tmp_path: Path) -> None:
    web.bend("x.zip", headers={"Content-Length": str(1 << 50)})
    with pytest.raises(StorageError, match=f"{1 << 50} bytes.*has room for"):
        download(f"{web.url}/com.acme.a/x.zip", tmp_path / "x.zip", most=1 << 60)
    assert (tmp_path / "x.zip").stat().st_size == 0
    with pytest.raises(StorageError, match="has room for"):
        ServerEndpoint(Transport(web.url, None)).download("com.acme.a", "x.zip", tmp_path / "x.zip", length=1 << 50)


def test_a_body_without_end_leaves_the_disk_its_last_bytes(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = tmp_path / "script.py"
    script.write_text(FLOOD)
    mounted = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=3m tmpfs "{disk}" && exec "$@"', "sh"]
    if subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode:
        lacking("user namespaces: unshare -rm")
    done = subprocess.run([*mounted, sys.executable, str(script), str(disk)], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("StorageError x.zip has more than "), done.stderr
    assert 0 < int(done.stdout.split()[-1]) <= 3 << 20


FLOOD = """
import shutil, sys
from itertools import repeat
from pathlib import Path
from mlpublish.errors import StorageError, VerificationError
from mlpublish.repository.arriving import keep

folder = Path(sys.argv[1])
try:
    keep(folder / "x.zip", repeat(bytes(10_000)), announced=None, most=1 << 50, longer=VerificationError("no", remedy="no"))
except StorageError as exc:
    print("StorageError", exc.problem, shutil.disk_usage(folder).free)
"""


def test_what_is_longer_than_it_may_be_is_cut_off(tmp_path: Path) -> None:
    keep(tmp_path / "x", [b"12", b"34"], announced=4, most=4, longer=LONGER)
    assert (tmp_path / "x").read_bytes() == b"1234"
    with pytest.raises(VerificationError) as caught:
        keep(tmp_path / "x", [b"12", b"345"], announced=4, most=4, longer=LONGER)
    assert caught.value is LONGER


@pytest.mark.parametrize("name", ["modèle.zip", "a~b.zip", ".d1.zip", "a b.zip", "plain.zip", "x" * 250 + ".ZIP"])
def test_a_zip_of_any_name_is_verified_with_the_signature_beside_it(
    new_bundle: Callable[..., Bundle], tmp_path: Path, name: str
) -> None:
    made, pin = new_bundle(b"one"), crypto_signer(new_key("rsa", bits=2048))
    (tmp_path / "served").mkdir()
    made.path.rename(tmp_path / "served" / name)
    signature = sign_detached(tmp_path / "served" / name, pin)
    web = Web(tmp_path / "served")
    web.bend(".sig", body=signature)
    web.bend(quote(name), body=(tmp_path / "served" / name).read_bytes())
    url = f"{web.url}/{quote(name)}"
    assert verify(url, pin=pin.public_key.keyval["public"]).what == url
    web.bend(".sig", body=signature[:-1])
    with pytest.raises(MlpublishError):
        verify(url, pin=pin.public_key.keyval["public"])
    web.close()


def test_a_verification_that_is_terminated_leaves_nothing(web: Web, tmp_path: Path) -> None:
    web.bend("x.zip", hang=20_000)
    (tmp_path / "scratch").mkdir()
    command = [sys.executable, "-m", "mlpublish", "verify", f"{web.url}/com.acme.a/x.zip"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "scratch")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as running:
        while not any(file.stat().st_size for file in (tmp_path / "scratch").rglob("*.zip")):
            assert running.poll() is None, running.communicate()
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out, list((tmp_path / "scratch").iterdir())) == (143, "", [])
    assert err.startswith("Error: Terminated.")
