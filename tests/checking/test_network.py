"""What a network does to a device: NETWORK_PROBLEM and DOWNLOADING, what is kept of a download, and how it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlpublish.formats.status import UpdateStatus

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

NETWORK, DOWNLOADING = UpdateStatus.FAILURE_NETWORK_PROBLEM, UpdateStatus.FAILURE_DOWNLOADING
BIG = bytes(range(256)) * 8192  # 2 MiB
BUNDLE = "bundle.zip"


@pytest.fixture
def waiting(lab: Lab) -> Lab:
    """Release 1 is in use, and release 2 (2 MiB) waits."""
    lab.release()
    lab.updates_to(1)
    lab.release(BIG)
    return lab


METADATA: dict[str, tuple[str, dict[str, Any], str]] = {
    "refused timestamp": ("timestamp.json", {"status": 403}, "403"),
    "no timestamp": ("timestamp.json", {"status": 404}, "404"),
    "server error": ("timestamp.json", {"status": 503}, "503"),
    "too many requests": ("timestamp.json", {"status": 429}, "429"),
    "server error at the next root": ("2.root.json", {"status": 503}, "503"),
    "captive portal": ("", {"page": True}, "captive portal"),
    "captive portal at the app role": ("targets.json", {"page": True}, "captive portal"),
    "cut timestamp": ("timestamp.json", {"cut": 40}, "cannot be reached"),
    "cut app role": ("targets.json", {"cut": 40}, "cannot be reached"),
    "channels role missing on a mirror": ("channels.json", {"status": 404}, "404"),
    "channel file missing on a mirror": ("stable.json", {"status": 404}, "404"),
    "cut channel file": ("stable.json", {"cut": 40}, "cannot be reached"),
}


@pytest.mark.parametrize("case", METADATA)
def test_metadata_that_does_not_arrive_is_the_networks_problem(waiting: Lab, case: str) -> None:
    part, bend, told = METADATA[case]
    waiting.web.bend(part, **bend)
    assert waiting.fails(NETWORK, told).installed == 1
    waiting.web.heal()
    waiting.updates_to(2)


def test_a_server_that_refuses_connections_is_the_networks_problem(waiting: Lab) -> None:
    waiting.web.close()
    assert waiting.fails(NETWORK, "cannot be reached").installed == 1


def test_what_the_environment_says_of_the_network_is_kept_from_this_machine(
    waiting: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy cannot reach our loopback, and nobody asked for the password that stands in ~/.netrc."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    waiting.updates_to(2)
    assert set(waiting.web.passwords) == {None}


def test_a_host_that_does_not_exist_is_the_networks_problem(waiting: Lab) -> None:
    waiting.fails(NETWORK, "cannot be reached", at="http://no-such-host.invalid")


def test_a_fresh_device_without_a_network_has_nothing_and_says_why(lab: Lab) -> None:
    lab.release()
    lab.web.close()
    report = lab.fails(NETWORK)
    assert (report.installed, report.path, report.offered) == (None, None, None)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_cannot_serve_the_bundle_now_is_the_networks_problem(waiting: Lab, status: int) -> None:
    waiting.web.bend(BUNDLE, status=status)
    assert waiting.fails(NETWORK, str(status)).offered == 2


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_bundle_that_is_refused_is_the_downloads_fault(waiting: Lab, status: int) -> None:
    waiting.web.bend(BUNDLE, status=status)
    assert waiting.fails(DOWNLOADING, str(status)).installed == 1


@pytest.mark.parametrize("length", [True, False], ids=["told length", "untold length"])
@pytest.mark.parametrize("cut", [0, 1, 100_000, 1_000_000])
def test_a_download_that_is_cut_keeps_what_came_and_goes_on_from_there(waiting: Lab, cut: int, length: bool) -> None:
    whole = waiting.stored(2).stat().st_size
    waiting.web.bend(BUNDLE, cut=cut, length=length)
    report = waiting.fails(DOWNLOADING)
    assert (report.installed, report.offered) == (1, 2)
    assert [part.stat().st_size for part in (waiting.phone / "downloads").iterdir()] == [cut]
    waiting.web.heal()
    waiting.web.sent.clear()
    assert waiting.updates_to(2).downloaded == whole - cut
    assert [sent for path, sent in waiting.web.sent.items() if BUNDLE in path] == [whole - cut]
    assert waiting.web.asked[-1][1] == (f"bytes={cut}-" if cut else None)


def test_a_download_that_is_cut_again_and_again_arrives_with_every_byte_sent_once(waiting: Lab) -> None:
    whole = waiting.stored(2).stat().st_size
    waiting.web.bend(BUNDLE, cut=700_000)
    waiting.web.sent.clear()
    for _ in range(2):
        waiting.fails(DOWNLOADING)
    waiting.updates_to(2)
    assert sum(sent for path, sent in waiting.web.sent.items() if BUNDLE in path) == whole


def test_a_server_that_does_not_resume_sends_it_all_again(waiting: Lab) -> None:
    waiting.web.bend(BUNDLE, cut=1_000_000)
    waiting.fails(DOWNLOADING)
    waiting.web.bend(BUNDLE, whole=True)
    assert waiting.updates_to(2).downloaded == waiting.stored(2).stat().st_size


@pytest.mark.parametrize("first", [0, 999_999, 1_000_001])
def test_a_server_that_resumes_at_the_wrong_place_is_asked_for_it_all(waiting: Lab, first: int) -> None:
    waiting.web.bend(BUNDLE, cut=1_000_000)
    waiting.fails(DOWNLOADING)
    waiting.web.bend(BUNDLE, first=first)
    assert waiting.updates_to(2).downloaded == waiting.stored(2).stat().st_size


def test_what_an_earlier_check_left_is_hashed_not_trusted(waiting: Lab) -> None:
    waiting.web.bend(BUNDLE, cut=1_000_000)
    waiting.fails(DOWNLOADING)
    (part,) = (waiting.phone / "downloads").iterdir()
    part.write_bytes(b"poison" + part.read_bytes()[6:])
    waiting.web.heal()
    waiting.fails(UpdateStatus.FAILURE_INTEGRITY, "signed was")
    assert not part.exists()
    waiting.updates_to(2)


def test_a_part_that_is_whole_already_costs_no_byte_and_one_that_is_too_long_is_dropped(waiting: Lab) -> None:
    waiting.web.bend(BUNDLE, cut=1_000_000)
    waiting.fails(DOWNLOADING)
    (part,) = (waiting.phone / "downloads").iterdir()
    part.write_bytes(waiting.stored(2).read_bytes())
    assert waiting.updates_to(2).downloaded == 0
    waiting.release(BIG + b"3")
    waiting.fails(DOWNLOADING)
    (part,) = (waiting.phone / "downloads").iterdir()
    part.write_bytes(bytes(3_000_000))
    waiting.web.heal()
    waiting.updates_to(3)


def test_a_captive_portal_in_place_of_the_bundle_is_the_networks_problem(waiting: Lab) -> None:
    waiting.web.bend(BUNDLE, page=True)
    waiting.fails(NETWORK, "captive portal")
    waiting.web.heal()
    waiting.updates_to(2)


def test_a_server_that_has_gone_when_the_bundle_is_asked_for_is_the_networks_problem(waiting: Lab) -> None:
    waiting.web.bend("stable.json", then=lambda: waiting.web.close())
    waiting.check()  # the connection in hand may live a moment longer
    waiting.web.heal()
    waiting.fails(NETWORK)
