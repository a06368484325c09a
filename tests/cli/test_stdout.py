"""Where the result goes may be full, or speak another encoding: the command ends as it should, in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlpublish.artifacts import Bundle


def ran(*arguments: str | Path, stdout: int = subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "mlpublish", *map(str, arguments)]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=os.environ | environment, check=False)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_full_disk_behind_stdout_is_told_on_stderr_in_one_line(signed_bundle: Bundle, as_json: bool) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = ran("verify", signed_bundle.path, *["--json"] * as_json, stdout=full)
    finally:
        os.close(full)
    assert done.returncode == 1
    told = done.stderr.decode().splitlines()
    assert len(told) == 1
    assert "No space left" in told[0]


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8"])
def test_every_encoding_of_a_terminal_gets_the_whole_result(signed_bundle: Bundle, encoding: str) -> None:
    whole = json.loads(ran("verify", signed_bundle.path, "--json").stdout)
    there = ran("verify", signed_bundle.path, "--json", PYTHONIOENCODING=encoding)
    assert (there.returncode, json.loads(there.stdout.decode(encoding))) == (0, whole)
    in_words = ran("verify", signed_bundle.path, PYTHONIOENCODING=encoding)
    assert (in_words.returncode, in_words.stderr) == (0, b"")
    assert b"that its manifest lists" in in_words.stdout


@pytest.fixture
def signed_bundle(tmp_path: Path) -> Bundle:
    """A bundle in a folder whose name no small encoding knows."""
    from mlpublish.bundling.bundle import bundle

    labels = tmp_path / "labels.txt"
    labels.write_text("0\n1\n")
    folder = tmp_path / "Übergröße … 数字 😀"
    folder.mkdir()
    return bundle(name="labels", version="1", files=[labels], out=folder)
