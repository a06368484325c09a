"""What is killed: one command line each, run against a prepared state.

A line is filled in by ``State.words``: ``{app}`` is the app and its version, ``{dev}`` the development folder, ``{root}`` the
whole state, ``{url}`` the server where one is traced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prepared import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A command, what leads to it, and where it must end.

    Args:
        command: the command line that is traced and killed, and run again after each kill.
        before: command lines that make the state that it begins from.
        releases: the releases that stand there in the end.
        offers: what channel stable offers in the end, and every device has.
        subject: the device that the command plays; others only look on.
        served: the command goes to a server, and it is the server that is traced and killed.
        says: how the command, run again after a kill, may end: 5 where what the first run did is done and must not be done
            twice, and it says so.
        also: what else must hold in the end.
    """

    command: str
    before: tuple[str, ...] = ()
    releases: tuple[int, ...] = (1, 2)
    offers: int = 1
    subject: str | None = None
    served: bool = False
    says: tuple[int, ...] = (0,)
    also: Callable[[State], None] = lambda _: None


def _other_app_stands(state: State) -> None:
    assert state.head("com.acme.other").targets.signed.version == 1
    assert state.run("verify {root}/out --root {dev}/repository/com.acme.other/metadata/1.root.json") == 0


def _made_anew(state: State) -> None:
    made = State(state.root / "made")
    assert made.head("com.acme.digits").targets.signed.version == 1


_OFFER_2 = "channel set {app} --release 2 --to file:{dev}"
_CHECK = "check {app} --at file:{dev} --device {root}/"
SCENARIOS = {
    "publish": Scenario(command="publish {root}/signed/3 --to file:{dev}", releases=(1, 2, 3)),
    "channel set": Scenario(command=_OFFER_2, offers=2),
    "channel rollback": Scenario(
        before=(_OFFER_2,), command="channel rollback {app} --to file:{dev} --if-current 2", says=(0, 5)
    ),
    "device install": Scenario(command=_CHECK + "fresh", subject="fresh"),
    "device update": Scenario(before=(_OFFER_2,), command=_CHECK + "old", subject="old", offers=2),
    "device rollback": Scenario(
        before=(_OFFER_2, _CHECK + "old", "channel rollback {app} --to file:{dev}"), command=_CHECK + "old", subject="old"
    ),
    "sign for a new app": Scenario(
        command="sign {root}/bundles/3.zip --repository {dev} --app com.acme.other --app-version 1.0 -o {root}/out",
        also=_other_app_stands,
    ),
    "repo init": Scenario(command="repo init --dev {root}/made/dev --app com.acme.digits", also=_made_anew),
    "publish to a server": Scenario(
        command="publish {root}/signed/3 --to {url} --repository {dev}", releases=(1, 2, 3), served=True
    ),
    "channel set at a server": Scenario(
        command="channel set {app} --release 2 --to {url} --repository {dev}", offers=2, served=True
    ),
}
