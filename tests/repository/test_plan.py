"""A plan says of every device what its check would do, without a bundle, a signature or a write; bad rows are named."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlpublish.artifacts import App, Release
from mlpublish.checking.check import check
from mlpublish.errors import Expired, FormatError, MlpublishError, NotFound, RecipeError, VerificationError
from mlpublish.formats.channel import Channel, Entry, bucket
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.publishing.publish import publish
from mlpublish.reports import PlannedDevice, PlanReport
from mlpublish.repository import channels
from mlpublish.repository.plan import plan
from mlpublish.trust import roles

if TYPE_CHECKING:
    from tests.repository.conftest import Steered

APP_ID = "com.acme.digits"
Rows = Iterable[dict[str, object]]


def planned(steered: Steered, **keywords: Any) -> PlanReport:
    return plan(APP_ID, **({"at": steered.to} | keywords))


def each_of(steered: Steered, rows: Rows, **keywords: Any) -> list[PlannedDevice]:
    heard: list[PlannedDevice] = []
    planned(steered, matrix=rows, on_device=heard.append, **keywords)
    return heard


# what happens to the channel after two releases, and who asks: the device's own words come from a real check
WORLDS: dict[str, Callable[[Steered], object]] = {
    "as it was": lambda _: None,
    "a newer one for all": lambda s: s.set(2),
    "a newer one for half": lambda s: s.set(2, rollout=50),
    "for half, and nothing for the others": lambda s: (
        channels.remove(APP_ID, to=s.to, app_version="2.0"),
        s.set(2, rollout=50),
    ),
    "paused": lambda s: channels.pause(APP_ID, to=s.to, app_version="2.0"),
    "removed": lambda s: channels.remove(APP_ID, to=s.to, app_version="2.0"),
    "withdrawn": lambda s: s.policy(withdrawn={1: "biased"}),
    "withdrawn and paused": lambda s: (s.policy(withdrawn={1: "biased"}), channels.pause(APP_ID, to=s.to, app_version="2.0")),
    "withdrawn, and a newer one": lambda s: (s.set(2), s.policy(withdrawn={1: "biased"})),
    "below the floor": lambda s: s.policy(floors={"ios/2.0": 2}),
}
DEVICES: dict[str, dict[str, object]] = {
    **{f"fresh {number}": {} for number in range(4)},
    "has release 1": {"installed": 1},
    "an older system": {"os_version": "12.4"},
    "a newer system": {"os_version": "18.1"},
    "ships release 1": {"shipped": 1},
    "ships release 3": {"shipped": 3},
    "another app version": {"app_version": "2.1"},
    "another platform": {"platform": "android"},
}


@pytest.mark.parametrize("world", WORLDS)
def test_a_plan_says_what_a_check_does(steered: Steered, tmp_path: Path, world: str) -> None:
    asking = {
        name: {
            "at": steered.to,
            "app_version": facts.get("app_version", "2.0"),
            "platform": facts.get("platform", "ios"),
            "device": tmp_path / "devices" / name,
            "device_id": name,
            "os_version": facts.get("os_version"),
            "shipped_release": facts.get("shipped"),
        }
        for name, facts in DEVICES.items()
    }
    assert check(APP_ID, **asking["has release 1"]).installed == 1
    WORLDS[world](steered)
    rows = [{"device_id": name, "app_version": "2.0"} | facts for name, facts in DEVICES.items()]
    for device in each_of(steered, rows):
        name, outcome = device.device.device_id, device.outcome
        report = check(APP_ID, **asking[name])
        had = DEVICES[name].get("installed")
        took = report.installed if report.installed != had else None
        assert (outcome.status, outcome.release, outcome.reason) == (report.status, took, report.reason), name


def test_the_worlds_reach_every_reason_and_a_refusal(steered: Steered) -> None:
    seen: set[object] = set()
    rows = [{"device_id": name, "app_version": "2.0"} | facts for name, facts in DEVICES.items()]
    for world in WORLDS.values():
        channels.set(APP_ID, to=steered.to, app_version="2.0", release=1)
        world(steered)
        seen |= {told for each in each_of(steered, rows) for told in (each.outcome.status, each.outcome.reason)}
        steered.policy()
    assert seen >= {*Reason, UpdateStatus.SUCCESS, UpdateStatus.FAILURE_INTEGRITY}


def test_a_plan_needs_no_bundle_and_changes_nothing(steered: Steered, below: Callable[[Path], dict[str, str]]) -> None:
    shutil.rmtree(steered.store.folder / "targets" / "releases")
    before = below(steered.development.folder)
    report = planned(steered, if_release=2, rollout=10)
    assert set(report.outcomes) == {"release 1", "release 2"}
    assert below(steered.development.folder) == before


@pytest.mark.parametrize("percent", [0, 1, 50, 100])
def test_a_planned_edit_is_what_the_edit_then_does(steered: Steered, percent: int) -> None:
    fleet = {"app_versions": ["2.0", "2.1"], "os_versions": ["12.4", "17.2"], "devices": 400}
    foretold = planned(steered, **fleet, if_release=2, rollout=percent)
    assert foretold.assumed == (Entry(app_version="2.0", release=2, rollout=percent, otherwise=1 if percent < 100 else None),)
    steered.set(2, rollout=percent)
    assert planned(steered, **fleet).groups == foretold.groups


def test_what_the_others_would_get_may_be_planned_too(steered: Steered, new_release: Callable[..., Release]) -> None:
    publish(new_release(b"three"), to=steered.to)
    report = planned(steered, if_release=3, rollout=50, otherwise=2, devices=100)
    assert set(report.outcomes) == {"release 2", "release 3"}


def test_a_fleet_is_counted_by_app_and_system_version_in_the_order_of_numbers(steered: Steered) -> None:
    steered.set(2, rollout=25)
    report = planned(steered, app_versions=["10.0", "2.0"], os_versions=["9.1", "17.2", "13.0"], devices=3000)
    cells = dict.fromkeys((group.app_version, group.os_version) for group in report.groups)
    assert list(cells) == [(version, system) for version in ("2.0", "10.0") for system in ("9.1", "13.0", "17.2")]
    assert report.devices == 3000
    for cell in cells:
        groups = [group for group in report.groups if (group.app_version, group.os_version) == cell]
        assert sum(group.devices for group in groups) == 500
        assert sum(group.share for group in groups) == pytest.approx(1)
        assert [group.devices for group in groups] == sorted((group.devices for group in groups), reverse=True)
    newest = {
        str(group.outcome): group.share for group in report.groups if group.app_version == "2.0" and group.os_version == "17.2"
    }
    assert newest == pytest.approx({"release 1": 0.75, "release 2": 0.25}, abs=0.06)


def test_without_a_fleet_the_channels_own_app_versions_are_planned_for(steered: Steered) -> None:
    assert {group.app_version for group in planned(steered).groups} == {"2.0"}
    with pytest.raises(RecipeError, match="names no app version") as caught:
        planned(steered, channel="beta")
    assert "--app-versions" in caught.value.remedy
    assert planned(steered, channel="beta", app_versions=["2.0"], devices=1).outcomes == {"no_such_channel": 1}


def test_devices_of_several_platforms_meet_their_own_channel(steered: Steered, new_release: Callable[..., Release]) -> None:
    publish(new_release(b"three", of=App(id=APP_ID, version="2.0", platform="android")), to=steered.to)
    channels.set(APP_ID, to=steered.to, app_version="2.0", release=3, platform="android")
    rows = [{"device_id": "a", "app_version": "2.0", "platform": each} for each in ("ios", "android", "macos", None)]
    outcomes = [str(each.outcome) for each in each_of(steered, rows)]
    assert outcomes == ["release 1", "release 3", "no_such_channel", "release 1"]
    with pytest.raises(RecipeError, match="is for android, the plan for ios"):
        planned(steered, if_release=3)
    assert planned(steered, if_release=3, platform="android", devices=1).outcomes == {"release 3": 1}


# ── the file ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes a matrix: bytes as they are, text in UTF-8."""

    def write(content: str | bytes) -> Path:
        file = tmp_path / "devices.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


