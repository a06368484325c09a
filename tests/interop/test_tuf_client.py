"""``mlpublish-tuf-client`` as tuf-conformance calls it: exit codes, and what it keeps under which name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tuf.api.metadata import TargetFile

from mlpublish.artifacts import App, Bundle
from mlpublish.formats.channel import bundle_path, channel_path
from tests.simulator import TIMESTAMP, Simulator, new_keys
from tests.web import Web


@pytest.fixture
def lab(tmp_path: Path, app: App, new_bundle: Callable[..., Bundle]) -> Iterator[Simulator]:
    (tmp_path / "served").mkdir()
    web = Web(tmp_path / "served")
    one = Simulator(tmp_path / "lab", app, web, new_bundle)
    one.release()
    yield one
    web.close()


class Script:
    """The script, with a folder of its own."""

    def __init__(self, folder: Path, lab: Simulator) -> None:
        self.metadata, self.targets = folder / "metadata", folder / "targets"
        self.targets.mkdir(parents=True)
        self.url = f"{lab.web.url}/apps/{lab.app.id}"
        (folder / "trusted.json").write_bytes(lab.first_root())
        assert self.run("init", str(folder / "trusted.json")) == 0

    def run(self, *arguments: str, before: tuple[str, ...] = ()) -> int:
        command = [*before, sys.executable, "-m", "mlpublish.cli.tuf_client", "--metadata-dir", str(self.metadata), *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert "Traceback" not in ran.stderr
        return ran.returncode

    def refresh(self, *before: str) -> int:
        return self.run("--metadata-url", f"{self.url}/metadata", "refresh", before=before)

    def download(self, *names: str) -> int:
        asked = [part for name in names for part in ("--target-name", name)]
        where = ["--target-base-url", f"{self.url}/targets", "--target-dir", str(self.targets)]
        return self.run("--metadata-url", f"{self.url}/metadata", *asked, *where, "download")

    def version(self, role: str) -> int:
        return int(json.loads((self.metadata / f"{role}.json").read_bytes())["signed"]["version"])


@pytest.fixture
def script(tmp_path: Path, lab: Simulator) -> Script:
    return Script(tmp_path / "client", lab)


def test_it_refreshes_and_keeps_the_roles_under_their_plain_names(lab: Simulator, script: Script) -> None:
    assert script.refresh() == 0
    assert {role: script.version(role) for role in ("root", "targets")} == {"root": 1, "targets": lab.targets.signed.version}


def test_it_downloads_what_is_signed_once_and_nothing_else(lab: Simulator, script: Script) -> None:
    names = [bundle_path(1), channel_path("ios", "stable")]
    assert script.download(*names) == 0
    got = sorted(file.read_bytes() for file in script.targets.iterdir())
    assert got == sorted([lab.bundle_file(1).read_bytes(), lab.channel_file().read_bytes()])
    lab.web.asked.clear()
    assert script.download(*names) == 0
    assert not [path for path, _ in lab.web.asked if "/targets/" in path]
    assert script.download(bundle_path(7)) == 1


def test_it_refuses_an_altered_target_and_goes_on_where_a_download_stopped(lab: Simulator, script: Script) -> None:
    whole = lab.bundle_file(1).read_bytes()
    lab.bundle_file(1).write_bytes(whole[:-1] + b"?")
    assert script.download(bundle_path(1)) == 1
    assert [file.name for file in script.targets.iterdir() if not file.name.endswith(".part")] == []
    lab.bundle_file(1).write_bytes(whole)
    assert script.download(bundle_path(1)) == 0


def test_an_altered_target_of_which_no_sha256_is_signed_is_fetched_anew_too(lab: Simulator, script: Script) -> None:
    target = TargetFile.from_data("notes.txt", b"as signed", ["sha512"])
    lab.approve(lambda role: role.targets.update({target.path: target}))
    file = lab.served / "targets" / f"{target.hashes['sha512']}.notes.txt"
    file.write_bytes(b"as forged")
    assert script.download("notes.txt") == 1
    assert list(script.targets.iterdir()) == []
    file.write_bytes(b"as signed")
    assert script.download("notes.txt") == 0


def test_it_refuses_a_rollback_and_an_unknown_key(lab: Simulator, script: Script) -> None:
    older = lab.newest(TIMESTAMP).read_bytes()
    lab.stamp()
    assert script.refresh() == 0
    lab.newest(TIMESTAMP).write_bytes(older)
    assert script.refresh() == 1
    lab.stamp(by={TIMESTAMP: new_keys(1)})
    assert script.refresh() == 1


def test_it_refuses_what_has_expired(script: Script) -> None:
    if shutil.which("faketime") is None:
        missing = "needs faketime (Debian: apt install faketime)"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    assert script.refresh("faketime", "-f", "+15d") == 1
    assert script.refresh() == 0


def test_it_trusts_nothing_at_first_but_a_root_that_its_own_keys_signed(tmp_path: Path, lab: Simulator, script: Script) -> None:
    trusted, offered = (script.metadata / "root.json").read_bytes(), tmp_path / "offered"
    unsigned = json.loads(trusted) | {"signatures": []}
    for content in (
        b"junk",
        b"{}",
        lab.newest(TIMESTAMP).read_bytes(),
        json.dumps(unsigned).encode(),
    ):
        offered.write_bytes(content)
        assert script.run("init", str(offered)) == 1
    offered.unlink()
    os.mkfifo(offered)
    assert script.run("init", str(offered)) == 1
    offered.unlink()
    offered.write_bytes(trusted)
    assert script.run("init", str(offered), before=("sh", "-c", 'ulimit -f 1 && exec "$0" "$@"')) == 1  # no room for it
    assert [file.name for file in script.metadata.iterdir()] == ["root.json"]
    assert (script.metadata / "root.json").read_bytes() == trusted


@pytest.mark.parametrize("wrong", [("init", "missing.json"), ("refresh",), ("download",), ("--nonsense",)])
def test_a_call_that_makes_no_sense_is_exit_code_1(script: Script, wrong: tuple[str, ...]) -> None:
    assert script.run(*wrong) == 1
