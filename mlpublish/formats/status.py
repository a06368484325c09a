"""The nine statuses of the predecessor's client, as they are (MobileFirst 8.0, Model Update, "status codes")."""

from __future__ import annotations

from enum import Enum


class UpdateStatus(Enum):
    """How one update check on a device ended."""

    SUCCESS = "SUCCESS"
    CANCELED = "CANCELED"
    FAILURE_NETWORK_PROBLEM = "FAILURE_NETWORK_PROBLEM"
    FAILURE_DOWNLOADING = "FAILURE_DOWNLOADING"
    FAILURE_NOT_ENOUGH_SPACE = "FAILURE_NOT_ENOUGH_SPACE"
    FAILURE_UNZIPPING = "FAILURE_UNZIPPING"
    FAILURE_ALREADY_IN_PROGRESS = "FAILURE_ALREADY_IN_PROGRESS"
    FAILURE_INTEGRITY = "FAILURE_INTEGRITY"
    FAILURE_UNKNOWN = "FAILURE_UNKNOWN"

    @property
    def exit_code(self) -> int:
        """What ``mlpublish check`` exits with: 0 for SUCCESS, then 10 to 17 in the order above."""
        return 0 if self is UpdateStatus.SUCCESS else 9 + list(UpdateStatus).index(self)


class ProgressStatus(Enum):
    """What a check is doing, as the predecessor's listener names it."""

    DOWNLOAD_IN_PROGRESS = "DOWNLOAD_IN_PROGRESS"
    UNZIP_IN_PROGRESS = "UNZIP_IN_PROGRESS"


class Reason(Enum):
    """Why a check brought nothing new; "no update" always has one."""

    ALREADY_INSTALLED = "already_installed"
    NO_SUCH_CHANNEL = "no_such_channel"
    NO_RELEASE_FOR_APP_VERSION = "no_release_for_app_version"
    NOT_IN_ROLLOUT = "not_in_rollout"
    PAUSED = "paused"
    OS_TOO_OLD = "os_too_old"
    OLDER_THAN_SHIPPED = "older_than_shipped"
    WITHDRAWN = "withdrawn"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    Reason.ALREADY_INSTALLED: "the offered release is installed already",
    Reason.NO_SUCH_CHANNEL: "the app has no such channel on this platform",
    Reason.NO_RELEASE_FOR_APP_VERSION: "the channel names no release for this app version",
    Reason.NOT_IN_ROLLOUT: "the device is outside the rollout, and nothing is offered to the others",
    Reason.PAUSED: "the channel is paused for this app version",
    Reason.OS_TOO_OLD: "the release needs a newer operating system",
    Reason.OLDER_THAN_SHIPPED: "the app ships a model at least as new as the offered release",
    Reason.WITHDRAWN: "the offered release has been withdrawn",
}
