"""What a host, a cache or a network can do that holds no key: replay, mix, hide, cut, flood, drip."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mlpublish.formats.status import Reason, UpdateStatus
from tests.simulator import CHANNELS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Simulator

INTEGRITY, SUCCESS = UpdateStatus.FAILURE_INTEGRITY, UpdateStatus.SUCCESS
NETWORK, DOWNLOADING = UpdateStatus.FAILURE_NETWORK_PROBLEM, UpdateStatus.FAILURE_DOWNLOADING
ROLES = [ROOT, TIMESTAMP, SNAPSHOT, TARGETS, CHANNELS]


@pytest.fixture
def waiting(lab: Simulator) -> Simulator:
    """Release 1 is in use, and release 2 (1 MiB) waits."""
    lab.release()
    lab.updates_to(1)
    lab.release(bytes(range(256)) * 4096)
    return lab


# bytes that are not those that were signed


def altered(content: bytes) -> bytes:
    """What still is JSON and says something else: a role that never ends."""
    document = json.loads(content)
    document["signed"]["expires"] = "2099-01-01T00:00:00Z"
    return json.dumps(document).encode()


@pytest.mark.parametrize("name", ROLES)
def test_altered_metadata_is_refused(waiting: Simulator, name: str) -> None:
    waiting.edit(ROOT)
    file = waiting.newest(name)
    file.write_bytes(altered(file.read_bytes()))
    waiting.fails(INTEGRITY, f"{name} was signed by 0/")
    waiting.fails(INTEGRITY, f"{name} was signed by 0/", **waiting.fresh())


@pytest.mark.parametrize(
    "bend",
    [
        lambda bundle: bundle[:100] + bytes([bundle[100] ^ 1]) + bundle[101:],
        lambda bundle: bundle[:-1],
        lambda bundle: bundle + bytes(1_000_000),
    ],
    ids=["a byte changed", "a short body of the right length header", "longer than signed"],
)
def test_an_altered_bundle_is_refused_or_broken_off(waiting: Simulator, bend: Callable[[bytes], bytes]) -> None:
    """A body that is short looks like a download that broke off: it is kept, and refused by its digest when it goes on."""
    bent = bend(waiting.bundle_file(2).read_bytes())
    whole = waiting.bundle_file(2).stat().st_size
    waiting.web.bend("bundle.zip", body=bent)
    wanted = DOWNLOADING if len(bent) < whole else INTEGRITY
    waiting.fails(wanted)
    waiting.fails(wanted, **waiting.fresh())
    waiting.web.heal()
    waiting.updates_to(2)


def test_old_metadata_under_a_new_name_is_refused(waiting: Simulator) -> None:
    """Mix and match: each file is well signed, and the versions inside give the lie to the names."""
    for name in (TARGETS, CHANNELS):
        old = waiting.newest(name).read_bytes()
        waiting.edit(name)
        waiting.stamp()
        true = waiting.newest(name).read_bytes()
        waiting.newest(name).write_bytes(old)
        waiting.fails(INTEGRITY, f"Expected {name} v")
        waiting.fails(INTEGRITY, f"Expected {name} v", **waiting.fresh())
        waiting.newest(name).write_bytes(true)
    waiting.updates_to(2)


def test_an_old_snapshot_under_a_new_name_is_refused(waiting: Simulator) -> None:
    old = waiting.newest(SNAPSHOT).read_bytes()
    waiting.stamp()
    waiting.newest(SNAPSHOT).write_bytes(old)
    waiting.fails(INTEGRITY, "Expected snapshot version")
    waiting.fails(INTEGRITY, "Expected snapshot version", **waiting.fresh())


def test_an_old_channel_file_under_the_new_name_is_refused(waiting: Simulator) -> None:
    waiting.updates_to(2)
    old = waiting.channel_file().read_bytes()
    waiting.offer(1)
    waiting.channel_file().write_bytes(old)
    waiting.fails(INTEGRITY, "does not match expected hash")
    waiting.fails(INTEGRITY, "does not match expected hash", **waiting.fresh())


def test_a_newer_app_role_that_no_snapshot_names_is_not_taken(waiting: Simulator) -> None:
    """A snapshot binds app role and channels, and the models of an app come in one zip: nobody gets half of either."""
    waiting.updates_to(2)
    timestamp = waiting.newest(TIMESTAMP).read_bytes()
    waiting.release()
    waiting.newest(TIMESTAMP).write_bytes(timestamp)
    waiting.updates_to(2)
    waiting.updates_to(2, **waiting.fresh())


# old states


def test_a_mirror_that_replays_the_whole_old_state_serves_fresh_installs_until_the_timestamp_expires(lab: Simulator) -> None:
    lab.release()
    old = lab.keep()
    lab.release()
    lab.updates_to(2)
    lab.serve(old)
    lab.fails(INTEGRITY, "somebody replays an old state")
    lab.updates_to(1, **lab.fresh())
    late = lab.check_with_clock(+15, device=lab.fresh()["device"])
    assert (late["status"], late["installed"]) == (INTEGRITY.value, None)
    assert "The timestamp role expired" in late["detail"]


def test_an_older_timestamp_alone_is_refused_by_a_device_with_a_history(waiting: Simulator) -> None:
    waiting.updates_to(2)
    old = waiting.newest(TIMESTAMP).read_bytes()
    waiting.stamp()
    waiting.updates_to(2)
    waiting.newest(TIMESTAMP).write_bytes(old)
    waiting.fails(INTEGRITY, "New timestamp version")
    waiting.updates_to(2, **waiting.fresh())


def test_a_frozen_mirror_is_noticed_when_the_timestamp_expires(waiting: Simulator) -> None:
    waiting.updates_to(2)
    late = waiting.check_with_clock(+15)
    assert (late["status"], late["installed"]) == (INTEGRITY.value, 2)
    assert "The timestamp role expired" in late["detail"]


# files that are not there


def test_a_mirror_that_lost_the_channels_role_does_not_matter_to_who_has_it(waiting: Simulator) -> None:
    waiting.updates_to(2)
    waiting.newest(CHANNELS).unlink()
    waiting.updates_to(2)
    waiting.fails(NETWORK, "404", **waiting.fresh())


def test_a_bundle_that_is_gone_is_the_downloads_fault(waiting: Simulator) -> None:
    waiting.bundle_file(2).unlink()
    waiting.fails(DOWNLOADING, "404")
    waiting.fails(DOWNLOADING, "404", **waiting.fresh())


@pytest.mark.parametrize("part", ["timestamp.json", "2.root.json"])
def test_a_server_error_on_metadata_is_the_networks_problem(waiting: Simulator, part: str) -> None:
    waiting.web.bend(part, status=503)
    waiting.fails(NETWORK, "503")
    waiting.fails(NETWORK, "503", **waiting.fresh())


# networks


def test_a_refused_connection_is_the_networks_problem(waiting: Simulator) -> None:
    waiting.web.close()
    waiting.fails(NETWORK, "cannot be reached", root=waiting.first_root())
    waiting.fails(NETWORK, "cannot be reached", root=waiting.first_root(), **waiting.fresh())


def test_a_bundle_that_breaks_off_goes_on_where_it_stopped(waiting: Simulator) -> None:
    whole = waiting.bundle_file(2).stat().st_size
    for device in ({}, waiting.fresh()):
        waiting.web.bend("releases/2", cut=100_000)
        waiting.fails(DOWNLOADING, **device)
        waiting.web.heal()
        assert waiting.updates_to(2, **device).downloaded == whole - 100_000


@pytest.mark.parametrize("part", ["", "targets.json", "bundle.zip"])
def test_a_captive_portal_is_the_networks_problem(waiting: Simulator, part: str) -> None:
    waiting.web.bend(part, page=True)
    waiting.fails(NETWORK, "captive portal")
    waiting.fails(NETWORK, "captive portal", **waiting.fresh())
    waiting.web.heal()
    waiting.updates_to(2)


ENDLESS = {"2.root": 512_000, TIMESTAMP: 16_384, SNAPSHOT: 2_000_000, TARGETS: 5_000_000, CHANNELS: 5_000_000}
READ_AHEAD = 16_000_000  # bytes; more than the sockets of both sides hold


@pytest.mark.parametrize("name", ENDLESS)
def test_metadata_without_an_end_is_not_read_to_its_end(waiting: Simulator, name: str) -> None:
    """TUF's client stops at its own bound, whatever the server says of the length."""
    waiting.web.bend(f"{name}.json", body=b" " * (ENDLESS[name] + 2 * READ_AHEAD), length=False)
    for device in ({}, waiting.fresh()):
        waiting.web.sent.clear()
        waiting.fails(INTEGRITY, "more than was signed", **device)
        sent = max(count for path, count in waiting.web.sent.items() if f"{name}.json" in path)
        assert sent < ENDLESS[name] + READ_AHEAD


