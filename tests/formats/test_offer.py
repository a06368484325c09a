"""The offer rule: a table of reasons, and the laws that hold for every device, percentage and release."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpublish.errors import FormatError
from mlpublish.formats.channel import Channel, DeviceFacts, Entry, Offer, ReleaseFacts, bucket, offer_for
from mlpublish.formats.policy import Policy
from mlpublish.formats.status import Reason

APP_ID = "com.acme.digits"
DEVICE = DeviceFacts(platform="ios", app_version="2.0", device_id="phone-7", os_version="17.2")


def facts(number: int, **changes: Any) -> ReleaseFacts:
    release = ReleaseFacts(
        app_id=APP_ID,
        platform="ios",
        app_versions=("2.0",),
        number=number,
        name="digits",
        version=str(number),
        minimum_os="16.0",
        unpacked_length=1,
        manifest="0" * 64,
    )
    return replace(release, **changes)


def channel(**entry: Any) -> Channel:
    at_once: dict[str, Any] = {"app_version": "2.0", "release": 5}
    return Channel(channel="stable", platform="ios", entries=(Entry(**(at_once | entry)),))


def offered(
    named: Channel | None = None,
    *,
    policy: Policy | None = None,
    releases: dict[int, ReleaseFacts] | None = None,
    floor: int = 0,
    **device: Any,
) -> Offer | Reason:
    known = {number: facts(number) for number in (3, 4, 5)} if releases is None else releases
    return offer_for(named, policy or Policy(app_id=APP_ID), known, replace(DEVICE, **device), floor=floor)


OUT = {"rollout": 0}
TABLE: list[tuple[str, Offer | Reason, Offer | Reason]] = [
    ("a new release", offered(channel()), Offer(release=5)),
    ("over an older one", offered(channel(), installed=4), Offer(release=5)),
    ("a rollback on purpose", offered(channel(), installed=6), Offer(release=5)),
    ("over what was shipped", offered(channel(), shipped=4), Offer(release=5)),
    ("at the floor", offered(channel(), floor=5), Offer(release=5)),
    ("on just that system", offered(channel(), os_version="16"), Offer(release=5)),
    ("on a system that does not tell", offered(channel(), os_version=None), Offer(release=5)),
    ("on a system with four numbers", offered(channel(), os_version="16.0.0.1"), Offer(release=5)),
    ("outside, with another for the others", offered(channel(**OUT, otherwise=4)), Offer(release=4)),
    ("no such channel", offered(None), Reason.NO_SUCH_CHANNEL),
    ("no entry at all", offered(Channel(channel="stable", platform="ios")), Reason.NO_RELEASE_FOR_APP_VERSION),
    ("another app version", offered(channel(), app_version="2.1"), Reason.NO_RELEASE_FOR_APP_VERSION),
    ("the same version spelled longer", offered(channel(), app_version="2.0.0"), Reason.NO_RELEASE_FOR_APP_VERSION),
    ("paused", offered(channel(paused=True)), Reason.PAUSED),
    ("paused wins over the rollout", offered(channel(paused=True, **OUT)), Reason.PAUSED),
    ("outside, nothing for the others", offered(channel(**OUT)), Reason.NOT_IN_ROLLOUT),
    ("outside, but it has it", offered(channel(**OUT), installed=5), Reason.ALREADY_INSTALLED),
    ("outside, and has what the others get", offered(channel(**OUT, otherwise=4), installed=4), Reason.ALREADY_INSTALLED),
    ("installed", offered(channel(), installed=5), Reason.ALREADY_INSTALLED),
    ("shipped with the app", offered(channel(), shipped=5), Reason.ALREADY_INSTALLED),
    ("withdrawn", offered(channel(), policy=Policy(app_id=APP_ID, withdrawn={5: "biased"})), Reason.WITHDRAWN),
    ("too old a system", offered(channel(), os_version="15.9.9"), Reason.OS_TOO_OLD),
    ("numbers, not text: 9 is below 16", offered(channel(), os_version="9.3"), Reason.OS_TOO_OLD),
    ("older than shipped", offered(channel(), shipped=6), Reason.OLDER_THAN_SHIPPED),
]  # fmt: skip


@pytest.mark.parametrize(("case", "got", "wanted"), TABLE, ids=[row[0] for row in TABLE])
def test_offer(case: str, got: Offer | Reason, wanted: Offer | Reason) -> None:
    assert got == wanted, case


def test_the_table_reaches_every_reason() -> None:
    assert {wanted for _, _, wanted in TABLE if isinstance(wanted, Reason)} == set(Reason)


@pytest.mark.parametrize(
    ("releases", "extra", "told"),
    [
        ({}, {}, "does not name"),
        ({5: facts(5, app_id="com.acme.other")}, {}, "com.acme.other"),
        ({5: facts(4)}, {}, "signed as release 4"),
        ({5: facts(5, platform="android")}, {}, "android"),
        ({5: facts(5, app_versions=("1.0", "3.0"))}, {}, "1.0, 3.0"),
        ({5: facts(5)}, {"floor": 6}, "floor 6"),
        ({5: facts(5)}, {"policy": Policy(app_id=APP_ID, floors={"ios/2.0": 7})}, "floor 7"),
        ({5: facts(5)}, {"policy": Policy(app_id=APP_ID, floors={"ios/2.0": 7}), "installed": 5}, "floor 7"),
    ],
)
def test_a_channel_that_points_where_no_approved_one_can_is_no_offer(
    releases: dict[int, ReleaseFacts], extra: dict[str, object], told: str
) -> None:
    with pytest.raises(FormatError, match=told):
        offered(channel(), releases=releases, **extra)  # type: ignore[arg-type]


def test_a_floor_binds_one_app_version_on_one_platform_only() -> None:
    elsewhere = Policy(app_id=APP_ID, floors={"ios/2.1": 9, "android/2.0": 9})
    assert offered(channel(), policy=elsewhere) == Offer(release=5)


devices = st.text(max_size=40)
numbers = st.integers(1, 10**6)
percents = st.integers(0, 100)


@given(devices, numbers, percents)
def test_a_rollout_asks_for_the_devices_bucket_in_this_very_release(device_id: str, release: int, percent: int) -> None:
    named = channel(release=release, rollout=percent)
    got = offered(named, releases={release: facts(release)}, device_id=device_id)
    assert got == (Offer(release=release) if bucket(device_id, release) < percent else Reason.NOT_IN_ROLLOUT)


@given(devices, numbers, percents, percents)
def test_a_wider_rollout_reaches_everyone_the_narrower_one_did(device_id: str, release: int, one: int, two: int) -> None:
    def is_in(percent: int) -> bool:
        named = channel(release=release, rollout=percent)
        return offered(named, releases={release: facts(release)}, device_id=device_id) == Offer(release=release)

    assert is_in(min(one, two)) <= is_in(max(one, two))
    assert is_in(100)
    assert not is_in(0)


@given(devices, percents, st.none() | st.sampled_from([3, 4]))
def test_lowering_a_rollout_never_takes_a_release_from_who_has_it(device_id: str, percent: int, otherwise: int | None) -> None:
    named = channel(rollout=percent, otherwise=otherwise)
    assert offered(named, device_id=device_id, installed=5) is Reason.ALREADY_INSTALLED


@given(devices, percents)
def test_who_is_outside_gets_what_the_others_get(device_id: str, percent: int) -> None:
    inside = bucket(device_id, 5) < percent
    assert offered(channel(rollout=percent, otherwise=4), device_id=device_id) == Offer(release=5 if inside else 4)


@given(devices, st.lists(percents, max_size=8))
def test_through_every_change_of_the_percentage_who_was_reached_once_stays(device_id: str, course: list[int]) -> None:
    has: int | None = None
    for step, percent in enumerate(course):
        got = offered(channel(rollout=percent, otherwise=4), device_id=device_id, installed=has)
        has = got.release if isinstance(got, Offer) else has
        assert has == (5 if bucket(device_id, 5) < max(course[: step + 1]) else 4)


@given(devices, percents, st.none() | numbers, st.booleans())
def test_the_same_question_has_the_same_answer(device_id: str, percent: int, installed: int | None, paused: bool) -> None:
    named = channel(rollout=percent, paused=paused)
    first = offered(named, device_id=device_id, installed=installed)
    assert offered(named, device_id=device_id, installed=installed) == first


@pytest.mark.parametrize("percent", [1, 5, 10, 25, 50, 90, 99])
def test_a_rollout_reaches_its_percentage_of_a_hundred_thousand_devices(percent: int) -> None:
    reached = sum(bucket(f"device-{number}", 17) < percent for number in range(100_000)) / 1000
    assert abs(reached - percent) < 1


def test_another_release_meets_other_devices_first() -> None:
    first = {number for number in range(10_000) if bucket(f"device-{number}", 1) < 10}
    second = {number for number in range(10_000) if bucket(f"device-{number}", 2) < 10}
    assert len(first & second) < 200  # a hundred by chance


@given(devices, numbers)
def test_a_bucket_is_the_share_that_the_sha256_of_device_and_release_has_of_all(device_id: str, release: int) -> None:
    digest = hashlib.sha256(f"{device_id}\n{release}".encode()).hexdigest()
    assert bucket(device_id, release) == pytest.approx(int(digest, 16) / 16**64 * 100)
    assert 0 <= bucket(device_id, release) < 100


def test_a_bucket_is_the_same_on_every_machine_and_in_every_version() -> None:
    assert (bucket("device-0", 1), bucket("device-0", 2)) == (37.817449651399784, 36.381265549925644)
