"""Work beside the one who reads: hashing and flushing in threads of their own, which the interpreter's lock lets run.

``hashlib`` and ``os.fdatasync`` release the lock, so on two cores a file's digest costs next to nothing beside its CRC and
its writing. Nothing is read for it a second time: every lane gets the very bytes that the reader has.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import ParamSpec, Self

P = ParamSpec("P")

CHUNK = 1 << 20  # bytes; smaller ones cost switches between threads, larger ones memory
DEPTH = 4  # pieces that a lane may not have done yet
_FLUSHED = 64 << 20  # bytes; the disk is never further behind than a few of these


class Lane:
    """One thread that does what it is given, in that order; it starts with the first piece and ends with the block.

    An exception of the work comes out of a later ``do``, or of the block's end. If the block itself fails, what still waits
    is dropped, and ``dropped`` is set for a long piece to look at. Either way no thread is left behind.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlpublish-lane")
        self._waiting: deque[Future[object]] = deque()
        self.dropped = Event()

    def do(self, work: Callable[P, object], *what: P.args, **named: P.kwargs) -> None:
        """Hand over a piece; if too many are in line, wait for half of them: to be woken for each costs more than hashing."""
        if len(self._waiting) >= DEPTH:
            for _ in range(DEPTH // 2):
                self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(work, *what, **named))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        try:
            while kind is None and self._waiting:
                self._waiting.popleft().result()
        finally:
            self.dropped.set()  # with nothing left to do it tells nobody
            self._thread.shutdown(cancel_futures=True)


class NewFile:
    """A file that is made here and is on the disk when its block ends.

    A large one goes to the disk while it is still being written: the flush at the end then waits for little, and little of
    the memory is full of what no disk has.
    """

    def __init__(self, place: Path) -> None:
        self._stream = place.open("xb")
        self._flushing = Lane()
        self._unflushed = 0
        self.length = 0  # bytes written so far

    def write(self, data: bytes | memoryview) -> None:
        self._stream.write(data)
        self.length += len(data)
        self._unflushed += len(data)
        if self._unflushed >= _FLUSHED:
            self._flushing.do(os.fdatasync, self._stream.fileno())
            self._unflushed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        with self._stream:
            self._flushing.__exit__(kind, exc, trace)
            if kind is None:
                self._stream.flush()
                os.fsync(self._stream.fileno())
