"""Our client passes every case; a careless one fails exactly those that it should; one that does not answer is told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mlpublish.conformance.catalogue import scenarios
from mlpublish.conformance.client import Client, NoAnswer
from mlpublish.conformance.report import CaseResult
from mlpublish.conformance.run import conformance
from mlpublish.conformance.vectors import save
from mlpublish.errors import NotFound, RecipeError
from mlpublish.formats.wire import MAX_DOCUMENT

OURS = f"{sys.executable} -m mlpublish check"
FORKED = str(Path(__file__).with_name("forked_client.py"))
BARE = f"{sys.executable} -I -S"  # nothing but the standard library, and so a fast start
CARELESS = f"{BARE} {Path(__file__).with_name('careless_client.py')}"
GROUPS: dict[str, list[str]] = {}
for _each in scenarios():
    GROUPS.setdefault(_each.group, []).append(_each.name)


def told(results: Sequence[CaseResult]) -> list[str]:
    return [f"{result.name}, step {result.step}: {result.problem}" for result in results]


@pytest.fixture(scope="module")
def forked() -> Iterator[str]:
    """Our client's command line, with its imports made once."""
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        place = Path(folder, "door")
        server = subprocess.Popen([sys.executable, FORKED, "serve", str(place)], stdin=subprocess.DEVNULL)
        try:
            while not place.exists():
                assert server.poll() is None
                time.sleep(0.02)
            yield f"{BARE} {FORKED} {place} check"
        finally:
            server.kill()
            server.wait()


@pytest.mark.parametrize("group", GROUPS)
def test_our_own_client_passes_every_case(forked: str, group: str) -> None:
    report = conformance(forked, names=GROUPS[group], jobs=2)
    assert told(report.failed) == []
    assert [result.name for result in report.results] == GROUPS[group]


def test_our_own_client_started_as_a_user_starts_it_answers_the_same() -> None:
    report = conformance(OURS, names=["update", "resumed", "captive-portal", "flipped-timestamp"], jobs=2)
    assert (told(report.failed), len(report.results)) == ([], 4)


FOR_TRUST = ("signatures", "freshness", "binding", "bundles", "documents")
RIGHT_BY_CHANCE = {  # a file or an entry that is not there, a digest that it compares, a document that is none
    "dropped-channels-role", "no-channels-role",
    "no-policy", "never-approved", "approved-by-an-operator",
    "flipped-bundle", "longer-bundle", "shorter-bundle", "another-releases-bundle", "missing-bundle",
    "unknown-members", "channel-file-is-none", "timestamp-is-none",
}  # fmt: skip


def test_a_client_that_trusts_whatever_comes_fails_every_case_about_trust_and_no_other() -> None:
    report = conformance(CARELESS, jobs=2)
    wrong = {name for group in FOR_TRUST for name in GROUPS[group]} - RIGHT_BY_CHANCE
    assert {result.name for result in report.failed} == wrong, told(report.failed)
    careless = {result.name: result for result in report.failed}["below-a-floor-once-seen"]
    assert (careless.step, careless.got is not None and careless.got.installed) == (2, 1)


def test_a_client_that_forgets_where_a_download_stopped_fails_one_case(tmp_path: Path) -> None:
    written = Path(__file__).with_name("careless_client.py").read_text()
    (tmp_path / "client.py").write_text(written.replace("part.write_bytes(content)", "part.touch()"))
    report = conformance(f"{BARE} {tmp_path / 'client.py'}", names=["resumed*"])
    assert told(report.failed) == ["resumed, step 2: the bundle was asked for from byte 0, not from 500 (Range)"]


# clients that do not answer


def script(folder: Path, lines: str) -> str:
    """A client that is a shell script."""
    file = folder / "client.sh"
    file.write_text(f"#!/bin/sh\n{lines}\n")
    file.chmod(0o755)
    return str(file)


def problem_of(client: str, **keywords: float) -> str:
    [result] = conformance(client, names=["first-install"], **keywords).results  # type: ignore[arg-type]
    assert result.got is None
    return str(result.problem)


