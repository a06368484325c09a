"""The page of channels is true: its reasons, in the order in which the rule asks, and its columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

from mlpublish.formats.channel import Channel, DeviceFacts, Entry, Offer, ReleaseFacts, offer_for
from mlpublish.formats.policy import Policy
from mlpublish.formats.status import Reason
from mlpublish.repository.matrix import COLUMNS

Page = Callable[[str], str]
APP_ID = "com.acme.digits"
FACTS = ReleaseFacts(
    app_id=APP_ID,
    platform="ios",
    app_versions=("2.0",),
    number=5,
    name="digits",
    version="1",
    minimum_os="16.0",
    unpacked_length=1,
    manifest="0" * 64,
)
# what is true of a device or a channel where a reason would be given: a device, an entry, or a policy that says so
BENDS: dict[Reason, dict[str, Any]] = {
    Reason.NO_SUCH_CHANNEL: {"channel": False},
    Reason.NO_RELEASE_FOR_APP_VERSION: {"app_version": "1.0"},
    Reason.PAUSED: {"paused": True},
    Reason.NOT_IN_ROLLOUT: {"rollout": 0},
    Reason.WITHDRAWN: {"withdrawn": {5: "biased"}},
    Reason.ALREADY_INSTALLED: {"installed": 5},
    Reason.OS_TOO_OLD: {"os_version": "15.0"},
    Reason.OLDER_THAN_SHIPPED: {"shipped": 6},
}


def asked(bends: dict[str, Any]) -> Offer | Reason:
    """What a device is offered where all of this is true."""
    kept = {name: bends[name] for name in ("app_version", "paused", "rollout") if name in bends}
    entry = replace(Entry(app_version="2.0", release=5), **kept)
    channel = Channel(channel="stable", platform="ios", entries=(entry,))
    device = DeviceFacts(platform="ios", app_version="2.0", device_id="phone-7", os_version="17.2")
    told = {name: bends[name] for name in ("installed", "os_version", "shipped") if name in bends}
    policy = Policy(app_id=APP_ID, withdrawn=bends.get("withdrawn", {}))
    return offer_for(channel if bends.get("channel", True) else None, policy, {5: FACTS}, replace(device, **told))


def rows(page: Page) -> list[tuple[Reason, str]]:
    found = re.findall(r"^\| \d \| (\w+) \| (.*) \|$", page("channels"), re.MULTILINE)
    return [(Reason(reason), sentence) for reason, sentence in found]


def test_every_reason_has_its_row_and_its_sentence(page: Page) -> None:
    assert dict(rows(page)) == {reason: reason.sentence for reason in Reason}
    assert len(rows(page)) == len(Reason)


def test_where_nothing_is_bent_there_is_an_offer_and_each_bend_gives_its_reason() -> None:
    assert asked({}) == Offer(release=5)
    for reason, bend in BENDS.items():
        assert asked(bend) is reason


def test_of_two_reasons_the_one_that_stands_first_counts(page: Page) -> None:
    order = [reason for reason, _ in rows(page)]
    for first, second in combinations(order, 2):
        got = asked(BENDS[first] | BENDS[second])
        passes = (first, second) == (Reason.NOT_IN_ROLLOUT, Reason.ALREADY_INSTALLED)  # lowering never uninstalls
        assert got is (second if passes else first), (first, second)


def test_every_column_of_a_matrix_has_its_row(page: Page) -> None:
    plans = page("channels").partition("## Plans")[2]
    assert tuple(re.findall(r"^\| (\w+) \| ", plans, re.MULTILINE)) == COLUMNS
