"""The table condition -> status: nothing that has a better name ends as UNKNOWN, and every sentence says what to do."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from urllib3.exceptions import ProtocolError

from mlpublish.checking.outcome import DeviceFailure, outcome_of
from mlpublish.errors import BundleError, DigestMismatch, FormatError, MlpublishError, NewerFormat, StorageError
from mlpublish.formats.status import UpdateStatus

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

CANCELED, NETWORK, DOWNLOADING = UpdateStatus.CANCELED, UpdateStatus.FAILURE_NETWORK_PROBLEM, UpdateStatus.FAILURE_DOWNLOADING
SPACE, UNZIPPING = UpdateStatus.FAILURE_NOT_ENOUGH_SPACE, UpdateStatus.FAILURE_UNZIPPING
INTEGRITY, UNKNOWN = UpdateStatus.FAILURE_INTEGRITY, UpdateStatus.FAILURE_UNKNOWN


def disk(number: int) -> OSError:
    return OSError(number, os.strerror(number), "/phone/state.json")


def wrapped(cause: Exception) -> DownloadError:
    """As TUF's client hands on what ended a download."""
    error = DownloadError("Failed to download metadata/timestamp.json")
    error.__cause__ = cause
    return error


CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate verify failed")
TABLE: list[tuple[BaseException, UpdateStatus, str]] = [
    (DeviceFailure(DOWNLOADING, "It broke off."), DOWNLOADING, "It broke off."),
    (wrapped(DeviceFailure(CANCELED, "The check was canceled.")), CANCELED, "The check was canceled."),
    (KeyboardInterrupt(), CANCELED, "was interrupted"),
    (DownloadLengthMismatchError("9 bytes exceeding 8"), INTEGRITY, "purge the cache"),
    (DownloadHTTPError("503 for metadata/timestamp.json", 503), NETWORK, "The server answered 503"),
    (DownloadError("no connection"), NETWORK, "cannot be reached"),
    (requests.exceptions.InvalidURL("no host"), NETWORK, "InvalidURL: no host"),
    (requests.exceptions.ContentDecodingError("gzip"), NETWORK, "Look at network"),
    (ProtocolError("Connection broken"), NETWORK, "Look at network"),
    (CERTIFICATE, NETWORK, "certificate verify failed"),
    (socket.gaierror(-2, "Name or service not known"), NETWORK, "Name or service not known"),
    (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), NETWORK, "reset by peer"),
    (TimeoutError("timed out"), NETWORK, "timed out"),
    (disk(errno.ENETUNREACH), NETWORK, "Network is unreachable"),
    (disk(errno.EHOSTUNREACH), NETWORK, "No route to host"),
    (BadVersionNumberError("1 < 2"), INTEGRITY, "stale"),
    (UnsignedMetadataError("0/1 keys"), INTEGRITY, "mlpublish repo status"),
    (LengthOrHashMismatchError("hash"), INTEGRITY, "purge the cache"),
    (RepositoryError("odd"), INTEGRITY, "mlpublish repo status"),
    (NewerFormat("It is of format 9.", remedy="Install a newer mlpublish."), UNKNOWN, "Install a newer"),
    (DigestMismatch("It is altered.", remedy="Get it again."), INTEGRITY, "Get it again."),
    (FormatError("It is no policy.", remedy="Sign again."), INTEGRITY, "Sign again."),
    (BundleError("It is no zip.", remedy="Bundle again."), UNZIPPING, "Bundle again."),
    (disk(errno.ENOSPC), SPACE, "Free some space"),
    (disk(errno.EDQUOT), SPACE, "quota"),
    (disk(errno.EFBIG), SPACE, "ulimit -f"),
    (disk(errno.EACCES), UNKNOWN, "Permission denied (/phone/state.json). Let the folder belong to who runs the check"),
    (disk(errno.EPERM), UNKNOWN, "Let the folder belong"),
    (disk(errno.EROFS), UNKNOWN, "Mount it for writing"),
    (disk(errno.ENAMETOOLONG), UNKNOWN, "a shorter path"),
    (disk(errno.EMFILE), UNKNOWN, "ulimit -n"),
    (disk(errno.EIO), UNKNOWN, "system's log"),
    (disk(errno.ENOTDIR), UNKNOWN, "Check the folder and its disk"),
    (OSError("odd"), UNKNOWN, "odd"),
    (MemoryError(), UNKNOWN, "memory is used up"),
    (StorageError("The disk refused.", remedy="Check it."), UNKNOWN, "Check it."),
    (MlpublishError("Odd.", remedy="Look."), UNKNOWN, "Odd. Look."),
    (RecursionError("too deep"), UNKNOWN, "RecursionError: too deep. Check again with --debug"),
    (KeyError("odd"), UNKNOWN, "KeyError: 'odd'. Check again with --debug"),
]