def test_columns_stand_in_any_order_and_others_are_carried(steered: Steered, written: Callable[..., Path]) -> None:
    file = written('\ufeffregion, app_version,device_id\r\n"North, east",2.0,phone-7\r\n\r\nsouth, 2.0 ,"phone\n8"\r\n')
    seven, eight = each_of(steered, file)
    assert (seven.device.device_id, seven.device.app_version, seven.extra) == ("phone-7", "2.0", {"region": "North, east"})
    assert (eight.device.device_id, eight.device.app_version) == ("phone\n8", "2.0")
    assert (eight.device.os_version, eight.device.installed, eight.device.platform) == (None, None, "ios")
    assert eight.to_dict()["region"] == "south"


def test_the_device_id_counts_to_the_letter(steered: Steered, written: Callable[..., Path]) -> None:
    steered.set(2, rollout=50)
    ids = [f"phone-{number}" for number in range(50)]
    file = written("device_id,app_version\n" + "".join(f"{each},2.0\n" for each in ids))
    assert {each.device.device_id: each.outcome.release for each in each_of(steered, file)} == {
        each: 2 if bucket(each, 2) < 50 else 1 for each in ids
    }


HEAD = "device_id,app_version,os_version,installed,shipped,platform\n"
WRONG: dict[str, tuple[str | bytes, str, str | None]] = {
    "no such column": ("device,app_version\nx,2.0\n", "line 1 has no column device_id; it names: device, app_version", None),
    "semicolons": ("device_id;app_version\nx;2.0\n", "line 1 has no column device_id and no column app_version", None),
    "a column twice": ("device_id,app_version,device_id\n", "the column 'device_id' twice", None),
    "nothing": ("", "it names: nothing", None),
    "no device": (HEAD, "names no device", "matrix"),
    "no id": (f"{HEAD},2.0,,,,\n", "line 2, column device_id: an empty cell", "device_id"),
    "no app version": (f"{HEAD}x,,,,,\n", "line 2, column app_version: an empty cell", "app_version"),
    "an app version that is none": (f"{HEAD}x,2.0,,,,\ny,two,,,,\n", "line 3, column app_version: 'two'", "app_version"),
    "a system that is none": (f"{HEAD}x,2.0,iOS 17,,,\n", "line 2, column os_version: 'iOS 17'", "os_version"),
    "a release that is none": (f"{HEAD}x,2.0,,1.5,,\n", "line 2, column installed: '1.5'", "installed"),
    "release nought": (f"{HEAD}x,2.0,,,0,\n", "line 2, column shipped: '0'", "shipped"),
    "digits of another script": (f"{HEAD}x,2.0,,٣,,\n", "column installed", "installed"),
    "a platform that is none": (f"{HEAD}x,2.0,,,,symbian\n", "line 2, column platform: 'symbian'", "platform"),
    "a short line": (f"{HEAD}x,2.0\n", "line 2 has 2 cells; the first line names 6", "devices.csv"),
    "a long line": (f"{HEAD}x,2.0,,,,,,\n", "line 2 has 8 cells", "devices.csv"),
    "after a cell of two lines": (f'{HEAD}"x\ny",2.0,,,,\nz,2,0,,,,\n', "line 4 has 7 cells", "devices.csv"),
    "an open quote": (f'{HEAD}"x,2.0,,,,\n', "is no CSV text", "devices.csv"),
    "another encoding": (HEAD.encode() + "Gerät,2.0,,,,\n".encode("latin-1"), "is no CSV text", "devices.csv"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00", "is no CSV text", "devices.csv"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_matrix_that_is_none_names_line_and_column(steered: Steered, written: Callable[..., Path], case: str) -> None:
    content, told, field = WRONG[case]
    with pytest.raises(FormatError) as caught:
        planned(steered, matrix=written(content))
    assert told in caught.value.problem
    assert caught.value.field == (field or "devices.csv")


@pytest.mark.parametrize("where", ["gone.csv", "."])
def test_a_matrix_that_cannot_be_read_is_not_found(steered: Steered, tmp_path: Path, where: str) -> None:
    with pytest.raises(NotFound, match="cannot be read"):
        planned(steered, matrix=tmp_path / where)


def test_a_row_at_hand_is_named_by_its_number(steered: Steered) -> None:
    rows: Rows = [
        {"device_id": 7, "app_version": "2.0", "installed": 1},
        {"device_id": "x", "app_version": 2.0, "shipped": 0.5},
    ]
    with pytest.raises(FormatError, match=r"Row 2, column shipped: '0\.5'"):
        planned(steered, matrix=rows)


# ── calls and states that make no sense ─────────────────────────────────────────────────────────────────────────────────


REFUSED: dict[str, tuple[dict[str, Any], type[MlpublishError], str]] = {
    "a matrix and a fleet": ({"matrix": [], "devices": 5}, RecipeError, "A matrix is given"),
    "a matrix and versions": ({"matrix": [], "app_versions": ["2.0"]}, RecipeError, "A matrix is given"),
    "fewer devices than kinds": (
        {"app_versions": ["1.0", "2.0"], "os_versions": ["16", "17"], "devices": 3},
        RecipeError,
        "fewer than the 4 combinations",
    ),
    "no device": ({"devices": 0}, RecipeError, "fewer than the 1 combinations"),
    "an app version that is none": ({"app_versions": ["two"]}, RecipeError, "'two' cannot be a device's app_version"),
    "a system that is none": ({"os_versions": [""]}, RecipeError, "os_version"),
    "a platform that is none": ({"platform": "symbian"}, RecipeError, "no platform"),
    "a channel that is none": ({"channel": "../up"}, RecipeError, "name of a channel"),
    "an app id that is none": ({"app": "digits"}, RecipeError, "app id"),
    "a rollout of nothing": ({"rollout": 10}, RecipeError, "--if-release"),
    "others of nothing": ({"otherwise": 1}, RecipeError, "--if-release"),
    "a release that is not published": ({"if_release": 9}, NotFound, "there are: 1, 2"),
    "more than everybody": ({"if_release": 2, "rollout": 101}, RecipeError, "not a rollout"),
    "others that are not published": ({"if_release": 2, "rollout": 5, "otherwise": 9}, NotFound, "no release 9"),
    "nowhere": ({"at": "file:nowhere"}, NotFound, ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_call_that_makes_no_sense_is_refused(steered: Steered, case: str) -> None:
    keywords, kind, told = REFUSED[case]
    arguments = {"app": APP_ID, "at": steered.to} | keywords
    with pytest.raises(kind) as caught:
        plan(**arguments)
    assert told in str(caught.value)


def test_an_edit_that_would_be_refused_cannot_be_planned(steered: Steered) -> None:
    steered.policy(withdrawn={2: "biased"})
    with pytest.raises(RecipeError, match=r"withdrawn \(biased\)"):
        planned(steered, if_release=2)


def test_who_points_below_the_floor_is_told_with_what_the_device_says(steered: Steered) -> None:
    steered.policy(floors={"ios/2.0": 2})
    report = planned(steered, devices=10)
    assert not report.sound
    (group,) = report.groups
    assert (group.outcome.status, group.outcome.detail) == (
        UpdateStatus.FAILURE_INTEGRITY,
        "The channel offers release 1, below the floor 2.",
    )
    assert planned(steered, devices=10, if_release=2).sound


def test_what_no_device_would_believe_cannot_be_planned_from(steered: Steered) -> None:
    head = steered.head()
    role = roles.with_channel(
        head.channels, Channel(channel="stable", platform="ios"), version=head.channels.signed.version + 1
    )
    role.signed.unrecognized_fields[roles.APP_FIELD] = "com.acme.other"
    place = steered.store.folder / "metadata"
    current = place / f"{head.channels.signed.version}.channels.json"
    role.signed.version = head.channels.signed.version
    current.write_bytes(roles.signed_by(role, steered.development.signer("channels")).to_bytes())
    with pytest.raises(VerificationError, match=r"of com\.acme\.other"):
        planned(steered)
    current.write_bytes(head.channels.to_bytes())
    head.timestamp.signed.expires = roles.after(-1)
    stamp = roles.signed_by(head.timestamp, steered.development.signer("timestamp"))
    (place / "timestamp.json").write_bytes(stamp.to_bytes())
    with pytest.raises(Expired, match="timestamp role expired"):
        planned(steered)


def test_a_report_shows_itself_with_the_edit_and_the_outcomes(steered: Steered) -> None:
    report = planned(steered, devices=10, if_release=2, rollout=0)
    assert repr(report) == "<PlanReport channel stable of com.acme.digits, 10 devices: release 1 10>"
    told = " ".join(f"{name}: {value}" for name, value in report.rows().items())
    assert "if app version 2.0: were offered release 2 for 0 %, the others release 1" in told
    assert "release 1: 10 (100.0%)" in told
