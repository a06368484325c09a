"""``mlpublish channel`` as an operator types it: what is told, what is refused and with which exit code."""

from __future__ import annotations

import pytest

APP = ("--app", "com.acme.digits", "--app-version", "2.0")


@pytest.fixture
def channel(cli, street):
    """``channel("set", "--release", 2)``: the command, for the street's app and folder, which has releases 1 and 2."""
    cli("publish", street.second, "--to", street.to)
    return lambda verb, *words: cli("channel", verb, *words, *APP, "--to", street.to)


@pytest.fixture
def shown(cli, street):
    """The lines of ``channel show``."""
    return lambda *words: cli("channel", "show", "--app", APP[1], "--at", street.to, *words).out.splitlines()


def test_every_edit_tells_what_the_channel_says_then(channel, shown):
    assert "release 2 for 25 %, the others release 1" in channel("set", "--release", 2, "--rollout", 25).out
    assert "release 2 for 50 %, the others release 1" in channel("rollout", 50).out
    assert "release 2 for 50 %, the others release 1, paused" in channel("pause").out
    assert "paused" not in channel("resume").out
    assert shown()[1] == "app version 2.0  release 2 for 50 %, the others release 1"
    assert "app version 2.0  release 1\n" in channel("rollback").out
    assert "app version" not in channel("remove").out
    assert shown() == ["channel   stable of com.acme.digits (ios)", shown()[-1]]


def test_all_channels_of_an_app_are_listed(channel, cli, street):
    channel("set", "--release", 2, "--channel", "beta")
    listed = ("channel", "list", "--app", APP[1], "--at", street.to)
    result = cli(*listed, "--json").result
    assert [(each["channel"], each["platform"], each["entries"][0]["release"]) for each in result["channels"]] == [
        ("beta", "ios", 2),
        ("stable", "ios", 1),
    ]
    told = cli(*listed).out
    assert told.index("beta of com.acme.digits (ios)") < told.index("stable of com.acme.digits (ios)")
    assert cli("channel", "list", "--app", "com.acme.nothing", "--at", street.to).code == 6


def test_an_app_without_a_channel_says_so(cli, street):
    cli("channel", "remove", *APP, "--to", street.to)
    other = ("--app", "com.acme.other", "--app-version", "1.0")
    cli("sign", street.bundle, "--repository", street.development, *other, "-o", "signed")
    assert cli("channel", "list", "--app", "com.acme.other", "--at", street.to).out == "com.acme.other has no channel yet.\n"


def test_a_stale_re_run_is_stopped_by_if_current(channel, shown):
    assert channel("set", "--release", 2, "--if-current", 1).code == 0
    stale = channel("set", "--release", 1, "--if-current", 1)
    assert stale.code == 5
    assert "offers release 2, not release 1" in stale.line
    assert "channel show" in stale.line
    assert shown()[1] == "app version 2.0  release 2"


WRONG = {
    "a release that is not there": (("set", "--release", 9), 6, "there are: 1, 2"),
    "release nought": (("set", "--release", 0), 6, "there are: 1, 2"),
    "no release": (("set",), 2, "--release"),
    "a release that is no number": (("set", "--release", "two"), 2, "'two'"),
    "more than everybody": (("set", "--release", 2, "--rollout", 101), 2, "0 to 100"),
    "less than nobody": (("rollout", -1), 2, "No such option"),
    "no percentage": (("rollout",), 2, "PERCENT"),
    "others that are not there": (("set", "--release", 2, "--rollout", 5, "--otherwise", 9), 6, "no release 9"),
    "a channel that has nothing": (("pause", "--channel", "beta"), 6, "channel set"),
    "a channel that is none": (("set", "--release", 2, "--channel", "Beta"), 2, "lower-case"),
    "nothing below": (("rollback",), 6, "--release N, or pause"),
    "a newer one is rolled back to": (("rollback", "--release", 9), 6, "there are: 1, 2"),
    "the publisher's key": (("set", "--release", 2, "--key", "{keys}/targets.pem"), 1, "not one of the channels role's"),
    "the root's key": (("pause", "--key", "{keys}/root.pem"), 1, "not one of the channels role's"),
    "a key that is not there": (("pause", "--key", "file:gone.pem"), 1, "cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_changes_nothing(channel, street, below, case):
    words, code, told = WRONG[case]
    before = below(street.development)
    ran = channel(*(str(word).format(keys=street.development / "keys") for word in words))
    assert ran.code == code
    assert told in ran.err
    assert below(street.development) == before