@pytest.mark.parametrize(("error", "status", "told"), TABLE, ids=[f"{type(each).__name__} {each}"[:50] for each, *_ in TABLE])
def test_every_condition_has_its_status_and_its_sentence(error: BaseException, status: UpdateStatus, told: str) -> None:
    found, detail = outcome_of(error)
    assert found is status
    assert told in detail
    assert detail.endswith(".")


def test_every_status_but_those_that_need_a_device_is_in_the_table() -> None:
    assert {status for _, status, _ in TABLE} | {UpdateStatus.SUCCESS, UpdateStatus.FAILURE_ALREADY_IN_PROGRESS} == set(
        UpdateStatus
    )


# ── what a hostile server can say ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def waiting(lab: Lab) -> Lab:
    lab.release()
    lab.updates_to(1)
    lab.release()
    return lab


LOCATIONS = [
    "http://[::1",
    "http://[zz]/",
    "http://a..b/",
    f"http://{'a' * 70}.invalid/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:x/",
    "http://ü\u2024.invalid/",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "file:///etc/passwd",
    "//",
    "http://",
    "http:///x",
]


@pytest.mark.parametrize("location", LOCATIONS, ids=ascii)
def test_a_hostile_redirect_is_the_networks_fault(waiting: Lab, location: str) -> None:
    for path, statuses in (("timestamp.json", {NETWORK}), ("bundle.zip", {NETWORK, DOWNLOADING})):
        waiting.web.heal()
        waiting.web.bend(path, to=location)
        report = waiting.check()
        assert report.status in statuses, report.detail
        assert report.installed == 1


DEEP = b"[" * 100_000
DEEP_ROLE = json.dumps({"signed": 0, "signatures": []}).encode().replace(b"0", b'{"a":' * 50_000)


@pytest.mark.parametrize(
    "content", [DEEP, DEEP_ROLE, b"", b"\xff\xfe", b"null", b"9" * 5000], ids=lambda content: ascii(content[:9])
)
@pytest.mark.parametrize("path", ["2.root.json", "timestamp.json"])
def test_hostile_metadata_is_a_matter_of_integrity(waiting: Lab, path: str, content: bytes) -> None:
    waiting.web.bend(path, body=content)
    waiting.fails(INTEGRITY)


@pytest.mark.parametrize(
    "content", [DEEP, b"{}", b"null", b'{"format": ' + b"9" * 5000 + b"}"], ids=lambda content: ascii(content[:9])
)
def test_a_channel_that_was_signed_and_is_none_is_a_matter_of_integrity(waiting: Lab, content: bytes) -> None:
    waiting.channel_file(content)
    waiting.fails(INTEGRITY)


def test_a_device_whose_metadata_does_not_fit_the_disk_is_not_enough_space(waiting: Lab, tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that is full: writing ends with an error of the system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    root = waiting.first_root()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        report = waiting.check(device=waiting.phone, root=root)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (report.status, report.installed) == (SPACE, 1), report.detail
    waiting.updates_to(2)
