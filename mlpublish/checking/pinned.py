"""Pin-only mode: a plain server with a zip and, beside it, a detached RSA signature by the key that the app pins.

There is no metadata, so a signature is all that is known of a zip: neither how new it is, nor for which app. Whether there is
anything new costs one small request: a signature that signs what is installed already offers nothing else.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from securesystemslib.signer import SSlibKey
from tuf.api.exceptions import DownloadHTTPError, DownloadLengthMismatchError

from mlpublish.checking.device import Device
from mlpublish.checking.downloading import download
from mlpublish.checking.fetching import MetadataFetcher
from mlpublish.checking.installing import install
from mlpublish.checking.outcome import NO_SPACE, DeviceFailure
from mlpublish.checking.play import Play
from mlpublish.checking.state import Installed
from mlpublish.checking.unpacked import digest_in, unpack_bundle, unpack_plain
from mlpublish.errors import BundleError, RecipeError
from mlpublish.formats.archive import Archive
from mlpublish.formats.legacy_zip import LegacyArchive
from mlpublish.formats.manifest import Manifest
from mlpublish.formats.status import ProgressStatus, Reason, UpdateStatus
from mlpublish.formats.wire import digest_of
from mlpublish.reports import CheckReport
from mlpublish.trust.bundles import read_manifest
from mlpublish.trust.detached import signs
from mlpublish.trust.keys import MOST_RSA_BITS, crypto_key, kind_of
from mlpublish.trust.pin import read_pin

MOST_BYTES = 16 * 1024**3  # of a zip whose length nobody signed
_MOST_SPARED = 64 * 1024**2  # bytes of the disk that such a zip leaves free, if a twentieth of it is not less
_NOT_PROVEN = "It does not show how new they are, nor for which app: an older zip that this key signed would be taken too."


def names_a_zip(at: str) -> bool:
    """Whether an address is one bundle's, and not a repository's: that of a host or a folder may end so too."""
    path = at.partition("://")[2].partition("/")[2] if "://" in at else at
    return path.endswith(".zip") and not Path(at.removeprefix("file:")).is_dir()


def update_pinned(play: Play, name: str, pin: str) -> CheckReport:
    """Fetch the zip of that name and ``<name>.sig``, and install what the pin signed.

    Raises:
        DeviceFailure, and what outcome.py has a row for: the check ends with that status.
        RecipeError: the pin is no RSA key, or the device follows a signed repository.
    """
    key = _rsa(read_pin(pin))
    _refuse_to_forget(play.device)
    with play.phase("installed"):
        play.device.leave_altered(play.app, play.stop_if_canceled)
    with play.phase("metadata"):
        signature = _signature(play, name, key)
    current = play.device.current_for(play.app)
    if current is not None and signs(bytes.fromhex(current.sha256), signature, key):
        play.verified = (_proven(key, current.sha256), _NOT_PROVEN)
        return play.report(UpdateStatus.SUCCESS, "Nothing new: the signed zip is installed already.", Reason.ALREADY_INSTALLED)
    return _take(play, name, signature, key)


def _take(play: Play, name: str, signature: bytes, key: SSlibKey) -> CheckReport:
    """Download, verify, unpack beside what is in use, swap."""
    part = play.device.part_of(digest_of(signature))
    play.device.sweep(but=part)
    with play.phase("download"):
        sha256 = _gathered(play, name, part, signature, key)
    new = Installed(release=None, sha256=sha256, platform=play.app.platform, app_version=play.app.version)
    install(play, new, lambda folder: _unpacked(play, part, folder))
    play.verified = (_proven(key, sha256), _NOT_PROVEN)
    return play.report(UpdateStatus.SUCCESS, f"{name} (sha256 {sha256[:12]}…) is installed and in use.")


def _gathered(play: Play, name: str, part: Path, signature: bytes, key: SSlibKey) -> str:
    """Bring the zip that the signature is for to ``part``, from where an earlier check stopped; its sha256.

    Raises:
        DeviceFailure: INTEGRITY if the key did not sign what came (then ``part`` is gone).
    """
    arrival = _Arrival(play, part)
    while True:
        begun = part.exists()
        if begun and (found := _signed(play, part, signature, key)) is not None:
            return found  # an earlier check was stopped after the download
        with arrival.ending():
            download(
                play.transport,
                name,
                part,
                length=None,
                sha256=None,
                most=MOST_BYTES,
                cancel=play.cancel,
                on_length=arrival.on_length,
                on_bytes=arrival.on_bytes,
            )
        if (found := _signed(play, part, signature, key)) is not None:
            return found
        part.unlink()
        if not begun:  # what two answers gave together is fetched once more
            raise DeviceFailure(
                UpdateStatus.FAILURE_INTEGRITY,
                f"{name} is not what the pinned key {key.keyid[:12]} signed in {name}.sig. Put a zip and its own signature "
                "there; if they are, a host or cache altered one: purge the cache.",
            )


@dataclass
class _Arrival:
    """Tells of a download whose length the server alone knows, or nobody, and keeps it from filling the disk.

    Args:
        total: bytes of the whole; 0 if the server does not say, None before it has begun to send.
    """

    play: Play
    part: Path
    total: int | None = None

    def on_length(self, length: int) -> None:
        self.play.need_space(length - (self.part.stat().st_size if self.part.exists() else 0) + self._spared())
        self._start(length)

    def on_bytes(self, done: int) -> None:
        self._start(0)
        if not self.total and shutil.disk_usage(self.part.parent).free < self._spared():
            raise self._dropped(done)
        self.play.tell(ProgressStatus.DOWNLOAD_IN_PROGRESS, max(self.total or 0, done), done)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Where the disk itself says that it is full: a quota, another writer."""
        try:
            yield
        except OSError as exc:
            if exc.errno not in NO_SPACE or self.total:
                raise
            raise self._dropped(self.part.stat().st_size) from exc

    def _spared(self) -> int:
        return min(_MOST_SPARED, shutil.disk_usage(self.part.parent).total // 20)

    def _dropped(self, done: int) -> DeviceFailure:
        """What has no known length may have no end: kept, it would hold the disk full for ever."""
        self.part.unlink()
        return DeviceFailure(
            UpdateStatus.FAILURE_NOT_ENOUGH_SPACE,
            f"The server does not say how long the zip is, and {done} bytes of it leave too little space on the device; they "
            "are dropped. Free some space, or let the server send a Content-Length.",
        )

    def _start(self, total: int) -> None:
        if self.total is None:
            self.total = total
            if self.play.listener is not None:
                self.play.listener.on_start(total)


def _signed(play: Play, part: Path, signature: bytes, key: SSlibKey) -> str | None:
    """The sha256 of what is there, if the key signed it; a canceled check does not hash it to the end."""
    digest = digest_in(part, play.stop_if_canceled)
    return digest.hex() if signs(digest, signature, key) else None


def _unpacked(play: Play, part: Path, folder: Path) -> Manifest | None:
    with part.open("rb") as stream:
        archive = _opened(stream, legacy_zip=play.asked.legacy_zip)
        play.need_space(archive.unpacked_length)
        on_bytes = play.unzipping(archive.unpacked_length)
        if isinstance(archive, Archive):
            return unpack_bundle(archive, folder, on_bytes)
        unpack_plain(archive, folder, on_bytes)
        return None


def _opened(stream: BinaryIO, *, legacy_zip: bool) -> Archive | LegacyArchive:
    """A bundle as ``bundle()`` writes it; where the caller takes plain zips, also one of those."""
    try:
        archive = Archive.read(stream)
        read_manifest(archive)
        return archive
    except BundleError as exc:
        if not legacy_zip:
            told = f"{exc.problem} Make it with mlpublish bundle, or take zips of other tools with --legacy-zip."
            raise DeviceFailure(UpdateStatus.FAILURE_UNZIPPING, told) from exc
    return LegacyArchive.read(stream)


def _signature(play: Play, name: str, key: SSlibKey) -> bytes:
    most = MOST_RSA_BITS // 8
    try:
        signature = MetadataFetcher(play.transport, play.cancel).download_bytes(f"{name}.sig", most)
    except DownloadLengthMismatchError as exc:
        raise _of_other_length(name, f"more than {most}", key) from exc
    except DownloadHTTPError as exc:
        if exc.status_code != 404:
            raise
        raise DeviceFailure(
            UpdateStatus.FAILURE_NETWORK_PROBLEM,
            f"There is no {name}.sig beside the zip (404), and nothing is taken without. Make it with: "
            f"openssl dgst -sha256 -sign KEY.pem -out {name}.sig {name}",
        ) from exc
    if len(signature) != _length_for(key):
        raise _of_other_length(name, str(len(signature)), key)
    return signature


def _of_other_length(name: str, found: str, key: SSlibKey) -> DeviceFailure:
    return DeviceFailure(
        UpdateStatus.FAILURE_INTEGRITY,
        f"{name}.sig has {found} bytes; one of the pinned {kind_of(key)} key {key.keyid[:12]} has {_length_for(key)}, raw as "
        "openssl dgst -sha256 -sign writes it. Sign with the key that the app pins.",
    )


def _rsa(pin: SSlibKey) -> SSlibKey:
    if not isinstance(crypto_key(pin), RSAPublicKey):
        raise RecipeError(
            f"The pin is an {kind_of(pin)} key; the signature beside a zip is RSA.",
            remedy="Give the RSA key that the app pins (wlSecureModelUpdatePublicKey).",
            field="pin",
        )
    return pin


def _length_for(key: SSlibKey) -> int:
    public = crypto_key(key)
    assert isinstance(public, RSAPublicKey)  # _rsa() refused the others
    return (public.key_size + 7) // 8


def _refuse_to_forget(device: Device) -> None:
    """A device that knows its repository knows freshness, floors and withdrawals; a bare zip would end that."""
    numbered = device.state.current is not None and device.state.current.release is not None
    if numbered or device.follows_repository:
        raise RecipeError(
            f"The device {device.folder} follows a signed repository; a bare zip proves less, and is not taken in its place.",
            remedy="Name the repository with --at, or another folder with --device.",
            field="device",
        )


def _proven(key: SSlibKey, sha256: str) -> str:
    return f"The pinned key {key.keyid[:12]} signed the bytes of what is installed (sha256 {sha256[:12]}…)."
