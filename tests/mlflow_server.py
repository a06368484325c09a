"""A real ``mlflow server`` for tests: a process of its own over a store that is migrated already, gone afterwards.

The settings that let webhooks reach this machine (http, loopback, a key for their secrets, no cache) do no harm elsewhere.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

WEBHOOKS_REACH_THIS_MACHINE = {
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_CACHE_TTL": "1",
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
}
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
_PATIENCE = 60  # seconds until it must answer


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowServer:
    """A running server: its URL, its process (the leader of a group), and the file that its output goes to."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """End it at once, with its workers; SIGTERM would be waited for."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def mlflow_server(database: Path, folder: Path) -> Iterator[MlflowServer]:
    """Run ``mlflow server`` on a free port of loopback for the time of the block.

    Args:
        database: a migrated SQLite store, which is copied: a fresh one costs seconds.
        folder: an empty one, where the copy, the artifacts and the log lie.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(database, folder / "mlflow.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "artifacts")),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= QUIET | WEBHOOKS_REACH_THIS_MACHINE
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    server = MlflowServer(url=f"http://127.0.0.1:{port}", process=process, log=folder / "server.log")
    try:
        _wait(server)
        yield server
    finally:
        server.stop()


def _wait(server: MlflowServer) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=5):
                return
        except OSError:
            assert server.process.poll() is None, server.log.read_text()
            time.sleep(0.2)
    raise AssertionError(f"mlflow server did not answer within {_PATIENCE} s:\n{server.log.read_text()}")
