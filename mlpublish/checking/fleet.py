"""Many devices at once: how a channel, and the server behind it, treat a fleet.

Every device is a real one: its own folder, its own id, real requests, real verification. A device's folder is removed once it
has checked, so that a fleet needs no more room than the devices that are at work. Golden self-tests are left out: a fleet asks
about the channel and the server, not about the model.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlpublish import settings
from mlpublish.addresses import is_loopback
from mlpublish.checking.check import check
from mlpublish.errors import MlpublishError, RecipeError
from mlpublish.plugins import scheme_of
from mlpublish.reports import CheckReport, FleetCheck, FleetReport
from mlpublish.reports.fleets import grouped, latencies, rolled_out
from mlpublish.repository.channels import channel_name, default_channel

MOST_DEVICES, MOST_JOBS, MOST_TURNS = 1_000_000, 64, 1000
_BATCH = 8  # devices that a process plays before it tells how they went
_AHEAD = 4  # batches that wait for each process
_STOP = "stop"
_LOOK = 0.2  # seconds between two looks at whether the parent lives
_SWEEP = """
import os, shutil, sys, time
while os.getppid() == int(sys.argv[1]):
    time.sleep(0.01)
shutil.rmtree(sys.argv[2], ignore_errors=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """One device of a fleet."""

    number: int
    device_id: str
    app_version: str
    os_version: str | None


def fleet(
    app: str | None = None,
    *,
    at: str | Path,
    devices: int,
    app_versions: Sequence[str] = (),
    os_versions: Sequence[str] = (),
    jobs: int | None = None,
    turns: int = 1,
    platform: str | None = None,
    channel: str | None = None,
    seed: str = "fleet",
    confirmed: bool = False,
    on_done: Callable[[int], None] = lambda _: None,
    **keywords: Any,
) -> FleetReport:
    """Let a fleet of devices check, and count what it came to.

    Args:
        app: its bundle id; by default mlpublish.toml's only app.
        at: where they ask, as for ``check()``.
        devices: how many.
        app_versions: which versions of the app they run, dealt out evenly; by default mlpublish.toml's.
        os_versions: which systems they run, dealt out evenly within an app version; by default they do not tell.
        jobs: how many check at the same time; by default one per processor.
        turns: how often each device checks; the second turn is what "nothing new" costs.
        seed: the same seed gives the same device ids, so the same devices stand inside a rollout.
        confirmed: the caller means a fleet to ask another machine than this one.
        on_done: called with how many devices are done.
        keywords: ``root``, ``pin``, ``repository``, ``timeout``, ``stall``, ``retries``, ``ca`` as for ``check()``.

    Returns:
        A FleetReport, whatever happened on the devices.

    Raises:
        RecipeError: the call makes no sense, or asks another machine and nobody confirmed it.
    """
    processes = jobs if jobs is not None else os.cpu_count() or 1
    _within("devices", devices, MOST_DEVICES)
    _within("jobs", processes, MOST_JOBS)
    _within("turns", turns, MOST_TURNS)
    _refuse_strangers(str(at), devices, confirmed)
    versions = tuple(app_versions) or (settings.app_for(app, None, platform).version,)
    who = [settings.app_for(app, version, platform) for version in versions]
    asked = channel_name(default_channel(who[0].id, channel))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mlpublish-fleet-") as scratch:
        play = partial(
            _turns,
            app=who[0].id,
            folder=Path(scratch),
            turns=turns,
            keywords={"at": at, "platform": who[0].platform, "channel": asked, "self_test": False} | keywords,
        )
        members = _members(devices, versions, tuple(os_versions) or (None,), seed)
        checks = list(_played(play, members, processes, on_done, stop=Path(scratch) / _STOP))
    return FleetReport(
        endpoint=str(at),
        app_id=who[0].id,
        platform=who[0].platform,
        channel=asked,
        devices=devices,
        jobs=processes,
        seconds=time.monotonic() - started,
        checks=len(checks),
        received=sum(each.received for each in checks),
        requests=sum(each.requests for each in checks),
        retries=sum(each.retries for each in checks),
        groups=grouped(checks),
        rollouts=rolled_out(checks),
        latencies=latencies(checks),
    )


def _members(devices: int, versions: Sequence[str], systems: Sequence[str | None], seed: str) -> Iterator[_Member]:
    for number in range(devices):
        yield _Member(
            number=number,
            device_id=hashlib.sha256(f"{seed}/{number}".encode()).hexdigest()[:32],
            app_version=versions[number % len(versions)],
            os_version=systems[number // len(versions) % len(systems)],
        )


def _played(
    play: Callable[[Sequence[_Member]], list[FleetCheck]],
    members: Iterator[_Member],
    processes: int,
    on_done: Callable[[int], None],
    stop: Path,
) -> Iterator[FleetCheck]:
    """Give batches to processes, a few ahead, and hand on what they tell; whatever ends it early, no further device begins."""
    waiting, done = set[Future[list[FleetCheck]]](), 0
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    spawning, whose = multiprocessing.get_context("spawn"), (os.getpid(), stop.parent, ignored)
    pool = ProcessPoolExecutor(processes, spawning, initializer=_begin, initargs=whose)
    try:
        while True:
            while len(waiting) < processes * _AHEAD and (batch := list(islice(members, _BATCH))):
                waiting.add(pool.submit(play, batch))
            if not waiting:
                return
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                checks = future.result()
                yield from checks
                done += sum(each.turn == 1 for each in checks)
                on_done(done)
    except BrokenProcessPool as exc:
        raise MlpublishError(
            f"A process that played devices was killed; {done} devices had told how they went.",
            remedy="If this machine was short of memory, pass a smaller --jobs.",
        ) from exc
    except BaseException:
        stop.touch()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parent: int, folder: Path, ignores_ctrl_c: bool) -> None:
    """A process of a fleet begins: Ctrl-C ends it without a traceback of its own, and it does not outlive its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN if ignores_ctrl_c else signal.SIG_DFL)

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        # nobody else is left to do it, and this process makes files until it ends
        subprocess.Popen([sys.executable, "-I", "-c", _SWEEP, str(os.getpid()), str(folder)])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _turns(members: Sequence[_Member], *, app: str, folder: Path, turns: int, keywords: dict[str, Any]) -> list[FleetCheck]:
    """Play some devices, one after another; in another process, until the parent gives up."""
    going = (member for member in members if not (folder / _STOP).exists())
    return [told for member in going for told in _device(member, app, folder, turns, keywords)]


def _device(member: _Member, app: str, folder: Path, turns: int, keywords: dict[str, Any]) -> Iterator[FleetCheck]:
    sandbox = folder / str(member.number)
    try:
        for turn in range(1, turns + 1):
            began = time.monotonic()
            report = check(
                app,
                app_version=member.app_version,
                os_version=member.os_version,
                device=sandbox,
                device_id=member.device_id,
                progress=False,
                **keywords,
            )
            yield _told(report, member, turn, time.monotonic() - began)
    finally:
        shutil.rmtree(sandbox, ignore_errors=True)


def _told(report: CheckReport, member: _Member, turn: int, seconds: float) -> FleetCheck:
    phases = report.phases.values()
    return FleetCheck(
        app_version=member.app_version,
        os_version=member.os_version,
        turn=turn,
        status=report.status,
        reason=report.reason,
        installed=report.installed,
        offered=report.offered,
        took=report.status.exit_code == 0 and report.reason is None,
        seconds=seconds,
        received=sum(phase.received for phase in phases),
        requests=sum(phase.requests for phase in phases),
        retries=report.retries,
        detail=report.detail,
    )


def _within(field: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise RecipeError(f"A fleet with {field} {value} is none.", remedy=f"Give 1 to {most}.", field=field)


def _refuse_strangers(at: str, devices: int, confirmed: bool) -> None:
    """A fleet is a load test: nobody sends one to another machine by a slip."""
    if scheme_of(at) in ("http", "https") and not is_loopback(at) and not confirmed:
        raise RecipeError(
            f"{urlsplit(at).hostname or 'That'} is another machine, and {devices} devices at once are a load test of it.",
            remedy="Ask whoever runs it, then pass --yes (confirmed=True).",
            field="at",
        )
