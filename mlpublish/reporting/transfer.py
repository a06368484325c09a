"""How a check's download and unpacking go, for who looks on: a line with speed and time left, or a line for each of the two.

Both are listeners of ``check()``. A terminal that is gone takes nothing from the check: they fall silent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from mlpublish.formats.status import ProgressStatus, UpdateStatus
from mlpublish.shown import size as size

_PAUSE = 0.1  # seconds between two pictures of the line
WORDS = {ProgressStatus.DOWNLOAD_IN_PROGRESS: "downloading", ProgressStatus.UNZIP_IN_PROGRESS: "unzipping"}


class Lines:
    """One line at the beginning of each of the two, for logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told: set[ProgressStatus] = set()

    def on_start(self, total: int) -> None:
        """The first progress says the same."""

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:  # noqa: ARG002 - the listener's signature
        if status not in self._told:
            self._told.add(status)
            say(self._stream, f"{status.value}: {WORDS[status]} {size(total)}\n")

    def on_finish(self, status: UpdateStatus) -> None:
        """The result says it."""


class TerminalLine:
    """A line that is drawn over itself, and is gone at the end.

    Args:
        clock: seconds, ever growing.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._phase: ProgressStatus | None = None
        self._began, self._from, self._drawn = 0.0, 0, float("-inf")

    def on_start(self, total: int) -> None:
        """Until something comes there is nothing to show."""

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        now = self._clock()
        if status is not self._phase:  # what an earlier check had brought is no speed of this one
            self._phase, self._began, self._from, self._drawn = status, now, done, float("-inf")
        if now - self._drawn >= _PAUSE or done >= total:
            self._drawn = now
            say(self._stream, f"\r\033[K{picture(status, total, done, done - self._from, now - self._began)}")

    def on_finish(self, status: UpdateStatus) -> None:  # noqa: ARG002 - the listener's signature
        if self._phase is not None:
            say(self._stream, "\r\033[K")


def picture(status: ProgressStatus, total: int, done: int, came: int, seconds: float) -> str:
    """The line: how much is there, how fast it comes, how long it will take.

    Args:
        came: how much of ``done`` came in these seconds; an earlier check may have brought the rest.
    """
    shown = f"{WORDS[status]} {done * 100 // max(total, 1):3d} % of {size(total)}"
    if seconds <= 0 or came <= 0:
        return shown
    speed = came / seconds
    left = max(total - done, 0) / speed
    return f"{shown}, {size(int(speed))}/s, {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def say(stream: TextIO, text: str) -> None:
    """Show progress; a stream that takes none ends no work."""
    with suppress(OSError, ValueError):  # ValueError: the stream was closed
        stream.write(text)
        stream.flush()
