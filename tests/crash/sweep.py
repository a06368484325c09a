"""The crash sweep: every command, killed before every system call that changes the disk.

    python tests/crash/sweep.py [SCENARIO…] [--jobs N]

A first run under strace lists the calls; then each gets a run of its own, on a fresh copy of the prepared state, that is
killed there. After each kill every head must be readable and every device whole, with its old release or the new one; then
the same command, run again, must reach its end. One line per scenario; the exit code is 0 only if every kill happened,
nothing was broken and every second run succeeded.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nursery import Started
from prepared import DEVICES, State, prepare
from scenarios import SCENARIOS, Scenario
from tracing import NAMING, Blow, Call, Trace, missing, trace, traced

_TRIES = 4  # a server's threads take turns differently from run to run; then the calls are listed anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """How one kill ended: each text says what went wrong, and is empty if nothing did."""

    at: Call
    missed: str = ""
    broken: str = ""
    unrepaired: str = ""


class Sweep:
    """One scenario on its own template.

    Args:
        name: of the scenario.
        folder: where to work; ``base`` lies there, as ``prepare`` made it.
    """

    def __init__(self, name: str, base: Path, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.template = State(folder / "template" / "state")
        shutil.copytree(base, self.template.root)
        for step in self.scenario.before:
            assert not (self.template.run(step) if isinstance(step, str) else step(self.template)), step
        self.offered = self.template.offered()
        self.held = {device: self.template.held(device) for device in DEVICES if not self._is_spoiled(device)}

    @property
    def scenario(self) -> Scenario:
        return SCENARIOS[self.name]

    def calls(self) -> tuple[Call, ...]:
        """The calls of an undisturbed run, which must reach the end."""
        with self.copy() as state:
            ran = self._play(state)
            assert ran.code == self.scenario.code or self.scenario.served, ran.told
            self._assert_reached(state)
        return ran.calls

    def trace(self) -> Trace:
        """An undisturbed run."""
        with self.copy() as state:
            return self._play(state)

    def kill(self, call: Call) -> Kill:
        """Kill a run before this call, look at what is left, and run the command again."""
        at = call
        for _ in range(_TRIES):
            with self.copy() as state:
                ran = self._play(state, Blow(at=at))
                if ran.was_killed_at(at):
                    broken = _said(partial(self._assert_whole, state))
                    return Kill(at=at, broken=broken, unrepaired=_said(partial(self._assert_repaired, state)))
            alike = [each for each in self.calls() if (each.name, each.key[2]) == (call.name, call.key[2])]
            if not alike:
                break
            at = min(alike, key=lambda each: abs(each.count - call.count))
        return Kill(at=call, missed=f"no kill at {call}")

    def interrupt(self, call: Call, *, on: bool = False) -> tuple[Trace, str]:
        """Press Ctrl-C in a check at this call (and go on pressing); what it said, and what is wrong with what is left."""
        with self.copy() as state:
            ran = self._play(state, Blow(at=call, signal="INT", on=on))
            looks = (partial(self._assert_true, state, ran.told), partial(self._assert_whole, state))
            return ran, " ".join(filter(None, map(_said, (*looks, partial(self._assert_repaired, state)))))

    def _play(self, state: State, blow: Blow | None = None) -> Trace:
        if not self.scenario.served:
            return trace(state.words(self.scenario.command), state.root, blow=blow)
        with traced(["serve", str(state.root / "dev"), "--port", "0"], state.root, blow=blow) as (server, ended):
            if url := _url(server):
                _ask(server, state.words(self.scenario.command, url=url))
            assert blow is not None or server.code(0) is None, f"the server ends by itself: {server.out.read_text()}"
            server.kill()
            return ended()

    def _assert_true(self, state: State, told: str) -> None:
        """What a check says is in use is in use."""
        if self.scenario.subject is None:
            return
        said = re.search(r"^installed +(\d+)$", told, re.MULTILINE)
        held = state.held(self.scenario.subject)
        assert held == (None if said is None else int(said[1])), f"said is {said and said[1]}, in use is {held}"

    def _assert_whole(self, state: State) -> None:
        state.assert_readable()
        self.scenario.always(state)
        for device in DEVICES:
            if not self._is_spoiled(device):
                assert state.held(device) in (self.held[device], self.scenario.offers), device
            if device != self.scenario.subject:
                assert state.updated(device) in (self.offered, self.scenario.offers), device

    def _is_spoiled(self, device: str) -> bool:
        return self.scenario.spoiled and device == self.scenario.subject

    def _assert_repaired(self, state: State) -> None:
        with _served(state) if self.scenario.served else contextlib.nullcontext("") as url:
            code = state.run(self.scenario.command, url=url)
        assert code in self.scenario.says, f"the same command again ends with {code}"
        self._assert_reached(state)

    def _assert_reached(self, state: State) -> None:
        state.assert_readable()
        assert tuple(sorted(state.head().releases)) == self.scenario.releases
        assert state.offered() == self.scenario.offers
        assert state.waits() == self.scenario.waits, "a change waits, or none does"
        assert {state.updated(device) for device in DEVICES} == {self.scenario.offers}
        self.scenario.also(state)

    @contextlib.contextmanager
    def copy(self) -> Iterator[State]:
        """A fresh copy of the template, under a path that is as long in every run."""
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            yield State(Path(shutil.copytree(self.template.root, Path(scratch, "state"))))


def sample(calls: Iterable[Call], *, most: int) -> list[Call]:
    """The first call, the middle one, the last, and those that give a file its name; evenly thinned out beyond ``most``."""
    changing = [call for call in calls if not call.failed]
    naming = [call for call in changing if call.name in NAMING]
    picked = {id(call) for call in (changing[0], changing[len(changing) // 2], changing[-1], *naming)}
    chosen = [call for call in changing if id(call) in picked]
    return chosen if len(chosen) <= most else [chosen[place * (len(chosen) - 1) // (most - 1)] for place in range(most)]


def main(arguments: list[str]) -> int:
    """The full sweep; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help="by default all: " + ", ".join(SCENARIOS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="runs at once (default: one per core)")
    options = parser.parse_args(arguments)
    if why := missing():
        parser.error(why)
    if unknown := set(options.scenario) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="mlpublish-sweep-") as scratch, ProcessPoolExecutor(options.jobs) as pool:
        base = prepare(Path(scratch, "base", "state")).root
        sound = [_swept(name, base, Path(scratch), pool) for name in options.scenario or SCENARIOS]
    return 0 if all(sound) else 1


