"""docs/write-a-client.md says what the code does: bounds, buckets, members of a case, exit codes, groups, flags."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from tuf.ngclient import UpdaterConfig

from mlpublish.artifacts import App
from mlpublish.conformance.case import Answer, Bend, Step
from mlpublish.conformance.catalogue import scenarios
from mlpublish.conformance.client import answer_in, arguments_of
from mlpublish.formats.archive import MAX_ENTRIES
from mlpublish.formats.channel import bucket
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.trust import roles


@pytest.fixture
def told(page: Callable[[str], str]) -> str:
    return page("write-a-client")


def test_the_bounds_are_those_of_the_code(told: str) -> None:
    rows = dict(re.findall(r"^\| \d ([\w ]+) \| [^|]+ \| (\d+)[^|]*\|", told, re.MULTILINE))
    config = UpdaterConfig()
    assert {name: int(most) for name, most in rows.items()} == {
        "root": config.root_max_length,
        "timestamp": config.timestamp_max_length,
        "snapshot": config.snapshot_max_length,
        "app role": config.targets_max_length,
        "channels role": config.targets_max_length,
    }
    assert f"{config.max_root_rotations} roots" in told
    assert f"more than {MAX_ENTRIES} entries" in told
    assert all(scheme in told for scheme in roles.SCHEMES)
    assert f"`{roles.APP_FIELD}`" in told


def test_the_buckets_are_those_of_the_code(told: str) -> None:
    rows = re.findall(r"^\| `(.+)` \| (\d+) \| ([\d.]+) \|", told, re.MULTILINE)
    assert len(rows) == 4
    for device, release, shown in rows:
        assert f"{bucket(device, int(release)):.5f}" == shown


def test_every_status_with_its_exit_code_and_every_reason_is_told(told: str) -> None:
    assert re.findall(r"^\| ([A-Z_]+) \| (\d+) \|", told, re.MULTILINE) == [
        (status.value, str(status.exit_code)) for status in UpdateStatus
    ]
    assert all(f"`{reason.value}`" in told for reason in Reason)


def test_the_command_line_is_the_one_that_is_called(told: str) -> None:
    answer = Answer.of(UpdateStatus.SUCCESS)
    asked = {"device_id": "x", "os_version": "16", "shipped_release": 1}
    for trust in ("root", "pin"):
        step = Step(serve="1", app=App(id="a.b", version="1"), channel="stable", expect=answer, **{trust: "f"}, **asked)  # type: ignore[arg-type]
        flags = [part for part in arguments_of(step, "http://h", Path("d"), Path("f")) if part.startswith("--")]
        assert all(f"{flag} " in told or f"{flag}\n" in told for flag in flags), flags
    shown = re.search(r"^```json\n(.*?)^```", told, re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert answer_in(shown[1].encode(), 0).to_dict() == json.loads(shown[1]) | {"exit_code": 0}


def test_every_member_of_a_case_and_every_group_is_told(told: str) -> None:
    members = {each.name for kind in (Bend, Answer) for each in fields(kind)} | {each.name for each in fields(Step)}
    members |= {"app_version", "platform", "shows", "steps"}
    assert [name for name in sorted(members) if f"`{name}`" not in told] == []
    assert [name for name in {scenario.group for scenario in scenarios()} if f"`{name}`" not in told] == []
