"""The street verb by verb on the command line, with a model from MLflow and a real server."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlpublish.coreml import evaluate
from mlpublish.formats.status import UpdateStatus

APP = ("--app", "com.acme.digits", "--app-version", "2.0")


def test_the_street_step_by_step(cli, here, digits, serving):
    np.save("held.npy", digits.rows)
    made = cli("repo", "init", "--dev", "dev", "--json").result
    assert made["folder"] == "dev"
    with serving(here / "dev") as server:
        converted = cli("convert", "models:/digits@champion", "--samples", "held.npy", "-o", "converted", "--json").result
        assert converted["parity"]["samples"] == len(digits.rows)
        assert converted["parity"]["label_agreement"] == "1.0"
        bundled = cli("bundle", "converted", "-o", "digits.zip", "--json").result
        assert (bundled["name"], bundled["version"]) == ("digits", "2")
        signed = cli("sign", "digits.zip", "--repository", "dev", *APP, "-o", "signed", "--json").result
        assert (signed["number"], signed["app"], signed["bundle"]["sha256"]) == (1, "com.acme.digits", bundled["sha256"])
        verified = cli("verify", "signed", "--repository", "dev", "--json").result
        assert [role["role"] for role in verified["roles"]] == ["root", "targets"]
        published = cli("publish", "signed", "--to", server.url, "--token-file", "dev/tokens/deployer", "--json").result
        assert (published["number"], published["created"]) == (1, True)
        access = ("--to", server.url, "--repository", "dev", "--token-file", "dev/tokens/operator")
        offered = cli("channel", "set", *APP, "--release", 1, *access, "--json").result
        assert (offered["changed"], offered["entries"][0]["release"]) == (True, 1)
        checking = ("check", *APP, "--at", server.url, "--device", "phone", "--repository", "dev", "--json")
        first, second = cli(*checking), cli(*checking)
        assert (first.code, first.result["status"], first.result["installed"]) == (0, "SUCCESS", 1)
        assert (second.code, second.result["reason"]) == (0, "already_installed")
    answers = evaluate.load(Path(first.result["models"]["digits"])).predict_rows({"input": digits.rows})["classLabel"]
    assert np.mean(answers == digits.labels) > 0.9


def test_release_is_all_of_it_in_one_command_and_twice_is_once(cli, here, digits, serving, monkeypatch):
    cli("repo", "init", "--dev", "dev")
    monkeypatch.setenv("MLPUBLISH_REPOSITORY", "dev")
    with serving(here / "dev") as server:
        monkeypatch.setenv("MLPUBLISH_ENDPOINT", server.url)
        first = cli("release", "models:/digits/1", *APP, "--json").result
        again = cli("release", "models:/digits/1", *APP, "--json").result
        assert (first["number"], first["created"], first["channel"]) == (1, True, "stable")
        assert (first["registry"]["state"], again["registry"]["state"]) == ("written", "unchanged")
        assert {**again, "created": True, "registry": first["registry"]} == first
        assert again["created"] is False
        assert cli("check", *APP, "--device", "phone", "--json").result["installed"] == 1
    assert not list(here.glob("digits*"))


def test_what_was_configured_need_not_be_said(cli, street, here):
    here.joinpath("mlpublish.toml").write_text(
        f'repository = "{street.development}"\nendpoint = "{street.to}"\n[apps."com.acme.digits"]\nversion = "2.0"\n'
    )
    assert cli("publish", street.second, "--json").result["number"] == 2
    assert cli("channel", "set", "--release", 2, "--json").result["entries"][0]["release"] == 2
    assert cli("check", "--json").result["installed"] == 2
    assert cli("channel", "show", "--json").result["version"] == 3


def test_a_flag_wins_over_the_environment_and_that_over_the_file(cli, street, here, monkeypatch):
    here.joinpath("mlpublish.toml").write_text('endpoint = "file:from-the-file"\nchannel = "from-the-file"\n')
    show = ("channel", "show", "--app", "com.acme.digits")
    assert "from-the-file" in cli(*show).line
    monkeypatch.setenv("MLPUBLISH_ENDPOINT", street.to)
    assert "no channel 'from-the-file'" in cli(*show).line
    monkeypatch.setenv("MLPUBLISH_CHANNEL", "from-the-environment")
    assert "no channel 'from-the-environment'" in cli(*show).line
    assert cli(*show, "--channel", "stable", "--json").result["channel"] == "stable"


def test_an_operator_steers_a_channel(cli, street):
    def channel(*words: object) -> dict[str, object]:
        return cli("channel", *words, *APP, "--to", street.to, "--json").result

    cli("publish", street.second, "--to", street.to)
    (entry,) = channel("set", "--release", 2, "--rollout", 10)["entries"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.pop("since"))
    assert entry == {"app_version": "2.0", "release": 2, "rollout": 10, "otherwise": 1, "paused": False}
    assert channel("rollout", 50)["entries"][0]["rollout"] == 50
    assert channel("pause")["entries"][0]["paused"] is True
    assert channel("resume")["entries"][0]["paused"] is False
    back = channel("rollback", "--if-current", 2)["entries"][0]
    assert back == {**entry, "release": 1, "rollout": 100, "otherwise": None, "since": back["since"]}
    assert channel("remove")["entries"] == []
    assert channel("remove")["changed"] is False


def test_results_for_readers_are_lines_and_no_json(cli, street):
    told = [
        cli("verify", street.first, "--repository", street.development),
        cli("publish", street.second, "--to", street.to),
        cli("channel", "show", "--app", "com.acme.digits", "--at", street.to),
        cli("check", *APP, "--at", street.to, "--device", "phone"),
        cli("repo", "init", "--dev", "another"),
    ]
    for ran in told:
        notes = [line for line in ran.err.splitlines() if "_IN_PROGRESS: " not in line]  # how a download goes is no result
        assert (ran.code, notes) == (0, [])
        assert ran.out.strip()
        with pytest.raises(json.JSONDecodeError):
            json.loads(ran.out)


@pytest.mark.parametrize(
    ("bend", "status"),
    [
        ("server is down", UpdateStatus.FAILURE_NETWORK_PROBLEM),
        ("bundle is altered", UpdateStatus.FAILURE_INTEGRITY),
        ("bundle is gone", UpdateStatus.FAILURE_DOWNLOADING),
    ],
)
def test_a_check_that_fails_has_a_report_and_its_own_exit_code(cli, street, serving, bend, status):
    with serving(street.development) as server:
        (stored,) = (street.development / "repository/com.acme.digits/targets/releases/1").glob("*.bundle.zip")
        if bend == "bundle is altered":
            stored.write_bytes(b"x" + stored.read_bytes()[1:])
        elif bend == "bundle is gone":
            stored.unlink()
        else:
            server.process.kill()
            server.process.wait()
        options = (*APP, "--at", server.url, "--device", "phone", "--repository", street.development)
        in_json, told = cli("check", *options, "--json"), cli("check", *options)
    assert (in_json.code, told.code) == (status.exit_code, status.exit_code)
    assert (in_json.result["status"], in_json.result["installed"]) == (status.value, None)
    assert status.value in told.out


def test_serve_announces_itself_in_the_envelope_and_stops_with_0(street):
    command = [sys.executable, "-m", "mlpublish", "serve", str(street.development), "--port", "0", "--json"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as server:
        lines = [server.stdout.readline()]
        while lines[-1] != "}\n":
            lines.append(server.stdout.readline())
        server.send_signal(signal.SIGTERM)
        rest, err = server.communicate(timeout=30)
    announced = json.loads("".join(lines))
    assert (announced["schema"], announced["ok"]) == ("mlpublish.serve/1", True)
    assert announced["result"]["url"].startswith("http://127.0.0.1:")
    assert (rest, err, server.returncode) == ("", "", 0)


def test_a_step_takes_and_gives_json(cli, street):
    payload = Path("payload.json")
    payload.write_text(json.dumps({"app": "com.acme.digits", "app_version": "2.0", "to": street.to, "release": 1}))
    answer = cli("step", "channel", "--payload", payload, "--json")
    assert answer.envelope["schema"] == "mlpublish.step/1"
    assert answer.result == {"channel": "stable", "release": 1, "rollout": 100, "version": 2, "changed": False}
    assert json.loads(cli("step", "channel", "--payload", payload).out) == answer.result
    assert "app_version" in json.loads(cli("step", "channel", "--schema").out)["input"]["properties"]


def test_debug_shows_the_traceback_and_nothing_else_does(shell):
    quiet, loud = shell("verify", "nothing.zip"), shell("verify", "nothing.zip", "--debug")
    assert "Traceback" not in quiet.line
    assert "Traceback" in loud.err
    assert (quiet.code, loud.code) == (6, 6)


def test_nothing_waits_for_a_terminal(shell):
    assert shell("step", "convert").code == 1
    assert shell("check").code == 2
    assert shell().code == 2


@pytest.mark.parametrize(("what", "code"), [("first", 1), ("nothing", 6)])
def test_a_reader_that_goes_away_is_no_traceback(street, tmp_path, what, code):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "mlpublish", "verify", str(tmp_path / what), "--repository", str(street.development)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": writing, "stderr": subprocess.PIPE}
    done = subprocess.run([*command, "--json"], **pipes, text=True, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")
