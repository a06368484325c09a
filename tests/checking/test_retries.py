"""Asking again: what may pass is asked for again, later each time, and what cannot pass is not."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.exceptions import DownloadError, DownloadHTTPError

from mlpublish.checking.budget import Broken, Budget, Busy
from mlpublish.checking.outcome import DeviceFailure
from mlpublish.checking.patience import Patience
from mlpublish.connections import retry_after
from mlpublish.errors import RecipeError
from mlpublish.formats.status import UpdateStatus

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

NETWORK, DOWNLOADING = UpdateStatus.FAILURE_NETWORK_PROBLEM, UpdateStatus.FAILURE_DOWNLOADING
BUNDLE = "bundle.zip"


class Hasty(threading.Event):
    """A cancel that nobody sets; a wait for it is noted and over at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


# ── how long, and how often ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_may_pass_is_asked_for_again_later_each_time_and_at_last_told() -> None:
    budget, cancel, broken = Budget(Patience(retries=9)), Hasty(), Broken("cut")
    for tried in range(9):
        budget.wait_to_retry(broken, tried, cancel)
    with pytest.raises(Broken) as caught:
        budget.wait_to_retry(broken, 9, cancel)
    assert caught.value is broken
    for wait, middle in zip(cancel.waits, (0.5, 1, 2, 4, 8, 16, 30, 30, 30), strict=True):
        assert 0.75 * middle <= wait <= 1.25 * middle
    assert budget.traffic.retries == 9


def test_devices_that_failed_together_do_not_come_back_together() -> None:
    cancel = Hasty()
    for _ in range(20):
        Budget(Patience()).wait_to_retry(Broken("cut"), 0, cancel)
    assert len(set(cancel.waits)) == 20


@given(asked=st.floats(0, 10_000), tried=st.integers(0, 9), timeout=st.floats(0.1, 10_000))
def test_a_wait_is_as_long_as_the_server_asks_and_never_outlasts_the_check(asked: float, tried: int, timeout: float) -> None:
    budget, cancel, told = Budget(Patience(retries=10, timeout=timeout)), Hasty(), ""
    try:
        budget.wait_to_retry(Busy("503", 503, asked), tried, cancel)
    except Busy as exc:
        told = str(exc)
    assert len(cancel.waits) == budget.traffic.retries == (0 if told else 1)
    if told:
        assert "(timeout)" in told
        assert max(asked, 37.5) >= timeout
    else:
        assert asked <= cancel.waits[0] < timeout


@pytest.mark.parametrize("exc", [DownloadError("no TLS"), DownloadHTTPError("404", 404)])
def test_what_cannot_pass_is_told_at_once(exc: DownloadError) -> None:
    with pytest.raises(DownloadError) as caught:
        Budget(Patience()).wait_to_retry(exc, 0, Hasty())
    assert caught.value is exc


def test_a_wait_ends_as_soon_as_it_is_canceled() -> None:
    cancel = threading.Event()
    threading.Timer(0.05, cancel.set).start()
    with pytest.raises(DeviceFailure) as caught:
        Budget(Patience()).wait_to_retry(Busy("429", 429, 3000.0), 0, cancel)
    assert caught.value.status is UpdateStatus.CANCELED


NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "server", "wait"),
    [
        ("7", None, 7.0),
        (" 0 ", None, 0.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), format_datetime(NOW, usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=9), usegmt=True), format_datetime(NOW, usegmt=True), 0.0),
        ("-7", None, None),
        ("7.5", None, None),
        ("soon", None, None),
        ("", None, None),
        ("9" * 400, None, None),
        ("Tue, 99 Foo 2030 99:99:99 GMT", None, None),
        (f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", None, None),
        (f"Mon, 01 Jan 2024 00:00:00 +{'9' * 12}", None, None),
        ("Wed, 01 Jan 2020 00:00:00 GMT", f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(asked: str, server: str | None, wait: float | None) -> None:
    assert retry_after({"Retry-After": asked} | ({} if server is None else {"Date": server})) == wait


def test_a_date_without_the_servers_own_is_held_against_this_machines() -> None:
    wait = retry_after({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)})
    assert wait is not None
    assert 3000 < wait <= 3600


@pytest.mark.parametrize("field", ["timeout", "stall", "first_wait"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_of_no_time_or_none_is_refused(field: str, value: float) -> None:
    with pytest.raises(RecipeError) as caught:
        Patience(**{field: value})
    assert caught.value.field == field


# ── in a check ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

PASSING: dict[str, dict[str, Any]] = {
    "too many requests": {"status": 429},
    "an error": {"status": 500},
    "a bad gateway": {"status": 502},
    "not now": {"status": 503},
    "a gateway's timeout": {"status": 504},
    "cut before the body": {"cut": 0},
    "cut in the body": {"cut": 40},
    "silence": {"silent": True},
    "a drip": {"drip": 0.02},
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("part", "case"),
    [(part, case) for part in ("timestamp.json", BUNDLE) for case in PASSING]
    + [(part, "not now") for part in ("2.root.json", "targets.json", "channels.json", "stable.json")],
)
def test_what_passes_does_not_end_a_check(waiting: Lab, part: str, case: str) -> None:
    waiting.web.bend(part, times=2, **PASSING[case])
    waiting.web.asked.clear()
    limit = {"stall": 1.0} if case in ("silence", "a drip") else {}  # else a busy machine might stall too
    report = waiting.updates_to(2, retries=2, cancel=Hasty(), **limit)
    assert (report.retries, len(waiting.web.asked_for(part))) == (2, 3)
    phase = {BUNDLE: "download", "stable.json": "channel", "channels.json": "channel"}.get(part, "metadata")
    assert report.phases[phase].retries == 2


@pytest.mark.parametrize("part", ["timestamp.json", BUNDLE])
def test_what_does_not_pass_ends_it_after_so_many_retries(waiting: Lab, part: str) -> None:
    waiting.web.bend(part, status=503)
    waiting.web.asked.clear()
    report = waiting.fails(NETWORK, "503", retries=4, cancel=Hasty())
    assert (report.retries, len(waiting.web.asked_for(part))) == (4, 5)


NOT_PASSING: dict[str, dict[str, Any]] = {
    "forbidden": {"status": 403},
    "gone": {"status": 410},
    "not implemented": {"status": 501},
    "a login": {"status": 511},
    "a captive portal": {"page": True},
    "a circle": {"to": "/apps/com.acme.digits/metadata/timestamp.json"},
}


@pytest.mark.parametrize("case", NOT_PASSING)
def test_what_cannot_pass_is_asked_for_once(waiting: Lab, case: str) -> None:
    waiting.web.bend("timestamp.json", **NOT_PASSING[case])
    cancel = Hasty()
    assert waiting.fails(NETWORK, retries=3, cancel=cancel).retries == 0
    assert cancel.waits == []


def test_a_server_that_is_down_is_asked_again(waiting: Lab) -> None:
    waiting.web.close()
    report = waiting.fails(NETWORK, "it is refused", retries=2, cancel=Hasty())
    assert (report.retries, report.phases["metadata"].requests) == (2, 3)


def test_a_name_that_does_not_exist_does_so_the_next_time_too(waiting: Lab) -> None:
    """Where there is no name server at all, it may pass, and is asked again."""
    report = waiting.fails(NETWORK, "does not resolve", retries=1, cancel=Hasty(), at="http://no-such-host.invalid")
    assert report.retries in (0, 1)


def test_retry_after_is_waited_for(waiting: Lab) -> None:
    soon = {"Date": format_datetime(NOW, usegmt=True), "Retry-After": format_datetime(NOW + timedelta(seconds=77), usegmt=True)}
    waiting.web.bend("timestamp.json", times=1, status=429, headers={"Retry-After": "55"})
    waiting.web.bend(BUNDLE, times=1, status=503, headers=soon)
    cancel = Hasty()
    waiting.updates_to(2, retries=1, cancel=cancel)
    assert cancel.waits == [55.0, 77.0]


@pytest.mark.parametrize("part", ["timestamp.json", BUNDLE])
def test_a_server_that_wants_more_time_than_the_check_has_ends_it_at_once(waiting: Lab, part: str) -> None:
    waiting.web.bend(part, status=503, headers={"Retry-After": "4000"})
    cancel = Hasty()
    report = waiting.fails(NETWORK, "to come back in 4000 s", retries=3, cancel=cancel)
    assert "(timeout)" in report.detail
    assert cancel.waits == []


def test_a_download_that_is_cut_goes_on_within_the_check(waiting: Lab) -> None:
    whole = waiting.stored(2).stat().st_size
    waiting.web.bend(BUNDLE, times=2, cut=700_000)
    report = waiting.updates_to(2, retries=2, cancel=Hasty())
    assert (report.downloaded, waiting.web.sent_of("releases/2")) == (whole, whole)
    assert waiting.web.asked_for(BUNDLE)[-3:] == [None, "bytes=700000-", "bytes=1400000-"]


def test_a_server_that_breaks_down_in_a_download_is_the_downloads_fault(waiting: Lab) -> None:
    waiting.web.bend(BUNDLE, cut=700_000, then=lambda: waiting.web.bend(BUNDLE, status=503))
    waiting.fails(DOWNLOADING, "503", retries=2, cancel=Hasty())
    waiting.web.heal()
    assert waiting.updates_to(2).downloaded == waiting.stored(2).stat().st_size - 700_000


def test_what_an_earlier_check_left_is_dropped_and_fetched_anew_if_it_is_wrong(waiting: Lab) -> None:
    """The mirror is not to blame for it."""
    whole = waiting.stored(2).stat().st_size
    waiting.web.bend(BUNDLE, cut=1_000_000)
    waiting.fails(DOWNLOADING)
    (part,) = (waiting.phone / "downloads").iterdir()
    part.write_bytes(b"poison" + part.read_bytes()[6:])
    waiting.web.heal()
    report = waiting.updates_to(2, retries=1, cancel=Hasty())
    assert (report.retries, report.downloaded) == (1, whole - 1_000_000 + whole)


def test_a_part_as_long_as_the_whole_and_wrong_is_fetched_anew(waiting: Lab) -> None:
    waiting.web.bend(BUNDLE, cut=1_000_000)
    waiting.fails(DOWNLOADING)
    (part,) = (waiting.phone / "downloads").iterdir()
    part.write_bytes(bytes(waiting.stored(2).stat().st_size))
    waiting.web.heal()
    waiting.updates_to(2, retries=1, cancel=Hasty())


def test_a_bundle_of_two_answers_of_which_one_was_wrong_is_fetched_anew(waiting: Lab) -> None:
    """As from a CDN of which one edge is spoiled."""
    waiting.web.bend(BUNDLE, times=1, body=bytes(waiting.stored(2).stat().st_size), cut=700_000)
    waiting.updates_to(2, retries=2, cancel=Hasty())
    assert waiting.web.asked_for(BUNDLE)[-3:] == [None, "bytes=700000-", None]


def test_a_server_that_sends_wrong_bytes_in_one_piece_is_not_asked_again(waiting: Lab) -> None:
    waiting.web.bend(BUNDLE, body=bytes(waiting.stored(2).stat().st_size))
    report = waiting.fails(UpdateStatus.FAILURE_INTEGRITY, "signed was", retries=3, cancel=Hasty())
    assert report.retries == 0
    assert not list((waiting.phone / "downloads").iterdir())


@pytest.mark.timeout(60)
def test_a_check_is_canceled_while_it_waits_to_ask_again(waiting: Lab) -> None:
    cancel = threading.Event()
    waiting.web.bend("timestamp.json", status=503, headers={"Retry-After": "3000"})
    threading.Timer(0.3, cancel.set).start()
    waiting.fails(UpdateStatus.CANCELED, retries=3, cancel=cancel)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("part", ["timestamp.json", BUNDLE])
def test_a_check_is_canceled_while_nothing_comes(waiting: Lab, part: str) -> None:
    cancel = threading.Event()
    waiting.web.bend(part, silent=True, then=lambda: threading.Timer(0.2, cancel.set).start())
    waiting.fails(UpdateStatus.CANCELED, retries=3, cancel=cancel)


@pytest.mark.timeout(120)
def test_the_time_of_a_check_ends_its_retries(waiting: Lab) -> None:
    waiting.web.bend("timestamp.json", status=503)
    report = waiting.fails(NETWORK, "(timeout)", retries=100, timeout=1.5)
    assert report.retries <= 2  # after half a second and one more, or a quarter less of each
