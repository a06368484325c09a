"""Progress in a terminal, in a notebook and nowhere: the bar moves, and is gone however the work ends."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import mlpublish
from mlpublish.artifacts import App, ConvertedModel
from mlpublish.errors import RecipeError
from mlpublish.publishing.transport import Transport
from mlpublish.reporting.progress import _SHOWN, Steps, on_bytes, shown
from mlpublish.repository.development import Development

WORK = """
import time
from mlpublish.reporting.progress import on_bytes, shown

def work(fail=False, progress=True, pause=0.15):
    with shown(progress, steps=2) as tell:
        tell("Baking [/] <b>bread</b>\\nforged")
        time.sleep(pause)
        on_bytes()(59_000_000, 118_000_000)
        time.sleep(pause)
        tell("Eating")
        if fail:
            raise ValueError("burnt")
"""


def at_a_terminal(code: str, **environment: str) -> str:
    """What a terminal gets of a program's stderr."""
    leader, follower = pty.openpty()
    setting = {**os.environ, "TERM": "xterm", "COLUMNS": "120", **environment}
    with subprocess.Popen([sys.executable, "-c", WORK + code], stderr=follower, stdout=subprocess.PIPE, env=setting) as ran:
        os.close(follower)
        shown = b""
        try:
            while piece := os.read(leader, 65536):
                shown += piece
        except OSError:  # Linux says that the other side is closed
            pass
        assert ran.stdout is not None
        assert ran.stdout.read() == b""
    os.close(leader)
    return shown.decode()


def left_on_screen(shown: str) -> str:
    """What of it can be read in the end: rich erases its lines one by one."""
    last = re.split(r"\x1b\[2K", shown)[-1]
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", last).strip()


def test_a_terminal_shows_the_steps_and_the_bytes_and_keeps_nothing() -> None:
    shown = at_a_terminal("work()")
    for told in ("Baking [/] <b>bread</b> forged", "(59.0 MB of 118.0 MB)", "Eating"):
        assert told in shown
    assert left_on_screen(shown) == ""


def test_an_error_leaves_no_bar_behind() -> None:
    left = left_on_screen(at_a_terminal("work(fail=True)"))
    assert left.startswith("Traceback")
    assert "Eating" not in left


@pytest.mark.parametrize(("code", "variable"), [("work(progress=False)", ""), ("work()", "0")])
def test_a_terminal_stays_empty_where_it_is_switched_off(code: str, variable: str) -> None:
    assert at_a_terminal(code, MLPUBLISH_PROGRESS=variable) == ""


@pytest.mark.parametrize(
    ("variable", "told"), [("", ""), ("0", ""), ("1", "Baking [/] <b>bread</b> forged\nEating\n")], ids=["unset", "off", "on"]
)
def test_a_log_gets_nothing_or_a_line_for_each_step(variable: str, told: str) -> None:
    setting = {**os.environ, "MLPUBLISH_PROGRESS": variable}
    ran = subprocess.run([sys.executable, "-c", f"{WORK}\nwork(pause=0)"], capture_output=True, text=True, env=setting)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", told)


def test_another_value_of_the_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPUBLISH_PROGRESS", "no")
    with pytest.raises(RecipeError, match="MLPUBLISH_PROGRESS=no is neither 0 nor 1") as refused, shown(True, steps=1):
        pass
    assert refused.value.field == "MLPUBLISH_PROGRESS"


def test_a_function_hears_each_step_and_work_within_says_nothing_of_its_own() -> None:
    told: list[str] = []
    with shown(told.append, steps=2) as tell:
        tell("one")
        with shown(told.append, steps=1) as inner:
            inner("within")
            on_bytes()(1, 2)
        tell("two")
    assert told == ["one", "two"]
    on_bytes()(1, 2)  # nobody looks


