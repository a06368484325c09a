"""A watcher as a process of its own: configured, started, asked, killed; and deliveries as MLflow makes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from mlpublish import channel
from mlpublish.artifacts import App
from mlpublish.errors import NotFound
from mlpublish.mlflow_plugin.webhooks import ID, SIGNATURE, TIMESTAMP, sign
from mlpublish.repository.development import Development

SECRET = "correct-horse-battery-staple"
LONG = 90  # seconds; two cores may have a lot to import


def until(condition: Callable[[], Any]) -> Any:
    """What the condition gives, once it gives something."""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


@dataclass
class Watching:
    """A running watcher: its URL, its process, and the file that its log goes to."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/healthz", timeout=10) as answer:
            assert answer.status == 200
            return json.load(answer)

    def state(self) -> str:
        (model,) = self.health()["models"]
        return model["state"]

    def said(self, event: str, **fields: Any) -> dict[str, Any] | None:
        """The first line of the log about an event."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return next((line for line in lines if line["event"] == event and fields.items() <= line.items()), None)

    def post(self, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(f"{self.url}/webhook", body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


@dataclass
class Watch:
    """A configuration of its own: an alias of ``digits`` that leads to ``stable``, and whatever ``[watch]`` says."""

    folder: Path
    development: Development
    app: App
    tracking_uri: str
    alias: str

    @property
    def to(self) -> str:
        return f"file:{self.development.folder}"

    def configure(self, *lines: str) -> None:
        (self.folder / "mlpublish.toml").write_text(
            "\n".join(
                [
                    "[watch]",
                    "port = 0",
                    f'tracking_uri = "{self.tracking_uri}"',
                    *lines,
                    "[[watch.models]]",
                    'model = "digits"',
                    f'alias = "{self.alias}"',
                    f'app = "{self.app.id}"',
                    f'app_version = "{self.app.version}"',
                    f'to = "{self.to}"',
                ]
            )
        )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "mlpublish", "watch", "--config", str(self.folder / "mlpublish.toml"), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "HOOK_SECRET": SECRET, "MLFLOW_DISABLE_TELEMETRY": "true"}

    @contextmanager
    def running(self) -> Iterator[Watching]:
        log = self.folder / f"watch-{uuid4().hex[:6]}.log"
        with log.open("w") as stderr:
            process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True, env=self.environment
            )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), log.read_text()
            yield Watching(url=url, process=process, log=log)
        finally:
            process.kill()
            process.communicate()

    def numbers(self) -> list[int]:
        """Every release that there is."""
        try:
            return sorted(self.development.app(self.app.id).head().releases)
        except NotFound:
            return []

    def finished(self) -> list[str]:
        """The model versions that the state says were released."""
        file = self.folder / ".mlpublish-watch" / "released.json"
        records = json.loads(file.read_text())["models"].values() if file.exists() else []
        return [record["done"]["pointed"]["version"] for record in records if record["done"]]

    def once(self) -> tuple[int, dict[str, Any], str]:
        """Exit code, envelope and log of ``mlpublish watch --once --json``."""
        ran = subprocess.run(
            self.command("--once", "--json"), capture_output=True, text=True, env=self.environment, timeout=LONG, check=False
        )
        return ran.returncode, json.loads(ran.stdout), ran.stderr

    def offered(self) -> int:
        entry = channel.show(self.app.id, at=self.to).channel.entry(self.app.version)
        assert entry is not None
        return entry.release


def delivery(
    alias: str, *, at: float | None = None, secret: str = SECRET, model: str = "digits"
) -> tuple[bytes, dict[str, str]]:
    """An event as MLflow sends it."""
    told = {"name": model, "alias": alias, "version": "2"}
    body = json.dumps({"entity": "model_version_alias", "action": "created", "timestamp": "now", "data": told}).encode()
    number, seconds = str(uuid4()), str(int(time.time() if at is None else at))
    return body, {ID: number, TIMESTAMP: seconds, SIGNATURE: sign(number, seconds, body, secret)}
