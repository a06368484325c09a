"""What a network does to a device: NETWORK_PROBLEM and DOWNLOADING, what is kept of a download, and how it goes on."""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpublish.errors import RecipeError
from mlpublish.formats.status import ProgressStatus, UpdateStatus
from tests.checking.conftest import BIG, Lab
from tests.web import Web

NETWORK, DOWNLOADING = UpdateStatus.FAILURE_NETWORK_PROBLEM, UpdateStatus.FAILURE_DOWNLOADING
BUNDLE = "bundle.zip"


METADATA: dict[str, tuple[str, dict[str, Any], str]] = {
    "refused timestamp": ("timestamp.json", {"status": 403}, "403"),
    "no timestamp": ("timestamp.json", {"status": 404}, "404"),
    "server error": ("timestamp.json", {"status": 503}, "503"),
    "too many requests": ("timestamp.json", {"status": 429}, "429"),
    "server error at the next root": ("2.root.json", {"status": 503}, "503"),
    "login that the network wants": ("", {"status": 511}, "captive portal"),
    "captive portal": ("", {"page": True}, "captive portal"),
    "captive portal in capitals": ("stamp.json", {"page": True, "headers": {"Content-Type": "TEXT/HTML"}}, "captive portal"),
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


@pytest.mark.parametrize(("context", "named"), [("", False), ("/mfp", True)])
def test_where_an_address_has_a_path_a_missing_file_may_be_its_fault(waiting: Lab, context: str, named: bool) -> None:
    """The server may deliver below another path, or below none; an app's configuration calls it wlServerContext."""
    waiting.web.bend("timestamp.json", status=404)
    report = waiting.fails(NETWORK, "there is no such file (check the address", at=f"{waiting.web.url}{context}")
    assert ("its path /mfp too (wlServerContext in an app's configuration)" in report.detail) is named


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
    waiting.fails(NETWORK, "does not resolve", at="http://no-such-host.invalid")


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


# ── a wrong answer to a Range, and lengths that are not so ──────────────────────────────────────────────────────────────────

CUT = 1_000_000
SPAN = {
    "another total": {"headers": {"Content-Range": f"bytes {CUT}-{CUT + 9}/{CUT + 10}"}, "body": bytes(CUT + 10)},
    "no span": {"headers": {"Content-Range": ""}},
    "several parts": {"headers": {"Content-Type": "multipart/byteranges; boundary=x", "Content-Range": ""}},
    "an unknown total": {"headers": {"Content-Range": f"bytes {CUT}-{CUT + 9}/*"}},
    "a span that is longer than what comes": {"headers": {"Content-Range": f"bytes {CUT}-{CUT + 9}/9999999"}},
    "a total that is right and a length that is not": {"headers": {"Content-Range": f"bytes {CUT}-{CUT + 9}/WHOLE"}},
    "numbers that nobody counts to": {"headers": {"Content-Range": f"bytes {CUT}-{'9' * 5000}/{'9' * 5000}"}},
    "an end before the beginning": {"headers": {"Content-Range": f"bytes {CUT}-{CUT - 1}/9999999"}},
    "compressed": {"headers": {"Content-Encoding": "gzip"}},
    "nothing left": {"status": 416},
    "nothing left of a shorter file": {"status": 416, "headers": {"Content-Range": f"bytes */{CUT}"}},
    "nothing left of a longer file": {"status": 416, "headers": {"Content-Range": "bytes */9999999"}},
}


@pytest.mark.parametrize("case", SPAN)
def test_a_wrong_answer_to_a_range_is_not_taken_and_the_whole_is_asked_for(waiting: Lab, case: str) -> None:
    waiting.web.bend(BUNDLE, cut=CUT)
    waiting.fails(DOWNLOADING)
    whole = waiting.stored(2).stat().st_size
    bend = SPAN[case] | {"headers": {k: v.replace("WHOLE", str(whole)) for k, v in SPAN[case].get("headers", {}).items()}}
    waiting.web.bend(BUNDLE, times=1, **bend)
    assert waiting.updates_to(2).downloaded == whole
    assert waiting.web.asked_for(BUNDLE)[-2:] == [f"bytes={CUT}-", None]


def test_a_server_that_sends_a_piece_at_a_time_is_asked_for_the_rest(waiting: Lab) -> None:
    whole = waiting.stored(2).stat().st_size
    waiting.web.bend(BUNDLE, cut=CUT)
    waiting.fails(DOWNLOADING)
    piece = waiting.stored(2).read_bytes()[CUT : CUT + 10]
    waiting.web.bend(BUNDLE, times=1, status=206, body=piece, headers={"Content-Range": f"bytes {CUT}-{CUT + 9}/{whole}"})
    assert waiting.updates_to(2, retries=1).retries == 1
    assert waiting.web.asked_for(BUNDLE)[-1] == f"bytes={CUT + 10}-"


@pytest.mark.parametrize("told", [True, False], ids=["told length", "untold length"])
def test_a_copy_that_is_too_long_is_altered_and_one_that_is_too_short_is_the_downloads_fault(waiting: Lab, told: bool) -> None:
    content = waiting.stored(2).read_bytes()
    waiting.web.bend(BUNDLE, body=content + b"!", length=told)
    waiting.fails(UpdateStatus.FAILURE_INTEGRITY, "more than was signed")
    waiting.web.bend(BUNDLE, body=content[:-1], length=told)
    waiting.fails(DOWNLOADING, f"{len(content) - 1} ")


def test_a_copy_whose_told_length_is_wrong_is_not_fetched_at_all(waiting: Lab) -> None:
    content = waiting.stored(2).read_bytes()
    altered, short = content + bytes(1_000_000), content[:-1_000_000]
    for body, status in ((altered, UpdateStatus.FAILURE_INTEGRITY), (short, DOWNLOADING)):
        waiting.web.bend(BUNDLE, body=body, hang=0)
        waiting.web.sent.clear()
        waiting.fails(status)
        assert waiting.web.sent_of(BUNDLE) == 0


def test_a_body_that_a_host_compresses_unasked_is_taken_as_what_it_is(waiting: Lab) -> None:
    waiting.web.bend(BUNDLE, body=gzip.compress(waiting.stored(2).read_bytes()), headers={"Content-Encoding": "gzip"})
    waiting.updates_to(2)


# ── silence, drips and the time of the whole check ──────────────────────────────────────────────────────────────────────────

SLOW: dict[str, dict[str, Any]] = {
    "says nothing": {"silent": True},
    "drips its headers": {"drip_head": 0.05},
    "drips its body": {"drip": 0.02},
    "stops in the body": {"hang": 100},
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", SLOW)
@pytest.mark.parametrize("part", ["timestamp.json", BUNDLE])
@pytest.mark.parametrize(
    ("limit", "told"), [({"stall": 1.0}, "(stall)"), ({"timeout": 2.0}, "(timeout)")], ids=["stall", "time"]
)
def test_a_server_that_gives_next_to_nothing_is_left(
    waiting: Lab, case: str, part: str, limit: dict[str, float], told: str
) -> None:
    """No socket timeout sees any of these."""
    waiting.web.bend(part, **SLOW[case])
    begun = part == BUNDLE and "body" in case
    waiting.fails(DOWNLOADING if begun else NETWORK, told, **limit)
    waiting.web.heal()
    waiting.updates_to(2)


@pytest.mark.timeout(60)
def test_what_a_slow_server_sent_is_kept(waiting: Lab) -> None:
    waiting.web.bend(BUNDLE, hang=CUT)
    waiting.fails(DOWNLOADING, "(stall)", stall=1.0)
    waiting.web.heal()
    assert waiting.updates_to(2).downloaded == waiting.stored(2).stat().st_size - CUT


@pytest.mark.timeout(60)
def test_no_request_is_left_behind(waiting: Lab) -> None:
    """A server that drips for hours holds no thread of ours, and no connection."""
    for bend in (*SLOW.values(), {"drip_head": 0.01, "headers": {"X-Long": "x" * 60_000}}):
        waiting.web.bend("timestamp.json", **bend)
        waiting.fails(NETWORK, stall=0.3)
    while any(thread.name == "mlpublish-request" for thread in threading.enumerate()):
        time.sleep(0.01)


@pytest.mark.timeout(60)
def test_a_check_whose_listener_dawdles_is_no_stall(waiting: Lab) -> None:
    class Dawdler:
        def on_start(self, total: int) -> None: ...
        def on_finish(self, status: UpdateStatus) -> None: ...
        def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
            time.sleep(0.15)  # at eight pieces or more

    waiting.updates_to(2, stall=1.0, listener=Dawdler())


def test_a_check_that_goes_well_needs_one_connection(waiting: Lab) -> None:
    """The probe for the next root is answered with an error, whose page is read for that."""
    waiting.web.bend("2.root.json", status=404, body=b"There is no such file.")
    waiting.web.connections = 0
    waiting.updates_to(2)
    assert waiting.web.connections == 1


ENDLESS: dict[str, dict[str, Any]] = {
    "of untold length": {"length": False, "body": bytes(10), "hang": 10},
    "in chunks, and told to be short": {
        "headers": {"Transfer-Encoding": "chunked", "Content-Length": "10"},
        "body": b"80000\r\n" + bytes(0x80000),
        "hang": 100_000,
    },
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", ENDLESS)
def test_the_page_of_an_error_is_not_read_without_end(waiting: Lab, case: str) -> None:
    """The probe for the next root is answered with one; nobody waits for the rest of it."""
    waiting.web.bend("2.root.json", status=404, **ENDLESS[case])
    waiting.updates_to(2, timeout=10.0)


# ── redirects ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def mirror(waiting: Lab, tmp_path: Path) -> Iterator[Web]:
    """Another host with the same files."""
    other = Web(waiting.web.folder)
    yield other
    other.close()


def test_a_bundle_is_fetched_from_where_the_server_says_it_lies_and_resumed_there(waiting: Lab, mirror: Web) -> None:
    whole = waiting.stored(2)
    waiting.web.bend(BUNDLE, to=f"{mirror.url}/{whole.relative_to(waiting.web.folder)}")
    mirror.bend(BUNDLE, cut=CUT)
    waiting.fails(DOWNLOADING)
    mirror.heal()
    waiting.updates_to(2)
    assert mirror.asked_for(BUNDLE) == [None, f"bytes={CUT}-"]


def test_no_password_goes_along(waiting: Lab, mirror: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine localhost login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    where = waiting.stored(2).relative_to(waiting.web.folder)
    waiting.web.bend(BUNDLE, to=f"http://me:secret@localhost:{mirror.port}/{where}")
    waiting.updates_to(2)
    assert mirror.passwords == [None]


LEADS: dict[str, tuple[str, str]] = {
    "in a circle": ("/apps/com.acme.digits/metadata/timestamp.json", "circle"),
    "out of the web": ("ftp://example.com/timestamp.json", "no web server"),
    "to a file": ("file:///etc/passwd", "no web server"),
    "to no address": ("http://[::1", "no address"),
    "to no port": ("http://localhost:99999/", "no"),
    "to nobody": ("http://no-such-host.invalid/x", "does not resolve"),
}


@pytest.mark.parametrize("case", LEADS)
def test_a_redirect_that_leads_nowhere_is_the_networks_problem(waiting: Lab, case: str) -> None:
    to, told = LEADS[case]
    waiting.web.bend("timestamp.json", to=to)
    waiting.web.asked.clear()
    waiting.fails(NETWORK, told)
    assert len(waiting.web.asked_for("timestamp.json")) <= 6


@pytest.mark.timeout(60)
def test_the_body_of_a_redirect_is_not_read(waiting: Lab) -> None:
    waiting.web.bend("timestamp.json", times=1, to="/apps/com.acme.digits/metadata/timestamp.json", body=bytes(1000), hang=10)
    waiting.updates_to(2)


def test_a_captive_portal_that_redirects_to_its_page_is_told_as_one(waiting: Lab) -> None:
    waiting.web.bend("timestamp.json", to="/login")
    waiting.web.bend("/login", page=True)
    waiting.fails(NETWORK, "captive portal")


# ── addresses ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "at",
    ["http://me:secret@host", "https://secret@host", "http://host?token=secret", "http://host#secret", "http://", "http://a b",
     "http://[::1", "http://host:0", "http://host:port", "HTTP://me:secret@host", "ftp://me:secret@host", "me:secret@host",
     "http:///me:secret@host", "http:me:secret@host", "file://me:secret@host", "s3://host?token=secret"],
)  # fmt: skip
def test_an_address_that_is_none_or_carries_a_secret_is_refused_and_not_shown(lab: Lab, at: str) -> None:
    lab.release()
    with pytest.raises(RecipeError) as caught:
        lab.check(at=at)
    assert caught.value.field == "at"
    assert "secret" not in str(caught.value)
    assert not lab.phone.exists()


def test_a_scheme_is_the_same_in_capitals(waiting: Lab) -> None:
    waiting.updates_to(2, at=waiting.web.url.replace("http", "HTTP"))


def test_a_file_of_a_repository_that_cannot_be_read_is_not_blamed_on_the_device(waiting: Lab) -> None:
    """Reading one's own memory from its first byte on fails for root, too."""
    memory, stamp = Path("/proc/self/mem"), waiting.store.folder / "metadata" / "timestamp.json"
    if not memory.exists():
        missing = "needs Linux (/proc/self/mem)"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    stamp.rename(stamp.with_name("kept"))
    stamp.symlink_to(memory)
    at = f"file:{waiting.development.repository}"
    assert "device" not in waiting.fails(NETWORK, f"{stamp} cannot be read: Input/output error", at=at).detail
    stamp.with_name("kept").replace(stamp)
    waiting.updates_to(2, at=at)


def test_the_address_of_one_apps_repository_is_told_from_what_it_lies_in(waiting: Lab) -> None:
    lying = waiting.store.folder
    for at, above in ((f"{waiting.web.url}/apps/{waiting.app.id}", waiting.web.url), (f"file:{lying}", str(lying.parent))):
        with pytest.raises(RecipeError, match="the repository of one app") as refused:
            waiting.check(at=at, **waiting.fresh())
        assert refused.value.remedy == f"Name what it lies in: {above}."
