"""The contract of a way to an app's files, whatever carries them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from mlpublish.checking.budget import Budget, Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a transport gives of a file.

    Args:
        start: the first byte that comes (0 if the server would not resume).
        length: of the whole file in bytes, as the server says it, if it does.
        chunks: the pieces as they come; a wait for the next one ends with the check's cancel, stall limit and deadline.
    """

    start: int
    length: int | None
    chunks: Iterator[bytes]


class Transport(Protocol):
    """Reads files of one app's repository by their path, such as ``metadata/timestamp.json``, for one check."""

    @property
    def budget(self) -> Budget:
        """What the check may spend, shared by all its requests."""

    @property
    def traffic(self) -> Traffic:
        """What this transport has done so far."""

    def open(
        self, path: str, *, start: int = 0, length: int | None = None, cancel: threading.Event
    ) -> AbstractContextManager[Body]:
        """Read a file once, if it can be from byte ``start`` on; leaving the context ends the connection.

        Args:
            length: of the whole in bytes, where it is known: a piece of a file of another length is not taken.

        Raises:
            DownloadHTTPError: the server answered with an error status (a missing file is 404); Busy if it cannot now.
            DownloadError: it did not answer, or with something that is no repository; Broken if that may pass. The
                chunks may end so too.
            DeviceFailure: CANCELED.
        """
