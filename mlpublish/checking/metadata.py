"""What a device knows for sure: the signed metadata, refreshed and verified by python-tuf's client."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import Root, TargetFile, Targets
from tuf.ngclient import Updater

from mlpublish.checking.device import Device
from mlpublish.checking.fetching import MetadataFetcher, Transport
from mlpublish.errors import RecipeError, VerificationError
from mlpublish.formats.channel import Channel, ReleaseFacts, bundle_path, channel_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.storage.in_folder import replace_file
from mlpublish.trust import roles
from mlpublish.trust.pin import read_pin, root_under

_ROOT_LENGTH = 512_000  # bytes; python-tuf's own bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the app embeds: version 1 (or newer) of the root, or the predecessor's pinned key as text."""

    root: bytes | None = None
    pin: str | None = None


class Metadata:
    """The verified metadata of one check."""

    def __init__(self, updater: Updater, fetcher: MetadataFetcher, device: Device) -> None:
        self._updater = updater
        self._fetcher = fetcher
        self._device = device

    @property
    def policy(self) -> Policy:
        return Policy.from_dict(roles.custom_of(self.target(POLICY_PATH)))

    @property
    def signed_by(self) -> dict[str, tuple[str, ...]]:
        """role -> key ids whose signatures counted, read from what the client has just verified."""
        folder = self._device.folder / "metadata"
        root = roles.parse((folder / "root.json").read_bytes(), Root, "root")
        targets = roles.parse((folder / "targets.json").read_bytes(), Targets, "targets")
        return {
            "root": roles.signers_of(root.signed, "root", root),
            "targets": roles.signers_of(root.signed, "targets", targets),
        }

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
        found = self._updater.get_targetinfo(channel_path(platform, channel))
        if found is None:
            return None
        cached = self._device.folder / "cache" / f"{found.hashes['sha256']}.json"
        if self._updater.find_cached_target(found, str(cached)) is None:
            content = self._fetcher.download_bytes(roles.stored_at(found), found.length)
            found.verify_length_and_hashes(content)
            _keep_only(cached, content)
        parsed = Channel.from_bytes(cached.read_bytes())
        if (parsed.platform, parsed.channel) != (platform, channel):
            raise VerificationError("A channel file stands under another's name.", remedy="Set the channel again.")
        return parsed


def refresh(transport: Transport, device: Device, trust: Trust, cancel: threading.Event) -> Metadata:
    """Bring the device's metadata up to date.

    Raises:
        DownloadError: something did not arrive.
        RepositoryError, VerificationError: something does not verify.
        RecipeError: the pin is none.
    """
    fetcher = MetadataFetcher(transport, cancel)
    folder = device.folder / "metadata"
    # an accepted root stands for ever: bootstrapping again from what a mirror says would let a fork take over
    bootstrap = None if (folder / "root.json").exists() else _first_root(trust, fetcher)
    updater = Updater(str(folder), "metadata/", fetcher=fetcher, bootstrap=bootstrap)
    updater.refresh()
    return Metadata(updater, fetcher, device)


def _first_root(trust: Trust, fetcher: MetadataFetcher) -> bytes:
    if trust.root is not None:
        return trust.root
    if trust.pin is None:
        raise RecipeError("Nothing is trusted here.", remedy="Pass --root or --pin.", field="root")
    return root_under(read_pin(trust.pin), fetcher.download_bytes("metadata/1.root.json", _ROOT_LENGTH))


def _keep_only(cached: Path, content: bytes) -> None:
    cached.parent.mkdir(exist_ok=True)
    for old in cached.parent.iterdir():
        old.unlink()
    replace_file(cached, content)
