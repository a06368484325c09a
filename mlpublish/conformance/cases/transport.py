"""Networks and hosts: downloads that break off and go on, pages of a captive portal, answers without an end."""

from __future__ import annotations

from mlpublish.conformance.case import Bend
from mlpublish.conformance.forge import TIMESTAMP
from mlpublish.conformance.script import Group, Script
from mlpublish.formats.status import UpdateStatus

group = Group("transport")
DOWNLOADING, NETWORK = UpdateStatus.FAILURE_DOWNLOADING, UpdateStatus.FAILURE_NETWORK_PROBLEM
_CUT = 500  # bytes of the bundle


@group("A download breaks off; the next check goes on at that byte.")
def resumed(play: Script) -> None:
    _breaks_off(play)
    play.installs(1, resumed_at=_CUT)


@group("A download breaks off; the host knows no Range and sends everything again.")
def resumed_from_the_start(play: Script) -> None:
    _breaks_off(play)
    play.installs(1, bend=Bend(path="bundle.zip", whole=True))


@group("A download breaks off; the host goes on at another byte than it was asked for, and says so.")
def resumed_elsewhere(play: Script) -> None:
    _breaks_off(play)
    play.installs(1, bend=Bend(path="bundle.zip", starts=_CUT // 2))


@group("A web page comes instead of everything (a captive portal).")
def captive_portal(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.fails(NETWORK, installed=1, bend=Bend(path="", page=True))


@group("The host cannot answer now.")
def server_error(play: Script) -> None:
    play.forge.release()
    play.installs(1)
    play.fails(NETWORK, installed=1, bend=Bend(path="timestamp.json", status=503))


@group("There is no timestamp.")
def no_timestamp(play: Script) -> None:
    play.forge.release()
    del play.forge.files[play.forge.path(TIMESTAMP)]
    play.fails(NETWORK)


@group("A timestamp without an end (64 MB of it) is not read to its end.")
def endless_timestamp(play: Script) -> None:
    play.forge.release()
    play.fails(bend=Bend(path="timestamp.json", spaces=64_000_000))


@group("A bundle without an end (64 MB of it) is not read to its end.")
def endless_bundle(play: Script) -> None:
    play.forge.release()
    play.fails(offered=1, bend=Bend(path="bundle.zip", spaces=64_000_000))


def _breaks_off(play: Script) -> None:
    play.forge.release()
    play.fails(DOWNLOADING, offered=1, bend=Bend(path="bundle.zip", cut=_CUT))
