"""System calls that change the disk, as strace sees them: list those of a run, or signal it before one of them is done.

strace counts ``when=K`` per thread and per call, whatever file the call is about; so the listing counts the same way, and to
kill, strace is attached to the one thread that is meant: another would get to its own K first. A kill that is asked for at the
entry of a call comes before the call is done. (``--seccomp-bpf`` is not used: with it strace 6.1 delivers no signal at all.)
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nursery import Started, start

CALLS = (
    "write,writev,pwrite64,pwritev,sendfile,copy_file_range,truncate,ftruncate,rename,renameat,renameat2,link,linkat,symlink,"
    "symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,fsync,fdatasync"
)
NAMING = ("rename", "renameat", "renameat2", "link", "linkat")
_LINE = re.compile(r"(?:(\d+) +)?(\w+)\((.*)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>")
_PLACE = re.compile(r'(?:AT_FDCWD|\d+)<(?P<base>[^>]*)>(?:, "(?P<name>[^"]*)")?|"(?P<plain>[^"]+)"')
_DRAWN = re.compile(
    r"(?<=\.partial-)[0-9a-f]{16}|(?<=[0-9]-)[0-9a-f]{12}(?:[0-9a-f]{20})?|(?<=[./]release-)\w{8}|(?<=/)tmp\w{8}"
    r"|(?<=/channels/ios/)[0-9a-f]{64}"  # a channel says since when
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call on files below the traced folder.

    Args:
        thread: 0 for the first, and so on, in the order of their ids.
        name: the system call.
        count: which of this thread's calls of this name it is, from 1 on.
        paths: what it is about, relative to the traced folder; of two, the source comes first.
        failed: whether the kernel refused it, as it does where a folder exists already.
    """

    thread: int
    name: str
    count: int
    paths: tuple[str, ...]
    failed: bool

    @property
    def key(self) -> tuple[str, int, tuple[str, ...]]:
        """What is the same in every run: names that are drawn at random are left out."""
        return self.name, self.count, tuple(_DRAWN.sub("*", path) for path in self.paths)

    def __str__(self) -> str:
        return f"{self.name} {' -> '.join(self.key[2])} (no. {self.count} of thread {self.thread})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """A signal at a call.

    Args:
        at: the call.
        signal: its name without SIG; KILL comes before the call is done, any other when it has been done.
        on: whether it comes at every later call of that name too.
    """

    at: Call
    signal: str = "KILL"
    on: bool = False

    @property
    def option(self) -> str:
        return f"inject={self.at.name}:signal={self.signal}:when={self.at.count}{'+' if self.on else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A run.

    Args:
        calls: those on the traced folder, in order.
        cut: those of them that were begun and not done, because a kill came.
        code: the exit code, negative for a signal.
        told: what the command printed.
    """

    calls: tuple[Call, ...]
    cut: tuple[Call, ...]
    code: int
    told: str

    def was_killed_at(self, call: Call) -> bool:
        """Whether the kill came where it was meant to."""
        return self.code == -signal.SIGKILL and call.key in [each.key for each in self.cut]


@contextmanager
def traced(words: Sequence[str], folder: Path, *, blow: Blow | None = None) -> Iterator[tuple[Started, Callable[[], Trace]]]:
    """A command line that runs in ``folder`` under strace, to be struck by ``blow``.

    Yields:
        The process, and a function that waits for its end and reads the trace.
    """
    log, out = (folder.with_suffix(suffix) for suffix in (".strace", ".out"))
    process = start(words, folder, out)
    threads = process.threads()
    inject, whom = ["-f"], [process.pid]
    if blow is not None:
        inject, whom = ["-e", blow.option], [threads[blow.at.thread]]
    options = ["-y", "-s0", "-q", "-e", "signal=none", "-e", f"trace={CALLS}", *inject, "-o", str(log)]
    tracer = subprocess.Popen(["strace", *options, *(f"-p{each}" for each in whom)], stderr=subprocess.PIPE, text=True)

    def ended() -> Trace:
        code = process.code()
        assert code is not None, f"{' '.join(words)} does not end"
        tracer.wait()
        return _read(log, folder, code, out.read_text(), threads if blow is None else whom)

    try:
        _await_tracer(whom, tracer)
        process.go()
        yield process, ended
    finally:
        process.kill()
        tracer.communicate()


def trace(words: Sequence[str], folder: Path, *, blow: Blow | None = None) -> Trace:
    """Run a command line to its end, whatever brings it about."""
    with traced(words, folder, blow=blow) as (_, ended):
        return ended()


def missing() -> str | None:
    """What is not there that tracing needs."""
    if shutil.which("strace") is None:
        return "needs strace (Debian: apt install strace)"
    ran = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return None if ran.returncode == 0 else f"needs the right to trace processes: {ran.stderr.strip()}"


def _await_tracer(threads: Sequence[int], tracer: subprocess.Popen[str]) -> None:
    """Return once these threads are traced; the command waits for its line on stdin meanwhile."""
    for _ in range(10_000):
        statuses = [Path(f"/proc/{thread}/status").read_text() for thread in threads]
        if not any(re.search(r"^TracerPid:\t0$", status, re.MULTILINE) for status in statuses):
            return
        if tracer.poll() is not None:
            raise RuntimeError(f"strace ended: {tracer.communicate()[1]}")
        time.sleep(0.002)
    raise RuntimeError("strace does not attach")


def _read(log: Path, folder: Path, code: int, told: str, threads: Sequence[int]) -> Trace:
    """A trace; strace names the thread in each line, unless it follows only one."""
    numbers = {str(thread): number for number, thread in enumerate(threads)}
    counts: Counter[tuple[str, str]] = Counter()
    calls: list[Call] = []
    open_calls: dict[str, Call] = {}  # thread -> its call that has not ended
    for line in log.read_text().splitlines():
        found = _LINE.match(line)
        if found is None:
            if (resumed := _RESUMED.match(line)) and not line.endswith("= ?"):
                open_calls.pop(resumed[1], None)
            continue
        thread, name, rest = found.groups(default="")
        counts[thread, name] += 1
        if paths := tuple(_below(rest, folder)):
            number = numbers.setdefault(thread, len(numbers)) if thread else 0
            calls.append(Call(thread=number, name=name, count=counts[thread, name], paths=paths, failed="= -1 E" in rest))
            if rest.endswith(("= ?", "<unfinished ...>")):
                open_calls[thread] = calls[-1]
    return Trace(calls=tuple(calls), cut=tuple(open_calls.values()), code=code, told=told)


def _below(arguments: str, folder: Path) -> Iterator[str]:
    """The paths of a call's arguments that lie below the folder, relative to it."""
    for found in _PLACE.finditer(arguments.partition(") = ")[0]):
        base, name = found["base"], found["name"] or found["plain"] or ""
        place = Path(base or folder, name)  # a command runs in the folder, so a relative name lies below it
        if place.is_relative_to(folder):
            yield place.relative_to(folder).as_posix()