def _swept(name: str, base: Path, folder: Path, pool: ProcessPoolExecutor) -> bool:
    sweep = Sweep(name, base, folder / name.replace(" ", "-"))
    calls = sweep.calls()
    kills = list(pool.map(sweep.kill, calls))
    problems = [
        (what, f"{kill.at}: {text}")
        for kill in kills
        for what, text in (("missed", kill.missed), ("broken", kill.broken), ("unrepaired", kill.unrepaired))
        if text
    ]
    count = {what: sum(each == what for each, _ in problems) for what in ("missed", "broken", "unrepaired")}
    print(
        f"{name:24} {len(calls):4} calls, {len(kills) - count['missed']:4} kills done, {count['missed']} not happened, "
        f"{count['broken']} broken, {count['unrepaired']} second runs failed",
        flush=True,
    )
    for what, text in problems:
        print(f"    {what}: {text}", flush=True)
    return bool(calls) and not problems


def _said(look: Callable[[], None]) -> str:
    """What is wrong, in one line; nothing if nothing is."""
    try:
        look()
    except Exception as exc:  # noqa: BLE001 - whatever goes wrong after a kill is what is looked for
        return f"{type(exc).__name__}: {exc}".splitlines()[0]
    return ""


def _url(server: Started) -> str:
    """What a server says first; nothing if it was killed before."""
    while not server.out.read_text().endswith("\n"):
        if server.code(0.01) is not None:
            return ""
    return server.out.read_text().strip()


def _ask(server: Started, words: list[str]) -> None:
    """A client's command line; it is given up once the server is gone."""
    with tempfile.TemporaryFile("w+") as told:
        client = subprocess.Popen([sys.executable, "-m", "mlpublish", *words], stdout=told, stderr=told)
        while client.poll() is None and server.code(0.02) is None:
            pass
        if client.poll() and server.code(0.0) is None:
            told.seek(0)
            raise RuntimeError(f"The server lives, and its client fails: {told.read()}")
        client.kill()
        client.wait()


@contextlib.contextmanager
def _served(state: State) -> Iterator[str]:
    command = [sys.executable, "-m", "mlpublish", "serve", str(state.root / "dev"), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.kill()
        server.communicate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
