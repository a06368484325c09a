"""``mlpublish review`` as a reviewer meets it: text and JSON, one-line errors, and a question on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.production import Production

if TYPE_CHECKING:
    from tests.cli.conftest import Ran

Cli = Callable[..., "Ran"]
APP = "com.acme.digits"


@pytest.fixture
def reviewing(cli: Cli, production: Production) -> Callable[..., Ran]:
    """``reviewing("show", …)`` at a place where release 1 waits."""
    production.stand().publish(b"one")
    where = ("--at", production.folder, "--app", APP, "--root", production.first_root)
    return lambda verb, *words: cli("review", verb, *words, *where)


def key(production: Production, name: str) -> tuple[str, str]:
    return "--key", production.uri(name)


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_list_tells_every_change_the_newest_first(reviewing: Cli, production: Production) -> None:
    release, made = reviewing("list").out.splitlines()
    assert release == f"{APP}  {production.changes.list().open}  waiting for 1  add release 1"
    assert made.split()[2:] == ["committed", "make", "the", "app's", "repository"]
    assert len(reviewing("list", "--open").out.splitlines()) == 1
    listed = reviewing("list", "--json").result["changes"]
    assert [(each["state"], each["missing"]) for each in listed] == [("waiting", 1), ("committed", 0)]


def test_list_of_every_app_there(cli: Cli, production: Production) -> None:
    assert cli("review", "list", "--at", production.folder).out == "There is no change.\n"
    for app_id in ("com.acme.one", "com.acme.two"):
        production.for_app(app_id).add_app("alice")
    lines = cli("review", "list", "--at", production.folder).out.splitlines()
    assert [line.split()[0] for line in lines] == ["com.acme.one", "com.acme.two"]


def test_show_fits_a_reviewers_screen_and_json_has_everything(reviewing: Cli, production: Production) -> None:
    told = reviewing("show")
    assert told.code == 0
    rows = {line[:24].strip(): line[24:].strip() for line in told.out.splitlines()}
    assert len(rows) < 25
    for name in ("change", "state", "meant", "does 1", "signatures 1", "review 1", "not proven"):
        assert any(row.startswith(name) for row in rows), name
    result = reviewing("show", "--json").result
    assert {"differences", "needs", "reviews", "bundles", "parity", "lineage", "findings", "not_proven"} <= set(result)
    assert result["parity"]["digits"]["samples"] == 8
    assert any(each["what"] == "release 1" for each in result["differences"])


def test_log_in_words(reviewing: Cli, production: Production) -> None:
    production.sign("bob", comment="parity looked at")
    lines = reviewing("log").out.splitlines()
    assert [line.split()[0] for line in lines] == [str(number) for number in range(1, 10)]
    assert lines[7].endswith(f"approve by bob ({production.id('bob')[:12]}): parity looked at")


# ── signing ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sign_commits_and_says_so(reviewing: Cli, production: Production) -> None:
    told = reviewing("sign", "--yes", *key(production, "bob"), "--comment", "looked at parity", "--json")
    assert (told.code, told.result["state"], told.result["missing"]) == (0, "committed", 0)
    assert [each["comment"] for each in told.result["reviews"]] == ["", "looked at parity"]
    assert list(production.head().releases) == [1]


def test_errors_are_one_line_with_the_way_out(reviewing: Cli, production: Production) -> None:
    for words, code, told in (
        (("sign", "--yes", *key(production, "mallory")), 1, "holds none of the roles of targets-2-"),
        (("sign", "targets-9", *key(production, "bob")), 6, "names 0 changes"),
        (("sign", "--yes"), 1, "No key is named for the targets role"),
        (("rebase", *key(production, "alice")), 5, "stands on what is current"),
        (("reject", "--reason", " ", *key(production, "bob")), 2, "needs its reason"),
        (("propose", "--withdraw", "7", "--reason", "x", *key(production, "alice")), 6, "There is no release 7"),
        (("propose", "--floor", "ios/2.0=1", *key(production, "alice")), 5, "(add release 1) is open"),
    ):
        ran = reviewing(*words)
        assert (ran.code, told in ran.line) == (code, True), ran.err
        assert ran.line.startswith("Error: ")
        error = reviewing(*words, "--json").error
        assert error["message"] in ran.line
        assert error["remedy"]


def test_usage(reviewing: Cli, production: Production) -> None:
    for words in (
        ("reject",),
        ("propose", "--withdraw", "1"),
        ("propose", "--floor", "2.0"),
        ("propose", "--floor", "ios/2.0=x"),
        ("propose", "--floor", "ios/two=1"),
        ("propose", "--app-days", "400"),
        ("propose", "--withdraw", "one", "--reason", "x"),
    ):
        assert reviewing(*words).code == 2, words


def test_rejecting_ends_it(reviewing: Cli, production: Production) -> None:
    told = reviewing("reject", "--reason", "biased", *key(production, "carol"))
    assert (told.code, "rejected" in told.out) == (0, True)
    assert reviewing("sign", "--yes", *key(production, "bob")).code == 6  # nothing is open
    again = reviewing("sign", "targets-2", *key(production, "bob"))
    assert (again.code, "rejected on" in again.line, "(biased)" in again.line) == (5, True, True)


def test_proposals_of_every_kind(cli: Cli, production: Production, here: Path) -> None:
    production.stand().trusted_in(here)
    for content in (b"one", b"two", b"three"):
        production.release(content)
    for words in (
        ("--withdraw", "1", "--withdraw", "2", "--reason", "biased"),
        ("--reinstate", "2"),
        ("--floor", "ios/2.0=3", "--floor", "ipados/2.0=2"),
        ("--remove", "1", "--app-days", "365"),
        ("--publisher-may-not-approve",),
    ):
        proposed = cli(
            "review", "propose", *words, "--at", production.folder, "--app", APP, *key(production, "alice"), "--json"
        )
        assert (proposed.code, proposed.result["missing"]) == (0, 1), proposed.out
        assert production.sign("bob").state == "committed"
    policy = production.policy()
    assert (dict(policy.withdrawn), dict(policy.floors)) == ({1: "biased"}, {"ios/2.0": 3, "ipados/2.0": 2})
    assert (policy.retired, policy.expiry_days, policy.publisher_may_approve) == ((1,), 365, False)


def test_what_is_offered_needs_a_word_more(cli: Cli, production: Production, here: Path) -> None:
    production.stand().trusted_in(here)
    production.release(b"one")
    production.offer(1)
    words = ("review", "propose", "--remove", "1", "--at", production.folder, "--app", APP, *key(production, "alice"))
    told = cli(*words)
    assert (told.code, "Channel stable offers release 1" in told.line, "--even-if-offered" in told.line) == (5, True, True)
    assert cli(*words, "--even-if-offered").code == 0


def test_by_files(reviewing: Cli, cli: Cli, production: Production, here: Path) -> None:
    assert reviewing("show", "--save", "carried").code == 0
    root = ("--root", production.first_root)
    told = cli("review", "show", "carried")
    assert (told.code, "no trust on first use" in told.line) == (2, True)
    assert cli("review", "show", "carried", *root, "--json").result["state"] == "waiting"
    assert cli("review", "sign", "carried", *root).code == 2  # whose key?
    assert cli("review", "sign", "carried", *root, *key(production, "bob"), "--json").result["state"] == "complete"
    submitted = cli("review", "submit", "carried", "--to", production.folder)
    assert (submitted.code, "committed" in submitted.out) == (0, True)
    assert "does" not in submitted.out  # nothing is looked at, so nothing is claimed
    assert reviewing("show", "--save", "carried").code in (2, 6)
    assert cli("review", "submit", here / "nothing", "--to", production.folder).code == 6


def test_settings_name_place_root_and_app(cli: Cli, production: Production, here: Path) -> None:
    production.stand().publish(b"one")
    (here / "mlpublish.toml").write_text(
        f'endpoint = "{production.at}"\n[keys]\ntargets = "{production.uri("bob")}"\n'
        f'[apps."{APP}"]\nroot = "{production.first_root}"\n'
    )
    assert cli("review", "show").code == 0
    assert cli("review", "sign", "--yes", "--json").result["state"] == "committed"


def test_a_reviewers_terminal_is_not_steered_by_what_is_shown(cli: Cli, production: Production, here: Path) -> None:
    """A reason with an escape sequence could clear the screen above the question."""
    production.stand().trusted_in(here)
    production.release(b"one")
    words = ("review", "propose", "--withdraw", "1", "--at", production.folder, "--app", APP, *key(production, "alice"))
    told = cli(*words, "--reason", "fine\x1b[2J\nstate  committed")
    shown = cli("review", "show", "--at", production.folder, "--app", APP)
    assert (told.code, shown.code) == (0, 0)
    for out in (told.out, shown.out):
        assert "\x1b" not in out
        assert not any(line.startswith("state") and "committed" in line for line in out.splitlines())


# ── on a terminal ───────────────────────────────────────────────────────────────────────────────────────────────────────


def on_a_terminal(answer: str, *words: object) -> tuple[int, str]:
    """Run a command with a terminal as its stdin and stderr; give its exit code and what the terminal showed."""
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "mlpublish", *map(str, words)]
    process = subprocess.Popen(command, stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL, preexec_fn=_own_terminal)
    os.close(theirs)
    shown = _shown_until("[y/N]", mine)
    for _ in range(30):  # a key that is struck before anybody reads may be lost, as in real life
        if answer:
            os.write(mine, answer.encode())
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(timeout=2)
            os.close(mine)
            return code, shown
    raise AssertionError(shown)


def _own_terminal() -> None:
    """Make the terminal the process's own, so that Ctrl-C on it is a signal."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _shown_until(end: str, terminal: int) -> str:
    """What a terminal shows until a question is put, or until nobody is there any more."""
    shown = b""
    while end.encode() not in shown:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
    return shown.decode(errors="replace")


