"""Our client passes every case; a careless one fails exactly those that it should; one that does not answer is told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mlpublish.conformance.catalogue import scenarios
from mlpublish.conformance.report import CaseResult
from mlpublish.conformance.run import conformance
from mlpublish.errors import NotFound, RecipeError

OURS = f"{sys.executable} -m mlpublish check"
CARELESS = f"{sys.executable} {Path(__file__).with_name('careless_client.py')}"
GROUPS: dict[str, list[str]] = {}
for _each in scenarios():
    GROUPS.setdefault(_each.group, []).append(_each.name)


def told(results: Sequence[CaseResult]) -> list[str]:
    return [f"{result.name}, step {result.step}: {result.problem}" for result in results]


@pytest.mark.parametrize("group", GROUPS)
def test_our_own_client_passes_every_case(group: str) -> None:
    report = conformance(OURS, names=GROUPS[group], jobs=2)
    assert told(report.failed) == []
    assert [result.name for result in report.results] == GROUPS[group]


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
    report = conformance(f"{sys.executable} {tmp_path / 'client.py'}", names=["resumed*"])
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
    started = (tmp_path / "pid").read_text().strip()
    for _ in range(100):
        state = subprocess.run(["ps", "-o", "stat=", "-p", started], capture_output=True, text=True).stdout.strip()
        if state == "" or state.startswith("Z"):
            return
        time.sleep(0.05)
    pytest.fail("what the client started still runs")


def test_what_a_client_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    """Its output goes to files, so a child that holds it open holds nobody up."""
    problem_of(script(tmp_path, f"(sleep 5; touch {tmp_path / 'over'}) &\necho no answer"))
    assert not (tmp_path / "over").exists()


# the call itself


@pytest.mark.parametrize("client", ["", "no-such-program-at-all", "'unclosed"])
def test_a_program_that_is_not_there_is_a_mistake_of_the_call(client: str) -> None:
    with pytest.raises(RecipeError) as told:
        conformance(client, names=["first-install"])
    assert told.value.field == "entrypoint"


def test_a_case_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="There is no case 'first-instal'"):
        conformance("true", names=["first-install", "first-instal"])


@pytest.mark.parametrize("wrong", [{"timeout": 0.0}, {"jobs": 0}])
def test_numbers_that_cannot_be_meant_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RecipeError):
        conformance("true", **wrong)  # type: ignore[arg-type]


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
    assert (ran.returncode, result["passed"], result["failed"]) == (1, 1, 1)
    assert [(case["name"], case["passed"]) for case in result["cases"]] == [("flipped-timestamp", False), ("paused", True)]
    assert result["cases"][0]["expected"]["status"] == "FAILURE_INTEGRITY"
    assert result["cases"][0]["got"]["status"] == "SUCCESS"
    suite = ElementTree.parse(tmp_path / "results.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert command("--entrypoint", CARELESS, "--case", "paused").returncode == 0


def test_the_command_tells_a_table_and_lists_the_cases() -> None:
    table = command("--entrypoint", CARELESS, "--case", "paused", "--case", "flipped-timestamp").stdout.splitlines()
    assert table[0].split()[:2] == ["passed", "paused"]
    assert table[1].startswith("FAILED  flipped-timestamp  step 1: expected FAILURE_INTEGRITY, exit code 16; got SUCCESS")
    assert table[2] == "1 passed, 1 failed"
    listed = command("--list").stdout
    assert all(name in listed for names in GROUPS.values() for name in names)
    assert command("--list", "--entrypoint", "true").returncode == 2
