"""Who hears how a check goes."""

from __future__ import annotations

from typing import Protocol

from mlpublish.formats.status import ProgressStatus, UpdateStatus


class Listener(Protocol):
    """Hears how a check goes, as the predecessor's listener does (lengths in bytes).

    ``on_finish`` comes once at the end of every check; ``on_start`` only if something is downloaded.
    """

    def on_start(self, total: int) -> None:
        """A download begins, of so many bytes."""

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        """So much of the download, or of the unpacking, is done."""

    def on_finish(self, status: UpdateStatus) -> None:
        """The check is over."""
