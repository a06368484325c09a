"""``mlpublish check``: its options are those of ``check()``; what it prints, writes and refuses; Ctrl-C at the door."""

from __future__ import annotations

import inspect
import json
import os
import plistlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import pytest

from mlpublish.checking.check import check
from mlpublish.cli import check_options, fleet
from mlpublish.cli.check import command
from mlpublish.cli.ctrl_c import CtrlC

APP = ("--app", "com.acme.digits", "--app-version", "2.0")


def asked(street: Any, *more: object) -> tuple[object, ...]:
    return ("check", *APP, "--at", street.to, "--device", "phone", *more)


def test_every_option_is_a_keyword_of_the_verb_with_the_same_default() -> None:
    @check_options.asked
    def bare() -> None: ...

    defaults = click.command()(bare).make_context("bare", []).params
    keywords = {name: each.default for name, each in inspect.signature(check).parameters.items()}
    keywords["app_id"] = keywords.pop("app")
    assert keywords == defaults | {"listener": None, "cancel": None, "progress": True}


def test_the_names_of_a_fleets_options_are_all_taken_out() -> None:
    @fleet.options
    def bare() -> None: ...

    assert {each.name for each in click.command()(bare).params} == set(fleet.NAMES)
    assert {each.name for each in command.params} >= set(fleet.NAMES)


# ── what it prints ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_text_has_every_phase_and_who_signed_until_when(cli, street) -> None:
    ran = cli(*asked(street))
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert {"status SUCCESS", "installed 1", f"endpoint {street.to}", "phase seconds requests bytes retries passed"} <= set(
        lines
    )
    for start in (
        "metadata 0.",
        "channel 0.",
        "download 0.",
        "unzip 0.",
        "root 1 1 of 1 ",
        "targets 2 1 of 1 ",
        "channels 2 1 of 1 ",
    ):
        assert [line for line in lines if line.startswith(start)], start
    assert (
        ran.err == "DOWNLOAD_IN_PROGRESS: downloading 2.5 kB\nUNZIP_IN_PROGRESS: unzipping 1.7 kB\n"
        or len(ran.err.splitlines()) == 2
    )
    again = cli(*asked(street))
    assert again.err == ""
    assert "reason     already_installed" in again.out.splitlines()
    assert "detail     Nothing new: the offered release is installed already." in again.out.splitlines()


def test_with_json_there_is_one_envelope_and_nothing_else(cli, street) -> None:
    ran = cli(*asked(street, "--json"))
    assert ran.err == ""
    result = ran.result
    assert (result["status"], result["channel"], result["device"]) == ("SUCCESS", "stable", str(Path("phone").absolute()))
    assert all(phase["passed"] for phase in result["phases"].values())
    assert [role["role"] for role in result["roles"]] == ["root", "timestamp", "snapshot", "targets", "channels"]


@pytest.mark.parametrize("debug", [False, True])
def test_debug_shows_what_lies_behind_a_failure(cli, street, debug: bool) -> None:
    for role in (street.development / "repository" / "com.acme.digits" / "metadata").glob("*.timestamp.json"):
        role.unlink()
    (street.development / "repository" / "com.acme.digits" / "metadata" / "timestamp.json").write_text("{}")
    ran = cli(*asked(street, *["--debug"] * debug))
    assert ran.code == 16
    assert ("Traceback" in ran.err) is debug


# ── what it writes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_documents_are_written_whatever_the_status(cli, street) -> None:
    for code, at in ((0, street.to), (11, "http://127.0.0.1:9")):
        documents = ("--junit", "out/check.xml", "--html", "out/check.html", "--retries", 0, "--repository", street.development)
        ran = cli("check", *APP, "--at", at, "--device", "phone", *documents)
        assert ran.code == code
        (suite,) = ET.parse("out/check.xml").getroot()
        properties = {each.attrib["name"]: each.attrib["value"] for each in suite.iter("property")}
        assert (properties["endpoint"], suite.attrib["failures"]) == (at, "0" if code == 0 else "2")
        assert f'<strong class="{"failed" if code else "passed"}">' in Path("out/check.html").read_text()


