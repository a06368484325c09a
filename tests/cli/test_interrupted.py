"""Ctrl-C: a check ends as CANCELED with its report; everything else with 130; nothing ends with a traceback."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def silent_server():
    """Accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def interrupted(server: socket.socket, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command until it asks the server, then interrupt it once."""
    command = [sys.executable, "-m", "mlpublish", *(str(each) for each in arguments)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as running:
        server.settimeout(60)
        connection, _ = server.accept()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
        connection.close()
    return subprocess.CompletedProcess(command, running.returncode, out, err)


def url_of(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_check_is_canceled(street, silent_server, tmp_path):
    app = ("--app", "com.acme.digits", "--app-version", "2.0", "--device", tmp_path / "phone")
    at = ("--at", url_of(silent_server), "--repository", street.development)
    done = interrupted(silent_server, "check", *app, *at, "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"], document["result"]["status"]) == (10, True, "CANCELED")
    assert done.stderr == ""


def test_a_publish_ends_with_130_and_one_line(street, silent_server):
    done = interrupted(silent_server, "publish", Path(street.second), "--to", url_of(silent_server))
    assert done.returncode == 130
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()  # click ends the terminal's ^C line first
    assert line.startswith("Error: Interrupted.")
