"""What a device knows for sure: the signed metadata, refreshed and verified by python-tuf's client."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tuf.api.exceptions import ExpiredMetadataError, LengthOrHashMismatchError, RepositoryError
from tuf.api.metadata import Root, TargetFile, Targets
from tuf.ngclient import Updater

from mlpublish.checking import sandbox
from mlpublish.checking.clock import Clock
from mlpublish.checking.device import Device
from mlpublish.checking.fetching import MetadataFetcher, Transport
from mlpublish.checking.outcome import DeviceFailure
from mlpublish.errors import FormatError, RecipeError, VerificationError
from mlpublish.formats.channel import Channel, ReleaseFacts, bundle_path, channel_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.formats.status import UpdateStatus
from mlpublish.reports import RoleReport
from mlpublish.storage.in_folder import make_folder
from mlpublish.trust import roles
from mlpublish.trust.pin import read_pin, root_under
from mlpublish.trust.reporting import report_of

_COPY = "metadata.new"
_ROOT_LENGTH = 512_000  # bytes; python-tuf's own bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the app embeds: version 1 (or newer) of the root, or the predecessor's pinned key as text."""

    root: bytes | None = None
    pin: str | None = None


class Metadata:
    """The verified metadata of one check, in a copy of the device's that is kept once it is known to be this app's.

    Where apps share keys, another app's repository verifies too; were its versions remembered, the app's own would look
    rolled back until they overtook them.
    """

    def __init__(self, updater: Updater, fetcher: MetadataFetcher, device: Device, app_id: str, clock: Clock) -> None:
        self.clock = clock
        self._updater = updater
        self._fetcher = fetcher
        self._device = device
        self._app_id = app_id
        clock.refuse_expired(self._copied("root", "timestamp", "snapshot", "targets"))
        roles.check_root_bound(roles.parse((device.folder / _COPY / "root.json").read_bytes(), Root, "root").signed, app_id)
        if self.policy.app_id != app_id:
            raise VerificationError(f"The repository is for {self.policy.app_id}.", remedy="Ask the app's own.", field="app")
        self._keep()

    @property
    def policy(self) -> Policy:
        return Policy.from_dict(roles.custom_of(self.target(POLICY_PATH)))

    def roles(self, *, channels: bool = False) -> tuple[RoleReport, ...]:
        """The roles that the client has just verified, root first; the channels role too, once a channel was asked for."""
        copied = self._copied("root", "timestamp", "snapshot", "targets")
        root = roles.parse(copied["root"], Root, "root").signed
        found = tuple(report_of(root, name, data) for name, data in copied.items())
        targets = roles.parse(copied["targets"], Targets, "targets").signed
        if not channels or targets.delegations is None:
            return found
        asked = self._copied(roles.CHANNELS)
        return (*found, *(report_of(targets, name, data) for name, data in asked.items()))

    def target(self, path: str) -> TargetFile:
        """What is signed of a target that must be there.

        Raises:
            VerificationError: nobody who may names it.
        """
        found = self._updater.get_targetinfo(path)
        if found is None:
            raise VerificationError(f"Nobody signs {path}.", remedy="Publish it again.", field=path)
        return found

    def releases(self, number: int) -> dict[int, ReleaseFacts]:
        """What the app role says of one release, or nothing."""
        found = self._updater.get_targetinfo(bundle_path(number))
        return {} if found is None else {number: ReleaseFacts.from_dict(roles.custom_of(found))}

    def channel(self, platform: str, channel: str) -> Channel | None:
        """A channel's verified content, from the device's cache if it has not changed; None if there is none."""
        try:
            found = self._updater.get_targetinfo(channel_path(platform, channel))
        except ExpiredMetadataError:
            self.clock.refuse_expired(self._fetcher.received)
            raise
        copied = self._copied(roles.CHANNELS)  # none if the app role appoints nobody for it
        for role in copied.values():
            roles.check_bound(roles.parse(role, Targets, roles.CHANNELS).signed, self._app_id)
        if found is None:
            self._keep()
            return None
        self.clock.refuse_expired(copied)
        self._keep()
        parsed = Channel.from_bytes(self._content(found))
        if (parsed.platform, parsed.channel) != (platform, channel):
            raise VerificationError("A channel file stands under another's name.", remedy="Set the channel again.")
        return parsed

    def _content(self, target: TargetFile) -> bytes:
        """A channel file's verified bytes."""
        cached = self._device.folder / "cache" / f"{target.hashes['sha256']}.json"
        content = sandbox.read(cached)
        with suppress(LengthOrHashMismatchError):
            if content is not None:
                target.verify_length_and_hashes(content)
                return content
        content = self._fetcher.download_bytes(roles.stored_at(target), target.length)
        target.verify_length_and_hashes(content)
        _keep_only(cached, content)
        return content

    def _copied(self, *names: str) -> dict[str, bytes]:
        """The metadata of these roles, as far as the client has it."""
        files = {name: self._device.folder / _COPY / f"{name}.json" for name in names}
        return {name: file.read_bytes() for name, file in files.items() if file.is_file()}

    def _keep(self) -> None:
        """Make what verified the device's own, roots first; what has not changed is not written."""
        copy, kept = self._device.folder / _COPY, self._device.folder / "metadata"
        make_folder(kept / "root_history")
        for file in (*sorted(copy.glob("root_history/*.json")), *sorted(copy.glob("*.json"))):
            place, content = kept / file.relative_to(copy), file.read_bytes()
            if sandbox.read(place) != content:
                sandbox.write(place, content)


