"""``mlpublish plan`` as an operator uses it: a table, a line for each device, a file, one document, and the exit code."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from mlpublish.artifacts import App
from mlpublish.formats.channel import bucket
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.formats.status import UpdateStatus
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Edit
from mlpublish.trust import roles

APP = App(id="com.acme.digits", version="2.0")
FLEET = """\
device_id,region,app_version,os_version,installed
phone-1,north,2.0,17.2,
phone-2,south,2.0,17.2,1
phone-3,"south, far",1.9,16.0,
"""


@pytest.fixture
def plan(cli, street):
    """``plan("--json")``: the command, for the street's app and folder."""
    return lambda *words: cli("plan", "--app", APP.id, "--at", street.to, *words)


@pytest.fixture
def fleet(here: Path) -> Path:
    file = here / "devices.csv"
    file.write_text(FLEET)
    return file


def raise_floor(development: Development, lowest: int) -> None:
    """What reviewers would do: an app role whose floor is this release."""
    repository = development.app(APP.id)
    role = repository.head().targets
    policy = Policy(app_id=APP.id, floors={f"ios/{APP.version}": lowest})
    role.signed.targets[POLICY_PATH] = roles.target_file(POLICY_PATH, policy.to_bytes(), policy.to_dict())
    role.signed.version += 1
    role.signatures.clear()
    metadata = roles.signed_by(role, development.signer("targets")).to_bytes()
    edits = {"targets": Edit(base=role.signed.version - 1, metadata=metadata)}
    repository.commit(edits, development.online(), lambda _: policy.to_bytes())


def test_a_fleet_in_a_file_is_a_table(plan, fleet):
    ran = plan("--channel", "stable", "--matrix", fleet)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "platform  app version  system  outcome                     devices  share",
        "ios       1.9          16.0    no_release_for_app_version  1        100.0%",
        "ios       2.0          17.2    already_installed           1        50.0%",
        "ios       2.0          17.2    release 1                   1        50.0%",
        "",
        "plan                        channel stable of com.acme.digits, 3 devices",
        "no_release_for_app_version  1 (33.3%)",
        "already_installed           1 (33.3%)",
        "release 1                   1 (33.3%)",
    ]


def test_each_device_has_a_line_too(plan, fleet):
    lines = plan("--matrix", fleet, "--each").out.splitlines()
    assert [line.split("\t") for line in lines[:4]] == [
        ["device_id", "platform", "app_version", "os_version", "outcome"],
        ["phone-1", "ios", "2.0", "17.2", "release 1"],
        ["phone-2", "ios", "2.0", "17.2", "already_installed"],
        ["phone-3", "ios", "1.9", "16.0", "no_release_for_app_version"],
    ]
    assert lines[4] == ""


def test_an_id_cannot_forge_a_line(plan, here):
    (here / "devices.csv").write_text('device_id,app_version\n"x\nios\t\x1b[2J",2.0\n')
    assert plan("--matrix", "devices.csv", "--each").out.splitlines()[1] == "x ios [2J\tios\t2.0\t\trelease 1"


def test_one_document_has_counts_and_each_device(plan, fleet):
    result = plan("--matrix", fleet, "--each", "--json").result
    assert result["outcomes"] == {"no_release_for_app_version": 1, "already_installed": 1, "release 1": 1}
    assert [
        (group["app_version"], group["release"], group["reason"], group["devices"], group["share"])
        for group in result["groups"]
    ] == [
        ("1.9", None, "no_release_for_app_version", 1, 1.0),
        ("2.0", None, "already_installed", 1, 0.5),
        ("2.0", 1, None, 1, 0.5),
    ]
    assert result["each"][2] == {
        "device_id": "phone-3",
        "app_version": "1.9",
        "os_version": "16.0",
        "installed": None,
        "shipped": None,
        "platform": "ios",
        "region": "south, far",
        "status": "SUCCESS",
        "release": None,
        "reason": "no_release_for_app_version",
        "detail": "",
    }
    assert "each" not in plan("--matrix", fleet, "--json").result


def test_the_file_of_outcomes_has_the_columns_of_the_fleet_and_is_a_matrix_itself(plan, fleet, here):
    assert plan("--matrix", fleet, "--csv", "out.csv").code == 0
    with Path("out.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [(row["device_id"], row["region"], row["release"], row["reason"]) for row in rows] == [
        ("phone-1", "north", "1", ""),
        ("phone-2", "south", "", "already_installed"),
        ("phone-3", "south, far", "", "no_release_for_app_version"),
    ]
    first = Path("out.csv").read_bytes()
    assert plan("--matrix", "out.csv", "--csv", "out.csv").code == 0
    assert Path("out.csv").read_bytes() == first
    assert sorted(each.name for each in here.iterdir()) == ["devices.csv", "out.csv"]


