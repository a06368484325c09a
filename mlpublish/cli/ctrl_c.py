"""Ctrl-C at a command that can be canceled: it ends at the next safe point, tells its outcome, and nothing is torn."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class CtrlC:
    """Turns Ctrl-C into a request to end.

    The first one sets ``canceled``, which the work looks at between any two of its steps; so whatever is being imported,
    written or told is finished. The second one also interrupts the work, should a step take long. Later ones change nothing.
    """

    def __init__(self) -> None:
        self.canceled = threading.Event()
        self._heard = 0
        self._working = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen; not outside the main thread, nor where Ctrl-C is ignored (nohup) or somebody else's business already."""
        default = signal.default_int_handler
        if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not default:
            yield
            return
        signal.signal(signal.SIGINT, self._hear)
        try:
            yield
        finally:
            # a canceled process is about to end; while it does, Python would let a late one kill it
            signal.signal(signal.SIGINT, signal.SIG_IGN if self.canceled.is_set() else default)

    def interrupting(self, work: Callable[[], T]) -> T:
        """Do work that looks at ``canceled``; if it is interrupted, do it again in peace, so that it tells how things stand."""
        with suppress(KeyboardInterrupt):
            try:
                self._working = True
                return work()
            finally:
                self._working = False
        return work()

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._heard += 1
        self.canceled.set()
        if self._working and self._heard == 2:
            raise KeyboardInterrupt