# ── a real kernel ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    """``kernel(code)``: a cell's outputs as a notebook keeps them, updates applied, and every picture there was."""
    pytest.importorskip("ipykernel", reason="needs ipykernel: pip install 'mlpublish[test]'")
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")

    def run(code: str) -> tuple[list[dict[str, Any]], list[str]]:
        outputs: list[dict[str, Any]] = []
        pictures: list[str] = []

        def hook(message: dict[str, Any]) -> None:
            kind, content = message["msg_type"], message["content"]
            if kind in ("display_data", "update_display_data"):
                pictures.append(content["data"].get("text/html", ""))
            if kind == "update_display_data":
                for each in outputs:
                    if each.get("transient") == content["transient"]:
                        each["data"] = content["data"]
            elif kind in ("display_data", "stream", "execute_result", "error"):
                outputs.append(dict(content))

        client.execute_interactive(code, output_hook=hook, timeout=60)
        return outputs, pictures

    try:
        run(WORK)
        yield run
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_cell_shows_a_bar_in_place_and_is_empty_in_the_end(kernel: Any) -> None:
    (output,), pictures = kernel("work()")
    assert output["data"] == {"text/plain": "", "text/html": ""}
    assert '<progress max="2" value="0.000"' in pictures[0]
    assert "&lt;b&gt;bread&lt;/b&gt; forged" in pictures[0]
    assert '<progress max="2" value="0.500"' in pictures[1]
    assert "(59.0 MB of 118.0 MB)" in pictures[1]
    assert "Eating" in pictures[2]
    assert pictures[3:] == [""]


def test_an_error_empties_the_cells_bar_too(kernel: Any) -> None:
    (bar, error), _ = kernel("work(fail=True)")
    assert bar["data"] == {"text/plain": "", "text/html": ""}
    assert error["ename"] == "ValueError"


@pytest.mark.parametrize(
    "code",
    [
        "work(progress=False, pause=0)",
        "import os; os.environ['MLPUBLISH_PROGRESS'] = '0'; work(pause=0); del os.environ['MLPUBLISH_PROGRESS']",
        "with shown(True, steps=3):\n    pass",
    ],
    ids=["keyword", "variable", "no step"],
)
def test_a_cell_without_progress_has_no_output(kernel: Any, code: str) -> None:
    assert kernel(code) == ([], [])


# ── the verbs ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_long_verb_tells_its_steps(
    development: Development, app: App, new_model: Callable[..., ConvertedModel], tmp_path: Path
) -> None:
    told: list[str] = []

    def since() -> str:
        now = "; ".join(told)
        told.clear()
        return now

    made = mlpublish.bundle(new_model(), out=tmp_path, progress=told.append)
    assert since() == "Reading the models; Writing the bundle"
    release = mlpublish.sign(made, repository=development.folder, app=app, out=tmp_path / "signed")
    mlpublish.publish(release, to=development.folder, progress=told.append)
    assert since() == "Checking the release; Publishing release 1 of com.acme.digits"
    mlpublish.verify(development.folder, progress=told.append)
    assert "releases/1" in since()
    mlpublish.channel.set(app.id, to=development.folder, app_version=app.version, release=1)
    mlpublish.check(app, at=development.folder, device=tmp_path / "phone", self_test=False, progress=told.append)
    assert re.fullmatch(r"Downloading [0-9.]+ kB; Unzipping [0-9.]+ (kB|bytes)", since())


class Noted(Steps):
    """Writes down what bytes it is told."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, int]] = []

    def part(self, done: int, total: int) -> None:
        self.parts.append((done, total))


@pytest.fixture
def noted() -> Iterator[Noted]:
    noted = Noted()
    token = _SHOWN.set(noted)
    yield noted
    _SHOWN.reset(token)


LARGE = 5_000_000


def test_the_bytes_of_a_bundle_are_told_while_it_is_written(noted: Noted, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(LARGE))
    mlpublish.bundle(files=[tmp_path / "weights.bin"], name="w", out=tmp_path)
    _growing(noted.parts)


def test_the_bytes_of_an_upload_are_told_while_they_are_sent(noted: Noted, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(LARGE))
    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        answer = Transport(address, None).ask("PUT", "/v1/blobs", body=tmp_path / "weights.bin", token=False)
    assert answer.body == str(LARGE).encode()
    _growing(noted.parts)


class Taking(BaseHTTPRequestHandler):
    """Takes a body, and answers how long it was."""

    def do_PUT(self) -> None:
        answer = str(len(self.rfile.read(int(self.headers["Content-Length"])))).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def _growing(parts: list[tuple[int, int]]) -> None:
    assert {total for _, total in parts} == {LARGE}
    done = [done for done, _ in parts]
    assert done == sorted(done)
    assert len({each for each in done if 0 < each < LARGE}) > 2
    assert done[-1] >= LARGE
