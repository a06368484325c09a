"""Fetching for a device: signed metadata for TUF's client, and the bundle, resumed where an earlier check was cut."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import requests
from tuf.api.exceptions import DownloadError, DownloadHTTPError
from tuf.ngclient import FetcherInterface
from urllib3.exceptions import HTTPError

from mlpublish.checking.outcome import ALTERED, DeviceFailure
from mlpublish.checking.patience import Patience
from mlpublish.connections import new_session, proxies_for, reason_of
from mlpublish.errors import RecipeError
from mlpublish.formats.status import UpdateStatus
from mlpublish.formats.wire import is_relative_path

_CHUNK = 256 * 1024
_TIMEOUT = (10.0, 30.0)  # seconds to connect, and between two pieces
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


@dataclass(frozen=True, slots=True)
class Body:
    """What a transport gives: pieces of a file from ``start`` on (0 if the server would not resume)."""

    start: int
    chunks: Iterator[bytes]


@dataclass(slots=True)
class Traffic:
    """What has gone over the wire so far: bytes of bodies, requests, and how many of them were retries."""

    received: int = 0
    requests: int = 0
    retries: int = 0

    def now(self) -> Traffic:
        """A copy, to be held against later."""
        return replace(self)


class Transport(Protocol):
    """Reads files of one app's repository by their path, such as ``metadata/timestamp.json``."""

    @property
    def traffic(self) -> Traffic:
        """What this transport has done so far."""

    def open(self, path: str, *, start: int = 0) -> Body:
        """Begin to read, if it can be from byte ``start`` on.

        Raises:
            DownloadHTTPError: the server answered with an error status (a missing file is 404).
            DownloadError: it did not answer, or with something that is no repository.
        """


class HttpTransport:
    """Over HTTP, from a server or any static host.

    Args:
        base: the URL below which the files lie, with a slash at its end.
        ca: a PEM file of certificate authorities to trust instead of the system's.
    """

    def __init__(self, base: str, *, patience: Patience, ca: Path | None = None) -> None:
        self.traffic = Traffic()
        self._base = base
        self._patience = patience
        self._session = new_session(redirects=5)
        if ca is not None:
            self._session.verify = str(ca)
        self._proxies = proxies_for(base)

    def open(self, path: str, *, start: int = 0) -> Body:
        headers = {"Range": f"bytes={start}-"} if start else {}
        self.traffic.requests += 1
        try:
            response = self._session.get(
                self._base + path, headers=headers, stream=True, timeout=_TIMEOUT, proxies=self._proxies
            )
        except requests.RequestException as exc:
            raise DownloadError(f"{self._base} gives no answer: {reason_of(exc, _TIMEOUT)}") from exc
        if start and response.status_code in (206, 416) and not _goes_on(response, start):
            response.close()
            return self.open(path)
        if response.status_code != 200 and not (start and response.status_code == 206):
            response.close()
            raise DownloadHTTPError(f"{response.status_code} for {path}", response.status_code)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.close()
            raise DownloadError(f"A web page came instead of {path} (a captive portal?)")
        return Body(start if response.status_code == 206 else 0, _counted(_pieces(response), self.traffic))


