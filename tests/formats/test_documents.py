"""Channel file, manifest, policy and release facts: born valid, read back the same, refused with the place to blame."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpublish.artifacts import ConvertedModel
from mlpublish.errors import FormatError, NewerFormat, RecipeError
from mlpublish.formats.channel import Channel, Entry, ReleaseFacts, bundle_path, channel_path
from mlpublish.formats.evidence import ParityReport, Tolerance
from mlpublish.formats.manifest import FileEntry, Manifest
from mlpublish.formats.minimum_os import PLATFORMS, minimum_os
from mlpublish.formats.policy import Policy
from mlpublish.formats.status import ProgressStatus, Reason, UpdateStatus

app_versions = st.lists(st.integers(0, 99), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
entries = st.builds(
    Entry,
    app_version=app_versions,
    release=st.integers(1, 10**9),
    rollout=st.integers(0, 100),
    otherwise=st.none() | st.integers(1, 99),
    paused=st.booleans(),
)


@given(st.lists(entries, max_size=6))
def test_a_channel_is_read_back_as_it_was_written_whatever_the_order_of_edits(several: list[Entry]) -> None:
    channel = Channel(channel="stable", platform="ios")
    for entry in several:
        channel = channel.with_entry(entry)
    again = Channel.from_bytes(channel.to_bytes())
    assert again == channel
    assert len(channel.entries) == len({entry.app_version for entry in several})
    newest = {entry.app_version: entry for entry in several}
    other_way = Channel(channel="stable", platform="ios")
    for entry in reversed(newest.values()):
        other_way = other_way.with_entry(entry)
    assert other_way.to_bytes() == channel.to_bytes()


def test_entries_are_sorted_as_versions_and_not_as_text() -> None:
    channel = Channel(channel="stable", platform="ios")
    for version in ("10.0", "9.1", "9.0.1", "9"):
        channel = channel.with_entry(Entry(app_version=version, release=1))
    assert [entry.app_version for entry in channel.entries] == ["9", "9.0.1", "9.1", "10.0"]


def test_an_entry_goes_and_the_others_stay() -> None:
    one, two = Entry(app_version="1.0", release=1), Entry(app_version="2.0", release=2)
    channel = Channel(channel="stable", platform="ios", entries=(one, two))
    assert channel.without("1.0").entries == (two,)
    assert channel.without("3.0") == channel


GOOD = {"app_version": "2.0", "release": 1, "rollout": 100, "otherwise": None, "paused": False}


@pytest.mark.parametrize(
    ("bent", "field"),
    [
        ({"release": 0}, "entries[0].release"),
        ({"release": "1"}, "entries[0].release"),
        ({"rollout": 101}, "entries[0].rollout"),
        ({"rollout": 12.5}, "entries[0].rollout"),
        ({"otherwise": 0}, "entries[0].otherwise"),
        ({"paused": 0}, "entries[0].paused"),
        ({"app_version": 2.0}, "entries[0].app_version"),
        ({"app_version": "two"}, "entries[0].app_version"),
        ({"app_version": "1.2.3.4.5"}, "entries[0].app_version"),
        ({"since": 1}, "entries[0].since"),
        ({"since": "yesterday"}, "entries[0].since"),
    ],
)
def test_a_wrong_channel_entry_is_blamed(bent: dict[str, Any], field: str) -> None:
    document = {"format": 1, "channel": "stable", "platform": "ios", "entries": [GOOD | bent]}
    with pytest.raises(FormatError) as caught:
        Channel.from_bytes(json.dumps(document).encode())
    assert caught.value.field == field


@pytest.mark.parametrize(
    "bent", [{"entries": [GOOD, GOOD]}, {"channel": "../up"}, {"channel": "Stable"}, {"platform": "a/b"}, {"entries": {}}]
)
def test_a_wrong_channel_file_is_refused(bent: dict[str, Any]) -> None:
    document = {"format": 1, "channel": "stable", "platform": "ios", "entries": [GOOD]}
    assert Channel.from_bytes(json.dumps(document).encode())
    with pytest.raises(FormatError):
        Channel.from_bytes(json.dumps(document | bent).encode())


def test_paths_follow_from_names_alone() -> None:
    assert (channel_path("ios", "stable"), bundle_path(17)) == ("channels/ios/stable.json", "releases/17/bundle.zip")


policies = st.builds(
    Policy,
    app_id=st.just("com.acme.digits"),
    floors=st.dictionaries(app_versions.map("ios/{}".format), st.integers(0, 99)),
    withdrawn=st.dictionaries(st.integers(1, 99), st.text()),
    retired=st.sets(st.integers(1, 99)).map(sorted).map(tuple),
    expiry_days=st.integers(1, 365),
    publisher_may_approve=st.booleans(),
)


@given(policies)
def test_a_policy_is_read_back_from_the_role_as_it_was_written(policy: Policy) -> None:
    assert Policy.from_dict(json.loads(policy.to_bytes())) == policy == Policy.from_dict(policy.to_dict())
    assert policy.floor("android", "1.0") == 0


@pytest.mark.parametrize(
    ("bent", "field"),
    [
        ({"app": None}, "app"),
        ({"floors": {"ios/2.0": -1}}, "floors"),
        ({"floors": {"ios/2.0": True}}, "floors"),
        ({"floors": []}, "floors"),
        ({"withdrawn": {"one": "x"}}, "withdrawn"),
        ({"withdrawn": {"01": "x"}}, "withdrawn"),
        ({"withdrawn": {"0": "x"}}, "withdrawn"),
        ({"withdrawn": {"1": 2}}, "withdrawn"),
        ({"retired": 3}, "retired"),
        ({"retired": [2, 1]}, "retired"),
        ({"retired": [1, 1]}, "retired"),
        ({"retired": [0]}, "retired"),
        ({"retired": [True]}, "retired"),
        ({"expiry_days": 0}, "expiry_days"),
        ({"expiry_days": 366}, "expiry_days"),
        ({"expiry_days": "90"}, "expiry_days"),
        ({"publisher_may_approve": "no"}, "publisher_may_approve"),
        ({"publisher_may_approve": 0}, "publisher_may_approve"),
        ({"format": 0}, "format"),
    ],
)
def test_a_wrong_policy_is_refused(bent: dict[str, Any], field: str) -> None:
    with pytest.raises(FormatError) as caught:
        Policy.from_dict(Policy(app_id="com.acme.digits").to_dict() | bent)
    assert caught.value.field == field


def test_a_policy_says_what_is_for_signers_only_where_it_is_not_as_usual() -> None:
    """So that a policy of before these members keeps its bytes, and its digest."""
    assert set(Policy(app_id="com.acme.digits").to_dict()) == {"format", "app", "floors", "withdrawn"}


@pytest.mark.parametrize(
    "bent", [{"minimum_os": "iOS16"}, {"minimum_os": ""}, {"release": 0}, {"manifest_sha256": "0"}, {"app_versions": "2.0"}]
)
def test_wrong_release_facts_are_refused(bent: dict[str, Any]) -> None:
    good = ReleaseFacts(
        app_id="com.acme.digits", platform="ios", app_versions=("2.0",), number=1, name="digits", version="1",
        minimum_os="16.0", unpacked_length=1, manifest="0" * 64,
    )  # fmt: skip
    assert ReleaseFacts.from_dict(good.to_dict()) == good
    with pytest.raises(FormatError):
        ReleaseFacts.from_dict(good.to_dict() | bent)


def test_a_manifest_is_read_back_as_it_was_written(new_bundle: Any) -> None:
    manifest = new_bundle().manifest
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert manifest.unpacked_length == len(b"weights")
    assert manifest.specification_version == 4


def test_a_manifest_without_a_model_asks_for_no_system() -> None:
    assert Manifest(name="labels", version="1", models=(), files=(), created_by="me").specification_version == 0


def test_a_path_twice_in_a_manifest_is_refused_in_any_case() -> None:
    files = tuple(FileEntry(path=PurePosixPath(path), length=0, sha256="0" * 64) for path in ("files/a", "files/A"))
    with pytest.raises(FormatError, match="twice"):
        Manifest.from_bytes(Manifest(name="a", version="1", models=(), files=files, created_by="me").to_bytes())


def newer(document: bytes, field: str) -> bytes:
    return json.dumps(json.loads(document) | {field: 2}).encode()


def test_every_document_of_a_newer_format_is_refused_by_name(new_bundle: Any, new_model: Any) -> None:
    with pytest.raises(NewerFormat, match=r"manifest\.json"):
        Manifest.from_bytes(newer(new_bundle().manifest.to_bytes(), "format_version"))
    with pytest.raises(NewerFormat, match="channel file"):
        Channel.from_bytes(newer(Channel(channel="stable", platform="ios").to_bytes(), "format"))
    with pytest.raises(NewerFormat, match=r"policy\.json"):
        Policy.from_dict(Policy(app_id="com.acme.digits").to_dict() | {"format": 2})
    record = new_model().record
    record.write_bytes(newer(record.read_bytes(), "format"))
    with pytest.raises(NewerFormat, match=r"converted\.json"):
        ConvertedModel.read(record)


def test_parity_passes_only_within_what_was_allowed_and_never_with_a_nan() -> None:
    def passed(rel: float, labels: float | None = 1.0, twin: ParityReport | None = None) -> bool:
        return ParityReport(
            samples=1, max_abs_diff=0.0, max_rel_diff=rel, label_agreement=labels,
            tolerance=Tolerance(rel=1e-4, labels=0.99), executor="me", twin=twin,
        ).passed  # fmt: skip

    failed = ParityReport(
        samples=1, max_abs_diff=1.0, max_rel_diff=1.0, label_agreement=None, tolerance=Tolerance(rel=1e-4), executor="me"
    )
    assert passed(1e-4)
    assert passed(0.0, None)
    assert not passed(1.1e-4)
    assert not passed(float("nan"))
    assert not passed(0.0, 0.98)
    assert not passed(0.0, float("nan"))
    assert not passed(0.0, 1.0, failed)


@pytest.mark.parametrize(
    ("specification", "platform", "wanted"),
    [(1, "ios", "11.0"), (4, "ios", "13.0"), (7, "ipados", "16.0"), (7, "macos", "13.0"), (9, "watchos", "11.0"),
     (9, "visionos", "2.0"), (10, "tvos", "26.0"), (11, "ios", "26.0"), (0, "ios", "0"), (7, "android", "0")],
)  # fmt: skip
def test_the_lowest_system_that_loads_a_model(specification: int, platform: str, wanted: str) -> None:
    assert minimum_os(specification, platform) == wanted


def test_a_newer_specification_never_asks_for_an_older_system() -> None:
    for platform in PLATFORMS:
        asked = [tuple(map(int, minimum_os(number, platform).split("."))) for number in range(1, 11)]
        assert asked == sorted(asked)


def test_the_nine_statuses_keep_the_predecessors_names_and_have_their_exit_codes() -> None:
    assert {status.value: status.exit_code for status in UpdateStatus} == {
        "SUCCESS": 0,
        "CANCELED": 10,
        "FAILURE_NETWORK_PROBLEM": 11,
        "FAILURE_DOWNLOADING": 12,
        "FAILURE_NOT_ENOUGH_SPACE": 13,
        "FAILURE_UNZIPPING": 14,
        "FAILURE_ALREADY_IN_PROGRESS": 15,
        "FAILURE_INTEGRITY": 16,
        "FAILURE_UNKNOWN": 17,
    }
    assert [status.value for status in ProgressStatus] == ["DOWNLOAD_IN_PROGRESS", "UNZIP_IN_PROGRESS"]


def test_every_reason_has_a_sentence_of_its_own() -> None:
    assert len({reason.sentence for reason in Reason}) == len(Reason)


@pytest.mark.parametrize("bent", [{"id": "digits"}, {"id": "com..a"}, {"id": "a." * 100 + "b"}, {"id": "../x.y"},
                                  {"version": "v2"},
                                  {"version": "2.0-beta"}, {"version": "02.0"}, {"version": "1.2.3.4.5"}, {"version": ""},
                                  {"version": "2.0\n"}, {"id": "com.acme.digits\n"}, {"platform": "iOS"}])  # fmt: skip
def test_an_app_that_is_none_is_refused(bent: dict[str, str]) -> None:
    from mlpublish.artifacts import App

    assert App(id="com.acme.digits", version="2.0.1")
    with pytest.raises(RecipeError) as caught:
        App(**({"id": "com.acme.digits", "version": "2.0"} | bent))
    assert caught.value.field in ("app", "app_version", "platform")