def test_a_document_that_cannot_be_written_after_all_leaves_the_report_and_says_so(cli, street, tmp_path) -> None:
    """The device's own folder is made by the check, where the document was to stand."""
    ran = cli("check", *APP, "--at", street.to, "--device", "phone", "--html", "phone/state.json/check.html", "--json")
    assert (ran.code, ran.result["status"]) == (1, "SUCCESS")
    assert ran.err.startswith("Error: The report ")
    assert len(ran.err.splitlines()) == 1


def test_a_fleet_has_the_same_documents(cli, street) -> None:
    ran = cli("check", *APP, "--at", street.to, "--fleet", 2, "--jobs", 1, "--junit", "fleet.xml", "--html", "fleet.html")
    assert ran.code == 0
    (suite,) = ET.parse("fleet.xml").getroot()
    assert [case.attrib["name"] for case in suite.iter("testcase")] == ["app 2.0, turn 1: release 1"]
    assert "2 devices of com.acme.digits" in Path("fleet.html").read_text()


# ── what it refuses ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def configured(here: Path) -> Path:
    (here / "pinned.plist").write_bytes(
        plistlib.dumps({"protocol": "http", "host": "127.0.0.1", "wlSecureModelUpdatePublicKey": "x"})
    )
    (here / "open.plist").write_bytes(plistlib.dumps({"protocol": "http", "host": "127.0.0.1", "port": 9}))
    (here / "hostless.plist").write_bytes(plistlib.dumps({"protocol": "http"}))
    (here / "file").write_text("")
    return here


# what is asked -> what the one line says
BAD: dict[str, tuple[tuple[object, ...], str]] = {
    "a configuration without a host": (("--config", "hostless.plist"), "hostless.plist has no host."),
    "a configuration that is not there": (("--config", "nothing.plist"), "nothing.plist cannot be read"),
    "a configuration that is none": (("--config", "file"), "neither a property list nor a properties file"),
    "a configuration without a pin": (("--config", "open.plist"), "wlSecureModelUpdatePublicKey into open.plist"),
    "a pin that is none": (("--config", "pinned.plist"), "The pin is neither a public key nor a certificate."),
    "nowhere to ask": ((), "--config mfpclient.plist"),
    "a fleet of nobody": (("--at", "TO", "--fleet", 0), "devices 0 is none. Give 1 to"),
    "a page in a folder that is none": (("--at", "TO", "--html", "file/page.html"), "cannot be written"),
    "a page that is a folder": (("--at", "TO", "--html", "."), "is no file"),
    "one file for both": (("--at", "TO", "--html", "x", "--junit", "x"), "the same file"),
    "a root and a pin": (("--at", "TO", "--root", "file", "--pin", "x"), "A root and a pin are given."),
    "a system that is none": (("--at", "TO", "--os-version", "x"), "'x' is not a system version."),
    "no time": (("--at", "TO", "--timeout", 0), "timeout is 0.0."),
    "time that is no number": (("--at", "TO", "--timeout", "nan"), "timeout is nan."),
    "no patience": (("--at", "TO", "--stall", -1), "stall is -1.0."),
    "fewer retries than none": (("--at", "TO", "--retries", -1), "retries is -1."),
    "authorities that are not there": (("--at", "https://127.0.0.1:9", "--root", "file", "--ca", "missing"), "missing"),
    "a password in the address": (("--at", "http://me:hunter2@127.0.0.1:9", "--root", "file"), "Give http(s)://host[:port]."),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.usefixtures("configured")
def test_bad_input_is_one_line_exit_2_and_nothing_written(cli, street, below, tmp_path, case: str) -> None:
    words, told = BAD[case]
    call = ("check", *APP, *(street.to if word == "TO" else word for word in words))
    before = below(tmp_path)
    ran, in_json = cli(*call), cli(*call, "--json")
    assert (ran.code, in_json.code) == (2, 2)
    assert told in ran.line
    assert ran.line.startswith("Error: ")
    assert ran.line == f"Error: {in_json.error['message']} {in_json.error['remedy']}"
    assert "hunter2" not in ran.line
    assert below(tmp_path) == before
    assert list(Path(os.environ["XDG_DATA_HOME"]).iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--jobs", 2), "--jobs is for a fleet: pass --fleet N too."),
        (("--yes",), "--yes is for a fleet"),
        (("--fleet", 2, "--device", "phone"), "--device is for one device"),
        (("--fleet", 2, "--os-version", "17.0"), "--os-version is for one device"),
        (("--shipped-release", 0), "0 is not in the range x>=1"),
        (("--retries", "x"), "'x' is not a valid integer"),
    ],
)
def test_options_that_mean_nothing_are_refused(cli, street, below, tmp_path, words: tuple[object, ...], told: str) -> None:
    before = below(tmp_path)
    ran = cli("check", *APP, "--at", street.to, *words)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert below(tmp_path) == before


