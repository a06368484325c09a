"""Processes that play many altered files each, and somebody who watches them."""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import resource
import selectors
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tests.fuzz.playing import play
from tests.fuzz.sample import Sample

CPU_SECONDS = 5
"""That one file may take."""

HANG_SECONDS = 60
"""After which a file that does not let the alarm through is a hang."""

MEMORY = 2 << 30
"""Bytes that a process may grow by."""

_TELL_SECONDS = 10
_AT_ONCE = 4000  # files after which a process makes room for a new one


@dataclass(frozen=True)
class Finding:
    """A seed whose file did something else than work or be refused."""

    seed: int
    sample: str
    what: str
    detail: str

    @property
    def place(self) -> str:
        """What makes two findings the same: the kind, and the last line of ours."""
        ours = [line.strip() for line in self.detail.splitlines() if "/mlpublish/" in line]
        return f"{self.what.split(':')[0]} {ours[-1] if ours else ''}"


class Source(Protocol):
    """Where the files come from: one for each seed."""

    classes: set[str]

    def altered(self, seed: int) -> Sample: ...


class TooLong(BaseException):
    """Raised by the alarm; no handler of ours or of the evaluator catches it."""


@dataclass
class Tally:
    """What came of the files so far."""

    played: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


def one(source: Source, seed: int, folder: Path) -> tuple[Sample, str | Finding]:
    """Play one seed in this process."""
    sample = source.altered(seed)
    return sample, judged(sample, seed, folder)


def judged(sample: Sample, seed: int, folder: Path) -> str | Finding:
    """Play one file in this process, within its time."""
    signal.signal(signal.SIGPROF, _ring)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        path = sample.write(folder)
        return play(path, backend="torch" if seed % 2 and _has_torch() else "numpy", thorough=seed % 8 < 2)
    except TooLong:
        return Finding(seed, sample.name, f"more than {CPU_SECONDS} s", traceback.format_exc())
    except Exception as exc:  # noqa: BLE001 (this is what is looked for)
        return Finding(seed, sample.name, f"{type(exc).__name__}: {str(exc)[:200]}", traceback.format_exc())
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _ring(*_: Any) -> None:
    raise TooLong


def _has_torch() -> bool:
    import importlib.util

    return importlib.util.find_spec("torch") is not None


class Worker:
    """One process and what is known of it."""

    def __init__(self, source: Source, seeds: range) -> None:
        self.seeds = seeds
        self._seen = np.frombuffer(mmap(-1, 24), np.float64)  # each number is written at once, unlike by struct
        self._seen[:] = seeds[0], time.monotonic(), 0
        self._trace = Path(tempfile.mkstemp(prefix="fuzz-")[1])
        self.reads, writes = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            os.close(self.reads)
            _work(source, seeds, writes, self._seen, self._trace)
        os.close(writes)
        self._rest = b""

    @property
    def seen(self) -> tuple[int, float, int]:
        """The seed that is played, since when, and how many were before it."""
        seed, began, count = self._seen.tolist()
        return int(seed), began, int(count)

    def lines(self) -> Iterator[dict[str, Any]] | None:
        """What it said since last time; None when it is gone."""
        data = os.read(self.reads, 1 << 16)
        if not data:
            return None
        *whole, self._rest = (self._rest + data).split(b"\n")
        return iter([json.loads(line) for line in whole])

    def ended(self) -> str:
        """How it ended, in words, with the place where it crashed; empty if well."""
        os.close(self.reads)
        _, status = os.waitpid(self.process, 0)
        trace = self._trace.read_text(errors="replace")
        self._trace.unlink()
        if os.WIFSIGNALED(status):
            return f"{signal.Signals(os.WTERMSIG(status)).name}\n{trace}"
        return "" if os.WEXITSTATUS(status) == 0 else f"exit {os.WEXITSTATUS(status)}\n{trace}"

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)


def _work(source: Source, seeds: range, writes: int, seen: NDArray[np.float64], trace: Path) -> None:
    """The life of a process: it never returns."""
    code = 1
    try:
        _confine(trace)
        with tempfile.TemporaryDirectory(dir=_quick_place()) as folder:
            for count, seed in enumerate(seeds):
                seen[:] = seed, time.monotonic(), count
                sample, got = one(source, seed, Path(folder))
                told = {"outcome": got} if isinstance(got, str) else {"finding": [got.seed, got.sample, got.what, got.detail]}
                _tell(writes, {**told, "kind": sample.name.split()[0]})
            seen[:] = seeds[-1], time.monotonic(), len(seeds)
            _tell(writes, {"classes": sorted(source.classes)})
        code = 0
    finally:
        os._exit(code)


def _tell(writes: int, what: dict[str, Any]) -> None:
    data = json.dumps(what).encode() + b"\n"
    while data:
        data = data[os.write(writes, data) :]


def _quick_place() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _confine(trace: Path) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable(trace.open("w"))
    warnings.simplefilter("ignore")
    gc.freeze()
    if _has_torch():
        import torch

        torch.set_num_threads(1)


def run(
    source: Source,
    first: int,
    count: int,
    *,
    jobs: int,
    progress: Callable[[Tally], None] = lambda _: None,
    found: Callable[[Finding], None] = lambda _: None,
) -> Tally:
    """Play ``count`` seeds from ``first`` on, in ``jobs`` processes at a time.

    Args:
        progress: told how far it is, each 10 s.
        found: told each finding at once.
    """
    if _has_torch():
        import torch  # noqa: F401 (once, before the processes part)
    end = first + count
    waiting = [range(at, min(at + _AT_ONCE, end)) for at in range(first, end, _AT_ONCE)][::-1]
    tally, shown = Tally(), 0
    watched, told = selectors.DefaultSelector(), time.monotonic()
    while waiting or watched.get_map():
        while waiting and len(watched.get_map()) < jobs:
            worker = Worker(source, waiting.pop())
            watched.register(worker.reads, selectors.EVENT_READ, worker)
        for key, _ in watched.select(timeout=1):
            _listen(key.data, source, tally, watched, waiting)
        for key in list(watched.get_map().values()):
            if time.monotonic() - key.data.seen[1] > HANG_SECONDS:
                key.data.kill()
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            progress(tally)
        while len(tally.findings) > shown:
            found(tally.findings[shown])
            shown += 1
    return tally


def _listen(worker: Worker, source: Source, tally: Tally, watched: selectors.BaseSelector, waiting: list[range]) -> None:
    lines = worker.lines()
    if lines is not None:
        for line in lines:
            _count(line, source, tally)
        return
    watched.unregister(worker.reads)
    ended, (seed, began, count) = worker.ended(), worker.seen
    if ended:
        hung = ended.startswith("SIGKILL") and time.monotonic() - began > HANG_SECONDS
        what = f"hang of {HANG_SECONDS} s" if hung else f"crash: {ended.splitlines()[0]}"
        tally.played += 1
        tally.findings.append(Finding(seed, source.altered(seed).name, what, ended))
        if worker.seeds[count + 1 :]:
            waiting.append(worker.seeds[count + 1 :])


def _count(line: dict[str, Any], source: Source, tally: Tally) -> None:
    if "classes" in line:
        source.classes.update(line["classes"])
        return
    tally.played += 1
    if "finding" in line:
        tally.findings.append(Finding(*line["finding"]))
        tally.outcomes["finding"] += 1
    else:
        tally.outcomes[line["outcome"]] += 1