def test_a_channel_or_bundle_without_an_end_is_not_read_to_its_end(waiting: Simulator) -> None:
    for part in ("stable.json", "bundle.zip"):
        waiting.web.bend(part, body=bytes(3 * READ_AHEAD), length=False)
        for device in ({}, waiting.fresh()):
            waiting.web.sent.clear()
            waiting.fails(INTEGRITY, "more than was signed", **device)
            assert waiting.web.sent_of(part) < 2 * READ_AHEAD
        waiting.web.heal()


@pytest.mark.parametrize(
    ("part", "status"),
    [("timestamp.json", UpdateStatus.FAILURE_NETWORK_PROBLEM), ("bundle.zip", UpdateStatus.FAILURE_DOWNLOADING)],
)
def test_a_slow_drip_ends_with_the_stall_limit(waiting: Simulator, part: str, status: UpdateStatus) -> None:
    """A byte now and then keeps a connection alive, but not a check; what came of a bundle is kept."""
    device: dict[str, Any]
    for device in ({}, waiting.fresh()):
        waiting.web.bend(part, drip=0.05)
        waiting.fails(status, "hardly anything came", stall=0.5, **device)
        waiting.web.heal()
        waiting.updates_to(2, **device)


def test_a_delegation_that_is_gone_leaves_no_such_channel(waiting: Simulator) -> None:
    waiting.approve(lambda role: setattr(role, "delegations", None))
    assert waiting.updates_to(1).reason is Reason.NO_SUCH_CHANNEL
    assert waiting.updates_to(None, **waiting.fresh()).reason is Reason.NO_SUCH_CHANNEL
