"""Who hears how a check goes."""

from __future__ import annotations

from typing import Protocol

from mlpublish.checking.outcome import DeviceFailure
from mlpublish.formats.status import ProgressStatus, UpdateStatus


class Listener(Protocol):
    """Hears how a check goes, as the predecessor's listener does (lengths in bytes).

    ``on_finish`` comes once at the end of every check; ``on_start`` only if something is downloaded, once, before the first
    ``on_progress``. What a listener raises never leaves a device half changed: raised before the end it ends the check as
    FAILURE_UNKNOWN, raised by ``on_finish`` it goes to the caller, when all is done and the device is free again.
    """

    def on_start(self, total: int) -> None:
        """A download begins, of so many bytes."""

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        """So much of the download, or of the unpacking, is done."""

    def on_finish(self, status: UpdateStatus) -> None:
        """The check is over."""


class Guarded:
    """Stands before a caller's listener, and tells its errors apart from those of the check."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def on_start(self, total: int) -> None:
        try:
            self._listener.on_start(total)
        except Exception as exc:
            raise _failure(exc) from exc

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        try:
            self._listener.on_progress(status, total, done)
        except Exception as exc:
            raise _failure(exc) from exc

    def on_finish(self, status: UpdateStatus) -> None:
        self._listener.on_finish(status)


def _failure(exc: Exception) -> DeviceFailure:
    return DeviceFailure(
        UpdateStatus.FAILURE_UNKNOWN,
        f"The listener of this check failed: {type(exc).__name__}: {exc}. Nothing was installed; correct it and check again.",
    )