@pytest.mark.parametrize("options", [("--devices", 0), ("--matrix", "broken.csv")])
def test_where_the_plan_fails_no_file_is_left_and_an_old_one_stays(plan, here, options):
    (here / "broken.csv").write_text("device_id,app_version\nphone-1,2.0\nphone-2,two\n")
    (here / "out.csv").write_text("as it was")
    assert plan(*options, "--csv", "out.csv").code in (1, 2)
    assert (here / "out.csv").read_text() == "as it was"
    assert sorted(each.name for each in here.iterdir()) == ["broken.csv", "out.csv"]


def test_a_fleet_may_be_made_up_and_an_edit_planned_before_it_is_made(plan, cli, street):
    cli("publish", street.second, "--to", street.to)
    fleet = ("--app-versions", "1.0, 2.0", "--os-versions", "16.0,17.2", "--devices", 1000, "--json")
    result = plan(*fleet, "--if-release", 2, "--rollout", 25).result
    assert result["assumed"] == [{"app_version": "2.0", "release": 2, "rollout": 25, "otherwise": 1, "paused": False}]
    asking = [number for number in range(1000) if number // 2 % 2]  # every second pair is of app version 2.0
    reached = sum(bucket(f"device-{number}", 2) < 25 for number in asking)
    assert result["outcomes"] == {"no_release_for_app_version": 500, "release 1": 500 - reached, "release 2": reached}
    assert plan(*fleet).result["outcomes"] == {"no_release_for_app_version": 500, "release 1": 500}
    told = plan("--if-release", 2, "--rollout", 25, "--otherwise", 1)
    assert "if app version 2.0  were offered release 2 for 25 %, the others release 1" in told.out


def test_what_a_device_would_refuse_is_shown_and_exits_as_its_check_does(plan, street, cli):
    raise_floor(Development(street.development), 2)
    told, in_json = plan("--devices", 10), plan("--devices", 10, "--json")
    checked = cli("check", "--app", APP.id, "--app-version", "2.0", "--at", street.to, "--device", "phone")
    assert told.code == in_json.code == checked.code == UpdateStatus.FAILURE_INTEGRITY.exit_code
    assert "a device refuses: The channel offers release 1, below the floor 2." in told.out
    assert in_json.result["groups"][0]["status"] == "FAILURE_INTEGRITY"


WRONG = {
    "a cell that is none": (("--matrix", "broken.csv"), 1, "format_error", "line 3, column app_version: 'two'"),
    "a file that is not there": (("--matrix", "gone.csv"), 6, "not_found", "gone.csv cannot be read"),
    "a matrix and a fleet": (("--matrix", "broken.csv", "--devices", 3), 2, "recipe_error", "Give --matrix, or"),
    "a version left out": (("--app-versions", "1.0,"), 2, "recipe_error", "'' cannot be"),
    "a rollout of nothing": (("--rollout", 5), 2, "recipe_error", "--if-release N"),
    "a release that is not there": (("--if-release", 7), 6, "not_found", "there are: 1"),
    "a channel that is not there": (("--channel", "beta"), 2, "recipe_error", "--app-versions"),
    "a folder that is not there for the file": (("--csv", "gone/out.csv"), 1, "os_error", "No such file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_line_with_a_way_out(plan, here, case):
    options, code, name, told = WRONG[case]
    (here / "broken.csv").write_text("device_id,app_version\nphone-1,2.0\nphone-2,two\n")
    in_words, in_json = plan(*options), plan(*options, "--json")
    assert (in_words.code, in_json.code, in_json.error["code"]) == (code, code, name)
    assert told in in_words.line
    assert json.dumps(in_json.error["message"])[1:-1] in json.dumps(in_words.line)


def test_over_a_server_it_is_the_same_plan(plan, cli, street, serving, fleet):
    with serving(street.development) as server:
        asked = cli(
            "plan", "--app", APP.id, "--at", server.url, "--repository", street.development, "--matrix", fleet, "--json"
        )
        untrusted = cli("plan", "--app", APP.id, "--at", server.url, "--matrix", fleet)
    assert asked.result["groups"] == plan("--matrix", fleet, "--json").result["groups"]
    assert untrusted.code == 2
    assert "no trust on first use" in untrusted.line