def refresh(transport: Transport, device: Device, trust: Trust, cancel: threading.Event, app_id: str) -> Metadata:
    """Bring the device's metadata up to date.

    Raises:
        DownloadError: something did not arrive.
        RepositoryError, VerificationError: something does not verify.
        RecipeError: the pin is none.
    """
    fetcher = MetadataFetcher(transport, cancel)
    copy = device.folder / _COPY
    _copy_anew(device.folder / "metadata", copy)
    # an accepted root stands for ever: bootstrapping again from what a mirror says would let a fork take over
    accepted = _accepted_roots(copy)
    bootstrap = accepted[0] if accepted else _first_root(trust, fetcher, app_id)
    updater = Updater(str(copy), "metadata/", fetcher=fetcher, bootstrap=bootstrap)
    clock = Clock(shows=roles.now(), verified=device.state.verified_at)
    try:
        updater.refresh()
    except ExpiredMetadataError:
        clock.refuse_expired({"root": (copy / "root.json").read_bytes()} | fetcher.received)
        raise
    except RepositoryError as exc:
        if accepted and trust.root is not None and trust.root not in accepted:
            raise DeviceFailure(
                UpdateStatus.FAILURE_INTEGRITY,
                f"{exc}. This device began at another root than the one that is given now: it follows the first one for ever. "
                "If the repository was made anew, play a fresh install with a new --device.",
            ) from exc
        raise
    return Metadata(updater, fetcher, device, app_id, clock)


def _copy_anew(kept: Path, copy: Path) -> None:
    """File by file, because shutil.copytree gathers what fails in one error that no longer knows whether the disk was full."""
    sandbox.remove(copy)
    copy.mkdir()
    for each in (*sorted(kept.glob("*.json")), *sorted(kept.glob("root_history/*.json"))):
        place, content = copy / each.relative_to(kept), sandbox.read(each)
        if content is not None:
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(content)


def _accepted_roots(folder: Path) -> list[bytes]:
    """The roots that this device has accepted, the oldest first; one that the disk spoiled does not count."""
    found: dict[int, bytes] = {}
    for file in (folder / "root_history").glob("*.root.json"):
        content = file.read_bytes()
        try:
            found[roles.parse(content, Root, "root").signed.version] = content
        except FormatError:
            continue
    return [found[number] for number in sorted(found)]


def _first_root(trust: Trust, fetcher: MetadataFetcher, app_id: str) -> bytes:
    if trust.root is not None:
        return _root_given(trust.root, app_id)
    if trust.pin is None:
        raise RecipeError("Nothing is trusted here.", remedy="Pass --root or --pin.", field="root")
    first = root_under(read_pin(trust.pin), fetcher.download_bytes("metadata/1.root.json", _ROOT_LENGTH))
    roles.check_root_bound(roles.parse(first, Root, "root").signed, app_id)  # apps of one house may share a pin
    return first


def _root_given(data: bytes, app_id: str) -> bytes:
    """The root that the caller names: that it is none, or another app's, is the caller's mistake and nobody's attack."""
    try:
        roles.check_root_bound(roles.parse(data, Root, "root").signed, app_id)
    except (FormatError, VerificationError) as exc:
        raise RecipeError(
            f"The root that is given is not one of {app_id}: {exc.problem}",
            remedy="Give the 1.root.json that the app embeds.",
            field="root",
        ) from exc
    return data


def _keep_only(cached: Path, content: bytes) -> None:
    make_folder(cached.parent)
    for old in cached.parent.iterdir():
        sandbox.remove(old)
    sandbox.write(cached, content)
