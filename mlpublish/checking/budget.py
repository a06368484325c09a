"""What one check may spend on the network, and what it has spent: time, requests, and asking again."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, replace
from typing import NoReturn

from tuf.api.exceptions import DownloadError, DownloadHTTPError

from mlpublish.checking.outcome import DeviceFailure
from mlpublish.checking.patience import Patience
from mlpublish.formats.status import UpdateStatus

_LONGEST = 30.0  # seconds between two tries, unless the server asks for more


class Broken(DownloadError):
    """Nothing came, or not all of it, or hardly anything: it may go better in a moment."""


class Busy(DownloadHTTPError):
    """The server answered that it cannot now (429, 5xx).

    Args:
        wait: seconds that it asks to wait, if it does.
    """

    def __init__(self, message: str, status_code: int, wait: float | None) -> None:
        super().__init__(message, status_code)
        self.wait = wait


@dataclass(slots=True)
class Traffic:
    """What has gone over the wire so far: bytes of bodies, requests, and how many of them were retries."""

    received: int = 0
    requests: int = 0
    retries: int = 0

    def now(self) -> Traffic:
        """A copy, to be held against later."""
        return replace(self)


class Budget:
    """The patience of one check, which is used up; its time runs from the first request."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.traffic = Traffic()
        self._ends: float | None = None  # on the monotonic clock, which no change of the date moves

    def begin(self) -> None:
        """A request is sent."""
        if self._ends is None:
            self._ends = time.monotonic() + self.patience.timeout
        self.traffic.requests += 1

    @property
    def left(self) -> float:
        """Seconds that the check has left."""
        return self.patience.timeout if self._ends is None else self._ends - time.monotonic()

    def check(self, cancel: threading.Event) -> None:
        """Go on only if nobody canceled and time is left.

        Raises:
            DeviceFailure: CANCELED.
            DownloadError: the time is over.
        """
        stop_if(cancel)
        if self.left <= 0:
            raise DownloadError(f"the {self.patience.timeout:g} s that the check may spend on the network are over (timeout)")

    def wait_to_retry(self, exc: DownloadError, tried: int, cancel: threading.Event) -> None:
        """Wait until something may be asked for again: longer each time, never all devices at once, and no less than the
        server asks for.

        Args:
            exc: why it has to be.
            tried: how often it was asked for again already.

        Raises:
            DownloadError: ``exc``, if it will not pass, or was met too often, or the wait would outlast the check.
            DeviceFailure: CANCELED while it waits.
        """
        if not isinstance(exc, (Broken, Busy)) or tried >= self.patience.retries:
            raise exc
        asked = (exc.wait or 0.0) if isinstance(exc, Busy) else 0.0
        jitter = random.uniform(0.75, 1.25)  # noqa: S311 - nothing secret
        pause = max(asked, min(_LONGEST, self.patience.first_wait * 2**tried) * jitter)
        if pause >= self.left:
            _give_up(exc, pause, self.left)
        self.traffic.retries += 1
        cancel.wait(pause)
        stop_if(cancel)


def stop_if(cancel: threading.Event) -> None:
    """End the check as CANCELED if that was asked for."""
    if cancel.is_set():
        raise DeviceFailure(UpdateStatus.CANCELED, "The check was canceled.")


def _give_up(exc: DownloadError, pause: float, left: float) -> NoReturn:
    told = f"{exc}; to ask again takes a wait of {pause:.0f} s, and {max(left, 0):.0f} s are left for the network (timeout)"
    if isinstance(exc, Busy):
        raise Busy(told, exc.status_code, exc.wait) from exc
    raise DownloadError(told) from exc
