"""Runs one ``mlpublish`` command line once it is told to: ``entry.py publish DIR --to URI``, then a line on stdin.

What the commands need is imported before that line, so that a tracer that is attached meanwhile sees the command's own work
and not a thousand imports, through which every system call would be slower. A server does its work on the disk in one thread,
which stands by before that line, so that its calls come in the same order in every run.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

from mlpublish.cli.main import main

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


class OneThread(asyncio.DefaultEventLoopPolicy):
    """Event loops whose work on the disk is done by one thread, which is there already."""

    def __init__(self) -> None:
        super().__init__()
        self._executor = ThreadPoolExecutor(1)
        self._executor.submit(int).result()

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        loop = super().new_event_loop()
        loop.set_default_executor(self._executor)
        return loop


if __name__ == "__main__":
    for room in (f"cli.{sys.argv[1]}", *_ROOMS):
        import_module(f"mlpublish.{room}")
    if sys.argv[1] == "serve":
        asyncio.set_event_loop_policy(OneThread())
    print("ready", flush=True)
    if sys.stdin.readline():  # nothing comes if whoever was to trace is gone
        main()
