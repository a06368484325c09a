"""The program that ``nursery.py`` talks to: it imports what the commands need once, then forks a process per command line.

A tracer that is attached to such a process before it begins sees the command's own work and not a thousand imports, through
which every system call would be slower. A line on stdin is a command; answered are the process's id, once it waits for
SIGUSR1 to begin, and its exit code, once it has ended.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import NoReturn

from mlpublish.cli import main as door

_ROOMS = (
    "checking.check",
    "publishing.publish",
    "publishing.to_folder",
    "publishing.to_server",
    "repository.channels",
    "repository.development",
    "server.app",
    "signing.sign",
    "signing.with_pem",
)
_SET_PTRACER, _ANY = 0x59616D61, ctypes.c_ulong(-1)  # prctl(2); where Yama asks for it, a sibling may trace us


class OneThread(asyncio.DefaultEventLoopPolicy):
    """Event loops whose work on the disk is done by one thread, which is there already.

    So a server's calls come in the same order, of the same thread, in every run.
    """

    def __init__(self) -> None:
        super().__init__()
        self._executor = ThreadPoolExecutor(1)
        self._executor.submit(int).result()

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        loop = super().new_event_loop()
        loop.set_default_executor(self._executor)
        return loop


def run(words: list[str], folder: str, out: str) -> NoReturn:
    """Be the command's process: wait to be traced and told, then do what the console script does."""
    ctypes.CDLL(None).prctl(_SET_PTRACER, _ANY, 0, 0, 0)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins deaf to it
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # in every thread, or the one that has it open is ended by it
    if words[0] == "serve":
        asyncio.set_event_loop_policy(OneThread())
    print(os.getpid(), flush=True)
    signal.sigwait({signal.SIGUSR1})
    for number, place, flags in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY | os.O_APPEND)):
        os.dup2(os.open(place, flags), number)
    os.dup2(1, 2)
    sys.argv = ["mlpublish", *words]
    door.main()
    raise AssertionError("the console script ends by itself")


if __name__ == "__main__":
    for room in _ROOMS:
        import_module(f"mlpublish.{room}")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