@pytest.mark.parametrize(
    ("client", "said"),
    [
        ("true", "exit code 0 without an answer: what it printed is not a JSON document"),
        ("sh -c 'echo broken >&2; exit 3'", "exit code 3 without an answer: .* It said: broken"),
        ("""echo '{"status": 5}' """, "status must be a string"),
        ("""echo '{"ok": false, "error": {"message": "No root."}}'""", "it reports an error, No root"),
    ],
)
def test_a_client_without_an_answer_is_told(tmp_path: Path, client: str, said: str) -> None:
    assert re.search(said, problem_of(script(tmp_path, client)))


def test_a_client_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    client = script(tmp_path, f"sleep 600 &\necho $! > {tmp_path / 'pid'}\nwait")
    assert problem_of(client, timeout=2.0).endswith("no answer within 2 s")
    assert has_ended(tmp_path / "pid")


def test_what_a_client_leaves_running_is_ended_and_not_waited_for(tmp_path: Path) -> None:
    """Its output goes to files, so a child that holds it open holds nobody up."""
    problem_of(script(tmp_path, f"sleep 600 &\necho $! > {tmp_path / 'pid'}\necho no answer"))
    assert has_ended(tmp_path / "pid")


def has_ended(file: Path) -> bool:
    """Whether the process whose id a client wrote down runs no more, or will in a moment."""
    for _ in range(100):
        asked = ["ps", "-o", "stat=", "-p", file.read_text().strip()]
        state = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
        if state == "" or state.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("stream", [1, 2])
def test_a_client_that_prints_without_end_is_ended(tmp_path: Path, stream: int) -> None:
    client = script(tmp_path, f"head -c 40000000 /dev/zero >&{stream}\nsleep 600")
    assert problem_of(client, timeout=20.0).endswith(f"it printed more than {MAX_DOCUMENT} bytes")


# clients that break what is around them


ANSWER = """'{"status": "SUCCESS", "installed": 1, "offered": 1}'"""
LITTERING = """
import os, pathlib, sys, time
device, over = map(pathlib.Path, sys.argv[1:])
os.fork() and os._exit(0)
os.setsid()
for number in range(10**7):
    device.mkdir(parents=True, exist_ok=True)
    try:
        (device / str(number)).touch()
    except OSError:
        pass
    if over.exists():
        break
"""


def test_a_child_that_goes_on_writing_into_the_device_spoils_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "child.py").write_text(LITTERING)
    over = tmp_path / "over"
    client = script(tmp_path, f"{BARE} {tmp_path / 'child.py'} ${{12}} {over} > /dev/null 2>&1\necho {ANSWER}")
    try:
        report = conformance(client, names=["first-install", "paused"])
    finally:
        over.touch()
    assert [(result.name, result.passed) for result in report.results] == [("first-install", True), ("paused", False)]


def test_a_client_that_takes_its_folder_away_fails_that_case_and_the_others_are_asked(tmp_path: Path) -> None:
    client = script(tmp_path, f'rm -rf "$(dirname ${{12}})"\necho {ANSWER}')
    report = conformance(client, names=["first-install", "update", "zip-slip"])
    assert [(result.name, result.step) for result in report.results] == [
        ("first-install", None),
        ("update", 2),
        ("zip-slip", 1),
    ]
    assert "it could not be asked: " in report.results[1].told


def test_a_client_that_takes_itself_away_loses_no_result(tmp_path: Path) -> None:
    report = conformance(script(tmp_path, f'rm "$0"\necho {ANSWER}'), names=["first-install", "update"])
    assert [result.step for result in report.results] == [None, 1]
    assert report.results[1].told.endswith("it cannot be started any more: No such file or directory")


# the call itself


@pytest.mark.parametrize("client", ["", "no-such-program-at-all", "'unclosed"])
def test_a_program_that_is_not_there_is_a_mistake_of_the_call(client: str) -> None:
    with pytest.raises(RecipeError) as told:
        conformance(client, names=["first-install"])
    assert told.value.field == "entrypoint"


@pytest.mark.parametrize("content", ["#!/no/such/interpreter\n", "garbage"])
def test_a_program_that_cannot_be_run_is_a_mistake_of_the_call(tmp_path: Path, content: str) -> None:
    (tmp_path / "client").write_text(content)
    (tmp_path / "client").chmod(0o755)
    with pytest.raises(RecipeError, match="cannot be run") as told:
        conformance(str(tmp_path / "client"), names=["first-install", "update"], jobs=2)
    assert told.value.field == "entrypoint"


