"""``mlpublish repo renew``: one round for cron and CI, or a process that goes on until it is told to stop."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlpublish.formats.status import UpdateStatus
from mlpublish.repository.development import Development
from mlpublish.repository.online import Online

if TYPE_CHECKING:
    from tests.cli.conftest import Ran, Street

Cli = Callable[..., "Ran"]


@pytest.fixture
def home(tmp_path: Path) -> Development:
    """Two apps; what is fresh of com.acme.old holds for an hour."""
    made = Development.make(tmp_path / "home")
    made.app("com.acme.new")
    run_down(made, "com.acme.old", days=1 / 24)
    return made


def run_down(home: Development, app_id: str, *, days: float) -> None:
    """Make what is fresh of an app hold for so many days."""
    signers = {name: (home.signer(name),) for name in ("snapshot", "timestamp")}
    home.app(app_id).commit({}, Online(**signers, snapshot_days=days, timestamp_days=days), lambda _: None)


def stamp(home: Development, app_id: str = "com.acme.old") -> int:
    return home.app(app_id).head().timestamp.signed.version


# ── one round ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_round_tells_what_it_renewed(cli: Cli, home: Development) -> None:
    before = stamp(home)
    told = cli("repo", "renew", "--repository", home.folder, "--json")
    assert told.result == {"renewed": ["com.acme.old"], "fresh": ["com.acme.new"], "failed": {}, "ending": []}
    assert (told.code, told.err, stamp(home)) == (0, "", before + 1)
    again = cli("repo", "renew", "--repository", f"file:{home.repository}")
    assert re.fullmatch(r"not due +2\n", again.out)
    assert (again.code, stamp(home)) == (0, before + 1)


def test_what_a_clock_that_was_ahead_signed_is_made_good_on_purpose(cli: Cli, home: Development) -> None:
    run_down(home, "com.acme.old", days=80)
    before = stamp(home)
    told = cli("repo", "renew", "--repository", home.folder)
    assert (told.code, stamp(home)) == (1, before)
    assert "date -u" in told.err
    assert cli("repo", "renew", "--repository", home.folder, "--shorten", "--json").result["renewed"] == ["com.acme.old"]
    assert stamp(home) == before + 1
    assert cli("repo", "renew", "--repository", home.folder).code == 0


def test_only_the_apps_that_are_named_are_renewed(cli: Cli, home: Development, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPUBLISH_REPOSITORY", str(home.folder))
    assert cli("repo", "renew", "--app", "com.acme.new", "--json").result["fresh"] == ["com.acme.new"]
    both = cli("repo", "renew", "--app", "com.acme.new", "--app", "com.acme.old", "--json")
    assert (both.result["fresh"], both.result["renewed"]) == (["com.acme.new"], ["com.acme.old"])


def test_a_broken_app_fails_the_run_and_keeps_no_other_from_being_renewed(cli: Cli, home: Development) -> None:
    before = stamp(home)
    (home.repository / "com.acme.new" / "metadata" / "timestamp.json").write_text("{}")
    told = cli("repo", "renew", "--repository", home.folder)
    assert (told.code, stamp(home)) == (1, before + 1)
    (line,) = told.err.splitlines()
    assert line.startswith("Error: com.acme.new: timestamp is no TUF metadata. Get the repository's metadata again")
    told = cli("repo", "renew", "--repository", home.folder, "--json")
    assert (told.code, told.result["failed"]["com.acme.new"]["code"]) == (1, "format_error")


def test_a_folder_past_its_expiry_is_refused_by_devices_until_it_is_renewed(cli: Cli, street: Street, tmp_path: Path) -> None:
    arguments = ["check", "--app", "com.acme.digits", "--app-version", "2.0", "--at", street.to, "--device", tmp_path / "phone"]
    run_down(Development(street.development), "com.acme.digits", days=-1)
    assert cli(*arguments).code == UpdateStatus.FAILURE_INTEGRITY.exit_code
    assert cli("repo", "renew", "--repository", street.development).code == 0
    assert cli(*arguments).code == 0


# ── a process that goes on ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def going_on(home: Development) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts ``repo renew --every …`` as a process of its own, which is gone afterwards."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "mlpublish", "repo", "renew", "--repository", str(home.folder), *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_renews_round_after_round_until_a_signal_stops_it(
    home: Development, going_on: Callable[..., Any], number: int
) -> None:
    process = going_on("--every", "1s")
    date = r"[0-9-]{10}T[0-9:]{8}Z"
    assert re.fullmatch(rf"{date} renewed 1, not due 1, failed 0, running out 0\n", next_line(process))
    run_down(home, "com.acme.new", days=0.1)
    while not next_line(process).split(maxsplit=1)[1].startswith("renewed 1, not due 1"):
        assert process.poll() is None
    process.send_signal(number)
    rest, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, "")
    assert all(line.endswith("renewed 0, not due 2, failed 0, running out 0") for line in rest.splitlines())
    assert {each.name for each in (home.repository / "com.acme.new" / "metadata").glob(".*")} <= {".lock"}


def test_each_round_is_one_json_line_and_a_failure_shows_in_the_exit_code(
    home: Development, going_on: Callable[..., Any]
) -> None:
    process = going_on("--every", "1s", "--json")
    first = json.loads(next_line(process))
    assert (first["schema"], first["ok"], first["result"]["renewed"]) == ("mlpublish.repo.renew/1", True, ["com.acme.old"])
    (home.repository / "com.acme.old" / "metadata" / "timestamp.json").write_text("{}")
    while not (told := json.loads(next_line(process))["result"])["failed"]:
        pass
    assert told["fresh"] == ["com.acme.new"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 1


# ── bad input ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("every", ["6", "h", "0h", "6 h", "-1h", "1w", "1.5h", ""])
def test_what_is_no_time_is_a_usage_error(cli: Cli, home: Development, every: str) -> None:
    told = cli("repo", "renew", "--repository", home.folder, "--every", every)
    assert told.code == 2
    assert "write 90s, 15m, 6h or 1d" in told.err


def test_rounds_that_would_come_too_late_are_refused(cli: Cli, home: Development) -> None:
    told = cli("repo", "renew", "--repository", home.folder, "--every", "8d", "--json")
    assert (told.code, told.error["field"]) == (2, "every")
    assert "--every 604800s or less" in told.error["remedy"]


def test_where_nothing_can_be_renewed_it_says_what_to_name(cli: Cli, home: Development, here: Path) -> None:
    home.repository.rename(here / "plain")
    for arguments, code in (
        ((), 2),
        (("--repository", "https://updates.acme.com"), 2),
        (("--repository", "plain"), 2),
        (("--repository", "nothing"), 6),
        (("--repository", home.folder), 6),
    ):
        assert cli("repo", "renew", *arguments).code == code, arguments
    told = cli("repo", "renew", "--repository", "plain")
    assert "snapshot and timestamp under [keys] in mlpublish.toml" in told.line
    (here / "mlpublish.toml").write_text(
        f'[keys]\nsnapshot = "{home.folder}/keys/snapshot.pem"\ntimestamp = "{home.folder}/keys/timestamp.pem"\n'
    )
    assert cli("repo", "renew", "--repository", "plain", "--json").result["renewed"] == ["com.acme.old"]


def test_an_app_that_is_not_there_is_not_found(cli: Cli, home: Development) -> None:
    told = cli("repo", "renew", "--repository", home.folder, "--app", "com.acme.unknown")
    assert told.code == 6
    assert "com.acme.unknown" in told.line
