"""The command line as its users meet it: in this process for the many, as a process of its own for the few."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlpublish.artifacts import App, Bundle
from mlpublish.cli import outcome
from mlpublish.cli.main import group
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels
from mlpublish.repository.development import Development
from mlpublish.signing.sign import sign

APP = App(id="com.acme.digits", version="2.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def envelope(self) -> dict[str, Any]:
        """stdout, which must be one JSON document and nothing else."""
        document: dict[str, Any] = json.loads(self.out)
        assert list(document) == ["schema", "ok", "result" if document["ok"] else "error"]
        verb = tuple(document["schema"].removeprefix("mlpublish.").removesuffix("/1").split("."))
        assert verb == self.arguments[: len(verb)]
        return document

    @property
    def result(self) -> dict[str, Any]:
        assert self.envelope["ok"] is True, self.out
        return self.envelope["result"]

    @property
    def error(self) -> dict[str, Any]:
        assert self.envelope["ok"] is False, self.out
        return self.envelope["error"]

    @property
    def line(self) -> str:
        """stderr, which must be one line, while stdout is empty."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        return line


@pytest.fixture
def cli(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """``cli("check", "--at", uri)``: the console script's own function, in this process."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        words = tuple(map(str, arguments))
        with pytest.raises(SystemExit) as left:
            outcome.run(group, words)
        told = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Ran(arguments=words, code=left.value.code, out=told.out, err=told.err)

    return run


@pytest.fixture
def shell(here: Path) -> Callable[..., Ran]:
    """``shell("check", …)``: the installed script as a process without a terminal, which must end by itself."""

    def run(*arguments: object, timeout: float = 120, **settings: Any) -> Ran:
        words = tuple(map(str, arguments))
        command = [str(Path(sys.executable).parent / "mlpublish"), *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, **settings)
        return Ran(arguments=words, code=done.returncode, out=done.stdout, err=done.stderr)

    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    """A development folder where release 1 is published and on channel stable, and release 2 is signed and no more."""

    development: Path
    first: Path
    second: Path
    bundle: Path

    @property
    def to(self) -> str:
        return f"file:{self.development}"


@pytest.fixture
def street(tmp_path: Path, new_bundle: Callable[..., Bundle]) -> Street:
    home = Development.make(tmp_path / "home")
    bundles = [new_bundle(content) for content in (b"one", b"two")]
    first = sign(bundles[0], repository=home.folder, app=APP, out=tmp_path / "first")
    publish(first, to=home.folder)
    channels.set(APP.id, to=home.folder, app_version=APP.version, release=1)
    second = sign(bundles[1], repository=home.folder, app=APP, out=tmp_path / "second")
    return Street(development=home.folder, first=first.folder, second=second.folder, bundle=bundles[1].path)
