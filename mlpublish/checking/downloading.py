"""The bundle on its way to the disk: resumed after a cut, asked for again, and hashed while it comes.

What was kept of an earlier try is hashed once and never trusted: the digest of the whole decides in the end. So nothing is
flushed to the disk here either: what a power cut spoils is found out, and fetched anew.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tuf.api.exceptions import DownloadError, DownloadHTTPError

from mlpublish.checking.budget import Broken, Busy, stop_if
from mlpublish.checking.outcome import ALTERED, DeviceFailure
from mlpublish.checking.sandbox import open_own
from mlpublish.checking.transport import Body, Transport
from mlpublish.formats.status import UpdateStatus

_CHUNK = 256 * 1024  # bytes


def download(
    transport: Transport,
    path: str,
    part: Path,
    *,
    length: int | None,
    sha256: str | None,
    cancel: threading.Event,
    on_bytes: Callable[[int], None],
    on_length: Callable[[int], None] = lambda _: None,
    most: int | None = None,
) -> int:
    """Bring a file to ``part``, from where an earlier try stopped.

    Args:
        part: what is there already is kept and hashed once; after a cut it stays for the next check.
        length: in bytes, as it was signed; None if nobody signed it: then it is what the server says.
        sha256: as it was signed; None if nobody signed it: then the caller verifies what came.
        on_bytes: called with how much of the file is there now, in bytes.
        on_length: called once, before anything is written, with the length of the whole that the server says, if it does.
        most: bytes that are taken at most; by default ``length``.

    Returns:
        How many bytes went over the wire.

    Raises:
        DeviceFailure: NETWORK_PROBLEM before the server has begun to send, DOWNLOADING after that, INTEGRITY if the bytes
            are not those that were signed (then ``part`` is gone), CANCELED.
    """
    before, bound = transport.traffic.received, length if most is None else most
    with _opened(part, cancel, hashed=sha256 is not None, most=bound) as kept:
        coming = _Coming(transport, path, kept, cancel, on_bytes, on_length, bound, length)
        coming.gather()
        while sha256 is not None and (found := kept.digest.hexdigest()) != sha256:
            coming.begin_anew(f"The bundle that came has sha256 {found[:12]}…, signed was {sha256[:12]}…. {ALTERED}")
            coming.gather()
    return transport.traffic.received - before


class _Kept:
    """What is on the disk of a file, and the digest of exactly that."""

    def __init__(self, stream: BinaryIO, *, hashed: bool) -> None:
        self._stream = stream
        self._hashed = hashed
        self.count = 0
        self.digest = hashlib.sha256()

    def read(self, cancel: threading.Event) -> None:
        while chunk := self._stream.read(_CHUNK):
            stop_if(cancel)
            self._take(chunk)

    def write(self, chunk: bytes) -> None:
        self._stream.write(chunk)
        self._take(chunk)

    def empty(self) -> None:
        self._stream.seek(0)
        self._stream.truncate()
        self.count, self.digest = 0, hashlib.sha256()

    def _take(self, chunk: bytes) -> None:
        self.count += len(chunk)
        if self._hashed:
            self.digest.update(chunk)


@contextmanager
def _opened(part: Path, cancel: threading.Event, *, hashed: bool, most: int | None) -> Iterator[_Kept]:
    """The part, made if absent; it is gone afterwards if its bytes turned out to be wrong."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with open_own(part) as stream:
        kept = _Kept(stream, hashed=hashed)
        if most is not None and part.stat().st_size > most:
            kept.empty()
        kept.read(cancel)
        try:
            yield kept
        except DeviceFailure as exc:
            if exc.status is UpdateStatus.FAILURE_INTEGRITY:
                part.unlink()
            raise


@dataclass
class _Coming:
    """A file on its way: what is known of it, and how it has gone so far.

    Args:
        most: bytes that are taken, if there is a bound.
        length: bytes of the whole, as soon as they are known.
    """

    transport: Transport
    path: str
    kept: _Kept
    cancel: threading.Event
    on_bytes: Callable[[int], None]
    on_length: Callable[[int], None]
    most: int | None
    length: int | None

    def __post_init__(self) -> None:
        self._tried = 0
        self._begun = False  # whether the server has begun to send, in this check
        self._ended = self.kept.count == self.length
        self._mixed = self.kept.count > 0  # whether the bytes come from more than one answer

    def gather(self) -> None:
        """Ask until it is all there.

        Raises:
            DeviceFailure: it is not, and to ask again is no use.
        """
        while not self._ended:
            try:
                self._receive()
            except DownloadError as exc:
                self._wait_after(exc)

    def begin_anew(self, wrong: str) -> None:
        """Drop wrong bytes and go on from the first one, if an earlier answer may be to blame: the server need not be.

        Raises:
            DeviceFailure: INTEGRITY, saying what is wrong; it is the server's doing, or was met too often.
        """
        failure = DeviceFailure(UpdateStatus.FAILURE_INTEGRITY, wrong)
        if not self._mixed:
            raise failure
        try:
            self.transport.budget.wait_to_retry(Broken(wrong), self._tried, self.cancel)
        except DownloadError as exc:
            raise failure from exc
        self._tried += 1
        self._ended = self._mixed = False
        self.kept.empty()

    def _receive(self) -> None:
        start = self.kept.count
        with self.transport.open(self.path, start=start, length=self.length, cancel=self.cancel) as body:
            self._start(body)
            for chunk in body.chunks:
                stop_if(self.cancel)
                self._refuse_longer(self.kept.count + len(chunk))
                self.kept.write(chunk)
                self.on_bytes(self.kept.count)
        if self.length is not None and self.kept.count < self.length:
            raise Broken(f"it ended after {self.kept.count} of {self.length} bytes")
        self._ended = True

    def _start(self, body: Body) -> None:
        """Hold what the server says of the file against what is known of it, before a byte is taken."""
        first, self._begun, told = not self._begun, True, body.length
        if told is not None:
            self._refuse_longer(told)
            if self.length is not None and told != self.length:
                what = f"the server's copy has {told} bytes, not {self.length}"
                raise DownloadError(f"{what}; ask whoever runs it to copy it there again")
            self.length = told
            if first:
                self.on_length(told)
        self._mixed = body.start > 0
        if not body.start:
            self.kept.empty()

    def _refuse_longer(self, count: int) -> None:
        if self.most is not None and count > self.most:
            raise DeviceFailure(UpdateStatus.FAILURE_INTEGRITY, f"The server sends more than was signed. {ALTERED}")

    def _wait_after(self, exc: DownloadError) -> None:
        """Before the server has begun, what it cannot now is the network's fault; an error status else is the download's."""
        try:
            self.transport.budget.wait_to_retry(exc, self._tried, self.cancel)
        except DownloadHTTPError as last:
            status = UpdateStatus.FAILURE_DOWNLOADING
            if isinstance(last, Busy) and not self._begun:
                status = UpdateStatus.FAILURE_NETWORK_PROBLEM
            raise DeviceFailure(status, f"The server answered {last}.") from last
        except DownloadError as last:
            if not self._begun:
                raise
            raise DeviceFailure(UpdateStatus.FAILURE_DOWNLOADING, f"The download broke off: {last}.") from last
        self._tried += 1