class FolderTransport:
    """From a folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self.traffic = Traffic()
        self._folder = folder

    def open(self, path: str, *, start: int = 0) -> Body:
        file = self._folder / path
        self.traffic.requests += 1
        if not is_relative_path(path) or not file.is_file():
            raise DownloadHTTPError(f"there is no {path}", 404)
        return Body(start, _counted(self._read(file, start), self.traffic))

    def _read(self, file: Path, start: int) -> Iterator[bytes]:
        with file.open("rb") as stream:
            stream.seek(start)
            while chunk := stream.read(_CHUNK):
                yield chunk


def transport_for(at: str, app_id: str, *, patience: Patience, ca: Path | None = None) -> Transport:
    """The way to an app's files: ``http(s)://host[:port]``, or ``file:DIR`` with a folder that holds ``<app id>/…``.

    Raises:
        RecipeError: it is neither, or there is no such folder.
    """
    if at.startswith(("http://", "https://")):
        return HttpTransport(f"{at.rstrip('/')}/apps/{app_id}/", patience=patience, ca=ca)
    folder = Path(at.removeprefix("file:"))
    if "://" in at or not folder.is_dir():
        raise RecipeError(f"{at!r} is no server and no folder.", remedy="Give http(s)://host[:port] or file:DIR.", field="at")
    return FolderTransport(folder / app_id)


def transport_beside(at: str, *, patience: Patience, ca: Path | None = None) -> Transport:
    """The way to what lies beside the file that an address names (``http(s)://…/F`` or ``file:DIR/F``), and to itself.

    Raises:
        RecipeError: there is no such folder.
    """
    if at.startswith(("http://", "https://")):
        return HttpTransport(f"{at.rpartition('/')[0]}/", patience=patience, ca=ca)
    folder = Path(at.removeprefix("file:")).parent
    if "://" in at or not folder.is_dir():
        raise RecipeError(f"{at!r} is no server and no file.", remedy="Give http(s)://…/F.zip or file:DIR/F.zip.", field="at")
    return FolderTransport(folder)


class MetadataFetcher(FetcherInterface):
    """Gives TUF's client what a transport reads; the client's URLs are paths of the transport."""

    def __init__(self, transport: Transport, cancel: threading.Event) -> None:
        self._transport = transport
        self._cancel = cancel
        self.received: dict[str, bytes] = {}  # role -> the newest metadata that came, whether it holds or not

    def download_bytes(self, url: str, max_length: int) -> bytes:
        content = super().download_bytes(url, max_length)
        folder, _, name = url.rpartition("/")
        if folder == "metadata":
            self.received[name.removesuffix(".json").rpartition(".")[2]] = content
        return content

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._until_canceled(self._transport.open(url).chunks)

    def _until_canceled(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """In the iterator, because TUF's client takes whatever ``_fetch`` itself raises for a failed download."""
        stop_if(self._cancel)
        for chunk in chunks:
            stop_if(self._cancel)
            yield chunk


def download(
    transport: Transport,
    path: str,
    part: Path,
    *,
    length: int,
    sha256: str,
    cancel: threading.Event,
    on_bytes: Callable[[int], None],
) -> int:
    """Bring a file of known length and digest to ``part``, from where an earlier try stopped.

    Args:
        part: what is there already is kept and hashed once; after a cut it stays for the next check.
        on_bytes: called with how much of the file is there now, in bytes.

    Returns:
        How many bytes went over the wire.

    Raises:
        DeviceFailure: NETWORK_PROBLEM before the first byte, DOWNLOADING after it, INTEGRITY if the bytes are not those
            that were signed (then ``part`` is gone), CANCELED.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    if have > length:
        part.unlink()
        have = 0
    received = 0 if part.exists() and have == length else _receive(transport, path, part, have, length, cancel, on_bytes)
    with part.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        part.unlink()
        raise DeviceFailure(
            UpdateStatus.FAILURE_INTEGRITY,
            f"The bundle that came has sha256 {found[:12]}…, signed was {sha256[:12]}…. {ALTERED}",
        )
    return received


def stop_if(cancel: threading.Event) -> None:
    """End the check as CANCELED if that was asked for."""
    if cancel.is_set():
        raise DeviceFailure(UpdateStatus.CANCELED, "The check was canceled.")


def _receive(
    transport: Transport,
    path: str,
    part: Path,
    have: int,
    length: int,
    cancel: threading.Event,
    on_bytes: Callable[[int], None],
) -> int:
    body = _begin(transport, path, have)
    with part.open("r+b" if body.start else "wb") as stream:
        stream.seek(body.start)
        stream.truncate()
        received = 0
        try:
            for chunk in body.chunks:
                stop_if(cancel)
                received += stream.write(chunk)
                on_bytes(body.start + received)
                if body.start + received > length:
                    stream.truncate(0)
                    raise DeviceFailure(UpdateStatus.FAILURE_INTEGRITY, f"The server sends more than was signed. {ALTERED}")
        except DownloadError as exc:
            raise DeviceFailure(UpdateStatus.FAILURE_DOWNLOADING, f"The download broke off: {exc.__cause__ or exc}.") from exc
        finally:
            stream.flush()
            os.fsync(stream.fileno())
    if body.start + received < length:
        raise DeviceFailure(
            UpdateStatus.FAILURE_DOWNLOADING, f"The download ended after {body.start + received} of {length} bytes."
        )
    return received


def _begin(transport: Transport, path: str, have: int) -> Body:
    """An error status on the bundle is the download's fault, unless the server cannot serve anything now."""
    try:
        return transport.open(path, start=have)
    except DownloadHTTPError as exc:
        busy = exc.status_code == 429 or exc.status_code >= 500
        status = UpdateStatus.FAILURE_NETWORK_PROBLEM if busy else UpdateStatus.FAILURE_DOWNLOADING
        raise DeviceFailure(status, f"The server answered {exc.status_code} for the bundle.") from exc


def _goes_on(response: requests.Response, wanted: int) -> bool:
    """Whether an answer to a Range begins where it was asked to; if not, the file is asked for from its first byte."""
    match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return response.status_code == 206 and match is not None and int(match[1]) == wanted


def _counted(chunks: Iterator[bytes], traffic: Traffic) -> Iterator[bytes]:
    for chunk in chunks:
        traffic.received += len(chunk)
        yield chunk


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """Each as it comes, whatever its size: what came before a cut is kept, and a slow network can be canceled."""
    with response:
        try:
            while piece := response.raw.read1(_CHUNK, decode_content=True):
                yield piece
        except (HTTPError, OSError) as exc:
            raise DownloadError("the connection was lost") from exc
