"""Starts ``mlpublish`` command lines as processes of their own, quickly: see ``entry.py``."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

_ENTRY = Path(__file__).with_name("entry.py")
_WAIT = 120  # seconds; a command that takes longer hangs


@dataclass(slots=True)
class Started:
    """A command's process, which waits for ``go``; what it prints is in ``out``."""

    pid: int
    out: Path
    _answers: IO[bytes]
    _code: int | None = None

    def threads(self) -> list[int]:
        return sorted(int(each.name) for each in Path(f"/proc/{self.pid}/task").iterdir())

    def go(self) -> None:
        os.kill(self.pid, signal.SIGUSR1)

    def code(self, wait: float = _WAIT) -> int | None:
        """Its exit code, negative for a signal; None if it has not ended after so many seconds."""
        if self._code is None and select.select([self._answers], [], [], wait)[0]:
            self._code = int(self._answers.readline())
        return self._code

    def kill(self) -> None:
        """End it, unless it has ended."""
        if self.code(0) is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.code()


def start(words: Sequence[str], folder: Path, out: Path) -> Started:
    """A process that runs this command line in ``folder`` once it is told to."""
    out.write_bytes(b"")
    entry = _entry(os.getpid())
    assert entry.stdin is not None
    assert entry.stdout is not None
    entry.stdin.write(json.dumps([list(words), str(folder), str(out)]).encode() + b"\n")
    return Started(int(entry.stdout.readline()), out, entry.stdout)


@cache
def _entry(_owner: int) -> subprocess.Popen[bytes]:
    """One for each process that starts commands: a forked one must not share its parent's. It ends with its stdin."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLPUBLISH_")}
    environment |= {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
    return subprocess.Popen([sys.executable, str(_ENTRY)], env=environment, **pipes)  # type: ignore[call-overload,no-any-return]
