"""Fetching for a device: the ways to an app's files by an address, and what TUF's client reads through them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuf.api.exceptions import DownloadError, DownloadHTTPError
from tuf.ngclient import FetcherInterface

from mlpublish.checking.budget import Budget, Traffic, stop_if
from mlpublish.checking.downloading import download
from mlpublish.checking.over_http import HttpTransport, refuse_bad
from mlpublish.checking.patience import Patience
from mlpublish.checking.transport import Body, Transport
from mlpublish.errors import RecipeError
from mlpublish.formats.wire import is_relative_path
from mlpublish.plugins import scheme_of

__all__ = [
    "Body",
    "FolderTransport",
    "HttpTransport",
    "MetadataFetcher",
    "Traffic",
    "Transport",
    "download",
    "stop_if",
    "transport_beside",
    "transport_for",
]

_CHUNK = 256 * 1024  # bytes


class FolderTransport:
    """From a folder on this machine."""

    def __init__(self, folder: Path, *, patience: Patience) -> None:
        self.budget = Budget(patience)
        self._folder = folder

    @property
    def traffic(self) -> Traffic:
        return self.budget.traffic

    @contextmanager
    def open(self, path: str, *, start: int = 0, length: int | None = None, cancel: threading.Event) -> Iterator[Body]:
        self.budget.check(cancel)
        self.budget.begin()
        file = self._folder / path
        with _blamed(file):
            if not is_relative_path(path) or not file.is_file():
                raise DownloadHTTPError(f"404 for {path}: there is no such file", 404)
            whole = file.stat().st_size
        first = start if length in (None, whole) and start <= whole else 0
        yield Body(start=first, length=whole, chunks=self._read(file, first, cancel))

    def _read(self, file: Path, start: int, cancel: threading.Event) -> Iterator[bytes]:
        with _blamed(file), file.open("rb", buffering=0) as stream:
            stream.seek(start)
            while chunk := stream.read(_CHUNK):
                self.budget.check(cancel)
                self.traffic.received += len(chunk)
                yield chunk


def transport_for(at: str, app_id: str, *, patience: Patience, ca: Path | None = None) -> Transport:
    """The way to an app's files: ``http(s)://host[:port]``, or ``file:DIR`` with a folder that holds ``<app id>/…``.

    Args:
        ca: a PEM file of certificate authorities to trust instead of the usual ones.

    Raises:
        RecipeError: it is neither, it carries a secret, or there is no such folder or file.
    """
    if _is_server(at):
        transport = HttpTransport(f"{at.rstrip('/')}/apps/{app_id}/", patience=patience, ca=ca)
        if at.rstrip("/").endswith(f"/apps/{app_id}"):
            raise _too_deep(at, at.rstrip("/").removesuffix(f"/apps/{app_id}"))
        return transport
    folder = Path(at.removeprefix("file:"))
    if (folder / "metadata").is_dir() and not (folder / app_id).is_dir():
        raise _too_deep(at, folder.parent)
    if "://" in at or not folder.is_dir():
        raise RecipeError(
            f"{_shown(at)} is no server and no folder.", remedy="Give http(s)://host[:port] or file:DIR.", field="at"
        )
    return FolderTransport(folder / app_id, patience=patience)


def _too_deep(at: str, above: object) -> RecipeError:
    return RecipeError(f"{at} is the repository of one app.", remedy=f"Name what it lies in: {above}.", field="at")


def transport_beside(at: str, *, patience: Patience, ca: Path | None = None) -> Transport:
    """The way to what lies beside the file that an address names (``http(s)://…/F`` or ``file:DIR/F``), and to itself.

    Raises:
        RecipeError: it carries a secret, or there is no such folder or file.
    """
    if _is_server(at):
        refuse_bad(at)  # the name of the file, too
        return HttpTransport(f"{at.rpartition('/')[0]}/", patience=patience, ca=ca)
    folder = Path(at.removeprefix("file:")).parent
    if "://" in at or not folder.is_dir():
        raise RecipeError(
            f"{_shown(at)} is no server and no file.", remedy="Give http(s)://…/F.zip or file:DIR/F.zip.", field="at"
        )
    return FolderTransport(folder, patience=patience)


def _is_server(at: str) -> bool:
    return scheme_of(at) in ("http", "https")


def _shown(at: str) -> str:
    """What is no address may be a mistyped one, with a secret in it."""
    return "The address" if any(each in at for each in "@?#") else repr(at)


@contextmanager
def _blamed(file: Path) -> Iterator[None]:
    """What refuses is the repository's file, and not the device's disk."""
    try:
        yield
    except OSError as exc:
        raise DownloadError(f"{file} cannot be read: {exc.strerror} (look at its owner, its mode and its disk)") from exc


class MetadataFetcher(FetcherInterface):
    """Gives TUF's client what a transport reads, asking again where that may help; its URLs are paths of the transport."""

    def __init__(self, transport: Transport, cancel: threading.Event) -> None:
        self._transport = transport
        self._cancel = cancel
        self.received: dict[str, bytes] = {}  # role -> the newest metadata that came, whether it holds or not

    def download_bytes(self, url: str, max_length: int) -> bytes:
        content = self._whole(url, max_length)
        folder, _, name = url.rpartition("/")
        if folder == "metadata":
            self.received[name.removesuffix(".json").rpartition(".")[2]] = content
        return content

    def _whole(self, url: str, max_length: int) -> bytes:
        tried = 0
        while True:
            try:
                return super().download_bytes(url, max_length)
            except DownloadError as exc:
                self._transport.budget.wait_to_retry(exc, tried, self._cancel)
                tried += 1

    def _fetch(self, url: str) -> Iterator[bytes]:
        """A generator, because TUF's client takes whatever ``_fetch`` itself raises for a failed download."""
        with self._transport.open(url, cancel=self._cancel) as body:
            for chunk in body.chunks:
                stop_if(self._cancel)
                yield chunk