def test_flags_stand_before_the_apps_configuration(cli, street, configured: Path) -> None:
    root = street.development / "repository" / "com.acme.digits" / "metadata" / "1.root.json"
    for name in ("pinned.plist", "open.plist"):
        ran = cli(*asked(street, "--config", name, "--root", root, "--json"))
        assert (ran.result["status"], ran.result["endpoint"]) == ("SUCCESS", street.to)


# ── Ctrl-C ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

# Real signals, sent by the process to itself at the moment when it begins to import what is named.
AT_AN_IMPORT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            for _ in range(int(sys.argv[2])):
                os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from mlpublish.cli.main import group
from mlpublish.cli.outcome import run
run(group, sys.argv[3:])
"""


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    "module", ["mlpublish.checking.check", "tuf.ngclient", "requests", "mlpublish.checking.update", "mlpublish.reporting.html"]
)
def test_ctrl_c_while_it_is_being_loaded_is_canceled_with_a_true_report(cli, street, here, module: str, times: int) -> None:
    assert cli(*asked(street)).code == 0
    words = map(str, asked(street, "--json", "--junit", "check.xml"))
    process = [sys.executable, "-c", AT_AN_IMPORT, module, str(times), *words]
    ran = subprocess.run(process, check=False, capture_output=True, text=True, timeout=60)
    result = json.loads(ran.stdout)["result"]
    assert (ran.returncode, ran.stderr) == (10, "")
    assert (result["status"], result["installed"]) == ("CANCELED", 1)
    (suite,) = ET.parse("check.xml").getroot()
    assert "CANCELED" in {each.attrib["type"] for each in suite.iter("failure")}


@pytest.fixture
def ctrl_c() -> Iterator[CtrlC]:
    """A listener to Ctrl-C of this process, whose own way of taking it is put back."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield CtrlC()
    signal.signal(signal.SIGINT, before)


def press(times: int) -> None:
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("times", "calls"), [(0, 1), (1, 1), (2, 2), (3, 2), (9, 2)])
def test_the_first_asks_the_second_interrupts_and_later_ones_change_nothing(ctrl_c: CtrlC, times: int, calls: int) -> None:
    called: list[bool] = []

    def work() -> str:
        called.append(ctrl_c.canceled.is_set())
        press(times if len(called) == 1 else 5 if times else 0)
        return "told"

    with ctrl_c.heard():
        assert ctrl_c.interrupting(work) == "told"
        press(3 if times else 0)
    assert called == [False, True][:calls]
    assert ctrl_c.canceled.is_set() is bool(times)
    assert signal.getsignal(signal.SIGINT) is (signal.SIG_IGN if times else signal.default_int_handler)


def test_where_ctrl_c_is_ignored_it_stays_so(ctrl_c: CtrlC) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with ctrl_c.heard():
        press(1)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert not ctrl_c.canceled.is_set()
