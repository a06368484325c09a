"""Which condition ends in which status: one table (docs/statuses.md), because a device always answers with a status."""

from __future__ import annotations

import errno

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)

from mlpublish.errors import BundleError, FormatError, MlpublishError, NewerFormat, VerificationError
from mlpublish.formats.status import UpdateStatus

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
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
        case DownloadLengthMismatchError():
            return UpdateStatus.FAILURE_INTEGRITY, f"The server sends more than was signed: {exc}. {ALTERED}"
        case DownloadHTTPError():
            return UpdateStatus.FAILURE_NETWORK_PROBLEM, f"The server answered {exc}."
        case DownloadError():
            return UpdateStatus.FAILURE_NETWORK_PROBLEM, f"The server cannot be reached: {exc}."
        case RepositoryError():
            return UpdateStatus.FAILURE_INTEGRITY, f"The signed metadata does not verify: {exc}. {_remedy_for(exc)}"
        case NewerFormat():
            return UpdateStatus.FAILURE_UNKNOWN, str(exc)
        case VerificationError() | FormatError():
            return UpdateStatus.FAILURE_INTEGRITY, str(exc)
        case BundleError():
            return UpdateStatus.FAILURE_UNZIPPING, str(exc)
        case OSError() if exc.errno in NO_SPACE:
            return UpdateStatus.FAILURE_NOT_ENOUGH_SPACE, "The disk is full."
        case MlpublishError():
            return UpdateStatus.FAILURE_UNKNOWN, str(exc)
        case _:
            return UpdateStatus.FAILURE_UNKNOWN, f"{type(exc).__name__}: {exc}."


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