@pytest.mark.parametrize("way", ["endpoint", "files"])
@pytest.mark.parametrize(("answer", "code", "signed"), [("y\n", 0, True), ("n\n", 130, False), ("\x03", 130, False)])
def test_a_reviewer_sees_it_and_is_asked(
    reviewing: Cli, production: Production, here: Path, way: str, answer: str, code: int, signed: bool
) -> None:
    where: tuple[object, ...] = ("--at", production.folder, "--app", APP, "--root", production.first_root)
    if way == "files":
        reviewing("show", "--save", "carried")
        where = ("carried", "--root", production.first_root)
    ended, shown = on_a_terminal(answer, "review", "sign", *where, *key(production, "bob"))
    assert ended == code, shown
    assert "+ release 1: digits" in shown
    assert "Sign this? [y/N]" in shown
    reviews = (
        here / "carried" / "reviews" if way == "files" else next(production.store.folder.glob("changes/targets-*/reviews"))
    )
    assert (reviews / f"{production.id('bob')}.json").exists() == signed


def test_with_yes_nobody_is_asked(reviewing: Cli, production: Production, here: Path) -> None:
    production.trusted_in(here)
    code, shown = on_a_terminal("", "review", "sign", "--yes", "--at", production.folder, "--app", APP, *key(production, "bob"))
    assert (code, shown) == (0, "")
    assert list(production.head().releases) == [1]


def test_all_asks_for_each_app(cli: Cli, production: Production, here: Path) -> None:
    for app_id in ("com.acme.one", "com.acme.two"):
        production.for_app(app_id).stand().publish(b"one")
    production.for_app("com.acme.idle").stand()
    production.trusted_in(here, "com.acme.one", "com.acme.two", "com.acme.idle")
    told = cli("review", "sign", "--yes", "--all", "--at", production.folder, *key(production, "bob"), "--json")
    assert [(each["app"], each["ok"]) for each in told.result["apps"]] == [("com.acme.one", True), ("com.acme.two", True)]
    assert (
        cli("review", "sign", "--yes", "--all", "--at", production.folder, *key(production, "bob")).out
        == "There is no app here.\n"
    )
