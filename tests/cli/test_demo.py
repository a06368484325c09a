"""``mlpublish demo``: the newcomer's first command, played twice at once: for a program and for a reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlpublish.formats.manifest import MANIFEST_PATH, Manifest
from mlpublish.formats.wire import digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What the demo left: its folder, and the two outputs."""

    kept: Path
    in_json: subprocess.CompletedProcess[str]
    told: subprocess.CompletedProcess[str]
    scratch: Path


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Played:
    folder = tmp_path_factory.mktemp("demo")
    scratch = folder / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [str(Path(sys.executable).parent / "mlpublish"), "demo"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": folder}
    json_run = subprocess.Popen([*command, "--json", "--keep", "kept"], **pipes, env=environment)
    text_run = subprocess.Popen(command, **pipes, env=environment)
    runs = []
    for run in (json_run, text_run):
        out, err = run.communicate(timeout=240)
        runs.append(subprocess.CompletedProcess(run.args, run.returncode, out, err))
    return Played(kept=folder / "kept", in_json=runs[0], told=runs[1], scratch=scratch)


@pytest.fixture
def result(played) -> dict:
    document = json.loads(played.in_json.stdout)
    assert (document["schema"], document["ok"], played.in_json.returncode) == ("mlpublish.demo/1", True, 0)
    return document["result"]


def test_the_phone_gets_two_releases_and_refuses_the_altered_third(result):
    told = [(each["status"], each["installed"], each["offered"], each["reason"]) for each in result["checks"]]
    assert told == [
        ("SUCCESS", 1, 1, None),
        ("SUCCESS", 1, 1, "already_installed"),
        ("SUCCESS", 2, 2, None),
        ("FAILURE_INTEGRITY", 2, 3, None),
    ]
    assert all(set(each) == {"status", "installed", "offered", "reason", "path"} for each in result["checks"])
    first, second, third, fourth = (each["path"] for each in result["checks"])
    assert first == second != third == fourth


def test_three_releases_carry_the_registered_versions_and_their_evidence(result):
    assert [(each["number"], each["name"], each["version"]) for each in result["releases"]] == [
        (1, "digits", "1"),
        (2, "digits", "2"),
        (3, "digits", "3"),
    ]
    for parity in result["parity"]:
        assert parity["samples"] == 450
        assert parity["label_agreement"] == "1.0"
        assert float(parity["max_rel_diff"]) <= 1e-4
        assert parity["executor"]


def test_what_is_kept_is_the_release_in_use_file_by_file(result, played):
    in_use = Path(result["checks"][-1]["path"])
    assert in_use.is_relative_to(played.kept)
    manifest = Manifest.from_bytes((in_use / MANIFEST_PATH).read_bytes())
    assert {str(each.path): each.sha256 for each in manifest.files} == {
        file.relative_to(in_use).as_posix(): digest_of(file.read_bytes())
        for file in in_use.rglob("*")
        if file.is_file() and file.name != MANIFEST_PATH
    }


def test_what_it_says_to_try_next_works(cli, played):
    development = played.kept / "development"
    verified = cli("verify", played.kept / "release-2" / "signed", "--repository", development, "--json").result
    assert verified["number"] == 2
    shown = cli("channel", "show", "--app", "com.acme.digits", "--at", f"file:{development}", "--json").result
    assert shown["entries"][0]["release"] == 3


def test_a_reader_gets_the_story_and_a_table(played):
    assert played.told.returncode == 0
    assert played.told.stdout.count("SUCCESS") == 3
    assert played.told.stdout.count("FAILURE_INTEGRITY") == 1
    assert "Try next:" in played.told.stdout
    assert "Release 2 is still whole and in use" in played.told.stderr


def test_without_keep_nothing_stays_and_the_current_folder_is_left_alone(played):
    assert list(played.scratch.iterdir()) == []
    assert {each.name for each in played.kept.parent.iterdir()} == {"scratch", "kept"}