def test_a_case_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="There is no case 'first-instal'"):
        conformance("true", names=["first-install", "first-instal"])


@pytest.mark.parametrize(
    ("field", "value"), [("timeout", 0.0), ("timeout", float("nan")), ("timeout", float("inf")), ("jobs", 0), ("jobs", 65)]
)
def test_numbers_that_cannot_be_meant_are_refused(field: str, value: float) -> None:
    with pytest.raises(RecipeError) as told:
        conformance("true", names=["first-install"], **{field: value})  # type: ignore[arg-type]
    assert told.value.field == field


@pytest.mark.timeout(60)
def test_once_a_run_is_given_up_no_client_is_waited_for(tmp_path: Path) -> None:
    """A thread that is between two steps of a case when Ctrl-C comes would else go on for as long as calls may take."""
    client = Client(script(tmp_path, "exec sleep 600"), timeout=600.0)
    case = next(each for each in scenarios() if each.name == "first-install").made()
    client.end()
    with pytest.raises(NoAnswer, match="nothing is asked any more"):
        client.ask(case.steps[0], at="http://127.0.0.1:9", device=tmp_path / "device", trusted=tmp_path / "root.json")


# the command


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlpublish", "conformance", *arguments], capture_output=True, text=True, timeout=120
    )


def test_the_command_asks_saved_vectors_and_tells_in_json_and_by_its_exit_code(tmp_path: Path) -> None:
    assert command("--save", str(tmp_path / "vectors"), "--case", "pa*", "--case", "flipped-timestamp").returncode == 0
    ran = command(
        "--entrypoint", CARELESS, "--vectors", str(tmp_path / "vectors"), "--json", "--junit", str(tmp_path / "results.xml")
    )
    result = json.loads(ran.stdout)["result"]
    assert (ran.returncode, result["passed"], result["failed"], ran.stderr) == (1, 1, 1, "")
    assert [(case["name"], case["passed"]) for case in result["cases"]] == [("flipped-timestamp", False), ("paused", True)]
    assert result["cases"][0]["expected"]["status"] == "FAILURE_INTEGRITY"
    assert result["cases"][0]["got"]["status"] == "SUCCESS"
    suite = ElementTree.parse(tmp_path / "results.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert command("--entrypoint", CARELESS, "--case", "paused").returncode == 0


def test_the_command_tells_a_table_and_lists_the_cases() -> None:
    ran = command("--entrypoint", CARELESS, "--case", "paused", "--case", "flipped-timestamp")
    table = ran.stdout.splitlines()
    assert table[0].split()[:2] == ["passed", "paused"]
    assert table[1].startswith("FAILED  flipped-timestamp  step 1: expected FAILURE_INTEGRITY, exit code 16; got SUCCESS")
    assert table[2] == "1 passed, 1 failed"
    told = [f"{number} of 2  {line}" for number, line in enumerate(table[:2], 1)]
    assert ran.stderr.splitlines() == told, "each case is told as it ends"
    listed = command("--list").stdout
    assert all(name in listed for names in GROUPS.values() for name in names)


def test_on_a_terminal_progress_is_one_line_that_is_gone_at_the_end() -> None:
    leader, follower = os.openpty()
    asked = ["--entrypoint", CARELESS, "--case", "paused", "--case", "flipped-timestamp"]
    command = [sys.executable, "-m", "mlpublish", "conformance", *asked]
    ran = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=follower, text=True, timeout=120)
    told = os.read(leader, 4096).decode()
    for end in (leader, follower):
        os.close(end)
    assert told.split("\r\033[K") == ["", "1 of 2  passed  paused", "2 of 2  FAILED  flipped-timestamp", ""]
    assert ran.stdout.endswith("1 passed, 1 failed\n")


def test_what_vectors_say_of_themselves_moves_no_cursor(tmp_path: Path) -> None:
    case = next(each for each in scenarios() if each.name == "first-install").made()
    save(tmp_path / "vectors", [replace(case, shows="\x1b[2J\nforged  A case.")])
    assert command("--list", "--vectors", str(tmp_path / "vectors")).stdout.splitlines() == [
        "first-install   [2J forged  A case."
    ]
    assert command("--list", "--entrypoint", "true").returncode == 2
