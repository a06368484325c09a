"""Which condition ends in which status: one table (docs/statuses.md), because a device always answers with a status."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from requests import RequestException
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from urllib3.exceptions import HTTPError

from mlpublish.errors import BundleError, FormatError, MlpublishError, NewerFormat, VerificationError
from mlpublish.formats.status import UpdateStatus

NO_NETWORK = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL = "The disk is full. Free some space and check again; what came is kept."
_NO_SPACE_TOLD = {
    errno.EDQUOT: "The disk's quota is used up. Free some space and check again; what came is kept.",
    errno.EFBIG: "The disk, or a limit of this process (ulimit -f), takes no file of that size.",
}
_CHECK_NETWORK = "Look at network, proxy and address, then check again."
_OWNER = "Let the folder belong to who runs the check, or name another one with --device."
_DISK = {
    errno.EACCES: _OWNER,
    errno.EPERM: _OWNER,
    errno.EROFS: "Mount it for writing, or name another folder with --device.",
    errno.ENAMETOOLONG: "Name a folder with a shorter path with --device.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n).",
    errno.EIO: "The disk may be failing: look at the system's log.",
}
_DISK_ELSE = "Check the folder and its disk, or name another one with --device."
ALTERED = "A host or cache altered it: purge the cache, or restore the file from a backup."


class DeviceFailure(Exception):
    """A check ends here, with this status; never seen outside the room.

    Args:
        status: any but SUCCESS.
        detail: what happened, in one sentence.
    """

    def __init__(self, status: UpdateStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def outcome_of(exc: BaseException) -> tuple[UpdateStatus, str]:
    """The status and the sentence for whatever ended a check.

    The first row that fits counts: metadata that does not arrive is the network's fault, metadata that does not verify
    is a matter of integrity, an archive that is not one cannot be unzipped.
    """
    match exc:
        case DeviceFailure():
            return exc.status, str(exc)
        case KeyboardInterrupt():
            return UpdateStatus.CANCELED, "The check was interrupted."
        case DownloadError(__cause__=DeviceFailure() as failure):  # TUF's client wraps whatever ends a download
            return failure.status, str(failure)
        case DownloadLengthMismatchError():
            return UpdateStatus.FAILURE_INTEGRITY, f"The server sends more than was signed: {exc}. {ALTERED}"
        case DownloadHTTPError():
            return UpdateStatus.FAILURE_NETWORK_PROBLEM, f"The server answered {exc}."
        case DownloadError():
            return UpdateStatus.FAILURE_NETWORK_PROBLEM, f"The server cannot be reached: {exc}."
        case RequestException() | HTTPError() | ssl.SSLError() | socket.gaierror() | ConnectionError() | TimeoutError():
            return UpdateStatus.FAILURE_NETWORK_PROBLEM, f"The connection failed: {_named(exc)}. {_CHECK_NETWORK}"
        case OSError() if exc.errno in NO_NETWORK:
            return UpdateStatus.FAILURE_NETWORK_PROBLEM, f"The connection failed: {exc.strerror}. {_CHECK_NETWORK}"
        case RepositoryError():
            return UpdateStatus.FAILURE_INTEGRITY, f"The signed metadata does not verify: {exc}. {_remedy_for(exc)}"
        case NewerFormat():
            return UpdateStatus.FAILURE_UNKNOWN, str(exc)
        case VerificationError() | FormatError():
            return UpdateStatus.FAILURE_INTEGRITY, str(exc)
        case BundleError():
            return UpdateStatus.FAILURE_UNZIPPING, str(exc)
        case OSError() if exc.errno in NO_SPACE:
            return UpdateStatus.FAILURE_NOT_ENOUGH_SPACE, _NO_SPACE_TOLD.get(exc.errno or 0, _FULL)
        case OSError():
            where = f" ({os.fsdecode(exc.filename)})" if isinstance(exc.filename, str | bytes) else ""
            told = f"The device's disk refused: {exc.strerror or _named(exc)}{where}. {_DISK.get(exc.errno or 0, _DISK_ELSE)}"
            return UpdateStatus.FAILURE_UNKNOWN, told
        case MemoryError():
            return UpdateStatus.FAILURE_UNKNOWN, "The memory is used up. Free some, or check without the self-test."
        case MlpublishError():
            return UpdateStatus.FAILURE_UNKNOWN, str(exc)
        case _:
            return UpdateStatus.FAILURE_UNKNOWN, f"{_named(exc)}. Check again with --debug and report what it prints."


def _remedy_for(exc: RepositoryError) -> str:
    """Who can do something about metadata that TUF's client refused."""
    match exc:
        case BadVersionNumberError():
            return "A mirror or cache is stale, or somebody replays an old state: purge the cache, or ask the origin."
        case UnsignedMetadataError():
            return "It is altered, or its signers do not hold the role: mlpublish repo status on the repository tells who does."
        case LengthOrHashMismatchError():
            return ALTERED
    return "Run mlpublish repo status on the repository; if all is well there, a host or cache altered it."


def _named(exc: BaseException) -> str:
    """What an error says, with its kind, for many say nothing that is understood without it."""
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
