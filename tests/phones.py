"""Devices that ask: one with a history, as many fresh ones as a test wants, and ones whose clock is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpublish.artifacts import App
from mlpublish.checking.check import check
from mlpublish.formats.status import UpdateStatus
from mlpublish.formats.wire import digest_of
from mlpublish.reports import CheckReport
from tests.web import Web


class Phones:
    """What a test does with devices; below it stands whatever they ask.

    Args:
        folder: where the devices live.
        app: the app that asks.
        web: where it asks.
    """

    def __init__(self, folder: Path, app: App, web: Web) -> None:
        self.folder = folder
        self.app = app
        self.web = web
        self.made = 0

    def first_root(self) -> bytes:
        """What the app embeds."""
        raise NotImplementedError

    @property
    def phone(self) -> Path:
        """The device with a history."""
        return self.folder / "phone"

    def fresh(self) -> dict[str, Any]:
        """The keywords of a check on a new device."""
        self.made += 1
        return {"device": self.folder / f"fresh-{self.made}"}

    def check(self, app: App | None = None, **keywords: Any) -> CheckReport:
        trusted = {} if "pin" in keywords or "root" in keywords else {"root": self.first_root()}
        return check(app or self.app, **({"at": self.web.url, "device": self.phone, "retries": 0} | trusted | keywords))

    def updates_to(self, release: int | None, **keywords: Any) -> CheckReport:
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

    def check_with_clock(self, days: int, *, device: Path | None = None) -> dict[str, Any]:
        """A check as ``mlpublish check`` does it in a process whose clock is so many days off."""
        if shutil.which("faketime") is None:
            missing = "needs faketime (Debian: apt install faketime)"
            pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
        root = self.folder / "embedded.root.json"
        root.parent.mkdir(parents=True, exist_ok=True)
        root.write_bytes(self.first_root())
        asked = ["--app", self.app.id, "--app-version", self.app.version, "--at", self.web.url, "--root", root]
        command = ["faketime", "--exclude-monotonic", "-f", f"{days:+d}d", sys.executable, "-m", "mlpublish", "check", *asked]
        ran = subprocess.run(
            [*map(str, command), "--device", str(device or self.phone), "--json"], capture_output=True, text=True, timeout=120
        )
        result: dict[str, Any] = json.loads(ran.stdout)["result"]
        assert ran.returncode == UpdateStatus(result["status"]).exit_code
        return result


def files_in(folder: Path) -> dict[str, str]:
    """The files below a folder with their digests."""
    return {str(file.relative_to(folder)): digest_of(file.read_bytes()) for file in folder.rglob("*") if file.is_file()}
